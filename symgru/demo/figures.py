"""Curves as SVG that can stand inside an HTML page: no file, font or address outside it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

# Wide and light below, narrow and dark above: curves that coincide stay visible. Colours: Okabe and Ito.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#56b4e9", "linewidth": 6.0, "alpha": 0.55},
    {"color": "#d55e00", "linewidth": 2.4},
    {"color": "#000000", "linewidth": 1.0, "linestyle": (0, (4, 4))},
)


def loss_curves(curves: Mapping[str, Sequence[float]], batches_per_epoch: int) -> str:
    """Cross-entropy over epochs on a logarithmic scale, one line for each name; at most three."""
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "symgru", "font.family": "sans-serif"}):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for (name, values), style in zip(curves.items(), _STYLES, strict=False):
            axes.plot(np.arange(1, len(values) + 1) / batches_per_epoch, values, label=name, **style)
        axes.set(xlabel="epoch", ylabel="cross-entropy of a batch", yscale="log")
        axes.grid(visible=True, alpha=0.25)
        axes.legend(frameon=False)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        return inline_svg(figure)


def inline_svg(figure: Figure) -> str:
    """The <svg> element alone, without prolog, document type and metadata, scaled to the page."""
    file = StringIO()
    figure.savefig(file, format="svg", transparent=True)
    text = file.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    return re.sub(r' (?:width|height)="[\d.]+pt"', "", text, count=2)
