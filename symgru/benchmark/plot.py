"""The scaling table as a picture: time against T, B and H, with the floor."""

from __future__ import annotations

from pathlib import Path

from symgru.benchmark.model import BASELINE, OURS, Table
from symgru.benchmark.ranges import AXES, MODES, curve


def plot(table: Table, path: Path) -> None:
    """Write the picture; its form is that of the file's suffix (png, svg, pdf).

    Raises:
        ValueError: matplotlib does not know the suffix.
    """
    from matplotlib.figure import Figure

    threads = sorted({row.threads for row in table.rows})
    figure = Figure(figsize=(4 * len(AXES), 3 * len(MODES)), layout="constrained")
    axes = figure.subplots(len(MODES), len(AXES), squeeze=False)
    for i, mode in enumerate(MODES):
        for j, axis in enumerate(AXES):
            area, label = axes[i][j], f"{mode}, {axis}"
            for number in threads:
                rows = [row for row in table.rows if row.threads == number and row.label == label]
                suffix = f", {number} threads" if len(threads) > 1 else ""
                for variant, style in ((OURS, "o-"), (BASELINE, "s--")):
                    area.plot(*curve(rows, label, variant), style, markersize=3, label=variant + suffix)
                known = [(getattr(row.shape, axis), row.floor) for row in rows if row.floor is not None]
                area.plot([n for n, _ in known], [s for _, s in known], "k:", label="floor" + suffix)
            area.set(xscale="log", yscale="log", xlabel=axis, ylabel="seconds", title=mode)
            area.grid(alpha=0.3)
    axes[0][0].legend(fontsize="small")
    figure.savefig(path)
