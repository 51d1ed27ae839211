"""Emitted torch modules, run in float64, against the oracle."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import ModuleType
from typing import Any

import numpy as np
import torch

from symgru.equations import Cell
from symgru.kernels.passes import Pass
from symgru.kernels.scan import scan
from symgru.lowering.layout import TORCH_GRU, Layout
from symgru.testing.loops import Differentiable, Sizes, draw, masks

Array = np.ndarray[Any, np.dtype[Any]]
Tensors = dict[str, torch.Tensor]
Executor = Callable[[Pass, Tensors], None]


def stacked(values: Mapping[str, Array], layout: Layout = TORCH_GRU) -> Tensors:
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
    cell: Cell,
    module: ModuleType,
    sizes: Sizes,
    seed: int,
    tolerance: float,
    execute: Executor = scan,
    only: str | None = None,
    layout: Layout = TORCH_GRU,
) -> None:
    """The passes of an emitted module give what the oracle gives, to an absolute tolerance in float64.

    Args:
        cell: What the module was emitted from.
        module: Has FORWARD, BACKWARD and TANGENT.
        sizes, seed: Of the values that are drawn.
        tolerance: Largest difference allowed.
        execute: Runs the loop; the plain one by default.
        only: The name of one pass; all three if None.
        layout: How the module stores parameters.
    Raises:
        AssertionError: naming the pass and the value that differ.
    """
    for name, given, expected in _problems(cell, sizes, seed, layout):
        if only in (None, name):
            found = run_pass(getattr(module, name.upper()), given, execute)
            _compare(name, found, expected, tolerance)


def _problems(cell: Cell, sizes: Sizes, seed: int, layout: Layout) -> Iterator[tuple[str, Tensors, Tensors]]:
    """For each pass its name, what it is given, and what has to come out."""
    oracle, point = Differentiable(cell), draw(cell, sizes, seed)
    states, values = oracle.states(point), stacked(point, layout)
    yield "forward", dict(values), stacked(states, layout)

    first = {str(entering): point[str(entering)] for entering, _ in cell.carry}
    linearised = values | stacked(oracle.linearisation_point(point), layout)
    rng = np.random.default_rng(seed + 2)
    cotangents = {name: np.asarray(rng.standard_normal(state.shape)) for name, state in states.items()}
    arriving = {f"d_{name}_output": c for name, c in cotangents.items()}
    arriving |= {
        f"d_{leaving}_carried": np.zeros_like(first[str(entering)]) for entering, leaving in cell.carry
    }
    gradients = oracle.vjp(point, cotangents)
    expected = {f"d_{name}_last" if name in first else f"d_{name}": g for name, g in gradients.items()}
    yield "backward", linearised | stacked(arriving, layout), stacked(expected, layout)

    constant = {str(mask) for mask in masks(cell)}
    tangents = {name: t for name, t in draw(cell, sizes, seed + 1).items() if name not in constant}
    moving = stacked({f"tangent_{name}": t for name, t in tangents.items()}, layout)
    moved = {f"tangent_{name}": t for name, t in oracle.jvp(point, tangents).items()}
    yield "tangent", linearised | moving, stacked(moved, layout)


def _compare(name: str, found: Tensors, expected: Tensors, tolerance: float) -> None:
    for key, value in expected.items():
        error = float((found[key] - value).abs().max())
        message = f"{name} pass: {key} differs from the oracle by {error:.2e} > {tolerance:.0e}"
        assert error <= tolerance, message
