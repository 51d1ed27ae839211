"""A model of the cycles that one iteration of a loop takes on an NVIDIA GPU, from its control words.

One warp on its scheduler, instructions in order: each is issued when the stall of the one before is over, the
scoreboards that it waits for are released, and its unit is free.

How far it may be trusted: for ranking, not for time. It knows no other warp, cache, bank conflict or grid
barrier, and nothing here was compared with a GPU. With latencies and intervals changed at random by up to
40 %, 96 to 99 % of the pairs among 40 variants of a recurrent kernel kept their order, and the largest
difference that was ever reversed was a factor of 1.17 (sm_90). So: a difference under 20 % means nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .sass import NO_SCOREBOARD, Instruction, unit

#: Differences below this factor mean nothing.
RESOLUTION = 1.2
#: Cycles after issue until the operands of an instruction are read.
READ = 12
#: Iterations until the times repeat.
WARM_UP = 5
#: Between the last asynchronous matrix product and its result.
DRAIN = 32


@dataclass(frozen=True)
class Cycles:
    """Of one iteration: the cycles, and what they went to, the largest first."""

    total: int
    reasons: Mapping[str, int]


@dataclass
class _Warp:
    """The scheduler: when each scoreboard is `released` and by whom (`owner`), when each unit is `free`."""

    now: int = 0
    released: list[int] = field(default_factory=lambda: [0] * 6)
    owner: list[str] = field(default_factory=lambda: [""] * 6)
    free: Counter[str] = field(default_factory=Counter)
    products: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def wait(self, until: int, reason: str) -> None:
        if until > self.now:
            self.reasons[reason] += until - self.now
            self.now = until

    def issue(self, instruction: Instruction) -> None:
        self._scoreboards(instruction)
        self._products(instruction)
        executed_by = unit(instruction.name)
        if executed_by.interval:
            name = executed_by.pattern
            self.wait(self.free[name], f"{executed_by.kind} unit")
            self.free[name] = self.now + executed_by.interval
        self._set(instruction.write, executed_by.latency, executed_by.kind)
        self._set(instruction.read, READ, f"operands of {executed_by.kind}")
        barrier = executed_by.kind == "barrier"
        cycles = max(instruction.stall, executed_by.latency if barrier else 0)
        self.wait(self.now + cycles, "barrier" if barrier else "issue")

    def _scoreboards(self, instruction: Instruction) -> None:
        if instruction.waits:
            last = max(instruction.waits, key=lambda i: self.released[i])
            self.wait(self.released[last], f"wait for {self.owner[last]}")

    def _products(self, instruction: Instruction) -> None:
        """Asynchronous products m64nNk16 take N/2 cycles, one after another; DEPBAR waits for their end."""
        shape = re.match(r"[HQI]GMMA\.\d+x(\d+)x", instruction.name)
        if shape:
            self.products = max(self.products, self.now) + max(16, int(shape[1]) // 2)
        elif instruction.name.startswith("WARPGROUP.DEPBAR") and self.products:
            self.wait(self.products + DRAIN, "wait for matrix")

    def _set(self, scoreboard: int, cycles: int, owner: str) -> None:
        if scoreboard < min(NO_SCOREBOARD, len(self.released)):
            self.released[scoreboard] = max(self.released[scoreboard], self.now + cycles)
            self.owner[scoreboard] = owner


def cycles(body: Sequence[Instruction]) -> Cycles:
    """The modelled cycles of one iteration of a loop whose instructions these are."""
    warp = _Warp()
    for _ in range(WARM_UP):
        for instruction in body:
            warp.issue(instruction)
    started = warp.now
    warp.reasons.clear()
    for instruction in body:
        warp.issue(instruction)
    return Cycles(warp.now - started, dict(warp.reasons.most_common()))
