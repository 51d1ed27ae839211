"""Line breaks of emitted code."""

from __future__ import annotations

from collections.abc import Sequence

WIDTH = 100


def wrapped(opening: str, items: Sequence[str], closing: str, indent: int = 0) -> str:
    """`opening items closing` on one line if it fits, else one item a line."""
    line = f"{opening}{', '.join(items)}{closing}"
    if indent + len(line) <= WIDTH:
        return line
    margin = "\n" + " " * indent
    return margin.join([opening, *(f"    {item}," for item in items), closing])


def tuple_source(items: Sequence[str], indent: int = 0, opening: str = "(") -> str:
    """Source of a tuple of the given expressions."""
    return f"{opening}{items[0]},)" if len(items) == 1 else wrapped(opening, items, ")", indent)
