"""Equations as people read them: the traversal that LaTeX and plain text share, so that both say the same.

Products of vectors are ⊙, matrix products are written where they are read (W x, not a name for it), and
sums over time and batch of outer products are Σ u vᵀ. A target is the handful of methods that
`symgru.lowering.latex` and `symgru.lowering.unicode_text` define; `symgru.lowering.order` says what stands
first in a product or a sum.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import cast

import sympy as sp
from sympy.printing.printer import Printer

from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.reverse_mode import PREFIX as COTANGENT
from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Statement, Sum
from symgru.lowering.notation import GRU, Coefficient, Glyph, Marked, Notation
from symgru.lowering.order import Order
from symgru.lowering.printers import LoweringError


class MathPrinter(Printer):
    """One traversal of expressions and statements; what a target writes is left to its subclass.

    Args:
        statements: The program that the equations are part of; its contractions are written where they
            are read, unless the notation has a letter for them.
        notation: Letters; those of the GRU if None.
    Raises:
        LoweringError: a node or symbol that the target has no form for; the message names it.
    """

    printmethod = "_mathcode"
    times, dot, minus, top = "", "", "", ""
    functions: Mapping[str, str] = MappingProxyType({})

    def __init__(self, statements: Iterable[Statement] = (), notation: Notation | None = None) -> None:
        super().__init__()
        self.notation = notation or GRU
        self._inlined = {
            s.target: s
            for s in statements
            if isinstance(s, Contract) and not self.notation.has(str(s.target))
        }
        self._order = Order(self.notation.of, self._inlined)

    # What a target writes.

    @abstractmethod
    def _glyph(self, glyph: Glyph) -> str:
        """A letter with its indices and its mark."""

    @abstractmethod
    def _marked(self, mark: str, operand: str) -> str:
        """The cotangent or tangent of a product."""

    @abstractmethod
    def _coefficient(self, target: str, source: str, number: str) -> str:
        """The factor of the source in the target."""

    @abstractmethod
    def _power(self, base: str, exponent: int) -> str:
        """An integer power, unit by unit."""

    @abstractmethod
    def _fraction(self, numerator: int, denominator: int) -> str:
        """A rational number."""

    @abstractmethod
    def _parenthesised(self, content: str) -> str:
        """Round brackets."""

    @abstractmethod
    def _mean(self, content: str) -> str:
        """The mean over units."""

    @abstractmethod
    def _accumulated(self, content: str) -> str:
        """The sum over time and batch."""

    # Statements.

    def is_inlined(self, statement: Statement) -> bool:
        """Whether the statement is written where its value is read, and has no equation of its own."""
        return statement.target in self._inlined

    def equation(self, statement: Statement) -> tuple[str, str]:
        """Left-hand and right-hand side."""
        target = self.symbol(statement.target)
        match statement:
            case Pointwise():
                return target, self._expression(statement.expression)
            case Contract():
                return target, self._contraction(statement)
            case Mean():
                return target, self._mean(self._operand(statement.source))
            case Outer():
                pairs = [f"{self._operand(u)} {self._operand(v)}{self.top}" for u, v in statement.terms]
            case Sum():
                pairs = [self._operand(term) for term in statement.terms]
        content = " + ".join(pairs)
        return target, self._accumulated(content if len(pairs) == 1 else self._parenthesised(content))

    def symbol(self, symbol: sp.Symbol) -> str:
        """A symbol by its letter; a contraction without one by its products."""
        if symbol in self._inlined:
            return self._contraction(self._inlined[symbol])
        return self._named(str(symbol))

    def expression(self, expression: sp.Expr) -> str:
        """A scalar expression of one unit."""
        return self._expression(expression)

    def _named(self, name: str) -> str:
        match self.notation.of(name):
            case Glyph() as glyph:
                return self._glyph(glyph)
            case Coefficient(target, source, number):
                return self._coefficient(self._unmarked(target), self._unmarked(source), number)
            case Marked(mark, stem):
                return self._marked(mark, self._stem(stem))

    def _unmarked(self, name: str) -> str:
        """Both names of a coefficient are cotangents, or both tangents, so the mark says nothing."""
        for mark in (COTANGENT, TANGENT):
            if name.startswith(mark):
                return self._stem(name.removeprefix(mark), name)
        return self._stem(name)

    def _stem(self, name: str, marked_name: str = "") -> str:
        """A value by its letter or by the products that define it."""
        for candidate in (name, marked_name):
            contract = self._inlined.get(sp.Symbol(candidate, real=True)) if candidate else None
            if contract is not None:
                return self._contraction(contract)
        return self._named(name)

    def _contraction(self, statement: Contract) -> str:
        terms = sorted(statement.terms, key=lambda term: self._order.place(term.matrix))
        return " + ".join(self._product(term) for term in terms)

    def _product(self, term: Product) -> str:
        transposed = self.top if term.transposed else ""
        return f"{self._named(str(term.matrix))}{transposed} {self._operand(term.vector)}"

    def _operand(self, symbol: sp.Symbol) -> str:
        written = self.symbol(symbol)
        return self._parenthesised(written) if symbol in self._inlined else written

    # Expressions.

    def _expression(self, expression: sp.Expr) -> str:
        return cast(str, self._print(expression))

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return self.symbol(expr)

    def _print_Integer(self, expr: sp.Integer) -> str:
        return str(int(expr)) if expr >= 0 else f"{self.minus}{-int(expr)}"

    def _print_Rational(self, expr: sp.Rational) -> str:
        sign = "" if expr >= 0 else self.minus
        return sign + self._fraction(abs(int(expr.p)), int(expr.q))

    def _print_Add(self, expr: sp.Add) -> str:
        parts: list[str] = []
        for term in sorted(expr.args, key=self._order.term):
            negative = term.could_extract_minus_sign()
            written = self._term(-term if negative else term, negative)
            sign = f" {self.minus} " if negative else " + "
            parts.append((sign if parts else self.minus if negative else "") + written)
        return "".join(parts)

    def _print_Mul(self, expr: sp.Mul) -> str:
        if expr.could_extract_minus_sign():
            return self.minus + self._term(-expr, negative=True)
        number, factors = expr.as_coeff_mul()
        written = [self._factor(f) for f in sorted(factors, key=self._order.factor)]
        product = f" {self.times} ".join(written)
        return product if number == 1 else f"{self._expression(number)} {self.dot} {product}"

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if not (exponent.is_Integer and exponent >= 2):
            raise LoweringError(
                f"documents have no form for the power {expr}; known are integer exponents from 2"
            )
        written = self._expression(base)
        simple = base.is_Symbol and base not in self._inlined and not self._superscripted(base)
        return self._power(written if simple else self._parenthesised(written), int(exponent))

    def _print_Function(self, expr: sp.Function) -> str:
        name = type(expr).__name__
        if name not in self.functions:
            raise LoweringError(f"documents have no function {name}; known are {', '.join(self.functions)}")
        return self.functions[name] + self._parenthesised(", ".join(self._expression(a) for a in expr.args))

    _print_tanh = _print_exp = _print_Function

    def emptyPrinter(self, expr: object) -> str:
        """What SymPy calls for a node without a method here."""
        raise LoweringError(f"documents have no form for {type(expr).__name__}: {expr}")

    def _term(self, term: sp.Expr, negative: bool) -> str:
        """A term of a sum; a subtracted sum needs brackets."""
        written = self._expression(term)
        is_sum = term.is_Add or (term in self._inlined and len(self._inlined[term].terms) > 1)
        return self._parenthesised(written) if negative and is_sum else written

    def _factor(self, factor: sp.Expr) -> str:
        written = self._expression(factor)
        return self._parenthesised(written) if factor.is_Add or factor in self._inlined else written

    def _superscripted(self, symbol: sp.Symbol) -> bool:
        glyph = self.notation.of(str(symbol))
        return not isinstance(glyph, Glyph) or bool(glyph.superscript or glyph.mark)
