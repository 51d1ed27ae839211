"""Whole C++ headers: the passes of a cell as plans for `kernels/cpu/engine.h`, and the list of all plans."""

from __future__ import annotations

from collections.abc import Iterable

from symgru.derivation import backward, forward, linearised
from symgru.derivation.saving import saving
from symgru.equations import Cell, Polarity, Reset, gru
from symgru.lowering.cpu_pipelines import CpuPass, SecondOrder, pipelines_module
from symgru.lowering.cpu_source import cpu_plan
from symgru.lowering.cpu_tables import Sources
from symgru.lowering.layout import TORCH_GRU, Layout
from symgru.lowering.modules import NOTICE
from symgru.lowering.placement import placed

GATES = ("r", "z", "n")
#: What double backward calls its results, and the cotangents of gradients that it is given.
SECOND = ("dd_", "dd_d_")


def gru_sources(reset: Reset) -> Sources:
    """Parameters as torch.nn.GRU has them: two biases for every gate, of which the cell knows the sum."""
    both: dict[str, tuple[tuple[str, int], ...]]
    both = {f"b_{g}": (("bias_ih", i), ("bias_hh", i)) for i, g in enumerate(GATES)}
    if reset is Reset.AFTER:
        both |= {"b_n": (("bias_ih", 2),), "c_n": (("bias_hh", 2),)}
    biases = {
        f"{prefix}{bias}": tuple((f"{prefix}{tensor}", block) for tensor, block in places)
        for prefix in ("", "d_", "tangent_", *SECOND)
        for bias, places in both.items()
    }
    return Sources(_with_second_order(TORCH_GRU), biases)


def _with_second_order(layout: Layout) -> Layout:
    stacks = dict(layout.stacks)
    for prefix in SECOND:
        stacks |= {f"{prefix}{s}": tuple(f"{prefix}{m}" for m in of) for s, of in layout.stacks.items()}
    return Layout(stacks)


def cpu_passes(cell: Cell) -> dict[str, CpuPass]:
    """The passes of a cell by name: forward, backward, tangent, and the first two with kept gates."""
    ahead = forward(cell)
    states = dict(ahead.carry)
    kept = saving(cell)
    return {
        "forward": CpuPass(ahead),
        "backward": CpuPass(backward(ahead), trajectories=states),
        "tangent": CpuPass(linearised(ahead), trajectories=states),
        "forward_saving": CpuPass(kept.forward, kept.saved),
        "backward_saved": CpuPass(kept.backward, kept.saved, states),
    }


class CellPlans:
    """A cell with everything that the library has of it."""

    def __init__(self, cell: Cell, sources: Sources):
        self.cell, self.sources = cell, sources
        self.second_order = SecondOrder(cell, sources)
        self.passes = cpu_passes(cell) | self.second_order.passes


def cpu_header(plans: CellPlans) -> str:
    """Source of a header with all passes of a cell, in a namespace of its name.

    Raises:
        LoweringError: see `symgru.lowering.cpu_source.cpu_plan`.
    """
    cell, sources = plans.cell, plans.sources
    parts = [
        f"// {cell.title}: the passes over time as plans.\n// {NOTICE}\n#pragma once\n",
        f'#include "../cpu/body.h"\n\nnamespace symgru::{cell.name} {{\n',
    ]
    for name, each in plans.passes.items():
        placement = placed(each.loop, sources.layout, each.saved, each.trajectories)
        parts.append(cpu_plan(name, f"{cell.name}_{name}", placement, sources))
    return "\n".join([*parts, f"}}  // namespace symgru::{cell.name}\n"])


def plans_header(cells: Iterable[CellPlans]) -> str:
    """Source of the header that lists all plans."""
    cells = tuple(cells)
    plans = [f"&{each.cell.name}::{name}<T>" for each in cells for name in each.passes]
    lines = [
        f"// All plans of the library.\n// {NOTICE}\n#pragma once\n",
        *(f'#include "cpu_{each.cell.name}.h"' for each in cells),
        "\nnamespace symgru {\n",
        "template <class T> constexpr const Plan<T>* all_plans[] = {\n    " + ",\n    ".join(plans) + "};\n",
        "}  // namespace symgru\n",
    ]
    return "\n".join(lines)


def cpu_files() -> dict[str, str]:
    """Every GRU of the library, by file name. Lengths need no cell of their own."""
    cells = [CellPlans(gru(p, r), gru_sources(r)) for p in Polarity for r in Reset]
    files = {f"cpu_{each.cell.name}.h": cpu_header(each) for each in cells}
    files["cpu_plans.h"] = plans_header(cells)
    return files | {"cpu_pipelines.py": pipelines_module(each.second_order for each in cells)}
