"""Interleaved timing: in every round each call once, A B A B, so a disturbance strikes all of them alike."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Effort:
    """How long to measure.

    Attributes:
        seconds: Time after which no further round begins.
        rounds: Rounds at least.
        most: Rounds at most.
        sample: Seconds that one sample should take; a call that takes less is repeated within it.
    """

    seconds: float = 2.5
    rounds: int = 5
    most: int = 200
    sample: float = 3e-3


NORMAL = Effort()
QUICK = Effort(seconds=0.2, rounds=3, most=20, sample=1e-3)


@dataclass(frozen=True)
class Times:
    """Seconds of one call."""

    median: float
    minimum: float
    rounds: int


def times(samples: list[float]) -> Times:
    """Median and minimum of the samples of one variant."""
    return Times(statistics.median(samples), min(samples), len(samples))


def ratio(samples: Samples, of: str, over: str) -> float:
    """Time of `of` divided by that of `over`: the median of the ratios within each round."""
    return statistics.median(a / b for a, b in zip(samples[of], samples[over], strict=True))


def calibrate(call: Callable[[], object], sample: float, clock: Callable[[], float]) -> int:
    """How often to repeat a call so that a sample takes long enough; the faster of two calls counts."""
    call()  # the first call packs, allocates and compiles
    seconds = []
    for _ in range(2):
        start = clock()
        call()
        seconds.append(clock() - start)
    return max(1, min(10_000, round(sample / max(min(seconds), 1e-7))))


def interleave(
    calls: Mapping[str, Callable[[], object]],
    effort: Effort,
    clock: Callable[[], float] = time.perf_counter,
) -> Samples:
    """Seconds per call, a sample for every round; all lists are of one length.

    Args:
        calls: By name, in the order of a round.
        clock: Seconds; a test gives its own.
    """
    repeats = {name: calibrate(call, effort.sample, clock) for name, call in calls.items()}
    samples: Samples = {name: [] for name in calls}
    collecting = gc.isenabled()
    gc.disable()
    try:
        end, done = clock() + effort.seconds, 0
        while done < effort.rounds or (clock() < end and done < effort.most):
            for name, call in calls.items():
                start = clock()
                for _ in range(repeats[name]):
                    call()
                samples[name].append((clock() - start) / repeats[name])
            done += 1
    finally:
        if collecting:
            gc.enable()
    return samples
