"""Who runs next: schedules, and how a user writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import ReplayError
from .steps import Chooser, Switches

FIFO, RANDOM, PCT, STEPS = range(4)  # SIM_FIFO, ...


@dataclass(frozen=True)
class Schedule:
    """Which thread runs next: see runtime/schedules.h. Made by `fifo`, `random`, `pct` and `replay`."""

    kind: int
    seed: int = 0
    depth: int = 0
    steps: int = 0
    switches: tuple[tuple[tuple[int, int], ...], ...] = ()

    def __str__(self) -> str:
        """What makes it, as a user writes it."""
        launches = ", ".join(str(dict(switches)) for switches in self.switches)
        words = (
            "fifo()",
            f"random({self.seed})",
            f"pct({self.seed}, depth={self.depth}, steps={self.steps})",
            f"replay({launches})",
        )
        return f"simulator.{words[self.kind]}"

    @contextmanager
    def choosing(self, number: int) -> Iterator[Chooser | None]:
        """Who chooses the steps of a launch of a device, the number-th one; None if the library does."""
        if self.kind != STEPS:
            yield None
            return
        picks = Switches(dict(self.switches[number]) if number < len(self.switches) else {})
        try:
            yield Chooser(picks)
            picks.check_end()
        except LookupError as error:
            raise ReplayError(str(error)) from error


def fifo() -> Schedule:
    """The warp that has been ready for the longest time, till all its lanes wait."""
    return Schedule(FIFO)


def random(seed: int) -> Schedule:
    """Any warp that is ready, at every turn."""
    return Schedule(RANDOM, seed)


def pct(seed: int, depth: int = 3, steps: int = 10_000) -> Schedule:
    """Random priorities that change at `depth` - 1 of the launch's turns, of which there are about `steps`.

    It finds a bug that needs `depth` ordering constraints with a probability of at least
    1 / (warps * steps ** (depth - 1)), if no thread polls.
    """
    return Schedule(PCT, seed, depth, steps)


def replay(*switches: Mapping[int, int]) -> Schedule:
    """A schedule that `explore` has found.

    Args:
        switches: Of every launch of the device, in their order: the warp that runs at a step. At all other
            steps the warp goes on that has run, or else the first that can (steps.py says what a step is).
    """
    return Schedule(STEPS, switches=tuple(tuple(sorted(launch.items())) for launch in switches))
