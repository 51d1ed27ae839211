"""Words that depend on numbers."""

from __future__ import annotations


def counted(number: int, singular: str, plural: str = "") -> str:
    """The number with its noun, in the plural (by default with an s) unless it is one."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"
