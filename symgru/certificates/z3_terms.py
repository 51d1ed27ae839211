"""Terms for Z3: sums and products are Z3's own, every function is one that Z3 knows nothing of.

σ, tanh and all other functions of one unit become uninterpreted functions of real numbers. A contraction, an
outer product, a sum or a mean depends on all units, and equal values in one unit do not make it equal: so
each gets a real number of its own, and two of them share it only if their arguments are equal polynomials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sympy as sp
import z3

from symgru.proof import ProofError
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import LINEAR


class Encoding:
    """The terms of one obligation.

    Attributes:
        applications: Every application of a function of one unit that occurs: its SymPy type -> arguments.
        operators: Every contraction, product or sum that occurs: its number, its SymPy type, its arguments.
    Args:
        context: Z3's.
    """

    def __init__(self, context: z3.Context):
        self.applications: dict[Any, tuple[type[sp.Basic], tuple[Any, ...]]] = {}
        self.operators: dict[Any, tuple[type[sp.Basic], tuple[Any, ...]]] = {}
        self.assumptions: list[Any] = []
        self._context = context
        self._terms: dict[sp.Expr, Any] = {}
        self._names: dict[str, sp.Symbol] = {}
        self._constants: dict[tuple[Any, ...], Any] = {}

    def at(self, node: sp.Expr, values: Mapping[sp.Symbol, Any]) -> Any:
        """The expression with terms in place of symbols."""
        terms, self._terms = self._terms, dict(values)
        try:
            return self.term(node)
        finally:
            self._terms = terms

    def term(self, node: sp.Expr) -> Any:
        """The expression as a real number of Z3.

        Raises:
            ProofError: it has a number with no finite value.
        """
        if node not in self._terms:
            self._terms[node] = self._translate(node)
        return self._terms[node]

    def _translate(self, node: sp.Expr) -> Any:
        if node.is_Symbol:
            return self._symbol(node)
        if node.is_Rational:
            return self.number(node)
        if node.is_Pow and node.exp.is_Integer:
            return self._power(self.term(node.base), int(node.exp))
        arguments = [self.term(argument) for argument in node.args]
        if node.is_Add:
            return z3.Sum(arguments)
        if node.is_Mul:
            return z3.Product(arguments)
        if not arguments:
            raise ProofError(f"{node} is no real number")
        return self.apply(type(node), arguments)

    def _power(self, base: Any, exponent: int) -> Any:
        """A product; 1/a is a number that a times it is 1, unless a is 0."""
        if exponent < 0:
            inverse = self.apply(sp.Pow, [base, self.number(sp.S.NegativeOne)])
            self.assumptions.append(z3.Or(base == 0, base * inverse == 1))
            base = inverse
        return z3.Product([base] * abs(exponent))

    def number(self, number: sp.Rational) -> Any:
        """An exact number."""
        return z3.Q(int(number.p), int(number.q), self._context)

    def apply(self, head: type[sp.Basic], arguments: Sequence[Any]) -> Any:
        """A function or an operator, applied to terms."""
        simple = tuple(normal(argument) for argument in arguments)
        if head not in LINEAR:
            applied = self._function(head, len(simple))(*simple)
            self.applications[applied] = (head, simple)
            return applied
        key = (head, *(argument.get_id() for argument in simple))  # ids of terms that stay alive below
        if key not in self._constants:
            self._constants[key] = z3.FreshReal(head.__name__, self._context)
            self.operators[self._constants[key]] = (head, simple)
        return self._constants[key]

    def _function(self, head: type[sp.Basic], arity: int) -> Any:
        name = "tanh" if head in (Tanh, sp.tanh) else head.__name__
        return z3.Function(f"{name}/{arity}", *[z3.RealSort(self._context)] * (arity + 1))

    def _symbol(self, symbol: sp.Symbol) -> Any:
        name = str(symbol)
        while self._names.setdefault(name, symbol) != symbol:
            name += "′"
        real = z3.Real(name, self._context)
        if symbol.is_positive:
            self.assumptions.append(real > 0)
        elif symbol.is_negative:
            self.assumptions.append(real < 0)
        elif symbol.is_nonnegative:
            self.assumptions.append(real >= 0)
        return real


def normal(term: Any) -> Any:
    """A sum of monomials in a fixed order: equal polynomials become the same term."""
    return z3.simplify(term, som=True, sort_sums=True, flat=True)


def monomials(term: Any) -> list[tuple[Any, list[Any]]]:
    """Number and other factors of each summand of a normal form; no summand for 0."""
    one = z3.RealVal(1, term.ctx)
    found = []
    for part in term.children() if z3.is_add(term) else [term]:
        factors = part.children() if z3.is_mul(part) else [part]
        number = next((f for f in factors if z3.is_rational_value(f)), one)
        found.append((number, [f for f in factors if not z3.is_rational_value(f)]))
    return [(number, factors) for number, factors in found if not number.eq(z3.RealVal(0, term.ctx))]
