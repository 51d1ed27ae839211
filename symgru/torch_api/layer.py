"""One layer in one direction: the emitted passes as a differentiable function of tensors.

    forward   states from inputs                      emitted FORWARD pass
    backward  cotangents, from the inputs and states  emitted BACKWARD pass, gates recomputed
    jvp       tangents, from the inputs and states    emitted TANGENT pass

Nothing is saved but the inputs and the states. Shapes: x [T, B, I], h0 [B, H], weight_ih [3H, I], weight_hh
[3H, H] with rows in the order r, z, n; bias [3H]; c_n [H] for reset after, else None; valid and resets
[T, B, 1] bool or None: which steps belong to a sequence, and (torch backend) where one begins: then nothing
is carried over the boundary before the step. Results: states [T, B, H] and the last state [B, H] in the dtype
of x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symgru.kernels.passes import Pass
from symgru.kernels.scan import last, scan
from symgru.kernels.tensor_ops import compute_dtype
from symgru.torch_api.emitted import emitted
from symgru.torch_api.fused import fused_scan
from symgru.torch_api.options import Options

NAMES = ("x", "h0", "weight_ih", "weight_hh", "bias", "c_n", "valid", "resets")
MASKS = ("valid", "resets")
Values = dict[str, Tensor]


def _execute(pass_: Pass, name: str, values: Values, options: Options) -> None:
    pass_.before(values)
    if options.backend == "torch":
        scan(pass_, values, resets=values.get("resets"))
    else:
        fused_scan(pass_, name, values, options)
    pass_.after(values)


def _named(inputs: tuple[Tensor | None, ...]) -> Values:
    return {name: value for name, value in zip(NAMES, inputs, strict=True) if value is not None}


def layer_forward(inputs: tuple[Tensor | None, ...], options: Options) -> tuple[Tensor, Tensor]:
    """States [T, B, H] and last state [B, H]."""
    values = _named(inputs)
    x, h0 = values["x"], values["h0"]
    values["h_prev"] = h0.to(compute_dtype(h0.dtype))
    _execute(emitted(options.cell, "valid" in values).FORWARD, "forward", values, options)
    return values["h_new"].to(x.dtype), values[last("h_new")].to(x.dtype)


def _with_states(inputs: tuple[Tensor | None, ...], states: Tensor) -> Values:
    """The inputs, and under `h_prev` the state that enters each step."""
    values = _named(inputs)
    values["h_prev"] = torch.cat((values["h0"].unsqueeze(0), states[:-1]))
    if "resets" in values:
        values["h_prev"] = values["h_prev"].masked_fill(values["resets"], 0)
    return values


def resets_against_time(resets: Tensor) -> Tensor:
    """Those of the layer on the flipped sequence: it carries nothing from a first step to the one before.

    There is no boundary before step 0: there this layer ends.
    """
    return torch.cat((torch.zeros_like(resets[:1]), resets[1:].flip(0)))


def layer_backward(
    d_states: Tensor, d_last: Tensor, inputs: tuple[Tensor | None, ...], states: Tensor, options: Options
) -> dict[str, Tensor]:
    """Cotangents of the inputs, by name, each in the dtype of its input."""
    values = _with_states(inputs, states)
    dtype = compute_dtype(states.dtype)
    values |= {"d_h_new_output": d_states.to(dtype), "d_h_new_carried": d_last.to(dtype)}
    _execute(emitted(options.cell, "valid" in values).BACKWARD, "backward", values, options)
    values["d_h0"] = values[last("d_h_prev")]
    return {name: values[f"d_{name}"].to(values[name].dtype) for name in NAMES if f"d_{name}" in values}


def layer_tangent(
    tangents: tuple[Tensor | None, ...], inputs: tuple[Tensor | None, ...], states: Tensor, options: Options
) -> tuple[Tensor, Tensor]:
    """Tangents of the states and of the last state; a missing tangent is zero."""
    values = _with_states(inputs, states)
    for name, primal, tangent in zip(NAMES, inputs, tangents, strict=True):
        if primal is not None and name not in MASKS:
            values[f"tangent_{name}"] = torch.zeros_like(primal) if tangent is None else tangent
    values["tangent_h_prev"] = values["tangent_h0"].to(compute_dtype(states.dtype))
    _execute(emitted(options.cell, "valid" in values).TANGENT, "tangent", values, options)
    return values["tangent_h_new"].to(states.dtype), values[last("tangent_h_new")].to(states.dtype)


class Layer(torch.autograd.Function):
    """The layer for autograd and `torch.func`: every derivative is an emitted pass.

    On the torch backend the backward pass is made of differentiable operations, so derivatives of any order
    exist; the fused loops are differentiable once.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(*arguments: Any) -> tuple[Tensor, Tensor]:
        """States and last state; arguments are those of `NAMES`, then the options."""
        *inputs, options = arguments
        return layer_forward(tuple(inputs), options)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep the inputs and the states."""
        *tensors, options = inputs
        ctx.options = options
        ctx.save_for_backward(*tensors, output[0])
        ctx.save_for_forward(*tensors, output[0])

    @staticmethod
    def backward(ctx: Any, d_states: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
        """The emitted BACKWARD pass."""
        *inputs, states = ctx.saved_tensors
        gradients = layer_backward(d_states, d_last, tuple(inputs), states, ctx.options)
        return (*(gradients.get(name) for name in NAMES), None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        """The emitted TANGENT pass."""
        *inputs, states = ctx.saved_tensors
        return layer_tangent(tangents[:-1], tuple(inputs), states, ctx.options)


def apply_layer(inputs: tuple[Tensor | None, ...], options: Options) -> tuple[Tensor, Tensor]:
    """`Layer.apply` with types."""
    result: tuple[Tensor, Tensor] = Layer.apply(*inputs, options)  # type: ignore[no-untyped-call]  # torch has none
    return result
