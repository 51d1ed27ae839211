"""Values of terms at chosen inputs, in floating-point numbers or in intervals that enclose the exact value.

This judge knows nothing of normal forms: it computes every definition as it stands. A vector is a list of
samples, each a list of units; a bias is the same in every sample; a matrix is a list of rows.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, mul
from typing import Any

import sympy as sp

from symgru.equations import Shape
from symgru.formulas.values import SAMPLES, MatrixProduct, TransposedMatrix, Value, ones, scaled
from symgru.proof.evaluation import DIGITS, intervals
from symgru.proof.terms import Average, Contraction, OuterProduct, Total, TransposedContraction

Matrix = list[list[Any]]


class NoValueError(ValueError):
    """A term without a number: a function that is not known, an overflow, a division by zero."""


@dataclass(frozen=True)
class Arithmetic:
    """Numbers, and functions of them by name."""

    number: Callable[[sp.Rational], Any]
    functions: Mapping[str, Callable[[Any], Any]]


def _float_sigmoid(a: float) -> float:
    return 0.5 * (1 + math.tanh(a / 2))


FLOATS = Arithmetic(
    number=lambda number: int(number.p) / int(number.q),
    functions={
        "sigmoid": _float_sigmoid,
        "tanh": math.tanh,
        "exp": math.exp,
        "softplus": lambda a: math.log1p(math.exp(a)),
        "rsqrt": lambda a: 1 / math.sqrt(a),
        "relu": lambda a: max(a, 0.0),
        "step": lambda a: float(a > 0),
    },
)


def enclosing() -> Arithmetic:
    """Interval arithmetic with `symgru.proof.evaluation.DIGITS` digits."""
    arithmetic = intervals(DIGITS)
    return Arithmetic(arithmetic.number, arithmetic.functions)


@dataclass(frozen=True)
class Sizes:
    """How many samples there are, and units on each axis."""

    samples: int
    units: Mapping[str, int]

    def of(self, axis: str) -> int:
        """Length of an axis."""
        return self.samples if axis == SAMPLES else self.units.get(axis, 1)


class Numbers:
    """The values of a reference, and of terms over them, at random fractions.

    Args:
        definitions: The term of every value that is computed.
        shapes: Of all values.
        sizes: Of the axes.
        seed: Chooses the inputs.
        arithmetic: What the numbers are.
    """

    def __init__(
        self,
        definitions: Mapping[sp.Symbol, sp.Expr],
        shapes: Mapping[sp.Symbol, Shape],
        sizes: Sizes,
        seed: int,
        arithmetic: Arithmetic,
    ):
        self._definitions, self._shapes, self._sizes = definitions, shapes, sizes
        self._seed, self._arithmetic = seed, arithmetic
        self._values: dict[sp.Symbol, Matrix] = {}
        self.inputs: dict[sp.Symbol, list[list[sp.Rational]]] = {}

    def of(self, value: Value) -> Matrix:
        """All elements of a value, the blocks next to each other.

        Raises:
            NoValueError: a part of it has no value.
        """
        try:
            rows: Matrix = []
            for row, terms in zip(value.rows, value.terms, strict=True):
                parts = [
                    self._block(row, column, term) for column, term in zip(value.columns, terms, strict=True)
                ]
                rows += [reduce(add, lines) for lines in zip(*parts, strict=True)]
            return rows
        except (OverflowError, ZeroDivisionError, ValueError) as error:  # ValueError: the root of −1
            raise NoValueError(f"has no value at the chosen inputs: {error}") from None

    def _block(self, row: str, column: str, term: sp.Expr) -> Matrix:
        down, across = self._sizes.of(row), self._sizes.of(column)
        units = [axis for axis in (row, column) if axis in self._sizes.units]
        if len(units) == 2:
            return self._matrix(term, down, across)
        vector = self._vector(term, self._sizes.of(units[0]) if units else 1)
        if units == [row]:
            return [[vector[s][i] for s in range(across)] for i in range(down)]
        return [[vector[s][i] for i in range(across)] for s in range(down)]

    def symbol(self, symbol: sp.Symbol) -> Matrix:
        """The value of a symbol."""
        if symbol not in self._values:
            shape = self._shapes[symbol]
            definition = self._definitions.get(symbol)
            lengths = [self._sizes.of(axis) for axis in shape.axes]
            if definition is None:
                self._values[symbol] = self._input(symbol, shape, lengths)
            elif len(lengths) == 2:
                self._values[symbol] = self._matrix(definition, *lengths)
            else:
                self._values[symbol] = self._vector(definition, lengths[0])
        return self._values[symbol]

    def _input(self, symbol: sp.Symbol, shape: Shape, lengths: list[int]) -> Matrix:
        """Distinct fractions, not too large, none of them zero or one."""
        chosen = random.Random(f"{self._seed} {symbol}")
        rows = lengths[0] if len(lengths) == 2 else self._sizes.samples if shape.per_step else 1
        numbers = [
            [
                sp.Rational(chosen.choice((-1, 1)) * chosen.choice((1, 3, 5, 7, 9, 11)), 8)
                for _ in range(lengths[-1])
            ]
            for _ in range(rows)
        ]
        self.inputs[symbol] = numbers
        repeated = numbers if len(lengths) == 2 or shape.per_step else numbers * self._sizes.samples
        return [[self._arithmetic.number(number) for number in row] for row in repeated]

    def _vector(self, term: sp.Expr, size: int) -> Matrix:
        if term.is_Symbol:
            if term == ones(str(term)[5:-1]):
                return self._constant(sp.S.One, size)
            return self.symbol(term)
        if term.is_Rational:
            return self._constant(term, size)
        match term:
            case Contraction() | TransposedContraction():
                return self._contraction(term)
            case Total():
                samples = self._vector(term.args[0], size)
                return [[reduce(add, units) for units in zip(*samples, strict=True)]] * self._sizes.samples
            case Average():
                share = self._arithmetic.number(sp.Rational(1, size))
                return [[reduce(add, row) * share] * size for row in self._vector(term.args[0], size)]
        return self._pointwise(term, size)

    def _constant(self, number: sp.Rational, size: int) -> Matrix:
        return [[self._arithmetic.number(number)] * size for _ in range(self._sizes.samples)]

    def _pointwise(self, term: sp.Expr, size: int) -> Matrix:
        if term.is_Pow and term.exp.is_Integer:
            base, exponent = self._vector(term.base, size), abs(int(term.exp))
            powers = [[reduce(mul, [a] * exponent) for a in row] for row in base]
            return powers if term.exp > 0 else [[1 / a for a in row] for row in powers]
        arguments = [self._vector(a, size) for a in term.args]
        if term.is_Add or term.is_Mul:
            return reduce(add if term.is_Add else mul, map(_Elements, arguments))
        if term.func.__name__ == "select":
            mask, chosen, otherwise = map(_Elements, arguments)
            return (
                mask * chosen
                + (
                    mask * _Elements(self._constant(sp.S.NegativeOne, size))
                    + _Elements(self._constant(sp.S.One, size))
                )
                * otherwise
            )
        name = term.func.__name__.lower()  # Tanh is tanh that SymPy does not rewrite
        if name not in self._arithmetic.functions:
            raise NoValueError(f"the function {name} has no value here")
        return [[self._arithmetic.functions[name](a) for a in row] for row in arguments[0]]

    def _contraction(self, term: sp.Expr) -> Matrix:
        weights = self._matrix(term.args[0])
        if isinstance(term, TransposedContraction):
            weights = _transposed(weights)
        vector = self._vector(term.args[1], len(weights[0]))
        return [[reduce(add, map(mul, row, sample)) for row in weights] for sample in vector]

    def _matrix(self, term: sp.Expr, rows: int = 0, columns: int = 0) -> Matrix:
        match term:
            case sp.Symbol():
                return self.symbol(term)
            case sp.Add():
                return reduce(add, (_Elements(self._matrix(a, rows, columns)) for a in term.args))
            case TransposedMatrix():
                return _transposed(self._matrix(term.args[0], columns, rows))
            case OuterProduct():
                left, right = self._vector(term.args[0], rows), self._vector(term.args[1], columns)
                return [
                    [reduce(add, map(mul, u, v)) for v in zip(*right, strict=True)]
                    for u in zip(*left, strict=True)
                ]
            case MatrixProduct():
                left, right = self._matrix(term.args[0]), self._matrix(term.args[1])
                return [
                    [reduce(add, map(mul, row, column)) for column in zip(*right, strict=True)]
                    for row in left
                ]
        if term == 0:
            return [[self._arithmetic.number(term)] * columns for _ in range(rows)]
        if term.is_Mul:
            number, rest = scaled(term)
            scale = self._vector(number, 1)[0][0]
            return [[scale * a for a in row] for row in self._matrix(rest, rows, columns)]
        raise NoValueError(f"a matrix {term.func.__name__} has no value here")


class _Elements(list[list[Any]]):
    """A matrix that is added and multiplied element by element."""

    def __add__(self, other: Any) -> Any:
        return _Elements([list(map(add, p, q)) for p, q in zip(self, other, strict=True)])

    def __mul__(self, other: Any) -> Any:
        return _Elements([list(map(mul, p, q)) for p, q in zip(self, other, strict=True)])


def _transposed(matrix: Matrix) -> Matrix:
    return [list(column) for column in zip(*matrix, strict=True)]
