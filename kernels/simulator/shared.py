"""Addresses in shared memory, which are constants for the GPU's compiler and differ by program here."""

from __future__ import annotations

import re

from .host import cast
from .text import closing, operand, split

_SYMBOL = "@global_smem"
_BASE = "%shared.base"


class SharedAddresses:
    """What a function needs of them: values that it computes first."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def instructions(self) -> list[str]:
        """What the function begins with."""
        return [f"  {value} = {text}" for text, value in self._values.items()]

    def in_text(self, text: str) -> str:
        """An instruction with values in place of the constant expressions of the symbol."""
        while (place := text.find(_SYMBOL)) >= 0:
            self._values["call ptr @sim_shared()"] = _BASE
            text = text.replace(_SYMBOL, _BASE, 1)
            while (outer := _expression_around(text, place)) is not None:
                place, end = outer
                text = text[:place] + self._value(text[place:end]) + text[end:]
        return text

    def _value(self, expression: str) -> str:
        """The value of a constant expression that has a shared address in it."""
        opcode, _, inside = expression.partition("(")
        parts = split(inside[:-1])
        if opcode.split()[0] in _ARITHMETIC:
            parts = [parts[0], *(operand(part).value for part in parts[1:])]
        text = cast(f"{opcode.strip()} {', '.join(parts)}")
        if text not in self._values:
            self._values[text] = f"%shared.{len(self._values)}"
        return self._values[text]


_ARITHMETIC = ("add", "sub", "xor")
_EXPRESSION = re.compile(
    r"\b(getelementptr|ptrtoint|inttoptr|addrspacecast|bitcast|trunc|add|sub|xor)(?: \w+| \([^)]*\))* ?$"
)


def _expression_around(text: str, place: int) -> tuple[int, int] | None:
    """Where the innermost constant expression around a place begins and ends; None if it is in none."""
    depth, i = 0, place
    while i >= 0:
        if text[i] in ")]}>":
            depth += 1
        elif text[i] in "([{<":
            if depth == 0:
                break
            depth -= 1
        i -= 1
    if i < 0 or text[i] != "(":
        return None
    opcode = _EXPRESSION.search(text[:i])
    return (opcode.start(), closing(text, i) + 1) if opcode else None
