"""Layers and directions of a GRU on time-major batched input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import is_

import torch
from torch import Tensor

from symgru.kernels.cpu.passes import Steps, begun, dense
from symgru.torch_api.autocast import cast, target_dtype, without_autocast
from symgru.torch_api.backends import on_cpu
from symgru.torch_api.check import check_alike, check_state, check_weights
from symgru.torch_api.cpu_fallback import run_of
from symgru.torch_api.cpu_layer import apply_layer, differentiated
from symgru.torch_api.dispatch import run_layer
from symgru.torch_api.errors import ShapeError
from symgru.torch_api.layer import resets_against_time
from symgru.torch_api.merging import merged_biases
from symgru.torch_api.options import Options
from symgru.torch_api.remembering import remembered

#: Classes whose tensors have memory of their own.
_PLAIN = (Tensor, torch.nn.Parameter)
#: For lengths and for resets, [T, B, 1] or None.
Masks = tuple[Tensor | None, Tensor | None]


@dataclass(frozen=True)
class Shape:
    """What a stack is made of.

    Attributes:
        bias: Whether every layer has biases.
        layers: L.
        directions: D.
        dropout: Probability of zeroing an output between layers.
        options: Convention and execution.
    Raises:
        ValueError: there is no layer.
    """

    bias: bool
    layers: int
    directions: int
    dropout: float
    options: Options

    def __post_init__(self) -> None:
        if self.layers < 1:
            raise ValueError(f"num_layers must be at least 1, but is {self.layers}")

    @property
    def per_direction(self) -> int:
        """Weights of a layer in one direction."""
        return 4 if self.bias else 2


class Stack:
    """The weights of a multi-layer GRU and its settings.

    Raises:
        ShapeError: there are not as many weights as the settings want.
    """

    def __init__(self, weights: tuple[Tensor, ...], shape: Shape):
        size, positions = shape.per_direction, shape.layers * shape.directions
        if len(weights) != positions * size:
            raise ShapeError(
                f"expected {positions * size} weights ({shape.layers} layers, {shape.directions} directions, "
                f"{size} each), but got {len(weights)}"
            )
        self._weights, self._options = weights, shape.options
        self._groups = [weights[i : i + size] for i in range(0, len(weights), size)]
        self._layers, self._directions, self._dropout = shape.layers, shape.directions, shape.dropout
        self.hidden_size, self.input_size = weights[1].shape[-1], weights[0].shape[-1]
        self.states = positions
        self._expected = _expected(
            self.input_size, self.hidden_size, shape.layers, shape.directions, shape.bias
        )

    def consists_of(self, weights: Sequence[Tensor]) -> bool:
        """Whether it has been made of these very objects, and they still have the sizes that it knows."""
        if not all(map(is_, self._weights, weights)):
            return False
        return (self.input_size, self.hidden_size) == (weights[0].shape[-1], weights[1].shape[-1])

    def on_cpu(self, x: Tensor) -> bool:
        """Whether the layers run in C++: in eager mode, outside of functional transforms, on a CPU.

        Tracers see only tensor operations, and the tensors of fake modes and the like have no memory.
        """
        if type(x) not in _PLAIN or not x.is_cpu or x.numel() == 0:
            return False
        if torch.compiler.is_compiling() or torch._C._get_tracing_state() is not None:
            return False
        if torch._C._are_functorch_transforms_active():
            return False
        return on_cpu(self._options, self._groups[0][0].dtype)

    def __call__(
        self,
        x: Tensor,
        hx: Tensor | None,
        valid: Tensor | None = None,
        steps: Steps | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Outputs [T, B, D·H], final states [L·D, B, H]; x is [T, B, I].

        Args:
            x: The input; if there are steps, their rows, [rows, I].
            hx: Initial states, [L·D, B, H].
            valid: A mask for lengths, [T, B, 1].
            steps: The rows of each step, in place of a mask; on a CPU.
            resets: Where a sequence begins, [T, B]; if there are steps, of each row.
        """
        check_weights(self._weights, self._expected)
        if resets is not None:
            # a copy, since the caller may change a buffer of them before the backward pass
            resets = resets.clone(memory_format=torch.contiguous_format)
        shape = (self.states, steps.batch if steps else x.shape[1], self.hidden_size)
        native = steps is not None or (valid is None and self.on_cpu(x))
        if hx is not None:
            check_state(hx, shape)
        elif not native:
            hx = x.new_zeros(shape)
        if native:
            steps = begun(steps or dense(x.shape[0], x.shape[1]), resets)
        masks = valid, None if native or resets is None else resets.unsqueeze(-1)
        if target_dtype(x) is None:
            return self._checked(x, hx, masks, steps, self._groups)
        x, hx, groups = self._cast(x, hx)
        with without_autocast(x):
            return self._checked(x, hx, masks, steps, groups)

    def _checked(
        self,
        x: Tensor,
        hx: Tensor | None,
        masks: Masks,
        steps: Steps | None,
        groups: Sequence[tuple[Tensor, ...]],
    ) -> tuple[Tensor, Tensor]:
        first = groups[0][0]
        check_alike(first, "weight_ih_l0", "input", x)
        if hx is not None:
            check_alike(first, "weight_ih_l0", "hx", hx)
        if steps is not None or hx is None:
            assert steps is not None
            return self._run_on_cpu(x, hx, steps, groups)
        return self._run(x, hx, masks, groups)

    def _cast(self, x: Tensor, hx: Tensor | None) -> tuple[Tensor, Tensor | None, list[tuple[Tensor, ...]]]:
        """Everything as an autocast region wants it."""
        states = [] if hx is None else [hx]
        x, *rest = cast(x, self._groups[0][0], *states, *(w for group in self._groups for w in group))
        flat, size = rest[len(states) :], len(self._groups[0])
        groups = [tuple(flat[i : i + size]) for i in range(0, len(flat), size)]
        return x, rest[0] if states else None, groups

    def _run_on_cpu(
        self, x: Tensor, hx: Tensor | None, steps: Steps, groups: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        if x.dtype is torch.bfloat16 and differentiated((x, hx, *(w for group in groups for w in group))):
            return self._in_float32(x, hx, steps, groups)
        finals, options = [], self._options
        for index in range(self._layers):
            if index > 0 and self._dropout > 0:
                x = torch.nn.functional.dropout(x, self._dropout)
            outputs = []
            for direction in range(self._directions):
                position = index * self._directions + direction
                run = run_of(options, steps, direction == 1)
                group = groups[position]
                biases = group[2:] if len(group) == 4 else (None, None)
                h0 = hx if hx is None or self.states == 1 else hx[position]  # [B, H], or [1, B, H]
                states, final = apply_layer((x, h0, *group[:2], *biases), run)
                outputs.append(states)
                finals.append(final)
            x = torch.cat(outputs, -1) if self._directions > 1 else outputs[0]
        return x, finals[0] if len(finals) == 1 else torch.cat(finals)

    def _in_float32(
        self, x: Tensor, hx: Tensor | None, steps: Steps, groups: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        """Half precision to be differentiated: computed in single, and rounded once."""
        wide = [tuple(w.float() for w in group) for group in groups]
        outputs, final = self._run_on_cpu(x.float(), None if hx is None else hx.float(), steps, wide)
        return outputs.to(x.dtype), final.to(x.dtype)

    def _run(
        self, x: Tensor, hx: Tensor, masks: Masks, groups: Sequence[tuple[Tensor, ...]]
    ) -> tuple[Tensor, Tensor]:
        finals = []
        for index in range(self._layers):
            if index > 0 and self._dropout > 0:
                x = torch.nn.functional.dropout(x, self._dropout)
            outputs = []
            for direction in range(self._directions):
                position = index * self._directions + direction
                states, final = _direction(
                    x, hx[position], groups[position], masks, direction == 1, self._options
                )
                outputs.append(states)
                finals.append(final)
            x = torch.cat(outputs, -1) if self._directions > 1 else outputs[0]
        return x, torch.stack(finals)


@remembered
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
    x: Tensor, h0: Tensor, group: tuple[Tensor, ...], masks: Masks, backwards: bool, options: Options
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: [T, B, I], [B, H] -> [T, B, H], [B, H]."""
    valid, resets = masks
    if backwards:
        x = x.flip(0)
        resets = None if resets is None else resets_against_time(resets)
        valid = None if valid is None else valid.flip(0)
    bias, c_n = merged_biases(group, options.reset)
    states, final = run_layer((x, h0, group[0], group[1], bias, c_n, valid, resets), options)
    return (states.flip(0) if backwards else states), final
