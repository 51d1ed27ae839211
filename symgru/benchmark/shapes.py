"""Sizes that are measured."""

from __future__ import annotations

import re
from dataclasses import astuple, dataclass


@dataclass(frozen=True, order=True)
class Shape:
    """T steps, B sequences, I features of the input, H units."""

    T: int
    B: int
    I: int  # noqa: E741 - the size's name everywhere in the project
    H: int

    def __post_init__(self) -> None:
        if min(astuple(self)) < 1:
            raise ValueError(f"every size must be positive, but the shape is {self}")

    def __str__(self) -> str:
        return ",".join(map(str, astuple(self)))

    @property
    def products(self) -> float:
        """Floating-point operations of a forward pass in its products, a multiply-add counted as two."""
        return 2.0 * self.T * self.B * 3 * self.H * (self.I + self.H)


def parse(text: str) -> tuple[Shape, ...]:
    """Read shapes such as `50,1,64,64 (100, 32, 64, 128)`: four numbers T,B,I,H each.

    Raises:
        ValueError: something is not a positive number, or they are not fours.
    """
    words = [word for word in re.split(r"[\s,;()]+", text) if word]
    wrong = [word for word in words if not word.isascii() or not word.isdigit()]
    if wrong:
        raise ValueError(f"shapes are whole numbers T,B,I,H, but one of them is {wrong[0]!r}")
    if not words or len(words) % 4:
        raise ValueError(f"shapes are fours of numbers T,B,I,H, but there are {len(words)} numbers")
    sizes = [int(word) for word in words]
    return tuple(Shape(*sizes[i : i + 4]) for i in range(0, len(sizes), 4))


#: From one short sequence to a large batch, each of another kind: what limits it differs.
SHAPES = parse(
    "(50,1,64,64) (100,32,64,128) (100,64,128,256) (200,16,256,512) "
    "(28,128,28,128) (1,1,256,256) (1000,8,32,64) (100,32,512,1024)"
)
QUICK_SHAPES = parse("(20,4,24,32) (5,1,16,40)")
#: Every size of T, B, I and H in the sweep; none of 7 and 33 is a multiple of a vector.
SWEEP = (1, 7, 33, 128, 512)
