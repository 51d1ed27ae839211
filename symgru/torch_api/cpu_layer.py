"""One layer in one direction on a CPU: the plans of the C++ library as a differentiable function of tensors.

    forward   states, and the gates for the backward pass      plan forward_saving, or forward
    backward  cotangents from the gates, or from the states    plan backward_saved, or backward
    jvp       tangents from the inputs and states              plan tangent

Shapes: x [..., I] with the rows of all steps one after the other; h0 [B, H] or None; weight_ih [3H, I],
weight_hh [3H, H] with rows in the order r, z, n; bias_ih, bias_hh [3H] or None. Results: states [..., H] and
the last state [B, H].
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from symgru.kernels.cpu.passes import Plan, dense, plans
from symgru.kernels.cpu.pipelines import double_backward
from symgru.torch_api.cpu_fallback import Run, through_torch, twice_through_torch
from symgru.torch_api.cpu_panels import panels_of
from symgru.torch_api.options import Options

NAMES = ("x", "h_prev", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
Values = dict[str, Tensor | None]
Inputs = tuple[Tensor | None, ...]


def _plan(run: Run, name: str) -> Plan:
    return plans()[f"{run.cell}_{name}"]


def _values(inputs: Inputs) -> Values:
    return {
        name: None if value is None else value.contiguous() for name, value in zip(NAMES, inputs, strict=True)
    }


def _sizes(values: Mapping[str, Tensor | None]) -> tuple[tuple[str, int], ...]:
    weight_ih, weight_hh = values["weight_ih"], values["weight_hh"]
    assert weight_ih is not None
    assert weight_hh is not None
    return (("I", weight_ih.shape[1]), ("H", weight_hh.shape[1]))


def forward(inputs: Inputs, run: Run, keep: bool) -> tuple[Tensor, Tensor, Tensor | None]:
    """States, last state [1, B, H], and what the backward pass wants if `keep` and not recomputing."""
    values = _values(inputs)
    x, sizes = values["x"], _sizes(values)
    assert x is not None
    hidden, saves = sizes[1][1], keep and not run.options.recompute
    plan = _plan(run, "forward_saving" if saves else "forward")
    states = x.new_empty((*x.shape[:-1], hidden))
    last = x.new_empty((1, run.steps.batch, hidden))
    saved = x.new_empty((plan.saved, run.steps.rows, hidden)) if saves else None
    panels = None if keep else panels_of(plan, values, sizes, x.dtype)
    values["h_new"], values["h_new_last"], values["saved"] = states, last, saved
    plan(values, sizes, run.steps, x.dtype, run.reverse, panels)
    return states, last, saved


def backward(
    inputs: Inputs,
    states: Tensor,
    saved: Tensor | None,
    cotangents: tuple[Tensor, ...],
    run: Run,
    wanted: tuple[bool, ...],
    recorded: Tensor | None = None,
) -> tuple[Tensor | None, ...]:
    """Cotangents of the inputs, those that are wanted; what the loop carries goes to `recorded`, if given."""
    values = _values(inputs)
    values |= {"h_new": states, "saved": saved, "d_h_new_carried_trajectory": recorded}
    values |= dict(
        zip(("d_h_new_output", "d_h_new_carried"), (c.contiguous() for c in cotangents), strict=True)
    )
    results: Values = {}
    for name, want in zip(NAMES, wanted, strict=True):
        value = values[name]
        results[name] = torch.empty_like(value) if want and value is not None else None
    values |= {f"d_{name}": result for name, result in results.items() if name != "h_prev"}
    values["d_h_prev_last"] = results["h_prev"]
    name = "backward" if saved is None else "backward_saved" if recorded is None else "backward_recording"
    plan = _plan(run, name)
    plan(values, _sizes(values), run.steps, states.dtype, run.reverse)
    return tuple(results.values())


def tangent(inputs: Inputs, tangents: Inputs, states: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    """Tangents of the states and of the last state; a missing tangent is zero."""
    values = _values(inputs)
    for name, value, moving in zip(NAMES, inputs, tangents, strict=True):
        if value is not None:
            values[f"tangent_{name}"] = torch.zeros_like(value) if moving is None else moving.contiguous()
    moved, last = torch.empty_like(states), states.new_empty((1, run.steps.batch, states.shape[-1]))
    values |= {"h_new": states, "tangent_h_new": moved, "tangent_h_new_last": last}
    _plan(run, "tangent")(values, _sizes(values), run.steps, states.dtype, run.reverse)
    return moved, last


class Layer(torch.autograd.Function):
    """The layer for autograd; arguments are those of `NAMES`, then the run."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        """States and last state."""
        *inputs, run = arguments
        states, last, saved = forward(tuple(inputs), run, keep=True)
        ctx.run = run
        ctx.save_for_backward(*inputs, states, saved)
        if _in_forward_mode():
            ctx.save_for_forward(*inputs, states, saved)
        return states, last

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor) -> tuple[Tensor | None, ...]:
        """The plan backward, or backward_saved; by a function of its own if the result is differentiated."""
        *inputs, states, saved = ctx.saved_tensors
        wanted = ctx.needs_input_grad[:-1]
        if _batched(cotangents):
            return (*through_torch(tuple(inputs), cotangents, ctx.run, wanted), None)
        if torch.is_grad_enabled():
            kept = states.detach(), None if saved is None else saved.detach()
            results = Gradients.apply(*inputs, *cotangents, *kept, ctx.run, wanted)  # type: ignore[no-untyped-call]  # torch has none
            return (*results, None)
        return (*backward(tuple(inputs), states, saved, cotangents, ctx.run, wanted), None)

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        """The plan tangent."""
        *inputs, states, _ = ctx.saved_tensors
        return tangent(tuple(inputs), tangents[:-1], states, ctx.run)


class Gradients(torch.autograd.Function):
    """The cotangents of a layer, to be differentiated again.

    Arguments are those of `NAMES`, the cotangents of states and last state, the states, what was saved, the
    run, and what is wanted.
    """

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor | None, ...]:
        """Cotangents of the inputs."""
        *tensors, run, wanted = arguments
        inputs, cotangents, (states, saved) = tensors[:6], tensors[6:8], tensors[8:]
        recorded = None if saved is None else torch.empty_like(states)  # so that it need not run again
        ctx.run, ctx.wanted = run, wanted
        ctx.save_for_backward(*tensors, recorded)
        ctx.set_materialize_grads(False)
        return backward(tuple(inputs), states, saved, tuple(cotangents), run, wanted, recorded)

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """The derived double backward; for a third derivative, PyTorch's own through the torch backend."""
        *inputs, d_states, d_last, states, saved, recorded = ctx.saved_tensors
        if torch.is_grad_enabled() or _batched(cotangents):
            results = twice_through_torch(tuple(inputs), (d_states, d_last), cotangents, ctx.run, ctx.wanted)
            return (*results, None, None, None, None)
        values = _values(tuple(inputs))
        values |= {
            "h_new": states,
            "saved": saved,
            "d_h_new_carried_trajectory": recorded,
            "d_h_new": d_states.contiguous(),
            "d_h_new_last": d_last.contiguous(),
        }
        given = {
            name: None if cotangent is None else cotangent.contiguous()
            for name, cotangent in zip(NAMES, cotangents, strict=True)
        }
        names = (*NAMES, "d_h_new", "d_h_new_last")
        wanted = {n for n, want in zip(names, ctx.needs_input_grad[:8], strict=True) if want}
        found = double_backward(ctx.run.cell, values, given, ctx.run.steps, ctx.run.reverse, wanted)
        return (*(found.get(name) for name in names), None, None, None, None)


def _batched(cotangents: tuple[Tensor | None, ...]) -> bool:
    """Whether a transform, such as is_grads_batched, looks at many cotangents at once."""
    if torch._C._are_functorch_transforms_active():
        return True
    return any(c is not None and torch._C._functorch.is_legacy_batchedtensor(c) for c in cotangents)


def _in_forward_mode() -> bool:
    return torch.autograd.forward_ad._current_level >= 0


def differentiated(tensors: Inputs) -> bool:
    """Whether autograd is looking, in either mode."""
    if _in_forward_mode():
        return True
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def apply_layer(inputs: Inputs, run: Run) -> tuple[Tensor, Tensor]:
    """States and last state, differentiable where autograd is looking."""
    if differentiated(inputs):
        result: tuple[Tensor, Tensor] = Layer.apply(*inputs, run)  # type: ignore[no-untyped-call]  # torch has none
        return result
    states, last, _ = forward(inputs, run, keep=False)
    return states, last


def _unmerged(inputs: Inputs) -> Inputs:
    """The inputs of `symgru.torch_api.layer`, whose biases are merged, as those of this module."""
    x, h0, weight_ih, weight_hh, bias, c_n, _ = inputs
    second = None
    if c_n is not None:
        second = torch.cat((c_n.new_zeros(2 * c_n.shape[0]), c_n))
    return x, h0, weight_ih, weight_hh, bias, second


def _dense_run(x: Tensor, options: Options) -> Run:
    return Run(options, dense(*x.shape[:2]), False)


def merged_forward(inputs: Inputs, options: Options) -> tuple[Tensor, Tensor]:
    """States [T, B, H] and last state, from the inputs of `symgru.torch_api.layer` without a mask."""
    assert inputs[0] is not None
    states, last, _ = forward(_unmerged(inputs), _dense_run(inputs[0], options), keep=False)
    return states, last.squeeze(0)


def merged_backward(
    d_states: Tensor, d_last: Tensor, inputs: Inputs, states: Tensor, options: Options
) -> dict[str, Tensor]:
    """Cotangents of the inputs of `symgru.torch_api.layer`, by its names."""
    assert inputs[0] is not None
    unmerged = _unmerged(inputs)
    run = _dense_run(inputs[0], options)
    wanted = tuple(t is not None for t in unmerged)
    found = backward(unmerged, states, None, (d_states, d_last), run, wanted)
    gradients = dict(zip(("x", "h0", "weight_ih", "weight_hh", "bias", "c_n"), found, strict=True))
    second = gradients["c_n"]
    if second is not None:
        gradients["c_n"] = second[2 * second.shape[0] // 3 :]
    return {name: value for name, value in gradients.items() if value is not None}
