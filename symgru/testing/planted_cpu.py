"""Plant errors in the passes of the CPU, emitted and hand-written, and see that the oracle finds them.

`python -m symgru.testing.planted_cpu` plants all of them and prints the list; exit status 1 if one survives.
What is emitted gets one slip of the pen at a time (a sign, an operand, an entry of a table), and all the
wrong plans go into one library; every error in the engine needs a library of its own.
"""

from __future__ import annotations

import ctypes
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from symgru.kernels.cpu.build import ROOT, build
from symgru.kernels.cpu.passes import plans_of
from symgru.testing.cpu_libraries import SMALL_TILES, Edit, compiled, variant
from symgru.testing.cpu_passes import (
    PASSES,
    Oracle,
    Plans,
    Problem,
    Tensors,
    assert_agrees,
    assert_digits_of_closed_gates,
    huge_numbers_in_fresh_memory,
    run,
)
from symgru.testing.planted import Planted

CELL = "gru_keep_before"
PORTABLE = "portable"
SMALL = Problem("keep", "before", (4, 4, 3), 4, 5)
#: On these each of the errors below makes a difference: both directions, several chunks, blocks and tiles.
PROBLEMS = (
    SMALL,
    replace(SMALL, batch_sizes=(3, 2)),  # so few rows that matrices are not packed
    replace(SMALL, batch_sizes=(4, 4, 1), reverse=True),
    replace(SMALL, batch_sizes=(9,) * 15, input_size=17, hidden_size=33),
    replace(SMALL, batch_sizes=(260, 260), input_size=7, hidden_size=9, reverse=True),
    replace(SMALL, input_size=45, hidden_size=2),  # dots in place of tiles
    replace(SMALL, batch_sizes=(4, 4, 4, 3, 1), resets=True),
    replace(SMALL, batch_sizes=(4, 4, 4, 3, 1), reverse=True, resets=True),
)
#: What has to run for a wrong pass to be seen.
NEEDED = {
    "forward": ("forward",),
    "backward": ("forward", "backward"),
    "tangent": ("forward", "tangent"),
    "forward_saving": ("forward_saving", "backward_saved"),
    "backward_saved": ("forward_saving", "backward_saved"),
}


@dataclass(frozen=True)
class Slip:
    """An emitted plan with one error: its pass, the error, and the source."""

    pass_: str
    error: str
    source: str


def slips(cell: str) -> Iterator[Slip]:
    """Every slip in the emitted passes of a cell."""
    header = (ROOT / "generated" / f"cpu_{cell}.h").read_text(encoding="utf-8")
    _, _, rest = header.partition(f"namespace symgru::{cell} {{\n")
    for match in re.finditer(r".*?constexpr Plan<T> (\w+) = \{.*?\n.*?\};\n", rest, re.DOTALL):
        if match[1] in PASSES:
            yield from (Slip(match[1], error, text) for error, text in _wrong(match[0]))


def _wrong(source: str) -> Iterator[tuple[str, str]]:
    for kind, pattern, wrong in SLIPS:
        for found in re.finditer(pattern, source, re.MULTILINE):
            new = wrong(found)
            if new is not None and new != found[0]:
                line = source[source.rfind("\n", 0, found.start()) + 1 : source.find("\n", found.start())]
                text = source[: found.start()] + new + source[found.end() :]
                yield f"{kind}: {found[0].strip()} became {new.strip()} in '{line.strip()[:110]}'", text


def _other_read(found: re.Match[str]) -> str:
    """The view before, or the second in place of the first."""
    return f"at.{found[1]}(v{(int(found[2]) or 2) - 1})"


def _other_result(found: re.Match[str]) -> str | None:
    body = found.string[: found.start()].rpartition("each_block")[2]
    before = re.findall(r"at\.write\(v\d+, (\w+)\)", body)
    return f"at.write({found[1]}, {before[-1]});" if before else None


def _rotated(found: re.Match[str]) -> str:
    first, *others = found[2].split(", ")
    return f"{found[1]}{', '.join((*others, first))}}}"


def _turned(found: re.Match[str]) -> str:
    return found[0].replace(found[1], "false" if found[1] == "true" else "true")


def _other_item(found: re.Match[str]) -> str:
    """One of the first two items of the record: cotangents of gates."""
    return str((int(found[1]) + 1) % 2)


def _other_block(found: re.Match[str]) -> str | None:
    """Of biases or of matrices, of which three lie in one tensor."""
    line = _line(found)
    if not ("constexpr Source" in line and "parameter" in line) and "constexpr Matrix" not in line:
        return None
    return f"{{{found[1]}, {(int(found[2]) + 1) % 3}}}"


#: What kind, where in an emitted plan, and what becomes of it. Tables stay inside their arrays: an entry is
#: mistaken for one of the same shape.
SLIPS: Sequence[tuple[str, str, Callable[[re.Match[str]], str | None]]] = (
    ("sign", r"(?<=const auto )(\w+) = (?!at\.|gate<)([^,;\n]+);$", lambda m: f"{m[1]} = -({m[2]});"),
    ("operator", r"(?<=[\w)]) \+ (?=[-\w(][^;]*;$)", lambda m: " - "),
    ("operator", r"(?<=[\w)])\*(?=[-\w(][^;]*;$)", lambda m: " - "),
    ("constant", r"T\(1\)", lambda m: "T(2)"),
    ("operand", r"at\.(read|parameter)\(v(\d+)\)", _other_read),
    ("result", r"at\.write\((v\d+), (\w+)\);", _other_result),
    ("gate", r"\.gate\b", lambda m: ".complement"),
    ("gate", r"\.complement\b", lambda m: ".gate"),
    ("function", r"= sigmoid<T>", lambda m: "= tanh<T>"),
    ("function", r"= tanh<T>", lambda m: "= sigmoid<T>"),
    ("argument", r"(?<=sigmoid<T>\()-", lambda m: ""),
    ("matrices", r"(_matrices_\d+\[\] = \{)([\d, ]+)\}", _rotated),
    ("transpose", r"\d, (true|false), \w+_matrices", _turned),
    ("block", r"(?<=[{ ])\{(\d+), (\d)\}(?=, \d, \d\}|[,}].*;$)", _other_block),
    ("bias dropped", r"(?<=\{\{\d, \d\}), \{\d, \d\}\};", lambda m: "};" if "Source" in _line(m) else None),
    ("first state", r"(?<=\{\d), \d+(?=, \d+\})", lambda m: ", -1" if "Copy" in _line(m) else None),
    ("outer", r"(?<=\{\{)(\d+)(?=, \d+\}\})", lambda m: _other_item(m) if "OuterTerm" in _line(m) else None),
    ("sum", r"(?<=_terms_\d\[\] = \{)(\d+)", _other_item),
    ("direction", r"(?<=\)\", )(true|false)", _turned),
)  # fmt: skip


def _line(found: re.Match[str]) -> str:
    return found.string[
        found.string.rfind("\n", 0, found.start()) + 1 : found.string.find("\n", found.start())
    ]


def emitted(every: int = 1, cell: str = CELL) -> Iterator[Planted]:
    """Wrong plans against the oracle; one in `every`."""
    chosen = list(slips(cell))[::every]
    with tempfile.TemporaryDirectory() as folder:
        root = variant(Path(folder), [cell], (SMALL_TILES,), only="double")
        right = compiled(root, PORTABLE)
        _, polarity, reset = cell.split("_")
        problem = replace(SMALL, polarity=polarity, reset=reset)
        _check(right, problem, PASSES)
        _write(root, cell, chosen)
        target = root / "wrong.so"
        build(PORTABLE, target, root, extra_flags=("-O0", "-w"))
        wrong = plans_of(ctypes.CDLL(str(target)))
        for slip, plan in zip(chosen, wrong, strict=True):
            mixed = {**right, plan.name: plan}
            yield Planted(
                f"{slip.pass_} of {cell}", slip.error, _complaint(mixed, [problem], NEEDED[slip.pass_])
            )


def _write(root: Path, cell: str, chosen: Sequence[Slip]) -> None:
    parts = ['#pragma once\n#include "../cpu/body.h"\n']
    for number, slip in enumerate(chosen):
        parts.append(f"namespace symgru::{cell}_{number} {{\n{slip.source}\n}}\n")
    plans = ",\n".join(f"&{cell}_{number}::{slip.pass_}<T>" for number, slip in enumerate(chosen))
    parts.append(
        f"namespace symgru {{ template <class T> constexpr const Plan<T>* all_plans[] = {{{plans}}}; }}\n"
    )
    (root / "generated" / "cpu_plans.h").write_text("\n".join(parts), encoding="utf-8")


def engine(edits: Iterable[tuple[str, Edit]]) -> Iterator[Planted]:
    """Wrong lines in what is written by hand against the oracle; each is compiled on its own."""
    for error, edit in edits:
        with tempfile.TemporaryDirectory() as folder:
            root = variant(Path(folder), [CELL], (SMALL_TILES, edit), only="double")
            plans = compiled(root, PORTABLE, ("-O0", "-w"))
            yield Planted(edit.file, error, _complaint(plans, PROBLEMS, PASSES))


def _complaint(plans: Plans, problems: Iterable[Problem], passes: tuple[str, ...]) -> str | None:
    for problem in problems:
        try:
            _check(plans, problem, passes)
        except AssertionError as complaint:
            return str(complaint)
    return None


_expected: dict[Problem, Tensors] = {}


def _check(plans: Plans, problem: Problem, passes: tuple[str, ...]) -> None:
    if problem not in _expected:
        _expected[problem] = Oracle(problem).results()
    with huge_numbers_in_fresh_memory():
        assert_agrees(problem, run(plans, problem, passes=passes), _expected[problem])
        if problem.even is False and not problem.reverse:
            assert_digits_of_closed_gates(plans, problem, passes)


def _errors(file: str, *errors: tuple[str, str, str]) -> list[tuple[str, Edit]]:
    return [(what, Edit(f"cpu/{file}", old, new)) for what, old, new in errors]


#: What is wrong, and where.
ENGINE: tuple[tuple[str, Edit], ...] = (
    *_errors(
        "product.h",
        (
            "the last term of a product",
            "for (int64_t k = 0; k < terms; k++) {",
            "for (int64_t k = 1; k < terms; k++) {",
        ),
        ("blocks of summands replace each other", "    add = true, a.p +=", "    a.p +="),
        (
            "the last term of a product of one row",
            "for (int64_t k = 0; k < terms; k++, panel += ldp) {",
            "for (int64_t k = 1; k < terms; k++, panel += ldp) {",
        ),
        ("several panels of one row", "panel + p * next", "panel + 0 * next"),
        ("halves of the sums of a dot", "partial[i] += partial[i + half];", "partial[i] += partial[half];"),
        (
            "all terms but the last of a sum over few rows",
            "load(b + k * ld + j), total)",
            "load(b + k * ld + j), Vec<T>{})",
        ),
    ),
    *_errors(
        "layout.h", ("matrices packed the wrong way round", "if (run.transposed) {", "if (!run.transposed) {")
    ),
    *_errors(
        "engine.h",
        ("order of steps", "step(down_ ? call_.steps - 1 - i : i)", "step(i)"),
        ("the state before, against time", "call_.reverse ? t + 1 : t - 1", "t - 1"),
        ("who ends at a step, against time", "rows_at(down_ ? t - 1 : t + 1)", "rows_at(t + 1)"),
        ("chunks replace each other", "        first = false;\n", ""),
        ("blocks of a step do not enter the next", "if (blocks > 1) finish(t0);", ""),
        ("every block is the first of its step", "call_.offsets[t0] + block_.first", "call_.offsets[t0]"),
        ("what leaves a step does not enter the next", "std::swap(at_.entering, at_.leaving);", ""),
        ("one bias of two", "to[j] += from[source.block * n + j]", "to[j] = from[source.block * n + j]"),
        ("the first state is zero", ": initial ? initial + b * n : nullptr;", ": nullptr;"),
        ("what begins at a step is carried in", "if (!down_) cut(t, block);", ""),
        ("what begins at a step is carried back", "if (down_) cut(t, {0, count});", ""),
        (
            "what is cut one step later",
            "if (!down_) cut(t, block);",
            "if (!down_) cut(t - 1, in_block(t - 1));",
        ),
        (
            "what is cut one step earlier, down",
            "if (down_) cut(t, {0, count});",
            "if (down_) cut(t - 1, {0, rows_at(t - 1)});",
        ),
        ("the state before, over a cut", "if (c.initial >= 0 && begins(", "if (false && begins("),
        (
            "the state before, over a cut, against time",
            "begins(call_.reverse ? t + 1 : t, b)",
            "begins(t, b)",
        ),
        ("a cut at the end of a layer against time", " && (t > 0 || !call_.reverse) &&", " &&"),
        ("no cut of the first state", " && (t > 0 || !call_.reverse) &&", " && t > 0 &&"),
        (
            "one example is cut alone",
            "if (begins(t, b)) fill({Place::entering",
            "if (begins(t, 0)) fill({Place::entering",
        ),
    ),
    *_errors(
        "body.h",
        ("the gate for its complement", "return {select<T>(swapped,", "return {select<T>(~swapped,"),
        ("which of gate and complement is kept", "gate, -complement);", "gate, complement);"),
    ),
    *_errors(
        "stage.h", ("chunks of a sum over rows", "first ? total : load_first(to, width) + total", "total")
    ),
)


def main() -> int:
    """Print every planted error; exit status 1 if one survives."""
    found = list(
        tqdm((p for group in (emitted(), engine(ENGINE)) for p in group), desc="planting", disable=None)
    )
    for p in found:
        print(f"{'caught  ' if p.complaint else 'SURVIVED'}  {p.where}: {p.error}")
    survivors = sum(p.complaint is None for p in found)
    print(f"{len(found)} planted, {len(found) - survivors} caught, {survivors} survived")
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
