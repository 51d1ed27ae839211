"""Registers that belong to asynchronous matrix products, as far as LLVM IR shows them.

Registers are values there, so nothing can write one too early; but the text says which values a product
(`wgmma.mma_async`) takes and gives, and where others are read. Beside each such value the translation keeps a
number, made by the runtime, that says when it was written; `extractvalue`, `phi` and the wait, which ties its
operands to its results, pass it on. What the values of constants and parameters are is known from the start.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from .text import closing, split

_VALUE = re.compile(r'%(?:[\w.$-]+|"[^"]+")')
_ASM = re.compile(r'asm (?:sideeffect )?(?:alignstack )?"(?P<text>[^"]*)", "(?P<constraints>[^"]*)"(?=\()')
_INCOMING = re.compile(r"\[ (.+?), (%\S+) \]")
_PRODUCT, _WAIT = "wgmma.mma_async", "wgmma.wait_group"
_FROM_THE_START = "0"


@dataclass(frozen=True)
class _Instruction:
    """What defines a value: its operation and the values that it takes."""

    opcode: str
    operands: tuple[str, ...]
    place: int = 0  # of extractvalue, in the aggregate
    accumulators: tuple[str, ...] = ()  # of a product
    fragments: tuple[str, ...] = ()


class Registers:
    """Those of one function: which instructions to tell the runtime of, before and after."""

    def __init__(self, lines: Iterable[str]) -> None:
        """Read the lines of a function's body."""
        self._defined: dict[str, _Instruction] = {}
        lines = list(lines)
        self._products = any(_PRODUCT in line for line in lines)
        taken: list[str] = []
        for line in lines if self._products else ():
            result, instruction = _read(line)
            if result:
                self._defined[result] = instruction
            taken += [*instruction.accumulators, *instruction.fragments]
        self._sources = self._behind(taken)
        self._given = self._ahead()
        self._told: set[str] = set()

    def __bool__(self) -> bool:
        return self._products

    def label(self) -> None:
        """A block begins: what was told before may not have been, on another way to it."""
        self._told.clear()

    def before(self, line: str, site: Callable[[str], str]) -> Iterator[str]:
        """The calls before an instruction; `site` gives the index of its source line, from words."""
        _, instruction = _read(line)
        if instruction.opcode == _PRODUCT:
            for accumulates, names in ((1, instruction.accumulators), (0, instruction.fragments)):
                for when in dict.fromkeys(self._when(name) for name in names):
                    place = site(_PRODUCT)
                    yield f"call void @sim_product_takes(i32 {when}, i32 {accumulates}, i32 {place})"
        elif instruction.opcode not in ("phi", "extractvalue", _WAIT):
            read = dict.fromkeys(self._when(name) for name in instruction.operands if name in self._given)
            for when in [when for when in read if when not in self._told]:
                self._told.add(when)
                yield f"call void @sim_product_read(i32 {when}, i32 {site(instruction.opcode)})"

    def after(self, line: str, site: Callable[[str], str]) -> Iterator[str]:
        """The instructions that make the number of what an instruction gives."""
        result, instruction = _read(line)
        name = _number(result)
        if instruction.opcode == _PRODUCT:
            yield f"{name} = call i32 @sim_product_issued(i32 {site(_PRODUCT)})"
        elif instruction.opcode == "phi" and result in self._sources | self._given:
            pairs = _INCOMING.findall(line)
            listed = ", ".join(f"[ {self._when(value)}, {block} ]" for value, block in pairs)
            yield f"{name} = phi i32 {listed}"
        elif result in self._sources and instruction.opcode != "extractvalue":
            yield f"{name} = call i32 @sim_product_now()"

    def _when(self, name: str) -> str:
        """The number of a value: a name, or 0."""
        instruction = self._defined.get(name)
        if instruction is None:
            return _FROM_THE_START
        if instruction.opcode == "extractvalue":
            (whole,) = instruction.operands[:1]
            origin = self._defined.get(whole)
            if origin is not None and origin.opcode == _WAIT:
                return self._when(origin.operands[instruction.place])
            return self._when(whole)
        if instruction.opcode == _WAIT:
            return self._when(instruction.operands[0])
        if instruction.opcode == _PRODUCT or name in self._sources | self._given:
            return _number(name)
        return _FROM_THE_START

    def _through(self, name: str) -> tuple[str, ...]:
        """The values that a value is, under another name; none if an instruction makes it."""
        instruction = self._defined.get(name)
        if instruction is None:
            return ()
        if instruction.opcode == "phi":
            return instruction.operands
        if instruction.opcode == "extractvalue":
            (whole,) = instruction.operands[:1]
            origin = self._defined.get(whole)
            waits = origin is not None and origin.opcode == _WAIT
            return (origin.operands[instruction.place],) if origin is not None and waits else (whole,)
        return instruction.operands[:1] if instruction.opcode == _WAIT else ()

    def _behind(self, names: Iterable[str]) -> set[str]:
        """What the registers that products take come from."""
        found, waiting = set[str](), list(names)
        while waiting:
            name = waiting.pop()
            if name in self._defined and name not in found:
                found.add(name)
                waiting += self._through(name)
        return {name for name in found if self._defined[name].opcode not in (_PRODUCT, _WAIT)}

    def _ahead(self) -> set[str]:
        """The values that are registers which products write."""
        given = {name for name, instruction in self._defined.items() if instruction.opcode == _PRODUCT}
        while True:
            more = {n for n in self._defined if n not in given and given.intersection(self._through(n))}
            if not more:
                return given
            given |= more


def _number(name: str) -> str:
    return f"%written.{name.lstrip('%')}"


def _read(line: str) -> tuple[str, _Instruction]:
    """The result of an instruction (or nothing), and what it is."""
    line = re.sub(r"(?:, !.*| #\d+.*)$", "", line)
    match = re.match(rf"\s*(?:({_VALUE.pattern}) = )?(.*)", line)
    result, text = match.groups("")  # type: ignore[union-attr]  # it matches everything
    asm = _ASM.search(text)
    if asm is not None and (_PRODUCT in asm["text"] or _WAIT in asm["text"]):
        listed = split(text[asm.end() + 1 : closing(text, asm.end())])
        operands = tuple(argument.split()[-1] for argument in listed)
        if _PRODUCT not in asm["text"]:
            return result, _Instruction(_WAIT, operands)
        kinds = [kind for kind in asm["constraints"].split(",") if not kind.startswith(("=", "~"))]
        pairs = list(zip(kinds, operands, strict=True))
        accumulators = tuple(operand for kind, operand in pairs if kind.isdigit())
        fragments = tuple(operand for kind, operand in pairs if kind == "r")
        return result, _Instruction(_PRODUCT, operands, 0, accumulators, fragments)
    opcode = re.sub(r"^(?:tail|musttail|notail) ", "", text).split(" ")[0]
    operands = tuple(_VALUE.findall(text))
    place = int(text.rpartition(",")[2]) if opcode == "extractvalue" else 0
    if opcode == "phi":
        operands = tuple(value for value, _ in _INCOMING.findall(text) if value.startswith("%"))
    return result, _Instruction(opcode, operands, place)
