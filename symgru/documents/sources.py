"""What the docstrings of the equations say: conventions, and what polarity and reset mean."""

from __future__ import annotations

import inspect
import re
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


def meaning(member: Enum) -> str:
    """What the docstring of an enumeration says of one member, in the line `NAME: meaning, formula. Source.`

    Raises:
        LookupError: the docstring has no such line.
    """
    found = re.search(rf"^\s*{member.name}: ([^,]+),", inspect.getdoc(type(member)) or "", re.MULTILINE)
    if found is None:
        raise LookupError(f"the docstring of {type(member).__name__} says nothing of {member.name}")
    return found[1]
