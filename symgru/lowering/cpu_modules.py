"""Whole C++ headers: the passes of a cell as plans for `kernels/cpu/engine.h`, and the list of all plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp

from symgru.derivation import Loop, backward, forward, linearised
from symgru.derivation.saving import Saved, saving
from symgru.equations import Cell, Polarity, Reset, gru
from symgru.lowering.cpu_source import cpu_plan
from symgru.lowering.cpu_tables import Sources
from symgru.lowering.layout import TORCH_GRU
from symgru.lowering.modules import NOTICE
from symgru.lowering.placement import placed

GATES = ("r", "z", "n")


@dataclass(frozen=True)
class CpuPass:
    """A loop to emit, with what it shares with other passes."""

    loop: Loop
    saved: Sequence[Saved] = ()
    trajectories: Mapping[sp.Symbol, sp.Symbol] = field(default_factory=dict)


def gru_sources(reset: Reset) -> Sources:
    """Parameters as torch.nn.GRU has them: two biases for every gate, of which the cell knows the sum."""
    both: dict[str, tuple[tuple[str, int], ...]]
    both = {f"b_{g}": (("bias_ih", i), ("bias_hh", i)) for i, g in enumerate(GATES)}
    if reset is Reset.AFTER:
        both |= {"b_n": (("bias_ih", 2),), "c_n": (("bias_hh", 2),)}
    biases = {
        f"{prefix}{bias}": tuple((f"{prefix}{tensor}", block) for tensor, block in places)
        for prefix in ("", "d_", "tangent_")
        for bias, places in both.items()
    }
    return Sources(TORCH_GRU, biases)


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


def cpu_header(cell: Cell, sources: Sources) -> str:
    """Source of a header with all passes of a cell, in a namespace of its name.

    Raises:
        LoweringError: see `symgru.lowering.cpu_source.cpu_plan`.
    """
    parts = [
        f"// {cell.title}: the passes over time as plans.\n// {NOTICE}\n#pragma once\n",
        f'#include "../cpu/body.h"\n\nnamespace symgru::{cell.name} {{\n',
    ]
    for name, each in cpu_passes(cell).items():
        placement = placed(each.loop, sources.layout, each.saved, each.trajectories)
        parts.append(cpu_plan(name, f"{cell.name}_{name}", placement, sources))
    return "\n".join([*parts, f"}}  // namespace symgru::{cell.name}\n"])


def plans_header(cells: Iterable[Cell]) -> str:
    """Source of the header that lists all plans."""
    cells = tuple(cells)
    plans = [f"&{cell.name}::{name}<T>" for cell in cells for name in cpu_passes(cell)]
    lines = [
        f"// All plans of the library.\n// {NOTICE}\n#pragma once\n",
        *(f'#include "cpu_{cell.name}.h"' for cell in cells),
        "\nnamespace symgru {\n",
        "template <class T> constexpr const Plan<T>* all_plans[] = {\n    " + ",\n    ".join(plans) + "};\n",
        "}  // namespace symgru\n",
    ]
    return "\n".join(lines)


def cpu_files() -> dict[str, str]:
    """Every GRU of the library, by file name. Lengths need no cell of their own."""
    cells = {(p, r): gru(p, r) for p in Polarity for r in Reset}
    files = {f"cpu_{cell.name}.h": cpu_header(cell, gru_sources(r)) for (_, r), cell in cells.items()}
    return files | {"cpu_plans.h": plans_header(cells.values())}
