"""Whole GRU modules by the oracle: float64, one statement and one time step at a time, no emitted code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from symgru.equations import VALID, Cell, gru, with_lengths
from symgru.testing.loops import Differentiable
from symgru.torch_api import GRU

Array = np.ndarray[Any, np.dtype[Any]]
GATES = ("r", "z", "n")


class OracleGRU:
    """The forward and backward pass of a `symgru.GRU`, layer by layer, from the equations.

    Args:
        module: Whose weights and convention count; read in float64.
        lengths: Of the sequences [B], or None if all are T steps long.
    """

    def __init__(self, module: GRU, lengths: tuple[int, ...] | None = None):
        self._module, self._lengths = module, lengths
        cell = gru(module.polarity, module.reset)
        self._cell: Cell = cell if lengths is None else with_lengths(cell)
        self._layer = Differentiable(self._cell)
        self._points: list[tuple[dict[str, Array], bool]] = []

    def forward(self, x: torch.Tensor, h0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Outputs [T, B, D·H], zero after the end of a sequence, and final states [L·D, B, H]."""
        self._points.clear()
        sequence, finals = x.double().numpy(), []
        directions = 2 if self._module.bidirectional else 1
        weights = [[w.detach().double().numpy() for w in group] for group in self._module.all_weights]
        for layer in range(self._module.num_layers):
            outputs = []
            for direction in range(directions):
                position = layer * directions + direction
                first = h0[position].double().numpy()
                states = self._run(sequence, first, weights[position], direction == 1)
                finals.append(states[0 if direction == 1 else -1])
                outputs.append(states * self._mask(states))
            sequence = np.concatenate(outputs, -1)
        return torch.from_numpy(sequence), torch.from_numpy(np.stack(finals))

    def backward(self, d_output: torch.Tensor, d_final: torch.Tensor) -> dict[str, torch.Tensor]:
        """Cotangents of "x", "h0" and every parameter, by name, shaped like them; after `forward`."""
        directions = 2 if self._module.bidirectional else 1
        gradients: dict[str, torch.Tensor] = {}
        d_h0: list[Array] = [np.empty(0)] * len(self._points)
        d_sequence = d_output.double().numpy()
        for layer in reversed(range(self._module.num_layers)):
            d_inputs = []
            for direction in range(directions):
                position = layer * directions + direction
                part = np.split(d_sequence, directions, -1)[direction]
                result = self._transpose(position, part, d_final[position].double().numpy())
                d_inputs.append(result["x"])
                d_h0[position] = result["h_prev"]
                suffix = f"_l{layer}{'_reverse' if direction else ''}"
                gradients |= {f"{n}{suffix}": torch.from_numpy(g) for n, g in self._stacked(result).items()}
            d_sequence = sum(d_inputs[1:], d_inputs[0])
        return gradients | {"x": torch.from_numpy(d_sequence), "h0": torch.from_numpy(np.stack(d_h0))}

    def _mask(self, like: Array) -> Array:
        if self._lengths is None:
            return np.ones((1, 1, 1), dtype=bool)
        return (np.arange(len(like))[:, None] < np.array(self._lengths))[..., None]

    def _run(self, x: Array, h0: Array, weights: list[Array], backwards: bool) -> Array:
        point = {"x": x, "h_prev": h0, **self._named(weights)}
        if self._lengths is not None:
            point[str(VALID)] = self._mask(x)
        if backwards:
            point |= {name: point[name][::-1] for name in ("x", str(VALID)) if name in point}
        self._points.append((point, backwards))
        states = self._layer.states(point)["h_new"]
        return states[::-1] if backwards else states

    def _transpose(self, position: int, d_states: Array, d_final: Array) -> dict[str, Array]:
        point, backwards = self._points[position]
        d_states = (d_states * self._mask(d_states))[:: -1 if backwards else 1].copy()
        d_states[-1] += d_final
        result = dict(self._layer.vjp(point, {"h_new": d_states}))
        if backwards:
            result["x"] = result["x"][::-1].copy()
        return result

    def _named(self, weights: list[Array]) -> dict[str, Array]:
        weight_ih, weight_hh, *biases = weights
        names = {f"W_{g}": w for g, w in zip(GATES, np.split(weight_ih, 3), strict=True)}
        names |= {f"U_{g}": u for g, u in zip(GATES, np.split(weight_hh, 3), strict=True)}
        first, second = biases or (np.zeros(len(weight_ih)),) * 2
        for gate, b, c in zip(GATES, np.split(first, 3), np.split(second, 3), strict=True):
            apart = gate == "n" and self._module.reset == "after"
            names[f"b_{gate}"] = b if apart else b + c
            if apart:
                names["c_n"] = c
        return names

    def _stacked(self, result: Mapping[str, Array]) -> dict[str, Array]:
        gradients = {
            "weight_ih": np.concatenate([result[f"W_{g}"] for g in GATES]),
            "weight_hh": np.concatenate([result[f"U_{g}"] for g in GATES]),
        }
        if self._module.bias:
            b = [result[f"b_{g}"] for g in GATES]
            gradients["bias_ih"] = np.concatenate(b)
            gradients["bias_hh"] = np.concatenate([*b[:2], result.get("c_n", b[2])])
        return gradients
