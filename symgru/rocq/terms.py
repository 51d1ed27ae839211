"""Expressions, statements and shapes of a program in Gallina."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sympy as sp

from symgru.equations import Contract, Mean, Outer, Pointwise, Shape, Statement, Sum, select
from symgru.rocq.names import size

Leaf = Callable[[sp.Symbol], str]

#: What a function of SymPy is called in the prelude, or in Rocq's library of real numbers.
FUNCTIONS: Mapping[str, str] = {
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "relu": "relu",
    "step": "heaviside",
    "exp": "exp",
    "softplus": "softplus",
    "rsqrt": "rsqrt",
}


class RocqError(ValueError):
    """What cannot be written in Gallina, or what coqc refuses; the message names the statement or lemma."""


def number(value: sp.Rational) -> str:
    """A rational number, (p / q) or p."""
    numerator = f"(- {-value.p})" if value.p < 0 else str(value.p)
    return numerator if value.q == 1 else f"({numerator} / {value.q})"


def gallina(expression: sp.Expr, leaf: Leaf) -> str:
    """An expression for one unit.

    Args:
        expression: Made of symbols, rationals, sums, products, whole powers and known functions.
        leaf: The text of a symbol.
    Raises:
        RocqError: a node without a counterpart; the message names it.
    """

    def text(node: sp.Expr) -> str:
        return gallina(node, leaf)

    if expression.is_Symbol:
        return leaf(expression)
    if expression.is_Rational:
        return number(expression)
    if expression.is_Add:
        return f"({_sum(expression, text)})"
    if expression.is_Mul and expression.args[0] == -1:
        return f"(- {text(-expression)})"
    if expression.is_Mul:
        return f"({' * '.join(map(text, expression.args))})"
    if expression.is_Pow and expression.exp.is_Integer and expression.exp >= 0:
        return f"({text(expression.base)} ^ {expression.exp})"
    if isinstance(expression, select):
        mask, chosen, otherwise = map(text, expression.args)
        return f"(if {mask} then {chosen} else {otherwise})"
    name = type(expression).__name__
    if name not in FUNCTIONS or len(expression.args) != 1:
        raise RocqError(f"Gallina has no text for {name}: {expression}")
    return f"({FUNCTIONS[name]} {text(expression.args[0])})"


def _sum(expression: sp.Add, text: Callable[[sp.Expr], str]) -> str:
    first, *others = expression.as_ordered_terms()
    if _negative(first) and not all(map(_negative, others)):  # 1 - z rather than - z + 1
        position = next(i for i, other in enumerate(others) if not _negative(other))
        first, others[position] = others[position], first
    signed = (f" - {text(-term)}" if _negative(term) else f" + {text(term)}" for term in others)
    return text(first) + "".join(signed)


def _negative(term: sp.Expr) -> bool:
    return bool(term.as_coeff_Mul()[0] < 0)


def type_of(shape: Shape, mask: bool = False) -> str:
    """The type of a value at one step: batch, mask, vector or matrix, with its sizes."""
    kind = ("mask" if mask else "batch") if shape.per_step else ("vector", "matrix")[len(shape.axes) - 1]
    sizes = (*(("examples",) if shape.per_step else ()), *map(size, shape.axes))
    return " ".join((kind, *sizes))


def indices(shape: Shape) -> str:
    """What a value at one step is applied to: example and unit, unit, or row and column."""
    return "e i" if shape.per_step else "i" if len(shape.axes) == 1 else "i j"


@dataclass(frozen=True)
class Summed:
    """A sum of products over one index.

    Attributes:
        index: The bound index: a unit `j`, or an example `e`.
        factors: Values and what they are applied to.
    """

    index: str
    factors: tuple[tuple[sp.Symbol, str], ...]

    def body(self, value: Leaf) -> str:
        """fun j => W i j * x e j."""
        product = " * ".join(f"{value(symbol)} {at}" for symbol, at in self.factors)
        return f"(fun {self.index} => {product})"


def sums(statement: Statement) -> tuple[Summed, ...]:
    """The sums that a statement adds up; none for a pointwise one.

    Raises:
        RocqError: a statement of an unknown kind.
    """
    match statement:
        case Pointwise():
            return ()
        case Contract():
            return tuple(
                Summed("j", ((t.matrix, "j i" if t.transposed else "i j"), (t.vector, "e j")))
                for t in statement.terms
            )
        case Mean():
            return (Summed("j", ((statement.source, "e j"),)),)
        case Outer():
            return tuple(Summed("e", ((left, "e i"), (right, "e j"))) for left, right in statement.terms)
        case Sum():
            return tuple(Summed("e", ((term, "e i"),)) for term in statement.terms)
        case _:
            raise RocqError(f"'{statement}' is a {type(statement).__name__}, which has no counterpart")


def definition(statement: Statement, shapes: Mapping[sp.Symbol, Shape], value: Leaf) -> str:
    """The right-hand side of a statement as a function of its indices.

    Raises:
        RocqError: an expression or statement without a counterpart; the message names the statement.
    """
    binders = indices(shapes[statement.target])
    if isinstance(statement, Pointwise):
        try:
            body = gallina(statement.expression, lambda s: f"({value(s)} {indices(shapes[s])})")
        except RocqError as error:
            raise RocqError(f"'{statement}': {error}") from error
        return f"fun {binders} => {body}"
    total = " + ".join(f"sum {term.body(value)}" for term in sums(statement))
    if isinstance(statement, Mean):
        (axis,) = shapes[statement.source].axes
        total += f" * / INR {size(axis)}"
    return f"fun {binders} => {total}"


def sizes(shapes: Mapping[sp.Symbol, Shape]) -> tuple[str, ...]:
    """The sizes of a program: examples, then the axes in order of appearance."""
    return ("examples", *dict.fromkeys(size(axis) for shape in shapes.values() for axis in shape.axes))
