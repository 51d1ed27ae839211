"""Emitted torch modules, run in float64, against the oracle."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch

from symgru.equations import Cell
from symgru.kernels.passes import Pass
from symgru.kernels.scan import scan
from symgru.lowering.layout import TORCH_GRU, Layout
from symgru.testing.loops import Differentiable, Sizes, draw

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = dict[str, torch.Tensor]
Executor = Callable[[Pass, Tensors], None]


def stacked(values: Mapping[str, Array], layout: Layout = TORCH_GRU) -> dict[str, torch.Tensor]:
    """Tensors under the names of the layout: members of a stack joined along their rows."""
    blocks: dict[str, dict[int, Array]] = {}
    tensors = {}
    for name, value in values.items():
        block = layout.block(name)
        if block is None:
            tensors[name] = torch.from_numpy(np.ascontiguousarray(value))
        else:
            blocks.setdefault(block.stack, {})[block.index] = value
    for stack, members in blocks.items():
        tensors[stack] = torch.from_numpy(np.concatenate([members[i] for i in sorted(members)]))
    return tensors


def run_pass(
    pass_: Pass, values: dict[str, torch.Tensor], execute: Executor = scan
) -> dict[str, torch.Tensor]:
    """All three phases; returns the values that it was given and added to."""
    pass_.before(values)
    execute(pass_, values)
    pass_.after(values)
    return values


def assert_emitted_agrees(
    cell: Cell, module: ModuleType, sizes: Sizes, seed: int, tolerance: float, execute: Executor = scan
) -> None:
    """The three passes of an emitted module give what the oracle gives, to an absolute tolerance in float64.

    Raises:
        AssertionError: naming the pass and the value that differ.
    """
    oracle = Differentiable(cell)
    point = draw(cell, sizes, seed)
    tangents = {k: v for k, v in draw(cell, sizes, seed + 1).items() if k != "valid"}
    states = oracle.states(point)["h_new"]
    cotangent = draw(cell, sizes, seed + 2)["h_prev"] * np.ones_like(states)
    values = stacked(point)
    _compare("forward", run_pass(module.FORWARD, dict(values), execute), {"h_new": states}, tolerance)

    entering = torch.from_numpy(np.concatenate((point["h_prev"][None], states[:-1])))
    linearised = values | {"h_prev": entering}
    given = {
        "d_h_new_output": torch.from_numpy(cotangent),
        "d_h_new_carried": torch.zeros_like(values["h_prev"]),
    }
    gradients = oracle.vjp(point, {"h_new": cotangent})
    expected = stacked({f"d_{name}": g for name, g in gradients.items() if name != "h_prev"})
    expected["d_h_prev_last"] = torch.from_numpy(gradients["h_prev"])
    _compare("backward", run_pass(module.BACKWARD, linearised | given, execute), expected, tolerance)

    given = stacked({f"tangent_{name}": t for name, t in tangents.items()})
    expected_tangent = {"tangent_h_new": oracle.jvp(point, tangents)["h_new"]}
    _compare("tangent", run_pass(module.TANGENT, linearised | given, execute), expected_tangent, tolerance)


def _compare(
    name: str, found: Mapping[str, torch.Tensor], expected: Mapping[str, Any], tolerance: float
) -> None:
    for key, value in expected.items():
        error = float(np.abs(found[key].numpy() - np.asarray(value)).max())
        assert error <= tolerance, (
            f"{name} pass: {key} differs from the oracle by {error:.2e} > {tolerance:.0e}"
        )
