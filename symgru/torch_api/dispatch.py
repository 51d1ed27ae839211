"""How one layer is called, depending on who is looking: autograd, a tracer, or a functional transform.

- Eager mode: `Layer`, an autograd.Function with all derivatives. (On a CPU the stack calls `cpu_layer`.)
- torch.compile and export: one registered operator, so the time loop is one node of the graph.
- What those two cannot do, the composite: the forward pass in differentiable tensor operations. Transforms
  inside a compiled function would drop the tangents of an operator, and torch drops those of a nested
  forward-mode derivative of an autograd.Function.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from symgru.torch_api.backends import resolve
from symgru.torch_api.errors import BackendError
from symgru.torch_api.layer import apply_layer, layer_forward
from symgru.torch_api.operators import layer as operator
from symgru.torch_api.options import Options

Inputs = tuple[Tensor | None, ...]


def run_layer(inputs: Inputs, options: Options) -> tuple[Tensor, Tensor]:
    """States [T, B, H] and last state [B, H]; inputs are those of `symgru.torch_api.layer.NAMES`.

    Raises:
        BackendError: the backend cannot serve the call.
    """
    transformed = torch._C._are_functorch_transforms_active()
    if torch.compiler.is_compiling():
        if transformed:
            return _composite(inputs, options, "a transform inside torch.compile")
        states, final = operator(*inputs, options.polarity, options.reset, options.backend, options.precision)
        return states, final
    x, weight_hh = inputs[0], inputs[3]
    assert x is not None
    assert weight_hh is not None
    options = resolve(options, x, weight_hh, traceable=True, resets=inputs[-1] is not None)
    if options.backend == "cpu":  # asked for by name
        if transformed:
            raise BackendError("backend 'cpu' cannot serve a functional transform; backend 'torch' can")
        options = replace(options, backend="torch")  # an empty batch, or a mask
    if transformed and _forward_levels() > 1:
        return _composite(inputs, options, "a forward-mode derivative of a forward-mode derivative")
    return apply_layer(inputs, options)


def _composite(inputs: Inputs, options: Options, what: str) -> tuple[Tensor, Tensor]:
    if options.backend not in ("auto", "torch"):
        raise BackendError(f"backend {options.backend!r} cannot serve {what}; backend 'torch' can")
    return layer_forward(inputs, Options(options.polarity, options.reset, "torch", options.precision))


def _forward_levels() -> int:
    """How many forward-mode transforms are active, one inside the other."""
    from torch._functorch.pyfunctorch import retrieve_all_functorch_interpreters

    kinds = [interpreter.key() for interpreter in retrieve_all_functorch_interpreters()]
    return kinds.count(torch._C._functorch.TransformType.Jvp)
