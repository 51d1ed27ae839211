"""Text to syntax tree, by a grammar, within limits. Nothing of the text is ever evaluated as a program.

Lengths, nesting and sizes of numbers are limited before the parser sees a line, so hostile text is refused
quickly, with its place.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any

from symgru.formulas import grammar
from symgru.formulas.errors import FormulaError
from symgru.formulas.tree import Equation, Node

if TYPE_CHECKING:
    from lark import Lark

MAX_LINE = 2000
MAX_DEPTH = 30
MAX_NODES = 500


class Style(str, Enum):
    """How formulas are written."""

    PLAIN = "plain"
    LATEX = "latex"


def parse_equation(text: str, style: Style) -> Equation:
    """The equation of a line.

    Raises:
        FormulaError: the text is beyond the limits or not in the grammar; with the column.
    """
    tree = _parse(text, style, "equation")
    assert isinstance(tree, Equation)
    return tree


def parse_expression(text: str, style: Style) -> Node:
    """An expression without an equals sign.

    Raises:
        FormulaError: the text is beyond the limits or not in the grammar; with the column.
    """
    tree = _parse(text, style, "alone")
    assert not isinstance(tree, Equation)
    return tree


def _parse(text: str, style: Style, start: str) -> Equation | Node:
    check_limits(text)
    parser = _parser(style)
    from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

    try:
        tree: Any = parser.parse(text, start=start)
    except UnexpectedCharacters as error:
        raise FormulaError(_unknown_character(text, error.column - 1), column=error.column) from None
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        column = len(text.rstrip()) + 1 if ended else error.column
        raise FormulaError(_unexpected(error), column=column) from None
    except UnexpectedInput as error:  # lark's base class: a column and no more
        raise FormulaError("cannot be read", column=error.column) from None
    return tree


@cache
def _parser(style: Style) -> Lark:
    try:
        from lark import Lark

        from symgru.formulas.builder import TreeBuilder
    except ImportError as error:
        raise FormulaError("the parser needs lark: pip install lark") from error
    rules = grammar.PLAIN if style is Style.PLAIN else grammar.LATEX
    return Lark(rules, parser="lalr", start=["equation", "alone"], transformer=TreeBuilder())


def check_limits(text: str) -> None:
    """Refuse what is too long, too deep or not text.

    Raises:
        FormulaError: with the column.
    """
    if len(text) > MAX_LINE:
        raise FormulaError(f"{len(text)} characters, at most {MAX_LINE} are read", column=MAX_LINE + 1)
    depth = 0
    for column, character in enumerate(text, 1):
        if unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp") and character != "\t":
            raise FormulaError(f"the control character U+{ord(character):04X} is not text", column=column)
        depth += (character in "([{") - (character in ")]}")
        if depth > MAX_DEPTH:
            raise FormulaError(f"more than {MAX_DEPTH} brackets inside each other", column=column)
    for count, match in enumerate(re.finditer(r"\w+|[^\w\s]", text), 1):
        if count > MAX_NODES:
            raise FormulaError(f"more than {MAX_NODES} words and signs", column=match.start() + 1)


def _unknown_character(text: str, position: int) -> str:
    command = re.match(r"\\[A-Za-z]+", text[position:])
    if command:
        return f"the command {command[0]} is not known here"
    character = text[position] if position < len(text) else ""
    return f"the character {character!r} is not expected here"


def _unexpected(error: Any) -> str:
    expected = sorted({grammar.WORDS[name] for name in error.expected if name in grammar.WORDS})
    came = "the line ends" if error.token.type == "$END" else f"{str(error.token)!r} is not expected here"
    return f"{came}; expected {', '.join(expected)}" if expected else came
