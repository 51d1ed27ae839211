"""What the names of PTX types mean, and one instruction taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from .emit import Function

_FLOATS = {
    "f16": "half",
    "bf16": "bfloat",
    "f32": "float",
    "f64": "double",
    "tf32": "float",
    "f16x2": "<2 x half>",
    "bf16x2": "<2 x bfloat>",
    "f32x2": "<2 x float>",
}


def ir_type(type_: str) -> str:
    """The LLVM type of a PTX type.

    Raises:
        ValueError: there is no such type.
    """
    return _FLOATS.get(type_) or f"i{width(type_)}"


def width(type_: str) -> int:
    """Bits of a PTX type.

    Raises:
        ValueError: there is no such type.
    """
    if type_ == "pred":
        return 1
    match = re.fullmatch(r"(?:[busf]|bf|tf)(8|16|32|64|128)(x2)?", type_)
    if match is None:
        raise ValueError(f"expected a PTX type, got {type_!r}")
    return int(match[1]) * (2 if match[2] else 1)


def signed(type_: str) -> bool:
    """Whether it is a signed integer."""
    return type_.startswith("s")


def floating(type_: str) -> bool:
    """Whether it is a floating-point type."""
    return type_ in _FLOATS


@dataclass(frozen=True)
class Instruction:
    """`ld.global.v4.b32 { $0, … }, [ $4 + 0 ]`: the text, the parts of the opcode, the operands."""

    text: str
    parts: tuple[str, ...]
    operands: tuple[str, ...]

    @property
    def base(self) -> str:
        """The first part of the opcode."""
        return self.parts[0]

    @property
    def type(self) -> str:
        """The last part of the opcode."""
        return self.parts[-1]

    def first(self, *names: str) -> str:
        """The first of some names that the opcode has.

        Raises:
            StopIteration: it has none.
        """
        return next(part for part in self.parts if part in names)

    def has(self, *names: str) -> bool:
        """Whether the opcode has one of some names."""
        return any(part in names for part in self.parts)


def group(operand: str) -> list[str]:
    """The registers of `{ $0, $1 }`, or the one."""
    return [part.strip() for part in operand.strip("{} ").split(",")]


class Registers(Protocol):
    """What the tables of instructions need of `ptx.Body`."""

    function: Function

    def read(self, name: str, type_: str) -> str:
        """The value of an operand as a PTX type."""

    def write(self, name: str, value: str, type_: str) -> None:
        """Set a register."""

    def width_of(self, name: str) -> int:
        """Bits of a register."""

    def address(self, text: str) -> str:
        """The pointer that an address operand is."""
