"""Why a mutant of compiled code may survive: it is not an error, or not one that the simulator can see."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from symgru.kernels.triton import tiles
from symgru.testing.simulated import kernels
from symgru.testing.simulated.mutants import Mutant


@dataclass(frozen=True)
class Line:
    """The lines of a Triton function that hold a text."""

    function: Any
    text: str

    def places(self) -> tuple[str, ...]:
        """As mutants name them: file.py:93.

        Raises:
            ValueError: no line of the function holds the text.
        """
        return _places(self.function, self.text)


@cache
def _places(function: Any, text: str) -> tuple[str, ...]:
    lines, first = inspect.getsourcelines(function.fn)
    file = Path(inspect.getfile(function.fn)).name
    found = tuple(f"{file}:{first + i}" for i, line in enumerate(lines) if text in line)
    if not found:
        raise ValueError(f"expected {text!r} in a line of {function.fn.__qualname__} in {file}")
    return found


@dataclass(frozen=True)
class Explanation:
    """Why mutants survive. They are told by patterns, and by the source lines of which one made them.

    Attributes:
        targets: Those on which it has survivors.
        kernel, mutant: Regular expressions for the name of the kernel, and for the mutant in words.
        lines: Of the source; of whatever line if there is none.
        what: The mutants in words.
        why: The reason.
        equivalent: Whether they do what the kernel does, so are no errors.
    """

    targets: tuple[str, ...]
    kernel: str
    mutant: str
    lines: tuple[Line, ...]
    what: str
    why: str
    equivalent: bool

    def covers(self, target: str, kernel: str, mutant: Mutant) -> bool:
        """Whether this is the reason for a survivor."""
        if target not in self.targets or not re.search(self.kernel, kernel):
            return False
        named = set(re.findall(r"[\w.]+\.py:\d+", mutant.place))
        at = not self.lines or any(named.intersection(line.places()) for line in self.lines)
        return at and re.search(self.mutant, str(mutant)) is not None


def why(target: str, kernel: str, mutant: Mutant) -> Explanation | None:
    """The reason why a mutant survived, None if there is none yet."""
    return next((e for e in EXPLANATIONS if e.covers(target, kernel, mutant)), None)


NVIDIA, AMD = ("sm_80", "sm_90"), ("gfx942", "gfx1201")

EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        (*NVIDIA, *AMD),
        "^gru ",
        "^mask: ",
        (Line(tiles.load_matrix, "tl.load("),),
        "masks of the loops' matrices",
        "the finite weights that leak are of the next row or gate, and are multiplied by a state that is 0, "
        "or make numbers of units that only pad a tile, which go no further",
        equivalent=True,
    ),
    Explanation(
        NVIDIA,
        "^gru ",
        "^barrier: ",
        (Line(tiles.store_tile, "tl.store("),),
        "the barrier before a tile changes its layout on the way out",
        "since the barrier before it each thread has read only the numbers that it now overwrites itself",
        equivalent=True,
    ),
    Explanation(
        NVIDIA,
        "^(matmul|split_k|attention)",
        "^wait: .* of copies are left, not 0",
        (Line(kernels._product, "for k in range("), Line(kernels.attention, "for first in range(")),
        "the wait for copies behind a loop",
        "nobody reads what the last copies bring",
        equivalent=True,
    ),
    Explanation(
        ("sm_80",),
        "^(matmul|split_k)",
        "^(wait: .* of copies are left, not 2|barrier: )",
        (Line(kernels._product, "left = tl.load("),),
        "the second wait and barrier for copies in a loop",
        "another wait and barrier go before, and no copy is begun between them",
        equivalent=True,
    ),
    Explanation(
        AMD,
        "^(matmul|split_k|attention)",
        "^mask: ",
        (
            Line(kernels._product, "left = tl.load("),
            Line(kernels._product, "right = tl.load("),
            Line(kernels._product, "tl.dot("),  # what it reads of a later step
            Line(kernels.attention, "tl.dot("),
        ),
        "masks of factors",
        "what leaks is multiplied by a 0 of the other factor, or makes numbers that are not stored, or "
        "scores of keys whose weight is 0",
        equivalent=True,
    ),
    Explanation(
        (*NVIDIA, *AMD),
        "^reduce",
        "^(barrier|fence): ",
        (Line(kernels.reduce, "maximum, place ="),),
        "the barrier before partial maxima are written",
        "what is written was read before an earlier barrier, and nothing of it since",
        equivalent=True,
    ),
    Explanation(
        (*NVIDIA, *AMD),
        "^histogram",
        "^mask: ",
        (Line(kernels.histogram, "tl.atomic_max("),),
        "the mask by which one thread adds a maximum",
        "all threads have the same maximum",
        equivalent=True,
    ),
    Explanation(
        (*NVIDIA, *AMD),
        "^(locked|diffuse)",
        "^(barrier|fence): ",
        (
            Line(kernels.locked, "tl.debug_barrier()"),
            Line(kernels.locked, "tl.atomic_xchg("),
            Line(kernels._grid_barrier, "tl.debug_barrier()"),
            Line(kernels._grid_barrier, "tl.atomic_add(counter, 1"),
        ),
        "barriers and fences beside those that Triton puts around an atomic",
        "only registers are used between the two",
        equivalent=True,
    ),
    Explanation(
        (*NVIDIA, "gfx942"),
        "^diffuse",
        "^mask: ",
        (Line(kernels.diffuse, "left = tl.load("), Line(kernels.diffuse, "right = tl.load(")),
        "masks of loads whose place is taken modulo n",
        "the place is always within, and what is computed from the number is not stored",
        equivalent=True,
    ),
    Explanation(
        NVIDIA,
        "^diffuse",
        "^mask: .*ld.global.gpu.acquire",
        (Line(kernels._grid_barrier, "while tl.atomic_add(counter, 0"),),
        "the mask by which one thread polls",
        "every thread polls, and one passes on what it saw",
        equivalent=True,
    ),
    Explanation(
        NVIDIA,
        "^split_k",
        "^mask: .*red.global",
        (Line(kernels.split_k, "tl.atomic_add("),),
        "masks of sums into memory",
        "the sums of what is outside are 0, and 0 is added to other numbers of the matrix",
        equivalent=True,
    ),
)
