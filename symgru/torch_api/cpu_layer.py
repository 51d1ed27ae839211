"""One layer in one direction on a CPU: the plans of the C++ library as a differentiable function of tensors.

    forward   states, and the gates for the backward pass      plan forward_saving, or forward
    backward  cotangents from the gates, or from the states    plan backward_saved, or backward
    jvp       tangents from the inputs and states              plan tangent

Shapes: x [..., I] with the rows of all steps one after the other; h0 [B, H], [1, B, H] or None; weight_ih
[3H, I], weight_hh [3H, H] with rows in the order r, z, n; bias_ih, bias_hh [3H] or None. Results: states
[..., H] and the last state [1, B, H].
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from symgru.kernels.cpu.memory import scratch
from symgru.kernels.cpu.passes import InOrder, Sizes, begun, dense, plans
from symgru.kernels.cpu.pipelines import double_backward
from symgru.torch_api.cpu_fallback import Run, through_torch, twice_through_torch
from symgru.torch_api.cpu_panels import keep_panels, kept_panels
from symgru.torch_api.needed import needed
from symgru.torch_api.options import Options

NAMES = ("x", "h_prev", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
Values = dict[str, Tensor | None]
Inputs = tuple[Tensor | None, ...]


_FORWARD = (*NAMES, "h_new", "h_new_last", "saved")
_COTANGENTS = ("d_x", "d_h_prev_last", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh")
_ARRIVING = ("h_new", "saved", "d_h_new_output", "d_h_new_carried")
_BACKWARD = (*NAMES, *_ARRIVING, *_COTANGENTS, "d_h_new_carried_trajectory")


@lru_cache(maxsize=256)
def _plan(cell: str, name: str, names: tuple[str, ...]) -> InOrder:
    return InOrder(plans()[f"{cell}_{name}"], names)


def _contiguous(tensors: Iterable[Tensor | None]) -> list[Tensor | None]:
    return [None if t is None else t.contiguous() for t in tensors]


def _values(inputs: Inputs) -> Values:
    return dict(zip(NAMES, _contiguous(inputs), strict=True))


def _sizes(inputs: Sequence[Tensor | None]) -> Sizes:
    weight_ih, weight_hh = inputs[2:4]
    assert weight_ih is not None
    assert weight_hh is not None
    return (("I", weight_ih.shape[1]), ("H", weight_hh.shape[1]))


def infer(inputs: Sequence[Tensor | None], run: Run) -> tuple[Tensor, Tensor]:
    """States and last state [1, B, H], with packed weights that calls share."""
    given, sizes = _contiguous(inputs), _sizes(inputs)
    x, hidden, steps, plan = given[0], sizes[1][1], run.steps, _plan(run.cell, "forward", _FORWARD)
    assert x is not None
    states, last = x.new_empty(*x.shape[:-1], hidden), x.new_empty(1, steps.batch, hidden)
    tensors = (*given, states, last, None)
    weight_ih, weight_hh = inputs[2:4]  # as the caller holds them
    assert weight_ih is not None
    assert weight_hh is not None
    kept = kept_panels(plan.plan.name, weight_ih, weight_hh)
    if kept is None or not plan(tensors, sizes, steps, x.dtype, run.reverse, kept):
        values = dict(zip(NAMES, given, strict=True))
        kept = keep_panels(plan.plan, weight_ih, weight_hh, values, sizes)
        if not plan(tensors, sizes, steps, x.dtype, run.reverse, kept):
            plan(tensors, sizes, steps, x.dtype, run.reverse)  # another thread has changed them meanwhile
    return states, last


def forward(inputs: Sequence[Tensor | None], run: Run) -> tuple[Tensor, Tensor, Tensor | None]:
    """States, last state [1, B, H], and what the backward pass wants if it is not to recompute that."""
    given, sizes = _contiguous(inputs), _sizes(inputs)
    x, hidden, steps, saves = given[0], sizes[1][1], run.steps, not run.options.recompute
    assert x is not None
    plan = _plan(run.cell, "forward_saving" if saves else "forward", _FORWARD)
    states, last = x.new_empty(*x.shape[:-1], hidden), x.new_empty(1, steps.batch, hidden)
    saved = scratch((plan.plan.saved, steps.rows, hidden), x.dtype) if saves else None
    plan((*given, states, last, saved), sizes, steps, x.dtype, run.reverse)
    return states, last, saved


def backward(
    inputs: Sequence[Tensor | None],
    states: Tensor,
    saved: Tensor | None,
    cotangents: Sequence[Tensor | None],
    run: Run,
    wanted: Sequence[bool],
    recorded: Tensor | None = None,
) -> list[Tensor | None]:
    """Cotangents of the inputs, those that are wanted; what the loop carries goes to `recorded`, if given."""
    given, (output, last) = _contiguous(inputs), _contiguous(cotangents)
    if output is None:
        output = torch.zeros_like(states)
    found = [torch.empty_like(t) if w and t is not None else None for t, w in zip(given, wanted, strict=True)]
    name = "backward" if saved is None else "backward_saved" if recorded is None else "backward_recording"
    plan, tensors = _plan(run.cell, name, _BACKWARD), (*given, states, saved, output, last, *found, recorded)
    plan(tensors, _sizes(given), run.steps, states.dtype, run.reverse)
    return found


def tangent(inputs: Inputs, tangents: Inputs, states: Tensor, run: Run) -> tuple[Tensor, Tensor]:
    """Tangents of the states and of the last state; a missing tangent is zero."""
    values = _values(inputs)
    for name, value, moving in zip(NAMES, inputs, tangents, strict=True):
        if value is not None:
            values[f"tangent_{name}"] = torch.zeros_like(value) if moving is None else moving.contiguous()
    moved, last = torch.empty_like(states), states.new_empty((1, run.steps.batch, states.shape[-1]))
    values |= {"h_new": states, "tangent_h_new": moved, "tangent_h_new_last": last}
    plan = plans()[f"{run.cell}_tangent"]
    plan(values, _sizes(inputs), run.steps, states.dtype, run.reverse)
    return moved, last


def _multiplications(inputs: Sequence[Tensor], run: Run) -> int:
    """Of one product of all rows with the weights."""
    product: int = run.steps.rows * (inputs[2].numel() + inputs[3].numel())
    return product


class Layer(torch.autograd.Function):
    """The layer for autograd; arguments are those of `NAMES`, then the run."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> tuple[Tensor, Tensor]:
        """States and last state."""
        *inputs, run = arguments
        states, last, saved = forward(inputs, run)
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*inputs, states, saved)
        if _in_forward_mode():
            ctx.save_for_forward(*inputs, states, saved)
        return states, last

    @staticmethod
    def backward(ctx: Any, *cotangents: Tensor | None) -> tuple[Tensor | None, ...]:
        """The plan backward, or backward_saved; by a function of its own if the result is differentiated."""
        *inputs, states, saved = ctx.saved_tensors
        run = ctx.run
        wanted = needed(ctx, _multiplications(inputs, run))[:-1]
        batched = _batched(cotangents)
        if not batched and not torch.is_grad_enabled():
            return (*backward(inputs, states, saved, cotangents, run, wanted), None)
        d_states, d_last = cotangents
        if d_states is None:
            d_states = torch.zeros_like(states)
        if d_last is None:
            d_last = states.new_zeros((1, run.steps.batch, states.shape[-1]))
        if batched:
            return (*through_torch(tuple(inputs), (d_states, d_last), run, wanted), None)
        kept = states.detach(), None if saved is None else saved.detach()
        results = Gradients.apply(*inputs, d_states, d_last, *kept, run, wanted)  # type: ignore[no-untyped-call]  # torch has none
        return (*results, None)

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
        recorded = (
            None if saved is None else scratch(states.shape, states.dtype)
        )  # so that it need not run again
        ctx.run, ctx.wanted = run, wanted
        ctx.save_for_backward(*tensors, recorded)
        ctx.set_materialize_grads(False)
        return tuple(backward(inputs, states, saved, cotangents, run, wanted, recorded))

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
        used = needed(ctx, _multiplications(inputs, ctx.run))
        wanted = {n for n, want in zip(names, used[:8], strict=True) if want}
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
    if torch.is_grad_enabled():
        for t in tensors:
            if t is not None and t.requires_grad:
                return True
    return False


def apply_layer(inputs: Inputs, run: Run) -> tuple[Tensor, Tensor]:
    """States and last state, differentiable where autograd is looking."""
    if differentiated(inputs):
        result: tuple[Tensor, Tensor] = Layer.apply(*inputs, run)  # type: ignore[no-untyped-call]  # torch has none
        return result
    return infer(inputs, run)


def _unmerged(inputs: Inputs) -> Inputs:
    """The inputs of `symgru.torch_api.layer`, whose biases are merged, as those of this module."""
    x, h0, weight_ih, weight_hh, bias, c_n, *_ = inputs
    second = None
    if c_n is not None:
        second = torch.cat((c_n.new_zeros(2 * c_n.shape[0]), c_n))
    return x, h0, weight_ih, weight_hh, bias, second


def _dense_run(inputs: Inputs, options: Options) -> Run:
    x, *_, resets = inputs
    assert x is not None
    return Run(options, begun(dense(*x.shape[:2]), resets), False)


def merged_forward(inputs: Inputs, options: Options) -> tuple[Tensor, Tensor]:
    """States [T, B, H] and last state, from the inputs of `symgru.torch_api.layer` without a mask."""
    states, last = infer(_unmerged(inputs), _dense_run(inputs, options))
    return states, last.squeeze(0)


def merged_backward(
    d_states: Tensor, d_last: Tensor, inputs: Inputs, states: Tensor, options: Options
) -> dict[str, Tensor]:
    """Cotangents of the inputs of `symgru.torch_api.layer`, by its names."""
    unmerged = _unmerged(inputs)
    run = _dense_run(inputs, options)
    wanted = tuple(t is not None for t in unmerged)
    found = backward(unmerged, states, None, (d_states, d_last), run, wanted)
    gradients = dict(zip(("x", "h0", "weight_ih", "weight_hh", "bias", "c_n"), found, strict=True))
    second = gradients["c_n"]
    if second is not None:
        gradients["c_n"] = second[2 * second.shape[0] // 3 :]
    return {name: value for name, value in gradients.items() if value is not None}
