"""Sections, numbers and nested lists as plain text."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import sympy as sp


@lru_cache(maxsize=1 << 14)
def text(expression: sp.Expr) -> str:
    """The expression as SymPy prints it; proofs print the same ones again and again."""
    return str(expression)


def section(title: str, lines: tuple[str, ...]) -> Iterator[str]:
    """The title and an item for each line; nothing if there is none."""
    if lines:
        yield title
        yield from (f"  - {line}" for line in lines)


def count(number: int, noun: str) -> str:
    """The number with its noun in the right number."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def decimal(number: sp.Rational, digits: int, up: bool = False) -> str:
    """The number with so many decimals, rounded down or up."""
    scaled = int((sp.ceiling if up else sp.floor)(number * 10**digits))
    whole, decimals = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{decimals:0{digits}d}"


def plain(value: Any) -> str:
    """A nested list on one line."""
    return f"[{', '.join(map(plain, value))}]" if isinstance(value, (list, tuple)) else str(value)


def texts(value: Any) -> Any:
    """A nested list with every element as text."""
    return [texts(part) for part in value] if isinstance(value, (list, tuple)) else str(value)
