"""The loop of a cell in torch operations, differentiated by torch's autograd: nothing of `derivation`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce

import sympy as sp
import torch
from torch import Tensor

from symgru.equations import Cell, Contract, Mean, Pointwise, Statement
from symgru.testing.derivatives import Array, Point

Tensors = dict[str, Tensor]

FUNCTIONS: Mapping[str, Callable[..., Tensor]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": torch.relu,
    "step": lambda a: (a > 0).to(a.dtype),
    "softplus": torch.nn.functional.softplus,
    "exp": torch.exp,
    "rsqrt": torch.rsqrt,
    "select": lambda mask, chosen, otherwise: torch.where(mask.bool(), chosen, otherwise),
}


def _expression(node: sp.Expr, values: Mapping[str, Tensor]) -> Tensor:
    if node.is_Symbol:
        return values[node.name]
    if node.is_Rational:
        return torch.tensor(int(node.p) / int(node.q), dtype=torch.float64)
    arguments = [_expression(a, values) for a in node.args]
    if node.is_Add:
        return reduce(torch.add, arguments)
    if node.is_Mul:
        return reduce(torch.mul, arguments)
    if node.is_Pow:
        return reduce(torch.mul, [arguments[0]] * int(node.exp))
    return FUNCTIONS[type(node).__name__](*arguments)


def _statement(statement: Statement, values: Mapping[str, Tensor]) -> Tensor:
    match statement:
        case Pointwise():
            return _expression(statement.expression, values)
        case Contract():
            matrices = [
                values[str(t.matrix)] if t.transposed else values[str(t.matrix)].T for t in statement.terms
            ]
            vectors = [values[str(t.vector)] for t in statement.terms]
            return reduce(torch.add, [v @ m for v, m in zip(vectors, matrices, strict=True)])
        case Mean():
            source = values[str(statement.source)]
            return source.mean(-1, keepdim=True).expand_as(source)
        case _:
            raise TypeError(f"a cell has no statement '{statement}', expected pointwise, contract or mean")


class AutogradCell:
    """States over time of a cell as written, with no rewrite, and derivatives by autograd; all in float64.

    Arguments and results are NumPy arrays under the names of `symgru.testing.loops.Differentiable`.
    """

    def __init__(self, cell: Cell):
        self._cell = cell
        self._sequences = [str(s) for s in cell.step.vectors if s not in {e for e, _ in cell.carry}]

    def states(self, point: Tensors) -> Tensors:
        """The states as sequences, from tensors."""
        values = dict(point)
        rows: dict[str, list[Tensor]] = {str(leaving): [] for _, leaving in self._cell.carry}
        for t in range(len(point[self._sequences[0]])):
            now = values | {name: point[name][t] for name in self._sequences}
            leading = now[self._sequences[0]].shape[:-1]
            for statement in self._cell.step:
                value = _statement(statement, now)
                if value.ndim == 1:  # of biases alone: the same for every example
                    value = value.expand(*leading, -1)
                now[str(statement.target)] = value
            for entering, leaving in self._cell.carry:
                rows[str(leaving)].append(now[str(leaving)])
                values[str(entering)] = now[str(leaving)]
        return {name: torch.stack(row) for name, row in rows.items()}

    def gradients(self, point: Tensors, cotangents: Tensors) -> Tensors:
        """Cotangents of all inputs that require a gradient, themselves differentiable."""
        states = self.states(point)
        loss = torch.stack([(states[name] * cotangents[name]).sum() for name in states]).sum()
        wanted = {name: value for name, value in point.items() if value.requires_grad}
        found = torch.autograd.grad(loss, list(wanted.values()), create_graph=True)
        return dict(zip(wanted, found, strict=True))

    def vjp(self, point: Point, cotangents: Point) -> dict[str, Array]:
        """Cotangents of the inputs."""
        return _arrays(self.gradients(_tensors(point), _tensors(cotangents)))

    def double_backward(self, point: Point, cotangents: Point, outer: Point) -> dict[str, Array]:
        """Cotangents of the inputs and, as d_`state`, of the cotangents, from cotangents of the gradients."""
        inputs, bars = _tensors(point), _tensors(cotangents)
        gradients = self.gradients(inputs, bars)
        total = torch.stack([(g * torch.from_numpy(outer[n])).sum() for n, g in gradients.items()]).sum()
        wanted = {name: inputs[name] for name in gradients} | {f"d_{name}": bar for name, bar in bars.items()}
        found = torch.autograd.grad(total, list(wanted.values()), materialize_grads=True)
        return _arrays(dict(zip(wanted, found, strict=True)))

    def hvp(self, point: Point, tangents: Point, cotangents: Point) -> dict[str, Array]:
        """The Hessian of Σ⟨cotangent, state⟩ times the tangents: it is symmetric, so reverse over reverse."""
        found = self.double_backward(point, cotangents, tangents)
        return {name: value for name, value in found.items() if name in point}


def _tensors(values: Point) -> Tensors:
    """Numbers require a gradient, masks do not."""
    tensors = {name: torch.from_numpy(value.copy()) for name, value in values.items()}
    return {name: t.requires_grad_(t.is_floating_point()) for name, t in tensors.items()}


def _arrays(tensors: Tensors) -> dict[str, Array]:
    return {name: t.detach().numpy() for name, t in tensors.items()}
