"""Who runs next: schedules, and how a user writes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from .errors import ReplayError
from .steps import Chooser, Switches

FIFO, RANDOM, PCT, STEPS = range(4)  # SIM_FIFO, ...
MOST_CHANGES = 64  # schedules.c


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
    """The warp of the highest priority: random ones, and `depth` - 1 times the next warp gets a low one.

    A bug of depth d shows whenever d pairs of operations come in a certain order, and fewer are not enough.
    It is found with a probability of at least 1 / (n k^(d-1)) a seed, where n is the number of warps of all
    programs and k that of turns, if `depth` = d, `steps` = k, and nobody polls: a warp that polls goes below
    all others, else it would run for ever. A turn is what a lane does until it waits or comes to its next
    atomic access; a launch's `counters["turns"]` has k, which hardly depends on the schedule. With `steps`
    above k the bound holds with `steps` in its place.

    Args:
        seed: Of the priorities and of the turns at which they change.
        depth: Ordering constraints of the bug, from 1 to 65.
        steps: Turns of the launch, or more.

    Source: Burckhardt, Kothari, Musuvathi and Nagarakatte, "A randomized scheduler with probabilistic
        guarantees of finding bugs", ASPLOS 2010.
    """
    if not 1 <= depth <= MOST_CHANGES + 1 or steps < 1:
        expected = f"expected a depth from 1 to {MOST_CHANGES + 1} and steps >= 1"
        raise ValueError(f"{expected}, got {depth} and {steps}")
    return Schedule(PCT, seed, depth, steps)


def replay(*switches: Mapping[int, int]) -> Schedule:
    """A schedule that `explore` has found.

    Args:
        switches: Of every launch of the device, in their order: the warp that runs at a step. At all other
            steps the warp goes on that has run, or else the first that can (steps.py says what a step is).
            Warps are counted through all programs: with four a program, warp 4 is the first of program 1.
    """
    return Schedule(STEPS, switches=tuple(tuple(sorted(launch.items())) for launch in switches))
