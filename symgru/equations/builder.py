"""Write a cell in a few lines: expressions with matrix products, split into the statements of a program.

    cell = CellBuilder("mgu", "minimal gated unit", source="Zhou et al. 2016, arXiv:1603.09420")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W_f, U_f, b_f = cell.weight("W_f", "H", "I"), cell.weight("U_f", "H", "H"), cell.bias("b_f", "H")
    W, U, b = cell.weight("W", "H", "I"), cell.weight("U", "H", "H"), cell.bias("b", "H")
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    n = cell.let("candidate", tanh(W @ x + U @ (f * h) + b))
    cell.update(h, (1 - f) * h + f * n)
    mgu = cell.build()

A symbol is one unit of a vector, so products are unit by unit; `W @ v` and `mean(v)` run over units. Every
matrix product, every mean and every argument of a function becomes a statement of its own, named after what
it is part of: forget_gate_from_x, forget_gate_preactivation. So derivatives are written in the gates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count

import sympy as sp

from symgru.equations.cell import Cell
from symgru.equations.functions import rsqrt, select
from symgru.equations.program import (
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
        return (TransposedProduct if self.transposed else MatrixProduct)(self.symbol, operand)


_OVER_UNITS = (MatrixProduct, TransposedProduct, mean)


class CellBuilder:
    """Collects inputs, states, parameters and equations of a cell.

    Args:
        name: Identifier of the cell.
        title: One line for documents; the name if empty.
        source: Where the equations are published.
    """

    def __init__(self, name: str, title: str = "", source: str = ""):
        self._name, self._title, self._source = name, title or name, source
        self._inputs: dict[sp.Symbol, Shape] = {}
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

    def bias(self, name: str, axis: str) -> sp.Symbol:
        """A parameter for each unit, [axis]."""
        return self._declare(name, bias(axis))

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
            raise ProgramError(f"cell {self._name}: {state} is no state; states are {known}")
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
        Source: Ba et al. 2016, arXiv:1607.06450, eq. 4; Zhang and Sennrich 2019, arXiv:1910.07467, eq. 4.
        """
        ending = [""] if len(vectors) == 1 else [f"_{i + 1}" for i in range(len(vectors))]
        parts = [self.let(f"{name}_raw{e}", v) for e, v in zip(ending, vectors, strict=True)]
        if centre:
            middle = self.let(f"{name}_mean", sp.Add(*map(mean, parts)) / len(parts))
            parts = [self.let(f"{name}_centred{e}", v - middle) for e, v in zip(ending, parts, strict=True)]
        spread = sp.Add(*(mean(v**2) for v in parts)) / len(parts)
        scale = self.let(f"{name}_scale", rsqrt(spread + sp.Rational(epsilon)))
        return [self.let(f"{name}{e}", v * scale) for e, v in zip(ending, parts, strict=True)]

    def build(self) -> Cell:
        """The cell.

        Raises:
            ProgramError: it is not well formed; the message names the statement.
        """
        missing = [str(s) for s, leaving in self._leaving.items() if str(leaving) not in self._taken]
        if missing:
            raise ProgramError(f"cell {self._name}: state {', '.join(missing)} is never updated")
        outputs = tuple(self._leaving.values())
        step = Program(self._inputs, tuple(self._statements), outputs)
        return Cell(self._name, self._title, step, tuple(self._leaving.items()), self._source)

    def _declare(self, name: str, shape: Shape) -> sp.Symbol:
        symbol = _symbol(name)
        self._check_free(symbol)
        self._taken.add(name)
        self._inputs[symbol] = shape
        return symbol

    def _write(self, target: sp.Symbol, expression: sp.Expr) -> sp.Symbol:
        self._check_free(target)
        if not isinstance(expression, sp.Expr):
            raise ProgramError(
                f"cell {self._name}: {target} is to be an expression of its symbols, got {expression!r}"
            )
        self._taken.add(str(target))  # from here on, also for the parts of its own expression
        return self._append(target, self._split(expression, str(target), top=True))

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
            return self._value(node.func(*node.args[:-1], operand), f"{name}_{_origin(node, operand)}", top)
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
        self._computed.setdefault(expression, target)
        return target

    def _check_free(self, symbol: sp.Symbol) -> None:
        if str(symbol) in self._taken:
            raise ProgramError(f"cell {self._name}: there is a {symbol} already")


def _origin(node: sp.Expr, operand: sp.Symbol) -> str:
    return "mean" if isinstance(node, mean) else f"from_{operand}"


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)
