"""The layer as registered operators, for `torch.compile` and `torch.export`.

In eager mode the layer is an `autograd.Function` (`layer.Layer`), which has all functional transforms. A
tracer would unroll its time loop; as an operator the layer is one node of the graph, whatever T. The backend
is chosen when the operator runs.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from symgru.torch_api.backends import on_cpu, resolve
from symgru.torch_api.cpu_layer import merged_backward, merged_forward
from symgru.torch_api.layer import MASKS, NAMES, layer_backward, layer_forward
from symgru.torch_api.options import Options


def _resolved(
    options: Options, x: Tensor, weight_hh: Tensor, valid: Tensor | None, resets: Tensor | None
) -> Options:
    """The options with the backend that runs: in C++ what it can do without a mask or a change of dtype."""
    in_cpp = x.is_cpu and valid is None and x.numel() > 0 and x.dtype in (torch.float32, torch.float64)
    if in_cpp and on_cpu(options, x.dtype):
        return replace(options, backend="cpu")
    options = resolve(options, x, weight_hh, traceable=True, resets=resets is not None)
    return replace(options, backend="torch") if options.backend == "cpu" else options


@torch.library.custom_op("symgru::layer", mutates_args=())
def layer(
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    c_n: Tensor | None,
    valid: Tensor | None,
    resets: Tensor | None,
    polarity: str,
    reset: str,
    backend: str,
    precision: str,
) -> tuple[Tensor, Tensor]:
    """States [T, B, H] and last state [B, H]; arguments as in `symgru.torch_api.layer`."""
    options = _resolved(Options(polarity, reset, backend, precision), x, weight_hh, valid, resets)
    inputs = (x, h0, weight_ih, weight_hh, bias, c_n, valid, resets)
    return merged_forward(inputs, options) if options.backend == "cpu" else layer_forward(inputs, options)


@torch.library.custom_op("symgru::layer_backward", mutates_args=())
def layer_vjp(
    d_states: Tensor,
    d_last: Tensor,
    x: Tensor,
    h0: Tensor,
    weight_ih: Tensor,
    weight_hh: Tensor,
    bias: Tensor,
    c_n: Tensor | None,
    valid: Tensor | None,
    resets: Tensor | None,
    states: Tensor,
    polarity: str,
    reset: str,
    backend: str,
    precision: str,
) -> list[Tensor]:
    """Cotangents of x, h0, weight_ih, weight_hh, bias, and of c_n if there is one."""
    options = _resolved(Options(polarity, reset, backend, precision), x, weight_hh, valid, resets)
    inputs = (x, h0, weight_ih, weight_hh, bias, c_n, valid, resets)
    run = merged_backward if options.backend == "cpu" else layer_backward
    gradients = run(d_states, d_last, inputs, states, options)
    return [gradients[name].contiguous() for name in NAMES if name in gradients]


@layer.register_fake
def _(x: Tensor, h0: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[0], *h0.shape), x.new_empty(h0.shape)


@layer_vjp.register_fake
def _(d_states: Tensor, d_last: Tensor, *rest: Any) -> list[Tensor]:
    return [torch.empty(t.shape, dtype=t.dtype, device=t.device) for t in rest[:6] if t is not None]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.options = inputs[len(NAMES) :]
    ctx.save_for_backward(*inputs[: len(NAMES)], output[0])


def _differentiate(ctx: Any, d_states: Tensor, d_last: Tensor) -> tuple[Tensor | None, ...]:
    *inputs, states = ctx.saved_tensors
    gradients = iter(layer_vjp(d_states, d_last, *inputs, states, *ctx.options))
    differentiable = [
        name not in MASKS and value is not None for name, value in zip(NAMES, inputs, strict=True)
    ]
    return (*(next(gradients) if wanted else None for wanted in differentiable), *[None] * len(ctx.options))


layer.register_autograd(_differentiate, setup_context=_save)
