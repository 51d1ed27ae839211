"""A GRU with inputs and weights, the same numbers for every variant, and the calls that are timed."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from symgru.benchmark.model import Call
from symgru.benchmark.shapes import Shape
from symgru.torch_api import GRU

Input = Tensor | PackedSequence


@dataclass(frozen=True)
class Problem:
    """Inputs and weights of one layer; h0 and all biases are non-zero.

    Attributes:
        shape: Its sizes.
        backend: Of symgru.GRU.
        seed: Of the numbers.
    """

    shape: Shape
    backend: str = "auto"
    seed: int = 0

    @cached_property
    def peer(self) -> nn.GRU:
        """torch.nn.GRU in float32, whose weights all variants have."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            return nn.GRU(self.shape.I, self.shape.H)

    @cached_property
    def x(self) -> Tensor:
        """[T, B, I]"""
        return self._normal(1, self.shape.T, self.shape.B, self.shape.I)

    @cached_property
    def h0(self) -> Tensor:
        """[1, B, H]"""
        return self._normal(2, 1, self.shape.B, self.shape.H) / 2

    @cached_property
    def cotangent(self) -> Tensor:
        """Of the outputs, [T, B, H]"""
        return self._normal(3, self.shape.T, self.shape.B, self.shape.H)

    def _normal(self, stream: int, *sizes: int) -> Tensor:
        return torch.randn(sizes, generator=torch.Generator().manual_seed(1000 * self.seed + stream))

    def theirs(self, dtype: torch.dtype = torch.float32) -> nn.GRU:
        """A torch.nn.GRU of its own, in the dtype."""
        model = nn.GRU(self.shape.I, self.shape.H, dtype=dtype)
        model.load_state_dict(self.peer.state_dict())
        return model

    def ours(self, dtype: torch.dtype = torch.float32, **options: Any) -> GRU:
        """A symgru.GRU of its own, in the dtype."""
        model = GRU(self.shape.I, self.shape.H, dtype=dtype, backend=self.backend, **options)
        model.load_state_dict(self.peer.state_dict())
        return model


def can_recompute() -> bool:
    """Whether symgru.GRU can save the outputs alone for its backward pass."""
    return "recompute" in inspect.signature(GRU).parameters


def inference(model: nn.Module, x: Input, h0: Tensor) -> Call:
    """y [T, B, H] and the last state [1, B, H], without gradients; inputs in the dtype of the model."""
    x, h0 = _like(model, x), _like(model, h0)

    def call() -> Sequence[Tensor]:
        with torch.inference_mode():
            y, h = model(x, h0)
        return _data(y), h

    return call


def training(model: nn.Module, x: Input, h0: Tensor, cotangent: Tensor) -> Call:
    """y and the gradients of x and of all weights; cotangent is that of y."""
    x, h0, cotangent = _like(model, x), _like(model, h0), _like(model, cotangent)
    leaf = _data(x).detach().clone().requires_grad_()
    inputs = leaf if isinstance(x, Tensor) else PackedSequence(leaf, *x[1:])
    wanted = [leaf, *model.parameters()]

    def call() -> Sequence[Tensor]:
        y, _ = model(inputs, h0)
        return _data(y).detach(), *torch.autograd.grad(_data(y), wanted, cotangent)

    return call


def penalty(model: nn.Module, x: Tensor, h0: Tensor, cotangent: Tensor) -> Call:
    """A gradient penalty: g = ∂⟨y, cotangent⟩/∂x and the gradients of ‖g‖² by x and the weights."""
    x, h0, cotangent = _like(model, x), _like(model, h0), _like(model, cotangent)
    leaf = x.detach().clone().requires_grad_()
    wanted = [leaf, *model.parameters()]

    def call() -> Sequence[Tensor]:
        y, _ = model(leaf, h0)
        (g,) = torch.autograd.grad((y * cotangent).sum(), leaf, create_graph=True)
        return g.detach(), *torch.autograd.grad((g**2).sum(), wanted)

    return call


def streaming(model: nn.Module, x: Tensor, h0: Tensor) -> Call:
    """The last state [1, B, H] after T calls of one step each, as a server makes them."""
    x, h0 = _like(model, x), _like(model, h0)
    steps = torch.split(x, 1)

    def call() -> Sequence[Tensor]:
        with torch.inference_mode():
            h = h0
            for step in steps:
                _, h = model(step, h)
        return (h,)

    return call


def cell_streaming(cell: nn.Module, x: Tensor, h0: Tensor) -> Call:
    """The same through a module of one step."""
    steps = x.unbind()

    def call() -> Sequence[Tensor]:
        with torch.inference_mode():
            h = h0[0]
            for step in steps:
                h = cell(step, h)
        return (h.unsqueeze(0),)

    return call


def saved_bytes(model: nn.Module, x: Tensor, h0: Tensor) -> int:
    """Bytes that a forward pass keeps for the backward pass, besides weights, x and h0; the output counts."""
    leaf = x.detach().clone().requires_grad_()
    given = {t.untyped_storage().data_ptr() for t in (leaf, h0, *model.parameters())}
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in given:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor  # which the graph keeps alive, so no other storage gets its address

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        y, _ = model(leaf, h0)
    kept.setdefault(y.untyped_storage().data_ptr(), y.untyped_storage().nbytes())
    return sum(kept.values())


def _data(sequence: Input) -> Tensor:
    return sequence if isinstance(sequence, Tensor) else sequence.data


def _like(model: nn.Module, sequence: Any) -> Any:
    return sequence.to(next(model.parameters()).dtype)
