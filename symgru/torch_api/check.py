"""Checks of arguments: each error says what was expected and what came."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symgru.torch_api.errors import DeviceError, DtypeError, ShapeError


def check_input(x: Tensor, input_size: int) -> None:
    """x is [T, B, I] after the batch axis has been put second; T at least 1."""
    if x.shape[-1] != input_size:
        raise ShapeError(
            f"input must have {input_size} features in its last axis, but has shape {list(x.shape)}"
        )
    if x.shape[0] == 0:
        raise ShapeError(
            f"expected a sequence of at least one step, but the input has T = 0 (shape {list(x.shape)})"
        )


def check_state(h0: Tensor, expected: Sequence[int]) -> None:
    """The initial state has the expected shape."""
    if list(h0.shape) != list(expected):
        raise ShapeError(
            f"the initial state must have shape {list(expected)}, but has shape {list(h0.shape)}"
        )


def check_alike(reference: Tensor, name: str, **others: Tensor) -> None:
    """All tensors have the dtype and device of the reference."""
    for other, tensor in others.items():
        if tensor.dtype != reference.dtype:
            raise DtypeError(
                f"{other} must have the dtype of {name}, {reference.dtype}, but has {tensor.dtype}"
            )
        if tensor.device != reference.device:
            raise DeviceError(
                f"{other} must be on the device of {name}, {reference.device}, but is on {tensor.device}"
            )


def check_weights(weights: Sequence[Tensor], expected: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """As many weights as expected, in order, of the expected shapes, all of one dtype and device."""
    if len(weights) != len(expected):
        raise ShapeError(
            f"expected {len(expected)} weights ({', '.join(n for n, _ in expected)}), but got {len(weights)}"
        )
    for weight, (name, shape) in zip(weights, expected, strict=True):
        if tuple(weight.shape) != shape:
            raise ShapeError(f"{name} must have shape {list(shape)}, but has shape {list(weight.shape)}")
    first = expected[0][0]
    check_alike(weights[0], first, **{name: w for w, (name, _) in zip(weights, expected, strict=True)})


def check_floating(x: Tensor) -> None:
    """Gradients and states need floating point."""
    if not x.dtype.is_floating_point:
        raise DtypeError(f"input must be floating point, but has dtype {x.dtype}")


def autocast_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype that autocast asks for on the device of x, or None outside of it."""
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)
