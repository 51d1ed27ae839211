"""A kernel's arguments as Triton passes them, flattened to what the compiled function takes.

Triton hands a launcher every argument of the Python function, compile-time constants included, in order. The
compiled function has one parameter for each leaf that is not a constant: an integer that is 1 and a None are
constants too, a tuple has a leaf for each of its elements, and a tensor descriptor one for each of its parts
where the GPU has no descriptors of its own. Global memory is the storages of the tensors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch

from .errors import SimulatorError
from .runtime import Argument


class ArgumentError(SimulatorError):
    """An argument that a simulated kernel cannot take; the message names it."""


@dataclass(frozen=True)
class Storage:
    """A piece of global memory, the arguments that point into it, and a tensor that keeps it."""

    address: int
    size: int
    names: tuple[str, ...]
    tensor: torch.Tensor

    @property
    def name(self) -> str:
        """How a report calls it."""
        return ", ".join(self.names)


def leaves(signature: Mapping[Any, Any], values: Iterable[Any]) -> Iterator[tuple[str, str, Any]]:
    """(name, type, value) of every argument that is not a compile-time constant.

    Raises:
        ArgumentError: A descriptor's type that is none of Triton's.
    """
    for (name, type_), value in zip(signature.items(), values, strict=True):
        yield from _leaves(str(name), type_, value)


def _leaves(name: str, type_: Any, value: Any) -> Iterator[tuple[str, str, Any]]:
    if isinstance(type_, (tuple, list)):
        for i, (inner, element) in enumerate(zip(type_, value, strict=True)):
            yield from _leaves(f"{name}[{i}]", inner, element)
    elif type_.startswith("tensordesc"):
        yield from _descriptor(name, type_, value)
    elif type_ != "constexpr":
        yield name, type_, value


def _descriptor(name: str, type_: str, value: Any) -> Iterator[tuple[str, str, Any]]:
    """The parts of a tensor descriptor, in the order in which Triton's own launchers pass them."""
    element = re.match(r"tensordesc<(\w+)\[", type_)
    if element is None:
        raise ArgumentError(f"argument {name}: expected tensordesc<type[sizes]>, got {type_}")
    sizes = [*enumerate(value.shape)]
    steps = [(f"{name}.strides[{i}]", "i64", int(stride)) for i, stride in enumerate(value.strides)]
    yield name, f"*{element[1]}", value.base
    yield from ((f"{name}.shape[{i}]", "i64", int(size)) for i, size in sizes)
    yield from steps
    yield f"{name}.padding", "i1", value.padding == "nan"
    yield f"{name}.round_f32_to_tf32", "i1", value.round_f32_to_tf32
    yield from ((f"{name}.shape[{i}]", "i32", int(size)) for i, size in sizes)
    yield from steps


def convert(name: str, type_: str, value: Any) -> Argument:
    """One leaf as the compiled function takes it.

    Raises:
        ArgumentError: A tensor that does not lie in this process's memory, or another type.
    """
    if type_.startswith("*"):
        return name, type_, _address(name, value)
    if isinstance(value, (bool, int, float)):
        return name, type_, int(value) if isinstance(value, bool) else value
    raise ArgumentError(f"argument {name}: expected a number of type {type_}, got {type(value).__name__}")


def _address(name: str, value: Any) -> int:
    if value is None:
        return 0
    if isinstance(value, int):
        return value
    tensor = _tensor(value)
    if tensor is None:
        raise ArgumentError(f"argument {name}: expected a tensor, got {type(value).__name__}")
    if tensor.device.type != "cpu":
        raise ArgumentError(f"argument {name}: expected a tensor on the CPU, got one on {tensor.device}")
    return tensor.data_ptr()


def _tensor(value: Any) -> torch.Tensor | None:
    """The tensor that a value is, or that Triton's TensorWrapper reinterprets."""
    base = getattr(value, "base", None)
    if isinstance(value, torch.Tensor):
        return value
    return base if isinstance(base, torch.Tensor) else None


def storages(named: Iterable[tuple[str, Any]]) -> list[Storage]:
    """The storages of the tensors among (name, value), by address. Those that overlap are one."""
    found: list[Storage] = []
    for start, size, name, tensor in sorted(_pieces(named), key=lambda piece: piece[:3]):
        last = found[-1] if found else None
        if last is None or start >= last.address + last.size:
            found.append(Storage(start, size, (name,), tensor))
        else:
            end = max(last.address + last.size, start + size)
            found[-1] = Storage(last.address, end - last.address, (*last.names, name), last.tensor)
    return found


def _pieces(named: Iterable[tuple[str, Any]]) -> Iterator[tuple[int, int, str, torch.Tensor]]:
    for name, value in named:
        tensor = _tensor(value)
        if tensor is not None and tensor.untyped_storage().nbytes():
            yield tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes(), name, tensor
