"""The resident Triton loops of symgru on simulated GPUs: every launch setting, any case, any schedule.

A `Run` is a case of `symgru.testing.resident` on one target under one schedule.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, product
from typing import Any

import torch
from hypothesis import strategies as st

from symgru.kernels import simulator
from symgru.kernels.triton.compile import DTYPES, precisions, served
from symgru.kernels.triton.launch import SMALLEST_TILE
from symgru.kernels.triton.loops import loop_of
from symgru.testing import resident
from symgru.testing.resident import CELLS, PASSES, Case

CPU = torch.device("cpu")
TARGETS = tuple(simulator.TARGETS)
SCHEDULES = ("fifo", "random", "pct")


@dataclass(frozen=True)
class Setting:
    """What `kernels/triton/launch.py` chooses settings by, beside the target."""

    target: str
    storage: torch.dtype
    precision: str
    padded: int


@dataclass(frozen=True)
class Run:
    """A case on a simulated GPU."""

    target: str
    case: Case
    schedule: str = "fifo"
    seed: int = 0

    def check(self, **options: Any) -> simulator.Device:
        """Run it and compare the results; returns the device, whose launches hold the counters.

        Args:
            options: Further ones of `simulator.device`.
        Raises:
            AssertionError: a result is wrong.
            simulator.SimulatorError: what the simulator found.
        """
        results = {*loop_of(*self.case.emitted()).stored, "last"}
        chosen = {"schedule": self.schedule, "seed": self.seed, "uninitialised": results} | options
        with simulator.device(self.target, **chosen) as device:
            resident.assert_agrees(self.case, CPU)
        if len(device.launches) != 1:
            raise AssertionError(f"{self}: expected one launch, got {len(device.launches)}")
        return device


def settings(targets: tuple[str, ...] = TARGETS) -> Iterator[Setting]:
    """All that differ in a launch setting, or in what is compiled; only float32 products have a precision."""
    for target, (name, (storage, _)) in product(targets, DTYPES.items()):
        for precision in precisions(name):
            for size in served(target, name, precision):
                yield Setting(target, storage, precision, size)


def every_setting(targets: tuple[str, ...] = TARGETS) -> Iterator[Run]:
    """A run for each setting and pass, cells and schedules in turn; three rows over a tile, a unit short."""
    cells, schedules = cycle(CELLS), cycle(SCHEDULES)
    for seed, (setting, pass_) in enumerate(product(settings(targets), PASSES)):
        yield _run(setting, next(cells), pass_, next(schedules), seed)


def spread(targets: tuple[str, ...]) -> Iterator[Run]:
    """A run for each cell; targets, passes, storage dtypes and schedules in turn, at the smallest tile."""
    small = {target: [s for s in settings((target,)) if s.padded == SMALLEST_TILE] for target in targets}
    for seed, (cell, target) in enumerate(zip(CELLS, cycle(targets), strict=False)):
        round_ = seed // len(targets)
        setting = small[target][(2 * seed + round_) % len(small[target])]
        yield _run(setting, cell, PASSES[(seed + round_) % 3], SCHEDULES[(seed // 2) % 3], seed)


def _run(setting: Setting, cell: str, pass_: str, schedule: str, seed: int) -> Run:
    case = Case(
        cell,
        pass_,
        G=2,
        T=3,
        B=19,
        H=setting.padded - 1,
        storage=setting.storage,
        precision=setting.precision,
    )
    return Run(setting.target, case, schedule, seed)


@st.composite
def runs(draw: st.DrawFn, targets: tuple[str, ...] = TARGETS) -> Run:
    """Any case that a target serves, under any schedule; a failing one prints what repeats it."""
    target = draw(st.sampled_from(targets))
    dtype = draw(st.sampled_from(tuple(DTYPES)))
    precision = draw(st.sampled_from([p for p in precisions(dtype) if any(served(target, dtype, p))]))
    largest = max(served(target, dtype, precision))
    sizes = tuple(size for size in resident.HIDDEN_SIZES if size <= largest)
    case = draw(resident.cases((DTYPES[dtype][0],), sizes, (precision,)))
    return Run(target, case, draw(st.sampled_from(SCHEDULES)), draw(st.integers(0, 2**32)))
