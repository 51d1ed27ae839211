"""Checks of arguments, in the shapes that the caller sees."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symgru.torch_api.errors import DeviceError, DtypeError, ShapeError

#: What the torch backend knows; another backend may know less.
FLOATING = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def check_tensor(name: str, value: object) -> None:
    """It is a tensor.

    Raises:
        TypeError: it is something else.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor, but is a {type(value).__name__}")


def check_input(x: Tensor, axes: tuple[str, ...], size: int) -> None:
    """The input has the named axes, `size` features, at least one step, and a dtype that we know."""
    check_tensor("input", x)
    shape = x.shape
    if len(shape) != len(axes) or shape[-1] != size:
        raise ShapeError(f"input must be {_words(axes, size)}, but has shape {list(shape)}")
    if 0 in shape and "T" in axes and shape[axes.index("T")] == 0:
        raise ShapeError(
            f"expected a sequence of at least one step, but input {_words(axes, size)} has T = 0"
        )
    if x.dtype not in FLOATING:
        raise DtypeError(f"input must be one of {', '.join(map(str, FLOATING))}, but has dtype {x.dtype}")


def _words(axes: tuple[str, ...], size: int) -> str:
    return f"[{', '.join((*axes[:-1], str(size)))}]"


def check_state(hx: Tensor, expected: tuple[int, ...]) -> None:
    """The initial state has the expected shape."""
    check_tensor("the initial state", hx)
    if hx.shape != expected:
        raise ShapeError(f"the initial state must be {list(expected)}, but has shape {list(hx.shape)}")


def check_resets(resets: Tensor, expected: Sequence[int], device: torch.device) -> None:
    """The resets are truth values of the expected shape, on the device of the input."""
    check_tensor("resets", resets)
    if resets.dtype is not torch.bool:
        raise DtypeError(f"resets must have dtype torch.bool, but has {resets.dtype}")
    if list(resets.shape) != list(expected):
        raise ShapeError(f"resets must be {list(expected)}, but has shape {list(resets.shape)}")
    if resets.device != device:
        raise DeviceError(f"resets must be on the device of input, {device}, but is on {resets.device}")


def check_alike(reference: Tensor, name: str, other: str, tensor: Tensor) -> None:
    """A tensor has the dtype and device of the reference."""
    if tensor.dtype is not reference.dtype:
        raise DtypeError(f"{other} must have the dtype of {name}, {reference.dtype}, but has {tensor.dtype}")
    if tensor.device != reference.device:
        raise DeviceError(
            f"{other} must be on the device of {name}, {reference.device}, but is on {tensor.device}"
        )


def check_weights(weights: Sequence[Tensor], expected: Sequence[tuple[str, tuple[int, ...]]]) -> None:
    """As many weights as expected, in order, of the expected shapes, all of one dtype and device."""
    dtype, device = weights[0].dtype, weights[0].device
    for weight, (name, shape) in zip(weights, expected, strict=True):
        if weight.shape != shape:
            raise ShapeError(f"{name} must have shape {list(shape)}, but has shape {list(weight.shape)}")
        if weight.dtype is not dtype or weight.device != device:
            check_alike(weights[0], expected[0][0], name, weight)
