"""What the docstrings of the equations say: conventions and where each formula is published."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from enum import Enum


def paragraph(documented: object, opening: str) -> str:
    """The paragraph of a docstring that begins with the words, on one line and without backquotes.

    Raises:
        LookupError: there is none.
    """
    for block in re.split(r"\n\s*\n", inspect.getdoc(documented) or ""):
        if block.startswith(opening):
            return " ".join(block.split()).replace("`", "")
    raise LookupError(f"the docstring of {documented!r} has no paragraph that begins with {opening!r}")


def member_note(member: Enum) -> str:
    """What the docstring of an enumeration says of one member, after `NAME:`.

    Raises:
        LookupError: the docstring does not mention it.
    """
    for line in (inspect.getdoc(type(member)) or "").splitlines():
        name, colon, note = line.partition(":")
        if colon and name.strip() == member.name:
            return note.strip()
    raise LookupError(f"the docstring of {type(member).__name__} says nothing of {member.name}")


def source(function: Callable[..., object]) -> str:
    """What stands after `Source:` in the docstring of an equation.

    Raises:
        LookupError: it names no source.
    """
    found = re.search(r"Sources?:\s*(.+)", inspect.getdoc(function) or "")
    if found is None:
        raise LookupError(f"the docstring of {function.__name__} names no source")
    return found[1].strip()
