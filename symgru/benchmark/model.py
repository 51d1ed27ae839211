"""What is measured and how it is told: variants, contests between them, tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symgru.benchmark.accuracy import allowed, error, less_exact_above
from symgru.benchmark.shapes import Shape
from symgru.benchmark.timing import Effort, Samples, Times, interleave, ratio, times

Call = Callable[[], Sequence[Tensor]]
OURS, BASELINE = "symgru", "torch.nn.GRU"


@dataclass(frozen=True)
class Variant:
    """A way to compute something.

    Attributes:
        name: In the table.
        call: What is timed; returns what is compared with the truth.
        truth: The same from torch.nn.GRU in float64.
        dtype: In which it is computed; says how large an error is a wrong result.
        baseline: Name of the variant over which the speed-up is.
        opponent: Name of the variant of symgru that this one is a rival of.
        dense: Name of the variant that does the same for sequences of full length: for the column "of dense".
        floor: Seconds that it takes at least, if known.
        details: Further columns.
    """

    name: str
    call: Call
    truth: Sequence[Tensor]
    dtype: torch.dtype = torch.float32
    baseline: str = BASELINE
    opponent: str = OURS
    dense: str | None = None
    floor: float | None = None
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Absent:
    """A variant that cannot run here, and why."""

    name: str
    why: str


@dataclass(frozen=True)
class Entry:
    """A line of a table.

    Attributes:
        times: None if it is absent or refused; `why` says it then.
        speedup: Time of its baseline over its own, the median of the ratios within a round.
        fastest: The same ratio of the two minima.
        ahead: How many times faster symgru is than it; below 1, symgru lost.
        distance: Its median over the floor.
        error: Against float64, relative to the largest number; the worst of all outputs and gradients.
    """

    variant: str
    times: Times | None = None
    speedup: float | None = None
    fastest: float | None = None
    ahead: float | None = None
    distance: float | None = None
    error: float | None = None
    refused: bool = False
    why: str = ""
    details: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    """Variants at one shape, measured against each other in the same rounds."""

    shape: Shape
    threads: int
    entries: tuple[Entry, ...]
    label: str = ""
    floor: float | None = None


@dataclass(frozen=True)
class Table:
    """What `symgru bench cpu` measures under one name.

    Attributes:
        notes: Sentences below it.
        losses_alone: Whether, being long, it is printed without the rows in which symgru won.
    """

    name: str
    title: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    losses_alone: bool = False

    def losses(self) -> list[tuple[Row, Entry]]:
        """Every rival that symgru was slower than."""
        return [(row, e) for row in self.rows for e in row.entries if e.ahead is not None and e.ahead < 1]

    def refused(self) -> list[tuple[Row, Entry]]:
        """Every variant whose result was wrong."""
        return [(row, entry) for row in self.rows for entry in row.entries if entry.refused]


def contest(
    variants: Sequence[Variant],
    absent: Iterable[Absent],
    effort: Effort,
    measure: Callable[[Mapping[str, Call], Effort], Samples] = interleave,
) -> tuple[Entry, ...]:
    """Check every variant, then time those that are right against each other.

    Args:
        variants: In the order of a round.
        absent: What is named without a time.
        measure: Takes the samples; a test gives its own.
    """
    errors = {variant.name: error(variant.call(), variant.truth) for variant in variants}
    peers = {variant.name: _peer(variant, variants, errors) for variant in variants}
    limits = {variant.name: allowed(variant.dtype, peers[variant.name]) for variant in variants}
    right = [variant for variant in variants if errors[variant.name] <= limits[variant.name]]
    samples = measure({variant.name: variant.call for variant in right}, effort)
    entries = []
    for variant in variants:
        found = errors[variant.name]
        if variant.name in samples:
            entries.append(_entry(variant, samples, found, peers[variant.name]))
        else:
            entries.append(_refusal(variant, found, limits[variant.name]))
    return (*entries, *(Entry(variant.name, why=variant.why) for variant in absent))


def _peer(variant: Variant, variants: Sequence[Variant], errors: Mapping[str, float]) -> float | None:
    """The error of its baseline, if that computes in the same dtype."""
    peers = (v for v in variants if v.name == variant.baseline and v.dtype == variant.dtype)
    return next((errors[peer.name] for peer in peers), None)


def _refusal(variant: Variant, found: float, limit: float) -> Entry:
    if math.isfinite(found):
        why = f"error {found:.1e} against float64, at most {limit:.1e} allowed"
        return Entry(variant.name, error=found, refused=True, why=f"wrong result: {why}")
    return Entry(variant.name, refused=True, why="wrong result: a shape is another, or it is not finite")


def _entry(variant: Variant, samples: Samples, found: float, peer: float | None) -> Entry:
    name, own = variant.name, times(samples[variant.name])
    details = dict(variant.details)
    if variant.dense in samples:
        details["of dense"] = ratio(samples, name, variant.dense)
    beaten = variant.baseline in samples
    rival = variant.opponent in samples and not name.startswith(OURS)
    inexact = peer is not None and found > less_exact_above(variant.dtype, peer)
    return Entry(
        name,
        own,
        speedup=ratio(samples, variant.baseline, name) if beaten else None,
        fastest=min(samples[variant.baseline]) / own.minimum if beaten else None,
        ahead=ratio(samples, name, variant.opponent) if rival else None,
        distance=None if variant.floor is None else own.median / variant.floor,
        error=found,
        why=f"less exact than {variant.baseline}" if inexact else "",
        details=details,
    )
