"""Layers and directions of a GRU on time-major batched input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symgru.torch_api.backends import resolve
from symgru.torch_api.check import (
    autocast_dtype,
    check_alike,
    check_floating,
    check_input,
    check_state,
    check_weights,
)
from symgru.torch_api.errors import ShapeError
from symgru.torch_api.layer import apply_layer
from symgru.torch_api.operators import layer as layer_operator
from symgru.torch_api.options import Options


class Stack:
    """The weights of a multi-layer GRU, checked, and its settings."""

    def __init__(
        self,
        weights: tuple[Tensor, ...],
        bias: bool,
        layers: int,
        directions: int,
        dropout: float,
        options: Options,
    ):
        per_direction = 4 if bias else 2
        expected = layers * directions * per_direction
        if len(weights) != expected:
            raise ShapeError(
                f"expected {expected} weights ({layers} layers, {directions} directions, "
                f"{per_direction} each), but got {len(weights)}"
            )
        self._groups = [weights[i : i + per_direction] for i in range(0, len(weights), per_direction)]
        self._layers, self._directions, self._dropout, self._options = layers, directions, dropout, options
        self._hidden_size = weights[1].shape[-1]
        self._input_size = weights[0].shape[-1]
        check_weights(weights, _expected(self._input_size, self._hidden_size, layers, directions, bias))

    def __call__(self, x: Tensor, hx: Tensor | None, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs [T, B, D·H], final states [L·D, B, H]; x is [T, B, I], the mask valid [T, B, 1]."""
        check_floating(x)
        check_input(x, self._input_size)
        shape = (self._layers * self._directions, x.shape[1], self._hidden_size)
        hx = x.new_zeros(shape) if hx is None else hx
        check_state(hx, shape)
        dtype = autocast_dtype(x)
        if dtype is None:
            return self._run(x, hx, valid, self._groups)
        groups = [tuple(w.to(dtype) for w in group) for group in self._groups]
        with torch.autocast(x.device.type, enabled=False):
            return self._run(x.to(dtype), hx.to(dtype), valid, groups)

    def _run(
        self, x: Tensor, hx: Tensor, valid: Tensor | None, groups: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        check_alike(groups[0][0], "weight_ih_l0", input=x, hx=hx)
        options = self._options if torch.compiler.is_compiling() else resolve(self._options, x, groups[0][1])
        finals = []
        for index in range(self._layers):
            if index > 0 and self._dropout > 0:
                x = torch.nn.functional.dropout(x, self._dropout)
            outputs = []
            for direction in range(self._directions):
                position = index * self._directions + direction
                states, final = _direction(x, hx[position], groups[position], valid, direction == 1, options)
                outputs.append(states)
                finals.append(final)
            x = torch.cat(outputs, -1) if self._directions > 1 else outputs[0]
        return x, torch.stack(finals)


def _expected(
    input_size: int, hidden_size: int, layers: int, directions: int, bias: bool
) -> list[tuple[str, tuple[int, ...]]]:
    names: list[tuple[str, tuple[int, ...]]] = []
    for index in range(layers):
        width = input_size if index == 0 else directions * hidden_size
        for suffix in ("", "_reverse")[:directions]:
            end = f"_l{index}{suffix}"
            names += [
                (f"weight_ih{end}", (3 * hidden_size, width)),
                (f"weight_hh{end}", (3 * hidden_size, hidden_size)),
            ]
            if bias:
                names += [(f"bias_ih{end}", (3 * hidden_size,)), (f"bias_hh{end}", (3 * hidden_size,))]
    return names


def _direction(
    x: Tensor, h0: Tensor, group: tuple[Tensor, ...], valid: Tensor | None, backwards: bool, options: Options
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: [T, B, I], [B, H] -> [T, B, H], [B, H]."""
    if backwards:
        x = x.flip(0)
        valid = None if valid is None else valid.flip(0)
    bias, c_n = _merged_biases(group, options.reset)
    arguments = (x, h0, group[0], group[1], bias, c_n, valid)
    if torch.compiler.is_compiling():
        settings = (options.polarity, options.reset, options.backend, options.precision)
        states, final = layer_operator(*arguments, *settings)
    else:
        states, final = apply_layer(arguments, options)
    return (states.flip(0) if backwards else states), final


def _merged_biases(group: tuple[Tensor, ...], reset: str) -> tuple[Tensor, Tensor | None]:
    """The biases that the reset placement can tell apart: [3H], and [H] for the recurrent candidate bias."""
    rows = group[0].shape[0]
    if len(group) == 2:
        zeros = group[0].new_zeros(rows)
        return zeros, zeros[: rows // 3] if reset == "after" else None
    bias_ih, bias_hh = group[2:]
    if reset != "after":
        return bias_ih + bias_hh, None
    gates = 2 * rows // 3
    return torch.cat((bias_ih[:gates] + bias_hh[:gates], bias_ih[gates:])), bias_hh[gates:]
