"""Errors in compiled code, one at a time: what synchronises, orders or masks is taken out of it or weakened.

What is edited is the text of the LLVM IR that Triton made for NVIDIA's or AMD's GPUs (the stage "llir"), in
which a barrier is a line. Each edit keeps the text valid. Barriers with nothing between them are one, and so
are equal fences, and waits for copies with no copy between them: without one of two, nothing would change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from symgru.kernels.simulator.text import Sites

_BARRIER = re.compile(r"@llvm\.(nvvm\.barrier\S*|nvvm\.bar\.\S*|amdgcn\.s\.barrier(?:\.signal)?)\(")
_COPY_WAIT = re.compile(r"(@llvm\.nvvm\.cp\.async\.wait\.group\(i32 )(\d+)")
_COPY_COMMIT = re.compile(r"cp\.async\.commit")
_MARK = re.compile(r"@llvm\.amdgcn\.asyncmark\(")
_MARK_WAIT = re.compile(r"(@llvm\.amdgcn\.wait\.asyncmark\(i16 )(\d+)")
_MATRIX_COMMIT = re.compile(r"wgmma\.commit")
_MATRIX_WAIT = re.compile(r"(wgmma\.wait_group\.sync\.aligned )(\d+)")
_FENCE = re.compile(r"^\s+(?:fence |.*@llvm\.nvvm\.(?:fence|membar|wgmma\.fence)\b)")
_ASM = re.compile(r' asm (?:sideeffect )?"(?P<text>[^"]*)", "(?P<constraints>[^"]*)"\((?P<arguments>.*)\)')
_ATOMIC_PTX = re.compile(r"\b(?:atom|red|ld|st)\.[\w.:]*\b(?:relaxed|acquire|release|acq_rel)\b")
_ATOMIC_LLVM = re.compile(r"^\s+(?:%\S+ = )?(?:atomicrmw|cmpxchg|load atomic|store atomic) ")
_ORDER = r"\b(?:acquire|release|acq_rel|seq_cst)\b"
_COPY_MASK = re.compile(r'("cp\.async\.[^"]*(0x\w+), \$2;", "r,l,r"\(.*, i32 )(%\S+)\)')
_BRANCH = re.compile(r"^\s+br i1 (%\S+), label (%\S+), label (%\S+?)(?=,|$)")
_MEMORY = re.compile(r"^\s+(?:%\S+ = )?(?:load|store|atomicrmw|cmpxchg) .*addrspace\([13]\)")
#: What a barrier may have to keep in order.
_ACCESS = re.compile(
    r" asm |(?:load|store|atomicrmw|cmpxchg) |matrix|async|@llvm\.(?:masked|amdgcn\.(?:raw|ds))"
)


@dataclass(frozen=True)
class Mutant:
    """One error: its kind, what was done in words, where in the source, the lines that change.

    A line's new text is None where the line is left out.
    """

    kind: str
    change: str
    place: str
    lines: tuple[tuple[int, str | None], ...]

    def __str__(self) -> str:
        return f"{self.kind}: {self.change} at {self.place}"

    def apply(self, llir: str) -> str:
        """The text with the error."""
        lines: list[str | None] = list(llir.split("\n"))
        for number, text in self.lines:
            lines[number] = text
        return "\n".join(line for line in lines if line is not None)


def mutants(llir: str) -> Iterator[Mutant]:
    """Every mutant of a compiled kernel, in the order of its lines."""
    lines, sites = llir.split("\n"), Sites.of(llir)
    for number, line in enumerate(lines):
        for kind, rule in RULES.items():
            for change, edits in rule(lines, number):
                place = sites.words(_location(line), _instruction(line))
                yield Mutant(kind, change, place, tuple(edits.items()))


Found = Iterator[tuple[str, dict[int, str | None]]]


def _barriers(lines: list[str], number: int) -> Found:
    if not _is_barrier(lines[number]) or any(map(_is_barrier, _run(lines, number, -1, _ACCESS))):
        return
    edits: dict[int, str | None] = {number: None}
    for n in _numbers(lines, number, 1, _ACCESS):
        if _is_barrier(lines[n]) or "s.barrier.wait" in lines[n]:
            edits[n] = None
    yield "barrier deleted", edits


def _is_barrier(line: str) -> bool:
    return line.startswith(" ") and _BARRIER.search(line) is not None


def _numbers(lines: list[str], number: int, step: int, end: re.Pattern[str]) -> Iterator[int]:
    """The lines behind (step 1) or before (−1) a line of the same block, up to one that `end` describes."""
    number += step
    while lines[number].startswith(" ") and not end.search(lines[number]):
        yield number
        number += step


def _run(lines: list[str], number: int, step: int, end: re.Pattern[str]) -> Iterator[str]:
    return (lines[n] for n in _numbers(lines, number, step, end))


def _waits(lines: list[str], number: int) -> Found:
    for pattern, what, between in (
        (_COPY_WAIT, "copies", _COPY_COMMIT),
        (_MARK_WAIT, "copies", _MARK),
        (_MATRIX_WAIT, "matrix products", _MATRIX_COMMIT),
    ):
        match = pattern.search(lines[number])
        if match is None or any(map(pattern.search, _run(lines, number, -1, between))):
            continue
        more = int(match[2]) + 1
        again = [n for n in _numbers(lines, number, 1, between) if pattern.search(lines[n])]
        edits: dict[int, str | None] = {n: pattern.sub(rf"\g<1>{more}", lines[n]) for n in (number, *again)}
        yield f"waits until {more} groups of {what} are left, not {match[2]}", edits


def _fences(lines: list[str], number: int) -> Found:
    if not _FENCE.search(lines[number]):
        return
    what = lines[number].partition("!dbg")[0]
    if any(line.partition("!dbg")[0] == what for line in _run(lines, number, -1, _ACCESS)):
        return
    again = (n for n in _numbers(lines, number, 1, _ACCESS) if lines[n].partition("!dbg")[0] == what)
    yield "fence deleted", dict.fromkeys((number, *again))


def _masks(lines: list[str], number: int) -> Found:
    line = lines[number]
    asm, copy, branch = _ASM.search(line), _COPY_MASK.search(line), _BRANCH.search(line)
    if asm is not None and asm["constraints"].endswith(",b"):
        start, _, predicate = asm["arguments"].rpartition("i1 ")
        if predicate.startswith("%"):
            yield "mask always true", {number: line.replace(asm["arguments"], f"{start}i1 true")}
    elif copy is not None:
        whole = f"{copy[1]}{int(copy[2], 0)})"
        yield "mask always true", {number: line.replace(copy[0], whole)}
    elif branch is not None and _guards_memory(lines, number, branch[2], branch[3]):
        yield "mask always true", {number: line.replace(f"i1 {branch[1]},", "i1 true,", 1)}


def _guards_memory(lines: list[str], number: int, inside: str, after: str) -> bool:
    """Whether a branch only skips the block behind it, and that block accesses memory: a mask of AMD's."""
    label = f"{inside.removeprefix('%')}:"
    if not any(line.startswith(label) for line in lines[number + 1 : number + 3]):
        return False
    accesses = False
    for line in lines[number + 3 :]:
        if _MEMORY.search(line):
            accesses = True
        if line.lstrip().startswith("br "):
            return accesses and re.search(rf"br label {re.escape(after)}(?:,|$)", line) is not None
        if not line.strip():
            return False
    return False


def _orders(lines: list[str], number: int) -> Found:
    line = lines[number]
    asm = _ASM.search(line)
    if asm is not None:
        for found in _ATOMIC_PTX.finditer(asm["text"]):
            weaker = re.sub(_ORDER, "relaxed", found[0])
            if weaker != found[0]:
                yield f"{found[0]} made relaxed", {number: line.replace(found[0], weaker)}
    elif _ATOMIC_LLVM.search(line):
        weaker = re.sub(_ORDER, "monotonic", line)
        if weaker != line:
            yield "atomic made relaxed", {number: weaker}


def _scopes(lines: list[str], number: int) -> Found:
    line = lines[number]
    asm = _ASM.search(line)
    if asm is not None and re.search(r"\b(?:atom|red|ld|st)\.global\.", asm["text"]):
        weaker = re.sub(r"\.(?:gpu|sys)\b", ".cta", asm["text"])
        if weaker != asm["text"]:
            yield "scope made cta", {number: line.replace(asm["text"], weaker)}
    elif _ATOMIC_LLVM.search(line):
        weaker = line.replace('syncscope("agent")', 'syncscope("workgroup")')
        if weaker != line:
            yield "scope made workgroup", {number: weaker}


#: What can go wrong: every rule looks at a line of a text and yields changes of it.
RULES: dict[str, Callable[[list[str], int], Found]] = {
    "barrier": _barriers,
    "wait": _waits,
    "mask": _masks,
    "order": _orders,
    "scope": _scopes,
    "fence": _fences,
}


def _location(line: str) -> str | None:
    match = re.search(r"!dbg (![0-9]+)", line)
    return match[1] if match else None


def _instruction(line: str) -> str:
    """The instruction in a few words."""
    asm = _ASM.search(line)
    if asm is not None:
        statements = re.split(r"\\0A|\\09|;|\n", asm["text"])
        words = next(s for s in statements if s.strip() and not s.strip().startswith(("mov", "//")))
        return re.sub(r"^@!?\$\d+ ", "", words.strip()).partition(" ")[0]
    intrinsic = re.search(r"@llvm\.([\w.]+)", line)
    return intrinsic[1] if intrinsic else re.sub(r"^%\S+ = ", "", line.strip()).partition(" ")[0]
