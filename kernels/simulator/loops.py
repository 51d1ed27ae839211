"""The loops of machine code, and of functions in LLVM IR.

What AMD's compiler makes of a wave's lanes follows from the order of the blocks: see runtime/warps.h. The
runtime is told of every turn of a loop, so that it knows which of two lanes is behind.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from .errors import UnknownInstruction
from .host import NAME

#: SIM_LOOPS of runtime/programs.h
DEEPEST = 16


@dataclass(frozen=True)
class Loop:
    """The numbers of its first and its last line, and in how many other loops it is."""

    first: int
    last: int
    depth: int

    def __contains__(self, line: int) -> bool:
        return self.first <= line <= self.last


@dataclass
class _Block:
    first: int
    last: int
    targets: list[str]


def closed_by(branches: Iterable[tuple[int, str]], labels: Mapping[str, int]) -> list[tuple[int, int]]:
    """First and last position of the loops in machine code, inner ones first.

    Args:
        branches: Position and label of each branch.
        labels: Position of each.
    """
    found = {(labels[label], last) for last, label in branches if labels.get(label, last + 1) <= last}
    return sorted(found, key=lambda loop: loop[1] - loop[0])


def loops(lines: Sequence[str]) -> dict[int, Loop]:
    """Every loop of a module's functions, by the line of its header's label.

    Raises:
        UnknownInstruction: a loop is not in one piece in the text, or they are nested too deeply.
    """
    found = [span for function in _functions(lines) for span in _spans(function)]
    made = {}
    for first, last in found:
        depth = sum(a <= first <= b for a, b in found) - 1
        if depth >= DEEPEST:
            raise UnknownInstruction(f"loops nested more than {DEEPEST} deep")
        made[first] = Loop(first, last, depth)
    return made


def _functions(lines: Sequence[str]) -> Iterator[dict[str, _Block]]:
    """The blocks of each function by their labels, in order; the entry has an empty one."""
    blocks: dict[str, _Block] = {}
    for number, line in enumerate(lines):
        if line.startswith("define"):
            blocks = {"": _Block(number, number, [])}
        elif line.startswith("}") and blocks:
            yield blocks
            blocks = {}
        elif blocks:
            label = re.match(rf"({NAME}):", line)
            if label:
                blocks[label[1]] = _Block(number, number, [])
            block = blocks[next(reversed(blocks))]
            block.last = number
            block.targets += re.findall(rf"label %({NAME})", line)


def _spans(blocks: dict[str, _Block]) -> Iterator[tuple[int, int]]:
    """First and last line of every loop of a function."""
    order = list(blocks)
    number = {label: i for i, label in enumerate(order)}
    before, latches = defaultdict(list), defaultdict(list)
    for label, block in blocks.items():
        for target in block.targets:
            before[number[target]].append(number[label])
            if number[target] <= number[label]:
                latches[number[target]].append(number[label])
    for header, ends in latches.items():
        last = max(ends)
        inside = _inside(header, ends, before)
        if inside != set(range(header, last + 1)):
            raise UnknownInstruction(f"a loop in several pieces, from block {order[header]} on")
        yield blocks[order[header]].first, blocks[order[last]].last


def _inside(header: int, latches: Sequence[int], before: dict[int, list[int]]) -> set[int]:
    """The blocks from which a latch can be reached without passing the header, and the header."""
    found, left = {header}, list(latches)
    while left:
        block = left.pop()
        if block not in found:
            found.add(block)
            left += before[block]
    return found
