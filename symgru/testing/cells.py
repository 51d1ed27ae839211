"""Shipped cells, bare and wrapped, beside the references that judge them.

for case in cases():
    case.cell()                                what symgru derives from
    case.expected(point)                       states by the reference
    case.gradients(point, cotangents)          by torch autograd of the reference
    case.double_backward(point, cotangents, outer)   and of those gradients
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Any

import numpy as np
import sympy as sp
import torch

from symgru.cells import CELLS
from symgru.equations import Cell, with_lengths, with_resets, with_zoneout
from symgru.testing.loops import Sizes, draw, masks
from symgru.testing.references import REFERENCES, Tensors, run

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]
RATE = sp.Rational(1, 5)

#: What a cell is wrapped in, by name.
WRAPPERS: Mapping[str, Callable[[Cell], Cell]] = MappingProxyType(
    {
        "bare": lambda cell: cell,
        "lengths": with_lengths,
        "resets": with_resets,
        "shared resets": lambda cell: with_resets(cell, shared=True),
        "zoneout": with_zoneout,
        "zoneout at inference": lambda cell: with_zoneout(cell, RATE),
        "everything": lambda cell: with_resets(with_lengths(with_zoneout(cell))),
    }
)


@dataclass(frozen=True)
class Case:
    """A shipped cell in a wrapper.

    Attributes:
        name: Of the cell in `CELLS` and `REFERENCES`.
        wrapper: In `WRAPPERS`.
    """

    name: str
    wrapper: str = "bare"

    def __str__(self) -> str:
        return self.name if self.wrapper == "bare" else f"{self.name}, {self.wrapper}"

    def cell(self) -> Cell:
        """The equations."""
        return WRAPPERS[self.wrapper](CELLS[self.name]())

    def run(self, tensors: Tensors) -> Tensors:
        """States by the reference, differentiable by autograd."""
        rate = float(RATE) if self.wrapper == "zoneout at inference" else None
        return run(REFERENCES[self.name], tensors, zoneout_rate=rate)

    def expected(self, point: Point) -> dict[str, Array]:
        """States by the reference, by the names that leave a step, [T, B, n]."""
        states = self.run(_tensors(point))
        return {name: state.detach().numpy() for name, state in states.items()}

    def gradients(self, point: Point, cotangents: Point) -> dict[str, Array]:
        """Cotangents of the inputs by autograd of the reference; masks have none."""
        return _arrays(self._gradients(_tensors(point), _tensors(cotangents)))

    def double_backward(self, point: Point, cotangents: Point, outer: Point) -> dict[str, Array]:
        """Cotangents of the inputs and, as d_`state`, of the cotangents, by autograd of those gradients.

        Those of the inputs are also the Hessian of Σ⟨cotangent, state⟩ times `outer`, as it is symmetric.

        Args:
            point: Inputs, first states, parameters and masks.
            cotangents: Of the states.
            outer: Cotangents of the gradients of all inputs.
        """
        tensors = _tensors(point)
        bars = {name: bar.requires_grad_() for name, bar in _tensors(cotangents).items()}
        gradients = self._gradients(tensors, bars, create_graph=True)
        wanted = {name: tensors[name] for name in gradients} | {
            f"d_{name}": bar for name, bar in bars.items()
        }
        return _arrays(_pulled_back(gradients, _tensors(outer), wanted))

    def _gradients(self, point: Tensors, cotangents: Tensors, create_graph: bool = False) -> Tensors:
        excluded = mask_names(self.cell())
        moving = {name: t.requires_grad_() for name, t in point.items() if name not in excluded}
        return _pulled_back(self.run(point), cotangents, moving, create_graph)


def cases(names: Iterable[str] = tuple(CELLS), wrappers: Iterable[str] = tuple(WRAPPERS)) -> list[Case]:
    """Every cell in every wrapper."""
    return [Case(name, wrapper) for name, wrapper in product(names, wrappers)]


def mask_names(cell: Cell) -> frozenset[str]:
    """The inputs that are true or false, so have neither tangent nor cotangent."""
    return frozenset(map(str, masks(cell)))


def directions(cell: Cell, sizes: Sizes, seed: int) -> dict[str, Array]:
    """Tangents of everything that has one."""
    excluded = mask_names(cell)
    return {name: value for name, value in draw(cell, sizes, seed).items() if name not in excluded}


def _tensors(point: Point) -> Tensors:
    return {name: torch.from_numpy(np.array(value)) for name, value in point.items()}


def _arrays(tensors: Tensors) -> dict[str, Array]:
    return {name: tensor.detach().numpy() for name, tensor in tensors.items()}


def _pulled_back(outputs: Tensors, bars: Tensors, inputs: Tensors, create_graph: bool = False) -> Tensors:
    """Cotangents of the inputs, from those of the outputs."""
    total = torch.stack([(outputs[name] * bar).sum() for name, bar in bars.items()]).sum()
    found = torch.autograd.grad(
        total, list(inputs.values()), create_graph=create_graph, materialize_grads=True
    )
    return dict(zip(inputs, found, strict=True))
