"""Layers and directions of a GRU on time-major batched input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symgru.torch_api.autocast import cast, without_autocast
from symgru.torch_api.check import check_alike, check_state, check_weights
from symgru.torch_api.dispatch import run_layer
from symgru.torch_api.errors import ShapeError
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
        if layers < 1:
            raise ValueError(f"num_layers must be at least 1, but is {layers}")
        per_direction = 4 if bias else 2
        expected = layers * directions * per_direction
        if len(weights) != expected:
            raise ShapeError(
                f"expected {expected} weights ({layers} layers, {directions} directions, "
                f"{per_direction} each), but got {len(weights)}"
            )
        self._groups = [weights[i : i + per_direction] for i in range(0, len(weights), per_direction)]
        self._layers, self._directions, self._dropout, self._options = layers, directions, dropout, options
        self.hidden_size, self.input_size = weights[1].shape[-1], weights[0].shape[-1]
        self.states = layers * directions
        check_weights(weights, _expected(self.input_size, self.hidden_size, layers, directions, bias))

    def __call__(self, x: Tensor, hx: Tensor | None, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Outputs [T, B, D·H], final states [L·D, B, H]; x is [T, B, I], the mask valid [T, B, 1]."""
        shape = (self.states, x.shape[1], self.hidden_size)
        hx = x.new_zeros(shape) if hx is None else hx
        check_state(hx, shape)
        weight, flat = self._groups[0][0], [w for group in self._groups for w in group]
        x, hx, *flat = cast(x, weight, hx, *flat)
        check_alike(flat[0], "weight_ih_l0", input=x, hx=hx)
        size = len(self._groups[0])
        with without_autocast(x):
            return self._run(x, hx, valid, [tuple(flat[i : i + size]) for i in range(0, len(flat), size)])

    def _run(
        self, x: Tensor, hx: Tensor, valid: Tensor | None, groups: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        finals = []
        for index in range(self._layers):
            if index > 0 and self._dropout > 0:
                x = torch.nn.functional.dropout(x, self._dropout)
            outputs = []
            for direction in range(self._directions):
                position = index * self._directions + direction
                states, final = _direction(
                    x, hx[position], groups[position], valid, direction == 1, self._options
                )
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
    states, final = run_layer((x, h0, group[0], group[1], bias, c_n, valid), options)
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
