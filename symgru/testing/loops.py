"""Loops of cells as functions of their inputs, with values drawn so that they can tell models apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symgru.derivation import Loop, backward, forward, linearised
from symgru.equations import RESTART, VALID, Cell, Pointwise, select
from symgru.lowering.evaluate import evaluate_loop

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]


@dataclass(frozen=True)
class Sizes:
    """T steps, B batch, and the length of each axis."""

    steps: int
    batch: int
    axes: Mapping[str, int]


def masks(cell: Cell) -> frozenset[sp.Symbol]:
    """The inputs of a cell that are true or false."""
    pointwise = [s for s in cell.step if isinstance(s, Pointwise)]
    return frozenset(node.args[0] for s in pointwise for node in s.expression.atoms(select))


def draw(cell: Cell, sizes: Sizes, seed: int, scale: float = 0.7) -> dict[str, Array]:
    """Inputs, first states and parameters: all non-zero and distinct, so no gate or bias is like another.

    Masks are drawn too: `valid` is true up to the length of each sequence, `restart` in one step of three for
    all units alike, every other mask in one unit of three.
    """
    rng = np.random.default_rng(seed)
    states, chosen = {entering for entering, _ in cell.carry}, masks(cell)
    values: dict[str, Array] = {}
    for symbol, shape in cell.step.inputs.items():
        units = tuple(sizes.axes[axis] for axis in shape.axes)
        leading: tuple[int, ...] = ()
        if symbol in states:
            leading = (sizes.batch,)
        elif shape.per_step:
            leading = (sizes.steps, sizes.batch)
        if symbol in chosen:
            values[str(symbol)] = _draw_mask(symbol, (*leading, *units), rng)
        else:
            values[str(symbol)] = scale * rng.standard_normal((*leading, *units))
    return values


def _draw_mask(symbol: sp.Symbol, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    steps, batch, _ = shape
    if symbol == VALID:
        return (np.arange(steps)[:, None] < rng.integers(1, steps + 1, batch))[..., None]
    if symbol == RESTART:
        return rng.random((steps, batch, 1)) < 1 / 3
    return rng.random(shape) < 1 / 3


class Differentiable:
    """The loop of a cell over time, and its derivatives by the emitted programs' source, `derivation`.

    Attributes:
        forward, backward, tangent: The three loops.
    """

    def __init__(self, cell: Cell, backward_loop: Loop | None = None, tangent_loop: Loop | None = None):
        self.cell = cell
        self.forward = forward(cell)
        self.backward = backward_loop or backward(self.forward)
        self.tangent = tangent_loop or linearised(self.forward)
        self._carry = [(str(entering), str(leaving)) for entering, leaving in cell.carry]

    def states(self, point: Point) -> dict[str, Array]:
        """The sequences of states by the names that leave a step, [T, B, n] each."""
        results = evaluate_loop(self.forward, point)
        return {leaving: results[leaving] for _, leaving in self._carry}

    def linearisation_point(self, point: Point) -> dict[str, Array]:
        """The inputs with the states that enter each step in place of the first ones."""
        states = self.states(point)
        return {**point} | {
            entering: np.concatenate((point[entering][None], states[leaving][:-1]))
            for entering, leaving in self._carry
        }

    def jvp(self, point: Point, tangents: Point) -> dict[str, Array]:
        """Tangents of the states for tangents of the inputs; both under the names of their primals."""
        values = self.linearisation_point(point) | {f"tangent_{n}": t for n, t in tangents.items()}
        results = evaluate_loop(self.tangent, values)
        return {leaving: results[f"tangent_{leaving}"] for _, leaving in self._carry}

    def vjp(self, point: Point, cotangents: Point) -> dict[str, Array]:
        """Cotangents of the inputs for cotangents of the states; both under the names of their primals."""
        values = self.linearisation_point(point)
        for entering, leaving in self._carry:
            values[f"d_{leaving}_output"] = cotangents[leaving]
            values[f"d_{leaving}_carried"] = np.zeros_like(point[entering])
        results = evaluate_loop(self.backward, values)
        gradients = {n: results[f"d_{n}"] for n in point if f"d_{n}" in results}
        first = {e: results.get(f"d_{e}_last", np.zeros_like(point[e])) for e, _ in self._carry}
        return gradients | first  # zero where nothing depends on a first state
