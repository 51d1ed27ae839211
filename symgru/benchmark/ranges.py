"""The tables over ranges of sizes: the sweep, which looks for losses, and scaling, which looks for cliffs."""

from __future__ import annotations

import itertools
import random
import statistics
from collections.abc import Sequence
from dataclasses import replace

from symgru.benchmark.dense import forward_row, training_row
from symgru.benchmark.model import OURS, Row, Table
from symgru.benchmark.setting import Case, Setting
from symgru.benchmark.shapes import Shape
from symgru.benchmark.timing import Effort

MODES = {"forward": forward_row, "training": training_row}
#: A first look at each shape; losses and narrow wins alike are measured again at length.
LOOK, NEAR = Effort(seconds=0.05, rounds=3, most=10, sample=5e-4), 1.15
BASE = Shape(100, 16, 64, 128)
#: Sizes beside and between the multiples of vectors of 4, 8 and 16 numbers.
AXES = {
    "T": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    "B": (1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 48, 64),
    "H": (
        *(8, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 80, 96, 112),
        *(127, 128, 129, 160, 192, 256),
    ),
}


def sweep(setting: Setting) -> Table:
    """Forward and training over all combinations of the sizes, or a sample of them; all losses are listed."""
    every = [Shape(*sizes) for sizes in itertools.product(setting.sizes, repeat=4)]
    shapes = [shape for shape in every if shape.products <= setting.work]
    notes = [
        f"{len(every) - len(shapes)} of {len(every)} shapes are left out: over {setting.work / 1e9:g} GFLOP."
    ]
    if setting.sample is not None and setting.sample < len(shapes):
        notes.append(f"{setting.sample} of the other {len(shapes)} are drawn.")
        shapes = sorted(random.Random(0).sample(shapes, setting.sample))
    rows = [_looked_at(case, mode) for case in setting.cases(shapes, "sweep") for mode in MODES]
    for mode in MODES:
        notes += _summary(mode, [row for row in rows if row.label == mode])
    title = (
        f"Sweep of T, B, I and H over {', '.join(map(str, setting.sizes))}: where symgru is slower, float32"
    )
    return Table("sweep", title, tuple(rows), tuple(notes), losses_alone=True)


def _looked_at(case: Case, mode: str) -> Row:
    short = Effort(min(LOOK.seconds, case.setting.effort.seconds), LOOK.rounds, LOOK.most, LOOK.sample)
    look = replace(case, setting=replace(case.setting, effort=short))
    row = MODES[mode](look, mode)
    ahead = [entry.ahead for entry in row.entries if entry.ahead is not None]
    return MODES[mode](case, mode) if any(a < NEAR for a in ahead) else row


def _summary(mode: str, rows: Sequence[Row]) -> list[str]:
    ahead = sorted(e.ahead for row in rows for e in row.entries if e.ahead is not None)
    if not ahead:
        return []
    slower = sum(a < 1 for a in ahead)
    return [
        f"{mode}: {slower} of {len(ahead)} shapes slower than torch.nn.GRU; ahead {ahead[0]:.2f} times at "
        f"least, {statistics.median(ahead):.2f} in the median, {ahead[-1]:.2f} at most."
    ]


def scaling(setting: Setting) -> Table:
    """The cost against T, B and H, each from a common base."""
    rows: list[Row] = []
    notes = [
        "From one size to the next larger one that is measured, the time should not fall: that is a cliff."
    ]
    for axis, sizes in AXES.items():
        some = sizes[:: -(-len(sizes) // setting.points)] if setting.points else sizes
        shapes = [replace(BASE, **{axis: size}) for size in some]
        cases = setting.cases(shapes, f"scaling {axis}")
        rows += [MODES[mode](case, f"{mode}, {axis}") for case in cases for mode in MODES]
    for label in dict.fromkeys(row.label for row in rows):
        for threads in setting.threads:
            notes += _cliff(label, threads, [r for r in rows if (r.label, r.threads) == (label, threads)])
    title = f"Cost against T, B and H, from T,B,I,H = {BASE}, float32"
    return Table("scaling", title, tuple(rows), tuple(notes))


def curve(rows: Sequence[Row], label: str, variant: str = OURS) -> tuple[list[int], list[float]]:
    """Sizes along the axis that the label names, and the medians of a variant at them."""
    axis = label.rpartition(" ")[2]
    timed = [(row.shape, entry) for row in rows if row.label == label for entry in row.entries]
    found = [(getattr(s, axis), e.times.median) for s, e in timed if e.variant == variant and e.times]
    return [size for size, _ in found], [seconds for _, seconds in found]


def _cliff(label: str, threads: int, rows: Sequence[Row]) -> list[str]:
    sizes, seconds = curve(rows, label)
    falls = [(a / b, n, m) for (n, a), (m, b) in itertools.pairwise(zip(sizes, seconds, strict=True))]
    if not falls:
        return []
    worst, small, large = max(falls)
    per_unit = seconds[-1] / sizes[-1] / (seconds[-2] / sizes[-2])
    return [
        f"{label}, {threads} thread{'s' * (threads > 1)}: time at {small} is {worst:.2f} of that at {large}"
        f", the largest such ratio; time by size at {sizes[-1]} is {per_unit:.2f} of that at {sizes[-2]}."
    ]
