"""What the C++ library cannot do: cotangents batched by a transform, and derivatives of the third order.

Both are PyTorch's own derivatives of the layer on the torch backend, whose operations are differentiable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from symgru.kernels.cpu.passes import Steps
from symgru.torch_api.layer import layer_forward, resets_against_time
from symgru.torch_api.merging import merged_biases
from symgru.torch_api.options import Options

Inputs = tuple[Tensor | None, ...]


@dataclass(frozen=True)
class Run:
    """What a layer runs, beside its tensors.

    Attributes:
        options: Convention and execution.
        steps: The rows of each step.
        reverse: Whether time runs backwards.
    """

    options: Options
    steps: Steps
    reverse: bool

    @property
    def cell(self) -> str:
        """Name of the emitted cell."""
        return self.options.cell


_shared_run = lru_cache(maxsize=256)(Run)


def run_of(options: Options, steps: Steps, reverse: bool) -> Run:
    """Calls that have the same find one object, in place of making theirs; resets are of one call alone."""
    return (_shared_run if steps.resets is None else Run)(options, steps, reverse)


def through_torch(
    inputs: Inputs,
    cotangents: Sequence[Tensor | None],
    run: Run,
    wanted: Sequence[bool],
    create_graph: bool = False,
) -> tuple[Tensor | None, ...]:
    """Cotangents of the inputs that are wanted: those of `symgru.torch_api.cpu_layer.NAMES`."""
    with torch.enable_grad():
        tracked = _tracked(inputs)
        results = _layer(tracked, run)
        asked = [t for t, want in zip(tracked, wanted, strict=True) if want and t is not None]
        found = iter(
            torch.autograd.grad(results, asked, cotangents, create_graph=create_graph, allow_unused=True)
        )
    return tuple(
        next(found) if want and t is not None else None for t, want in zip(tracked, wanted, strict=True)
    )


def twice_through_torch(
    inputs: Inputs,
    cotangents: tuple[Tensor, Tensor],
    outer: Sequence[Tensor | None],
    run: Run,
    wanted: Sequence[bool],
) -> tuple[Tensor | None, ...]:
    """Cotangents of inputs and cotangents, from `outer`, those of the gradients; differentiable."""
    with torch.enable_grad():
        tracked = _tracked((*inputs, *cotangents))
        count = len(inputs)
        gradients = through_torch(tracked[:count], tracked[count:], run, wanted, create_graph=True)
        pairs = [(g, o) for g, o in zip(gradients, outer, strict=True) if g is not None and o is not None]
        asked = [t for t in tracked if t is not None]
        found = iter(
            torch.autograd.grad(
                [g for g, _ in pairs], asked, [o for _, o in pairs], create_graph=True, allow_unused=True
            )
        )
    return tuple(None if t is None else next(found) for t in tracked)


def _tracked(tensors: Inputs) -> Inputs:
    """The same values as tensors that do not depend on each other: a cotangent may come from an input."""
    return tuple(
        t if t is None else t.view_as(t) if t.requires_grad else t.detach().requires_grad_() for t in tensors
    )


def _layer(inputs: Inputs, run: Run) -> tuple[Tensor, Tensor]:
    """The same layer on the torch backend, padded and in the direction of time; last state [1, B, H]."""
    x, h0, weight_ih, weight_hh, *biases = inputs
    assert x is not None
    assert weight_ih is not None
    assert weight_hh is not None
    steps = run.steps
    numbers = torch.tensor(steps.first_rows, device=x.device)
    sizes = numbers.diff().unsqueeze(1)
    valid = torch.arange(steps.batch, device=x.device) < sizes  # [T, B]
    rows = (numbers[:-1].unsqueeze(1) + torch.arange(steps.batch, device=x.device)).clamp(max=steps.rows - 1)
    padded = x.reshape(steps.rows, -1)[rows.flatten()].view(steps.count, steps.batch, -1)
    mask = None if bool(valid.all()) else valid.unsqueeze(-1)
    resets = None if steps.resets is None else (steps.resets[rows] & valid).unsqueeze(-1)
    group = (weight_ih, weight_hh, *(b for b in biases if b is not None))
    bias, c_n = merged_biases(group, run.options.reset)
    state = x.new_zeros(steps.batch, weight_hh.shape[-1]) if h0 is None else h0.reshape(steps.batch, -1)
    if run.reverse:
        padded, mask = padded.flip(0), None if mask is None else mask.flip(0)
        resets = None if resets is None else resets_against_time(resets)
    options = Options(run.options.polarity, run.options.reset, "torch", run.options.precision)
    states, last = layer_forward((padded, state, weight_ih, weight_hh, bias, c_n, mask, resets), options)
    states = states.flip(0) if run.reverse else states
    flat = states.flatten(0, 1)[valid.flatten().nonzero().squeeze(1)]
    return flat.view(*x.shape[:-1], -1), last.unsqueeze(0)
