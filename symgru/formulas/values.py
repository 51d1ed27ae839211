"""Values with shapes: what the parts of a formula are, and what operations their shapes allow.

A value is a grid of blocks, one block if nothing is concatenated. The rows and the columns of a block run
over an axis: units of a kind ("H", "I"), the samples (one for each time step and sequence), or a single one.
So a vector that varies over the steps is [H, samples] where vectors are columns and [samples, H] where they
are rows, a bias [H, 1] or [1, H], and a weight [H, I] or [I, H]. A matrix product that contracts the samples
is a sum over time and batch.

A block has a term: the expression of one unit, as in `symgru.proof.terms`, or of one element of a matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import sympy as sp

from symgru.formulas.errors import FormulaError, ShapeError
from symgru.proof.terms import Average, Contraction, OuterProduct, Total, TransposedContraction

SAMPLES, ONE = "samples", "1"
Axes = tuple[str, ...]
Grid = tuple[tuple[sp.Expr, ...], ...]

#: A term of more nodes is not worked on.
MAX_SIZE = 20_000
#: A term of more terms, once it is multiplied out, is not multiplied out.
MAX_TERMS = 3000

_LINEAR = (Contraction, TransposedContraction, OuterProduct, Total, Average)


class TransposedMatrix(sp.Function):
    """One element of the transpose of a matrix."""

    nargs = 1


class MatrixProduct(sp.Function):
    """One element of the product of two matrices."""

    nargs = 2


class DiagonalOf(sp.Function):
    """One element of the diagonal matrix of a vector."""

    nargs = 1


@cache
def ones(axis: str) -> sp.Symbol:
    """The vector of ones, which a number becomes where a product or a sum over samples needs a vector."""
    return sp.Symbol(f"ones[{axis}]", real=True)


@cache
def tree_size(term: sp.Expr) -> int:
    """Number of nodes of a term, each counted as often as it is written."""
    return 1 + sum(tree_size(a) for a in term.args)


@cache
def expanded_size(node: sp.Expr) -> int:
    """A bound on the number of terms once products are multiplied out, cut off beyond the limit."""
    if node.is_Atom:
        return 1
    sizes = [expanded_size(a) for a in node.args]
    if node.is_Add:
        return min(sum(sizes), 10 * MAX_TERMS)
    if node.is_Pow and node.exp.is_Integer:
        return min(sizes[0] ** abs(int(node.exp)), 10 * MAX_TERMS)
    if node.is_Mul or isinstance(node, _LINEAR):
        size = 1
        for factor in sizes:
            size = min(size * factor, 10 * MAX_TERMS)
        return size
    return max(sizes)  # a function keeps its argument to itself


@dataclass(frozen=True)
class Value:
    """A grid of blocks.

    Attributes:
        rows, columns: The axes of the blocks of the grid, down and across.
        terms: The term of each block, by row and column.
    Raises:
        FormulaError: the terms are too long.
    """

    rows: Axes
    columns: Axes
    terms: Grid

    def __post_init__(self) -> None:
        if sum(tree_size(term) for row in self.terms for term in row) > MAX_SIZE:
            raise FormulaError("written out, this has too many terms to be worked on")

    @property
    def is_number(self) -> bool:
        """A number without units or samples."""
        return self.rows == self.columns == (ONE,)

    @property
    def is_matrix(self) -> bool:
        """Both rows and columns are units."""
        return not {SAMPLES, ONE} & {*self.rows, *self.columns}

    @property
    def single(self) -> sp.Expr:
        """The term of a value of one block."""
        ((term,),) = self.terms
        return term

    @property
    def blocks(self) -> list[tuple[str, str, sp.Expr]]:
        """(axis of the rows, axis of the columns, term) of every block."""
        return [
            (row, column, term)
            for row, terms in zip(self.rows, self.terms, strict=True)
            for column, term in zip(self.columns, terms, strict=True)
        ]

    def map(self, function: Callable[[sp.Expr], sp.Expr]) -> Value:
        """The same shape with other terms."""
        return Value(
            self.rows, self.columns, tuple(tuple(function(term) for term in row) for row in self.terms)
        )

    def __str__(self) -> str:
        """What it is, for messages."""
        if self.is_number:
            return "a number"
        down, across = (" + ".join(axes) for axes in (self.rows, self.columns))
        if self.is_matrix:
            return f"a matrix [{down}, {across}]"
        units, kind = (down, "column") if SAMPLES in self.columns or ONE in self.columns else (across, "row")
        shared = ONE in (*self.rows, *self.columns)
        return f"a {kind} of {units}" + (", the same at all steps" if shared else "")


def block(row: str, column: str, term: sp.Expr) -> Value:
    """A value of one block."""
    return Value((row,), (column,), ((term,),))


def number(value: sp.Rational) -> Value:
    """A number."""
    return block(ONE, ONE, value)


def transpose(value: Value) -> Value:
    """Rows and columns exchanged."""
    flip = transposed_matrix if value.is_matrix else lambda term: term
    grid = tuple(zip(*value.map(flip).terms, strict=True))
    return Value(value.columns, value.rows, grid)


def transposed_matrix(term: sp.Expr) -> sp.Expr:
    """The term of the transposed matrix."""
    match term:
        case sp.Add():
            return sp.Add(*map(transposed_matrix, term.args))
        case TransposedMatrix():
            return term.args[0]
        case OuterProduct():
            return OuterProduct(*reversed(term.args))
        case MatrixProduct():
            return MatrixProduct(*map(transposed_matrix, reversed(term.args)))
        case DiagonalOf():
            return term
    if term.is_Mul:
        coefficient, rest = scaled(term)
        return coefficient * transposed_matrix(rest)
    return term if term == 0 else TransposedMatrix(term)


def scaled(term: sp.Mul) -> tuple[sp.Expr, sp.Expr]:
    """The number, such as 2 or exp(1), and the matrix of a multiple of a matrix.

    Raises:
        FormulaError: it is no multiple by a number.
    """
    numbers = [factor for factor in term.args if not factor.free_symbols]
    if len(numbers) != len(term.args) - 1:
        raise FormulaError(f"{term} is no multiple of a matrix")
    return sp.Mul(*numbers), next(factor for factor in term.args if factor.free_symbols)


def add(first: Value, second: Value, subtract: bool = False) -> Value:
    """Sum or difference; what is shared is broadcast over samples, and a number over all units."""
    if first.is_matrix != second.is_matrix and 0 not in (_constant(first), _constant(second)):
        raise _mismatch("add", first, second)
    sign = -1 if subtract else 1
    return _pointwise("subtract" if subtract else "add", first, second, lambda a, b: a + sign * b)


def multiply(first: Value, second: Value) -> Value:
    """The product unit by unit, or by a number."""
    if (first.is_matrix or second.is_matrix) and not (first.is_number or second.is_number):
        raise _mismatch("multiply unit by unit", first, second)
    return _pointwise("multiply unit by unit", first, second, lambda a, b: a * b)


def divide(first: Value, second: Value) -> Value:
    """The quotient unit by unit.

    Raises:
        FormulaError: the divisor is zero.
    """
    if second.is_matrix:
        raise _mismatch("divide", first, second)
    if any(term == 0 for _, _, term in second.blocks):
        raise FormulaError("a division by zero")
    return _pointwise("divide", first, second, lambda a, b: a / b)


def product(first: Value, second: Value) -> Value:
    """What a star, a dot or nothing means: pointwise where shapes are equal, else a matrix product."""
    if first.is_number or second.is_number:
        return multiply(first, second)
    if not (first.is_matrix or second.is_matrix) and _broadcast(first, second) is not None:
        return multiply(first, second)
    if first.columns == second.rows:
        return matrix_product(first, second)
    raise _mismatch("multiply", first, second)


def matrix_product(first: Value, second: Value) -> Value:
    """The product of matrices and vectors; over the samples it is a sum over time and batch."""
    if first.columns != second.rows or first.is_number or second.is_number or ONE in first.columns:
        raise _mismatch("multiply as matrices", first, second)
    if SAMPLES in first.rows and SAMPLES in second.columns:
        raise ShapeError(f"the product of {first} and {second} is an inner product, a single number")
    grid = []
    for row, left in zip(first.rows, first.terms, strict=True):
        line = []
        for j, column in enumerate(second.columns):
            right = [terms[j] for terms in second.terms]
            parts = [
                _contracted(row, axis, column, a, b)
                for axis, a, b in zip(first.columns, left, right, strict=True)
            ]
            line.append(sp.Add(*parts))
        grid.append(tuple(line))
    return Value(first.rows, second.columns, tuple(grid))


def _contracted(row: str, axis: str, column: str, left: sp.Expr, right: sp.Expr) -> sp.Expr:
    fixed = {SAMPLES, ONE}
    if axis == SAMPLES:
        if row in fixed or column in fixed:
            raise FormulaError("a product over the samples with something that has no units")
        return OuterProduct(_as_vector(left, row), _as_vector(right, column))
    if column in fixed:
        return applied(left, _as_vector(right, axis))
    if row in fixed:
        return applied(transposed_matrix(right), _as_vector(left, axis))
    return MatrixProduct(left, right)


def applied(matrix: sp.Expr, vector: sp.Expr) -> sp.Expr:
    """One unit of the matrix times the vector.

    Raises:
        FormulaError: the matrix is itself a sum of outer products.
    """
    match matrix:
        case sp.Add():
            return sp.Add(*(applied(part, vector) for part in matrix.args))
        case TransposedMatrix():
            return TransposedContraction(matrix.args[0], vector)
        case MatrixProduct():
            return applied(matrix.args[0], applied(matrix.args[1], vector))
        case DiagonalOf():
            return matrix.args[0] * vector
        case OuterProduct():
            raise FormulaError("a product with a sum of outer products is not supported")
    if matrix.is_Mul:
        coefficient, rest = scaled(matrix)
        return coefficient * applied(rest, vector)
    return sp.S.Zero if matrix == 0 else Contraction(matrix, vector)


def _as_vector(term: sp.Expr, axis: str) -> sp.Expr:
    """A term in which no part is the same number in all units: those get a vector of ones."""
    if expanded_size(term) > MAX_TERMS:
        return term  # the proofs leave it alone too
    constant, rest = sp.expand(term).as_coeff_Add()
    return rest + constant * ones(axis) if constant != 0 else term


def with_ones(term: sp.Expr, axis_of: Callable[[sp.Expr], str | None]) -> sp.Expr:
    """The same for all arguments of linear functions inside a term; transposes are worked out too."""
    if term.is_Atom:
        return term
    arguments = [with_ones(a, axis_of) for a in term.args]
    if isinstance(term, TransposedMatrix):
        return transposed_matrix(arguments[0])
    if isinstance(term, (Contraction, TransposedContraction, OuterProduct, Total)):
        axes = [axis_of(a) for a in term.args]
        arguments = [
            a if axis is None else _as_vector(a, axis) for a, axis in zip(arguments, axes, strict=True)
        ]
    return term.func(*arguments)


def total(value: Value) -> Value:
    """The sum over time and batch; of what is already such a sum, itself.

    Raises:
        ShapeError: nothing in the value varies over time and batch.
    """
    if SAMPLES not in (*value.rows, *value.columns):
        if all(term.has(OuterProduct, Total) for _, _, term in value.blocks):
            return value
        raise ShapeError(f"a sum over time and batch of {value}, which does not vary over them")
    rows, columns = (tuple(ONE if a == SAMPLES else a for a in axes) for axes in (value.rows, value.columns))
    units = [[r if r != SAMPLES else c for c in value.columns] for r in value.rows]
    grid = tuple(
        tuple(Total(_as_vector(t, axis)) for t, axis in zip(terms, axes, strict=True))
        for terms, axes in zip(value.terms, units, strict=True)
    )
    return Value(rows, columns, grid)


def diagonal(value: Value) -> Value:
    """The diagonal matrix of a vector."""
    axes = [a for a in (*value.rows, *value.columns) if a not in (SAMPLES, ONE)]
    if len(axes) != 1 or len(value.rows) != 1 or len(value.columns) != 1:
        raise ShapeError(f"a diagonal matrix of {value}")
    return block(axes[0], axes[0], DiagonalOf(_as_vector(value.single, axes[0])))


def beside(rows: Sequence[Sequence[Value]]) -> Value:
    """Blocks in rows and columns.

    Raises:
        ShapeError: neighbours do not have as many rows, or columns.
    """
    lines = [_across(row) for row in rows]
    whole = lines[0]
    for line in lines[1:]:
        if line.columns != whole.columns:
            raise ShapeError(f"{whole} cannot stand above {line}")
        whole = Value((*whole.rows, *line.rows), whole.columns, (*whole.terms, *line.terms))
    return whole


def _across(values: Sequence[Value]) -> Value:
    whole = values[0]
    for value in values[1:]:
        if value.rows != whole.rows:
            raise ShapeError(f"{whole} cannot stand beside {value}")
        grid = tuple((*left, *right) for left, right in zip(whole.terms, value.terms, strict=True))
        whole = Value(whole.rows, (*whole.columns, *value.columns), grid)
    return whole


def fitted(value: Value, rows: Axes, columns: Axes) -> Value | None:
    """The value broadcast to a shape, or None if it does not fit."""
    if value.is_number or (_common(value.rows, rows), _common(value.columns, columns)) == (rows, columns):
        return Value(rows, columns, _spread(value, rows, columns))
    return None


def _pointwise(
    verb: str, first: Value, second: Value, operation: Callable[[sp.Expr, sp.Expr], sp.Expr]
) -> Value:
    axes = _broadcast(first, second)
    if axes is None:
        raise _mismatch(verb, first, second)
    left, right = _spread(first, *axes), _spread(second, *axes)
    grid = tuple(
        tuple(operation(a, b) for a, b in zip(p, q, strict=True)) for p, q in zip(left, right, strict=True)
    )
    return Value(*axes, grid)


def _broadcast(first: Value, second: Value) -> tuple[Axes, Axes] | None:
    """The shape of two values together: a number is the same everywhere, a bias at all samples."""
    if first.is_number:
        return second.rows, second.columns
    if second.is_number:
        return first.rows, first.columns
    rows, columns = _common(first.rows, second.rows), _common(first.columns, second.columns)
    return None if rows is None or columns is None else (rows, columns)


def _common(first: Axes, second: Axes) -> Axes | None:
    if first == second:
        return first
    return (SAMPLES,) if {first, second} == {(ONE,), (SAMPLES,)} else None


def _spread(value: Value, rows: Axes, columns: Axes) -> Grid:
    grid = value.terms
    if len(value.columns) < len(columns):
        grid = tuple(row * len(columns) for row in grid)
    return grid * len(rows) if len(value.rows) < len(rows) else grid


def _constant(value: Value) -> sp.Expr | None:
    return value.single if value.is_number else None


def _mismatch(verb: str, first: Value, second: Value) -> ShapeError:
    return ShapeError(f"cannot {verb} {first} and {second}")
