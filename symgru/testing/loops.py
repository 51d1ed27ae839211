"""Loops of cells as functions of their inputs, with values drawn so that they can tell models apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgru.derivation import Loop, backward, forward, linearised
from symgru.equations import VALID, Cell
from symgru.lowering.evaluate import evaluate_loop

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]


@dataclass(frozen=True)
class Sizes:
    """T steps, B batch, and the length of each axis."""

    steps: int
    batch: int
    axes: Mapping[str, int]


def draw(cell: Cell, sizes: Sizes, seed: int, scale: float = 0.7) -> dict[str, Array]:
    """Inputs, first state and parameters: all non-zero and distinct, so no gate or bias is like another."""
    rng = np.random.default_rng(seed)
    step = cell.step
    states = {entering for entering, _ in cell.carry}
    values: dict[str, Array] = {}
    for symbol, shape in step.inputs.items():
        units = tuple(sizes.axes[axis] for axis in shape.axes)
        leading: tuple[int, ...] = ()
        if symbol in states:
            leading = (sizes.batch,)
        elif shape.per_step:
            leading = (sizes.steps, sizes.batch)
        values[str(symbol)] = scale * rng.standard_normal((*leading, *units))
    if VALID in step.inputs:
        lengths = rng.integers(1, sizes.steps + 1, sizes.batch)
        values[str(VALID)] = (np.arange(sizes.steps)[:, None] < lengths)[..., None]
    return values


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
        ((self._entering, self._leaving),) = ((str(a), str(b)) for a, b in cell.carry)

    def states(self, point: Point) -> dict[str, Array]:
        """The sequence of states, {name: [T, B, H]}."""
        return {self._leaving: evaluate_loop(self.forward, point)[self._leaving]}

    def _linearisation_point(self, point: Point) -> dict[str, Array]:
        """The inputs with the state that enters each step in place of the first one."""
        states = self.states(point)[self._leaving]
        return {**point, self._entering: np.concatenate((point[self._entering][None], states[:-1]))}

    def jvp(self, point: Point, tangents: Point) -> dict[str, Array]:
        """Tangents of the states for tangents of the inputs; both under the names of their primals."""
        values = self._linearisation_point(point) | {f"tangent_{n}": t for n, t in tangents.items()}
        return {self._leaving: evaluate_loop(self.tangent, values)[f"tangent_{self._leaving}"]}

    def vjp(self, point: Point, cotangents: Point) -> dict[str, Array]:
        """Cotangents of the inputs for cotangents of the states; both under the names of their primals."""
        bar = f"d_{self._leaving}"
        values = self._linearisation_point(point)
        values |= {
            f"{bar}_output": cotangents[self._leaving],
            f"{bar}_carried": np.zeros_like(point[self._entering]),
        }
        results = evaluate_loop(self.backward, values)
        gradients = {n: results[f"d_{n}"] for n in point if f"d_{n}" in results}
        return gradients | {self._entering: results[f"d_{self._entering}_last"]}
