"""What the parser makes of each rule of the grammar: nodes of the syntax tree."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

from lark import Token, Transformer

from symgru.formulas.errors import FormulaError
from symgru.formulas.tree import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Equation,
    Multiply,
    Name,
    Node,
    Number,
    Power,
    Times,
    Total,
    Transposed,
)

MAX_DIGITS = 15
MAX_EXPONENT = 8

_TIMES = {
    "\\odot": Times.CIRCLED,
    "\\circ": Times.RING,
    "\\cdot": Times.DOT,
    "\\times": Times.STAR,
    "×": Times.STAR,
    "\\ast": Times.STAR,
}
_FUNCTIONS = {"sigma": "sigmoid", "sigm": "sigmoid", "logistic": "sigmoid", "σ": "sigmoid"}
_MARKS = {"\u0303": "tilde", "\u0304": "bar", "\u0302": "hat", "\u0307": "dot"}
_TRANSPOSES = {"T", "top", "intercal", "ᵀ", ".T"}
_STEP = re.compile(r"[tτ](?:-1|\+1)?")
_STEP_SUMS = re.compile(r"[tbnsTBNS0-9=,+\-]*")


@dataclass(frozen=True)
class _Chain:
    """Factors with nothing between them: a product, or in brackets values side by side."""

    factors: Sequence[Node]
    column: int


class TreeBuilder(Transformer[Token, Any]):
    """Callbacks by the name of the rule."""

    def alone(self, parts: list[Any]) -> Node:
        """An expression without an equals sign."""
        (node,) = _closed(parts)
        return node

    def equation(self, parts: list[Any]) -> Equation:
        """left = side = side, or left += side."""
        parts = _closed(parts)
        left, sides = parts[0], tuple(parts[2::2])
        return Equation(left, sides, parts[1].type == "ACCUMULATES")

    def signed(self, parts: list[Any]) -> Node:
        """Terms with signs; the first may have none."""
        parts = _closed(parts)
        column = _column(parts)
        if not isinstance(parts[0], Token):
            parts = [Token("SIGN", "+"), *parts]
        terms = tuple((str(sign) != "+", term) for sign, term in zip(parts[::2], parts[1::2], strict=True))
        return Add(terms, column)

    def term(self, parts: list[Any]) -> Any:
        """A product as one node, from the left."""
        (_, first), *rest = parts[0]
        if not rest:
            return first
        (first,), column = _closed([first]), _column([first])
        return Multiply(first, tuple((times, *_closed([part])) for times, part in rest), column)

    def product(self, parts: list[Any]) -> list[tuple[Times, Node]]:
        """Factors with the signs before them; a sum over time and batch takes all that follows."""
        if isinstance(parts[0], Token):
            return [(Times.NOTHING, _total(parts[0], *_closed([self.term([parts[1]])])))]
        first = (Times.NOTHING, parts[0])
        if len(parts) == 1:
            return [first]
        if parts[1].type == "TOTAL":
            return [first, (Times.NOTHING, _total(parts[1], *_closed([self.term([parts[2]])])))]
        times = _TIMES.get(str(parts[1])) or Times(str(parts[1]))
        (_, second), *rest = parts[2]
        return [first, (times, second), *rest]

    def chain(self, parts: list[Any]) -> Node | _Chain:
        """Factors with nothing between them."""
        if len(parts) == 1:
            return parts[0]
        return _Chain(parts, _column(parts))

    def factor(self, parts: list[Any]) -> Node:
        """An atom with its scripts: indices of a name, a transpose, a power."""
        node = parts[0]
        for script in parts[1:]:
            node = _with_script(node, script)
        return node

    def number(self, parts: list[Token]) -> Node:
        """A decimal number."""
        text = str(parts[0])
        if len(text) > MAX_DIGITS:
            raise FormulaError(
                f"a number of {len(text)} digits, at most {MAX_DIGITS} are read", 0, _column(parts)
            )
        return Number(Fraction(text.rstrip(".")), _column(parts))

    def name(self, parts: list[Token]) -> Node:
        """A name without its scripts, or with those that are part of a plain identifier."""
        return _name(str(parts[0]), _column(parts))

    def parenthesised(self, parts: list[Any]) -> Node:
        """What is in brackets."""
        parts = _closed(parts)
        return parts[0]

    def apply(self, parts: list[Any]) -> Node:
        """A function of one argument."""
        word = re.sub(r"\\(?:mathrm|text|operatorname|math\w+)(?=\{)|[\\{}\s]", "", str(parts[0]))
        primed = word.endswith(("'", "^prime"))
        word = word.removesuffix("'").removesuffix("^prime")
        return Apply(_FUNCTIONS.get(word, word), parts[1], primed, _column(parts))

    def derivative(self, parts: list[Any]) -> Node:
        """dL/dx."""
        (of,) = (part for part in parts if not isinstance(part, Token))
        return Derivative(of, _column(parts))

    def matmul(self, parts: list[Any]) -> Node:
        """matmul(a, b)."""
        parts = _closed(parts)
        return Multiply(parts[1], ((Times.MATRIX, parts[3]),), _column(parts))

    def sum_of(self, parts: list[Any]) -> Node:
        """sum(a)."""
        parts = _closed(parts)
        return Total(parts[1], _column(parts))

    def transpose_of(self, parts: list[Any]) -> Node:
        """transpose(a)."""
        parts = _closed(parts)
        return Transposed(parts[1], _column(parts))

    def fraction(self, parts: list[Any]) -> Node:
        r"""\frac{a}{b}."""
        parts = _closed(parts)
        return Multiply(parts[1], ((Times.OVER, parts[2]),), _column(parts))

    def accented(self, parts: list[Any]) -> Node:
        r"""\tilde h, and \bar h, which may be a cotangent; over an accent it is one."""
        accent = str(parts[0]).removeprefix("\\").removeprefix("wide")
        node = parts[1]
        if isinstance(node, Name) and not node.accent:
            return replace(node, accent=accent, column=_column(parts))
        if accent == "bar":
            return Derivative(node, _column(parts))
        raise FormulaError(f"an accent \\{accent} belongs on a single letter", 0, _column(parts))

    def overlined(self, parts: list[Any]) -> Node:
        r"""\overline{value}: its cotangent."""
        parts = _closed(parts)
        return Derivative(parts[1], _column(parts))

    def row(self, parts: list[Any]) -> list[Node]:
        """Values side by side."""
        return [part for part in parts if not isinstance(part, Token)]

    def blocks(self, parts: list[Any]) -> Node:
        """Brackets round values; round a single one they only group."""
        written: list[list[Any]] = [part for part in parts if not isinstance(part, Token)]
        spaced = [row[0].factors if len(row) == 1 and isinstance(row[0], _Chain) else None for row in written]
        loose = any(spaced)
        rows = [_closed(apart or row) for row, apart in zip(written, spaced, strict=True)]
        if not loose and len(rows) == 1 and len(rows[0]) == 1:
            return rows[0][0]
        if len({len(row) for row in rows}) != 1:
            raise FormulaError("rows of different lengths in brackets", 0, _column(parts))
        return Blocks(tuple(map(tuple, rows)), loose and len(rows) == 1, _column(parts))


def _column(parts: Sequence[Any]) -> int:
    """Where the first part begins."""
    return int(parts[0].column or 0)


def _closed(parts: Sequence[Any]) -> list[Any]:
    """The parts, with chains as the products that they are."""
    return [
        Multiply(part.factors[0], tuple((Times.NOTHING, f) for f in part.factors[1:]), part.column)
        if isinstance(part, _Chain)
        else part
        for part in parts
    ]


def _total(token: Token, operand: Node) -> Node:
    index = re.sub(r"\\[A-Za-z]+|[{}\s_^ΣT∑]|sum", "", str(token))
    if not _STEP_SUMS.fullmatch(index):
        raise FormulaError(
            f"the sum {token} does not run over time t and batch b; sums over units are written as products",
            0,
            _column([token]),
        )
    return Total(operand, _column([token]))


def _name(text: str, column: int) -> Name:
    delta = re.fullmatch(r"\\delta\s*(\d+)", text)
    if delta:
        return Name("delta", delta[1], column=column)
    if text.startswith("\\"):
        inner = re.search(r"\{\s*([A-Za-z]+)\s*\}|\s([A-Za-z])$", text)
        return Name(inner[1] or inner[2] if inner else text[1:], column=column)
    letters = unicodedata.normalize("NFD", text.removesuffix("~"))
    tilde = "~" in text
    base, _, subscript = letters.replace("~", "").partition("_")
    marks = [c for c in base if unicodedata.combining(c)]
    unknown = [c for c in marks if c not in _MARKS]
    if unknown or len(marks) + tilde > 1:
        raise FormulaError(f"the accents of {text!r} are not read; one of ~, ¯, ^, ˙ is", 0, column)
    accent = "tilde" if tilde else _MARKS[marks[0]] if marks else ""
    return Name("".join(c for c in base if c not in marks), subscript, "", accent, column)


def _with_script(node: Node, token: Token) -> Node:
    column = _column([token])
    if token.type == "PRIME":
        return _on_name(node, lambda name: replace(name, base=f"{name.base}'"), "'", column)
    text = _bare(str(token))
    if token.type == "SUBSCRIPT" or _STEP.fullmatch(text):
        return _on_name(node, lambda name: _indexed(name, "subscript", text, column), text, column)
    if text in _TRANSPOSES:
        return Transposed(node, node.column)
    number = {"²": "2", "³": "3"}.get(text, text)
    if re.fullmatch(r"-?\d+", number):
        return _power(node, number, column)
    return _on_name(node, lambda name: _indexed(name, "superscript", text, column), text, column)


def _bare(script: str) -> str:
    """A script without fonts, brackets and spaces."""
    text = script if script == ".T" else script.lstrip("_^*")
    text = re.sub(r"\\(?:mathrm|text|mathsf|mathbf|mathit|operatorname)(?![A-Za-z])", "", text)
    text = re.sub(r"\\(?:langle|rangle|left|right)(?![A-Za-z])|[{}()<>\s]", "", text)
    return text.replace("−", "-").replace("\\", "")


def _power(node: Node, exponent: str, column: int) -> Node:
    if not (len(exponent) < 3 and 0 <= int(exponent) <= MAX_EXPONENT):
        raise FormulaError(
            f"the exponent {exponent}, expected a whole number up to {MAX_EXPONENT}", 0, column
        )
    return Power(node, int(exponent), node.column)


def _on_name(node: Node, change: Callable[[Name], Name], script: str, column: int) -> Node:
    """A script belongs to the name, also under a derivative or a function without brackets."""
    match node:
        case Name():
            return change(node)
        case Derivative():
            return replace(node, of=_on_name(node.of, change, script, column))
        case Apply():
            return replace(node, argument=_on_name(node.argument, change, script, column))
    raise FormulaError(f"the index {script!r} does not stand on a name", 0, column)


def _indexed(name: Name, place: str, script: str, column: int) -> Name:
    if not re.fullmatch(r"[A-Za-z0-9_τ,+\-'*]{1,30}", script):
        raise FormulaError(f"the index {script!r}, expected letters and digits", 0, column)
    both = ",".join(filter(None, (getattr(name, place), script)))
    return replace(name, subscript=both) if place == "subscript" else replace(name, superscript=both)
