"""Write a cell in a few lines: expressions with matrix products, split into the statements of a program.

    cell = CellBuilder("mgu", "minimal gated unit", source="Zhou et al. 2016, arXiv:1603.09420")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W_f, W_n = cell.weights("W_f W_n", "H", "I")
    U_f, U_n = cell.weights("U_f U_n", "H", "H")
    b_f, b_n = cell.biases("b_f b_n", "H")
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ (f * h) + b_n))
    cell.update(h, (1 - f) * h + f * n)
    mgu = cell.build()

A symbol is one unit of a vector, so products are unit by unit; `W @ v` and `mean(v)` run over units. Every
matrix product, every mean and every argument of a function becomes a statement of its own, named after what
it is part of: forget_gate_from_x, forget_gate_preactivation. So derivatives are written in the gates.

Every method raises `ProgramError` at the line that is wrong; the message names the cell and the statement.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import NoReturn

import sympy as sp

from symgru.equations.cell import Cell
from symgru.equations.functions import rsqrt, select
from symgru.equations.program import (
    NAME,
    Contract,
    Mean,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Shape,
    Statement,
    bias,
    matrix,
    vector,
)


class mean(sp.Function):  # noqa: N801 - lower case, as it is read in an equation
    """mean(v): the mean of v over its units, the same number in every unit."""

    nargs = 1


class MatrixProduct(sp.Function):
    """W v, one unit of it; written `W @ v`."""

    nargs = 2


class TransposedProduct(sp.Function):
    """Wᵀ v, one unit of it; written `W.T @ v`."""

    nargs = 2


@dataclass(frozen=True)
class Weight:
    """A matrix of a cell; `W @ v` is its product with a vector, `W.T` its transpose."""

    symbol: sp.Symbol
    transposed: bool = False

    @property
    def T(self) -> Weight:  # noqa: N802 - the name that NumPy and torch have for it
        """The transpose."""
        return Weight(self.symbol, not self.transposed)

    def __matmul__(self, operand: sp.Expr) -> sp.Expr:
        if not isinstance(operand, sp.Expr):  # SymPy would read a text as code
            raise ProgramError(f"{self.symbol} @ {operand!r}: expected an expression of a cell's symbols")
        return (TransposedProduct if self.transposed else MatrixProduct)(self.symbol, operand)


_OVER_UNITS = (MatrixProduct, TransposedProduct, mean)


class CellBuilder:
    """Collects inputs, states, parameters and equations of a cell.

    Args:
        name: Identifier of the cell.
        title: One line for documents; the name if empty.
        source: Where the equations are published.
    Raises:
        ProgramError: the name is no identifier.
    """

    def __init__(self, name: str, title: str = "", source: str = ""):
        if not NAME.fullmatch(name):
            raise ProgramError(f"{name!r} cannot name a cell: expected letters, digits and _")
        self._name, self._title, self._source = name, title or name, source
        self._inputs: dict[sp.Symbol, Shape] = {}
        self._shapes: Mapping[sp.Symbol, Shape] = {}
        self._statements: list[Statement] = []
        self._leaving: dict[sp.Symbol, sp.Symbol] = {}
        self._taken: set[str] = set()
        self._computed: dict[sp.Expr, sp.Symbol] = {}

    def input(self, name: str, axis: str) -> sp.Symbol:
        """A vector that varies over time and batch, [T, B, axis]."""
        return self._declare(name, vector(axis))

    def mask(self, name: str, axis: str) -> sp.Symbol:
        """Like an input, but true or false; for `select(mask, chosen, otherwise)` alone."""
        return self._declare(name, vector(axis))

    def state(self, name: str, axis: str) -> sp.Symbol:
        """A carried state, [B, axis], as it enters the step: `name`_prev. It leaves as `name`_new."""
        entering = self._declare(f"{name}_prev", vector(axis))
        self._leaving[entering] = _symbol(f"{name}_new")
        return entering

    def weight(self, name: str, rows: str, columns: str) -> Weight:
        """A matrix, [rows, columns]."""
        return Weight(self._declare(name, matrix(rows, columns)))

    def weights(self, names: str, rows: str, columns: str) -> list[Weight]:
        """Matrices of one shape, [rows, columns]; names with spaces between them."""
        return [self.weight(name, rows, columns) for name in names.split()]

    def bias(self, name: str, axis: str) -> sp.Symbol:
        """A parameter for each unit, [axis]."""
        return self._declare(name, bias(axis))

    def biases(self, names: str, axis: str) -> list[sp.Symbol]:
        """Parameters for each unit, [axis]; names with spaces between them."""
        return [self.bias(name, axis) for name in names.split()]

    def let(self, name: str, expression: sp.Expr) -> sp.Symbol:
        """Name the value of an expression.

        Raises:
            ProgramError: the name is taken, or the expression has something that no statement can have.
        """
        return self._write(_symbol(name), expression)

    def update(self, state: sp.Symbol, expression: sp.Expr) -> sp.Symbol:
        """The new value of a state; returns its symbol, `name`_new.

        Raises:
            ProgramError: this is no state, or it has been updated already.
        """
        if state not in self._leaving:
            known = ", ".join(map(str, self._leaving)) or "none"
            self._refuse(f"{state} is no state; states are {known}")
        return self._write(self._leaving[state], expression)

    def layer_norm(
        self, name: str, vectors: Sequence[sp.Expr], epsilon: sp.Rational, *, centre: bool = True
    ) -> list[sp.Symbol]:
        """Vectors of equal length, normalised as one: (v − μ)/√(σ² + ε) over the units of all of them.

        Args:
            name: What the normalised vectors are called: name_1, name_2, … (just name if there is one).
            vectors: One or several.
            epsilon: ε > 0, exact.
            centre: Subtract the mean; False is root mean square normalisation.
        Raises:
            ProgramError: epsilon is a float or not positive.
        Source: Ba et al. 2016, arXiv:1607.06450, eq. 4; Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4.
        """
        if not isinstance(epsilon, sp.Rational) or epsilon <= 0:
            self._refuse(f"{name} needs a positive sympy.Rational as epsilon, got {epsilon!r}")
        ending = [""] if len(vectors) == 1 else [f"_{i + 1}" for i in range(len(vectors))]
        parts = [
            v if v.is_Symbol else self.let(f"{name}_raw{e}", v) for e, v in zip(ending, vectors, strict=True)
        ]
        if centre:
            middle = self.let(f"{name}_centre", mean(sp.Add(*parts) / len(parts)))
            parts = [self.let(f"{name}_centred{e}", v - middle) for e, v in zip(ending, parts, strict=True)]
        spread = mean(sp.Add(*(v**2 for v in parts)) / len(parts))
        scale = self.let(f"{name}_scale", rsqrt(spread + epsilon))
        return [self.let(f"{name}{e}", v * scale) for e, v in zip(ending, parts, strict=True)]

    def build(self) -> Cell:
        """The cell.

        Raises:
            ProgramError: a state is never updated, there is none, or a mask is read as a number.
        """
        missing = [str(s) for s, leaving in self._leaving.items() if str(leaving) not in self._taken]
        if missing or not self._leaving:
            self._refuse(f"state {', '.join(missing)} is never updated" if missing else "there is no state")
        outputs = tuple(self._leaving.values())
        step = self._checked(self._inputs, tuple(self._statements), outputs)
        return Cell(self._name, self._title, step, tuple(self._leaving.items()), self._source)

    def _declare(self, name: str, shape: Shape) -> sp.Symbol:
        symbol = _symbol(name)
        self._check_free(symbol)
        self._checked({symbol: shape}, (), ())
        self._taken.add(name)
        self._inputs[symbol] = shape
        self._shapes = {**self._shapes, symbol: shape}
        return symbol

    def _write(self, target: sp.Symbol, expression: sp.Expr) -> sp.Symbol:
        self._check_free(target)
        if not isinstance(expression, sp.Expr):
            self._refuse(f"{target} is to be an expression of its symbols, got {expression!r}")
        self._check_readable(target, expression)
        self._taken.add(str(target))  # from here on, also for the parts of its own expression
        return self._append(target, self._split(expression, str(target), top=True))

    def _check_readable(self, target: sp.Symbol, expression: sp.Expr) -> None:
        """What a program would refuse too, in the words of who writes a cell."""
        floats = sorted(map(str, expression.atoms(sp.Float)))
        if floats:
            self._refuse(
                f"'{target} = {expression}' has the float {', '.join(floats)}; "
                "numbers are exact here, such as sympy.Rational(1, 2)"
            )
        for choice in sorted(expression.atoms(select), key=str):
            if choice.args[0] not in self._inputs:
                self._refuse(
                    f"'{target} = {expression}' chooses by {choice.args[0]}, expected a mask among the inputs"
                )
        for symbol in sorted(expression.free_symbols - self._shapes.keys(), key=str):
            why = (
                "another symbol than the cell's of that name"
                if str(symbol) in self._taken
                else "which nothing before it defines"
            )
            self._refuse(f"'{target} = {expression}' reads {symbol}, {why}")

    def _split(self, node: sp.Expr, name: str, *, top: bool = False) -> sp.Expr:
        """The expression of one unit that is left when what needs statements of its own has them.

        Args:
            node: Any expression.
            name: What the names of its parts begin with.
            top: Whether it is the whole right-hand side of a statement, so that it needs no other name.
        """
        if node.is_Atom:
            return node
        if isinstance(node, _OVER_UNITS):
            operand = self._named(node.args[-1], name, "operand")
            value = node.func(*node.args[:-1], operand)
            return self._value(value, f"{name}_{_origin(node, str(operand).removeprefix(f'{name}_'))}", top)
        if isinstance(node, sp.Function) and not isinstance(node, select):
            arguments = (self._named(a, name, "preactivation") for a in node.args)
            return self._value(node.func(*arguments), f"{name}_{node.func.__name__}", top)
        return node.func(*(self._split(a, name) for a in node.args))

    def _named(self, node: sp.Expr, name: str, part: str) -> sp.Symbol:
        return self._value(self._split(node, name), f"{name}_{part}")

    def _value(self, expression: sp.Expr, name: str, top: bool = False) -> sp.Expr:
        """A symbol for the expression: itself, the one that has this value already, or a new one."""
        if top or expression.is_Symbol:
            return expression
        if expression not in self._computed:
            fresh = next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in self._taken)
            self._taken.add(fresh)
            self._append(_symbol(fresh), expression)
        return self._computed[expression]

    def _append(self, target: sp.Symbol, expression: sp.Expr) -> sp.Symbol:
        match expression:
            case mean():
                statement: Statement = Mean(target, expression.args[0])
            case MatrixProduct() | TransposedProduct():
                weight, operand = expression.args
                transposed = isinstance(expression, TransposedProduct)
                statement = Contract(target, (Product(weight, operand, transposed),))
            case _:
                statement = Pointwise(target, expression)
        self._statements.append(statement)
        self._shapes = self._checked(self._shapes, (statement,), ()).shapes
        self._computed.setdefault(expression, target)
        return target

    def _check_free(self, symbol: sp.Symbol) -> None:
        if str(symbol) in self._taken:
            self._refuse(f"there is a {symbol} already")

    def _checked(
        self,
        inputs: Mapping[sp.Symbol, Shape],
        statements: tuple[Statement, ...],
        outputs: tuple[sp.Symbol, ...],
    ) -> Program:
        """The program; what it refuses, it refuses with the name of the cell."""
        try:
            return Program(inputs, statements, outputs)
        except ProgramError as error:
            self._refuse(str(error))

    def _refuse(self, complaint: str) -> NoReturn:
        raise ProgramError(f"cell {self._name}: {complaint}")


def _origin(node: sp.Expr, operand: str) -> str:
    return "mean" if isinstance(node, mean) else f"from_{operand}"


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)
