"""What every table is told: sizes, threads, effort, and the floor of the machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property

import torch

from symgru.benchmark.model import Absent, Row, Variant, contest
from symgru.benchmark.peak import Peak
from symgru.benchmark.problem import Problem
from symgru.benchmark.shapes import SHAPES, SWEEP, Shape
from symgru.benchmark.timing import NORMAL, Effort

Progress = Callable[[Sequence["Case"], str], Iterable["Case"]]


def silent(cases: Sequence[Case], name: str) -> Iterable[Case]:
    """No progress bar."""
    return cases


@dataclass(frozen=True)
class Setting:
    """Settings of a run.

    Attributes:
        shapes: Of the tables but sweep and scaling, which have their own.
        threads: Numbers of threads, each measured.
        backend: Of symgru.GRU.
        effort: For each row.
        sizes: Of T, B, I and H in the sweep.
        work: Operations of a forward pass above which a shape is left out of the sweep.
        sample: How many shapes the sweep draws; all if None.
        points: How many sizes the scaling table takes of each axis at most; all if None.
        peak: Rates of the machine for a number of threads, or None if they are unknown.
        progress: Shows how far a table is.
    """

    shapes: tuple[Shape, ...] = SHAPES
    threads: tuple[int, ...] = (1,)
    backend: str = "auto"
    effort: Effort = NORMAL
    sizes: tuple[int, ...] = SWEEP
    work: float = 2e9
    sample: int | None = None
    points: int | None = None
    peak: Callable[[int], Peak | None] = lambda threads: None
    progress: Progress = silent

    def cases(self, shapes: Iterable[Shape], name: str) -> Iterator[Case]:
        """Every shape with every number of threads, which torch has while the case is dealt with."""
        cases = [Case(self, shape, threads) for threads in self.threads for shape in shapes]
        for case in self.progress(cases, name):
            with threads_of_torch(case.threads):
                yield case


@dataclass(frozen=True)
class Case:
    """One shape with one number of threads."""

    setting: Setting
    shape: Shape
    threads: int

    @cached_property
    def problem(self) -> Problem:
        """Inputs and weights."""
        return Problem(self.shape, self.setting.backend)

    def floor(
        self,
        least: Callable[..., float],
        item: int = 4,
        steps: float | None = None,
        shape: Shape | None = None,
    ) -> float | None:
        """Seconds by `floor.inference` or `floor.training`; None if the machine's rates are unknown."""
        peak = self.setting.peak(self.threads)
        return None if peak is None else least(shape or self.shape, peak, item, steps)

    def row(
        self,
        variants: Sequence[Variant],
        absent: Iterable[Absent] = (),
        label: str = "",
        floor: float | None = None,
        effort: Effort | None = None,
    ) -> Row:
        """Measure the variants against each other."""
        entries = contest(variants, absent, effort or self.setting.effort)
        return Row(self.shape, self.threads, entries, label, floor)


@contextmanager
def threads_of_torch(threads: int) -> Iterator[None]:
    """Give torch a number of threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
