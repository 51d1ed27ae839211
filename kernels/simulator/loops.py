"""The loops of machine code, and of functions in LLVM IR.

What AMD's compiler makes of a wave's lanes follows from the order of the blocks: see runtime/warps.h. The
runtime is told of every further turn of a loop, so that it knows which of two lanes is behind.
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


#: Calls in which the active lanes of a wave work together, and not each for itself.
_TOGETHER = re.compile(
    r"call [^@]*@llvm\.amdgcn\.(?:ballot|[ri]?cmp|readlane|readfirstlane|writelane|permlane|update\.dpp"
    r"|mov\.dpp|ds\.permute|ds\.bpermute|ds\.swizzle|ds\.read\.tr|wave\.|s?mfmac?\.|wmma|swmmac|global\.load\.async)"
)


@dataclass(frozen=True)
class Loop:
    """The numbers of its first and its last line, and in how many other loops it is."""

    first: int
    last: int
    depth: int


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


def turns(lines: Sequence[str]) -> dict[int, list[tuple[str, Loop]]]:
    """For the line of every branch of a module that leads back: the labels, and the loops that go on.

    A loop is what stands from such a label to the last branch to it. It may be entered at several places.
    Where the lanes of a wave work together, the order of the text must be theirs.

    Raises:
        UnknownInstruction: they do, and a loop is not in one piece in the text, overlaps another, or is
            nested too deeply.
    """
    ordered = any(_TOGETHER.search(line) for line in lines)
    made: dict[int, list[tuple[str, Loop]]] = defaultdict(list)
    for blocks in _functions(lines):
        spans = _spans(blocks, ordered)
        for label, first, last in spans:
            around = [span for span in spans if span[1] <= first <= span[2]] if ordered else spans[:1]
            if ordered and any(span[2] < last for span in around):
                raise UnknownInstruction(f"loops that overlap, at block {label}")
            if len(around) > DEEPEST:
                raise UnknownInstruction(f"loops nested more than {DEEPEST} deep")
            loop = Loop(first, last, len(around) - 1)
            for block in blocks.values():
                if label in block.targets and block.last >= first:
                    _demand_branch(lines[block.last])
                    made[block.last].append((label, loop))
    return made


def _demand_branch(line: str) -> None:
    if not line.lstrip().startswith("br "):
        raise UnknownInstruction("a loop that a switch closes")


def _functions(lines: Sequence[str]) -> Iterator[dict[str, _Block]]:
    """The blocks of each function by their labels, in order; the entry has an empty one."""
    blocks: dict[str, _Block] = {}
    for number, line in enumerate(lines):
        if line.startswith("define"):
            blocks = {"": _Block(number, number, [])}
        elif line.startswith("}") and blocks:
            yield blocks
            blocks = {}
        elif blocks and line.strip():
            label = re.match(rf"({NAME}):", line)
            if label:
                blocks[label[1]] = _Block(number, number, [])
            block = blocks[next(reversed(blocks))]
            block.last = number
            block.targets += re.findall(rf"label %({NAME})", line)


def _spans(blocks: dict[str, _Block], ordered: bool) -> list[tuple[str, int, int]]:
    """Label, first and last line of every loop of a function."""
    order = list(blocks)
    number = {label: i for i, label in enumerate(order)}
    after = [[number[target] for target in block.targets] for block in blocks.values()]
    found = []
    for i, label in enumerate(order):
        last = max((k for k, targets in enumerate(after) if i in targets), default=-1)
        if last >= i:
            if ordered:
                _demand_one_piece(i, last, after, label)
            found.append((label, blocks[label].first, blocks[order[last]].last))
    return found


def _demand_one_piece(first: int, last: int, after: list[list[int]], label: str) -> None:
    """Every block leads from the first of them to every other one, and back."""
    before: list[list[int]] = [[] for _ in after]
    for block, targets in enumerate(after):
        for target in targets:
            before[target].append(block)
    for ways in (after, before):
        found, left = set(), [first]
        while left:
            block = left.pop()
            if first <= block <= last and block not in found:
                found.add(block)
                left += ways[block]
        if len(found) <= last - first:
            raise UnknownInstruction(f"a loop in several pieces, from block {label} on")
