"""A recurrent layer of any cell.

    forward   states from inputs                      emitted FORWARD pass
    backward  cotangents, from the inputs and states  emitted BACKWARD pass, gates recomputed
    jvp       tangents, from the inputs and states    emitted TANGENT pass

Nothing is saved but the inputs and the states. The passes are plain tensor operations, so derivatives of any
order exist.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from symgru.equations import Cell, Shape
from symgru.kernels.passes import Pass
from symgru.kernels.scan import last, scan
from symgru.torch_cells.load import load

Values = dict[str, Tensor]


class Recurrent(torch.nn.Module):
    """A layer of a cell, one direction, time-major.

        layer = Recurrent(mgu(), I=5, H=7)
        states = layer(x=x)["h_new"]                       x [T, B, 5] -> [T, B, 7]

    Parameters have the names and shapes of the cell's, and start uniform in ±1/√H, H the units of the first
    state, like those of torch.nn.GRU.

    Args:
        cell: What a step computes.
        sizes: Length of each axis of the cell, by name.
    Raises:
        ValueError: an axis has no size, or a size no axis.
    """

    def __init__(self, cell: Cell, **sizes: int) -> None:
        super().__init__()
        axes = {axis for shape in cell.step.inputs.values() for axis in shape.axes}
        if axes != sizes.keys():
            raise ValueError(f"cell {cell.name} has the axes {_listed(axes)}, got sizes for {_listed(sizes)}")
        self.cell, self.sizes = cell, dict(sizes)
        self._passes = load(cell)
        self._sequence = min(str(s) for s in cell.step.vectors if s not in dict(cell.carry))
        for symbol in cell.step.parameters:
            shape = [sizes[axis] for axis in cell.step.inputs[symbol].axes]
            self.register_parameter(str(symbol), torch.nn.Parameter(torch.empty(shape)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all parameters anew, uniform in ±1/√H."""
        (axis,) = self.cell.step.shapes[self.cell.carry[0][0]].axes
        bound = 1 / math.sqrt(self.sizes[axis])
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """The states after every step.

        Args:
            inputs: Sequences [T, B, n], masks [T, B, n] or [T, B, 1] and first states [B, n], under the names
                that the cell has for them. A first state that is missing is zero.
        Returns:
            Every state by the name with which it leaves a step, [T, B, n].
        Raises:
            ValueError: an input is missing, unknown, or not of the expected shape.
        """
        values = self._checked(inputs)
        names, steps = tuple(values), len(values[self._sequence])
        states = _Layer.apply(self._passes, names, steps, *values.values())  # type: ignore[no-untyped-call]  # torch has none
        return {str(leaving): state for (_, leaving), state in zip(self.cell.carry, states, strict=True)}

    def extra_repr(self) -> str:
        """Name of the cell, and sizes."""
        return ", ".join([self.cell.name, *(f"{axis}={size}" for axis, size in self.sizes.items())])

    def _checked(self, inputs: Mapping[str, Tensor]) -> Values:
        step = self.cell.step
        states = {str(entering) for entering, _ in self.cell.carry}
        sequences = {str(s) for s in step.vectors} - states
        unknown, missing = inputs.keys() - states - sequences, sequences - inputs.keys()
        if unknown or missing:
            raise ValueError(
                f"cell {self.cell.name} takes {_listed(sequences)} and may be given {_listed(states)}; "
                f"missing are {_listed(missing) or 'none'}, unknown {_listed(unknown) or 'none'}"
            )
        first = inputs[self._sequence]
        leading = tuple(first.shape[:2])
        like = next(self.parameters(), first)
        values: Values = {}
        for symbol, shape in step.inputs.items():
            name = str(symbol)
            if not shape.per_step:
                values[name] = getattr(self, name)  # functional_call puts tensors in place of parameters
                continue
            expected = leading[1:] if name in states else leading
            value = inputs.get(name)
            if value is None:
                value = like.new_zeros((*expected, *self._units(shape)))
            self._check_shape(name, value, (*expected, *self._units(shape)))
            values[name] = value
        return values

    def _units(self, shape: Shape) -> tuple[int, ...]:
        return tuple(self.sizes[axis] for axis in shape.axes)

    def _check_shape(self, name: str, value: Tensor, expected: tuple[int, ...]) -> None:
        allowed = {expected, (*expected[:-1], 1)} if value.dtype == torch.bool else {expected}
        if tuple(value.shape) not in allowed:
            raise ValueError(
                f"cell {self.cell.name}: {name} is to be {list(expected)}, got {list(value.shape)}"
            )


class _Layer(torch.autograd.Function):
    """The loop over time; arguments: the emitted module, names, number of steps, and the values in order."""

    @staticmethod
    def forward(passes: Any, names: tuple[str, ...], steps: int, *inputs: Tensor) -> tuple[Tensor, ...]:
        values = _run(passes.FORWARD, dict(zip(names, inputs, strict=True)), steps)
        states = (values[leaving].contiguous() for _, leaving in passes.FORWARD.carry)  # a bias is spread
        return tuple(s.view_as(s) if any(s is i for i in inputs) else s for s in states)  # a delayed input

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.passes, ctx.names, ctx.steps, *tensors = inputs
        ctx.save_for_backward(*tensors, *output)
        ctx.save_for_forward(*tensors, *output)

    @staticmethod
    def backward(ctx: Any, *d_states: Tensor) -> tuple[Tensor | None, ...]:
        values = _with_states(ctx)
        carry = ctx.passes.FORWARD.carry
        for (entering, leaving), cotangent in zip(carry, d_states, strict=True):
            values[f"d_{leaving}_output"] = cotangent
            values[f"d_{leaving}_carried"] = torch.zeros_like(values[f"{entering}"][0])
        _run(ctx.passes.BACKWARD, values, ctx.steps)
        for entering, _ in carry:
            values.pop(f"d_{entering}", None)
            if last(f"d_{entering}") in values:  # else nothing depends on the first state
                values[f"d_{entering}"] = values[last(f"d_{entering}")]
        return None, None, None, *(values.get(f"d_{name}") for name in ctx.names)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, ...]:
        _, _, _, *moving = tangents
        saved = dict(zip(ctx.names, ctx.saved_tensors, strict=False))
        values = _with_states(ctx)
        for name, tangent in zip(ctx.names, moving, strict=True):
            values[f"tangent_{name}"] = torch.zeros_like(saved[name]) if tangent is None else tangent
        _run(ctx.passes.TANGENT, values, ctx.steps)
        return tuple(values[f"tangent_{leaving}"] for _, leaving in ctx.passes.FORWARD.carry)


def _run(pass_: Pass, values: Values, steps: int) -> Values:
    pass_.before(values)
    scan(pass_, values, steps)
    pass_.after(values)
    return values


def _with_states(ctx: Any) -> Values:
    """The inputs, and under the names that enter a step the states that enter each of them."""
    saved = ctx.saved_tensors
    values = dict(zip(ctx.names, saved, strict=False))
    for (entering, _), states in zip(ctx.passes.FORWARD.carry, saved[len(ctx.names) :], strict=True):
        values[entering] = torch.cat((values[entering].unsqueeze(0), states[:-1]))
    return values


def _listed(names: Iterator[str] | Any) -> str:
    return ", ".join(sorted(names))
