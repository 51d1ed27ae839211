"""Lemmas that Z3 decides from definitions, with e = exp(a) as a positive number and exp(−a) as its inverse.

That is enough for the lemmas about functions of one unit. Those about sums over any number of units, steps or
examples need induction over that number, which Z3 does not do: they are axioms to it, and SymPy's alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import eq, ge, gt, le, lt
from typing import Any

import sympy as sp
import z3

from symgru.certificates.verdicts import PROVED, REFUTED, UNDECIDED, Verdict
from symgru.proof import Lemma

LIMIT = 2_000_000
RELATIONS: Mapping[type[sp.Basic], Callable[[Any, Any], Any]] = {
    sp.Eq: eq,
    sp.StrictGreaterThan: gt,
    sp.StrictLessThan: lt,
    sp.GreaterThan: ge,
    sp.LessThan: le,
}


class NotAlgebraicError(ValueError):
    """What is not made of numbers, sums, products, quotients, choices and exp of multiples of one symbol."""


@cache
def decide_lemma(lemma: Lemma) -> Verdict:
    """Whether both sides are equal in all cases of the lemma."""
    context = z3.Context()
    solver = z3.SimpleSolver(ctx=context)
    solver.set("rlimit", LIMIT)
    for case in lemma.cases:
        algebra = _Algebra(context, dict(case))
        try:
            left, right = (algebra.term(_written_out(side)) for side in (lemma.left, lemma.right))
        except NotAlgebraicError as error:
            return Verdict(UNDECIDED, f"not algebraic: {error}")
        if any(_check(solver, *facts, divisor == 0) != z3.unsat for facts, divisor in algebra.divisors):
            return Verdict(UNDECIDED, "a divisor may be 0")
        answer = _check(solver, *algebra.facts, left != right)
        if answer != z3.unsat:
            return Verdict(REFUTED if answer == z3.sat else UNDECIDED)
    return Verdict(PROVED)


def _written_out(side: sp.Expr) -> sp.Expr:
    return side.rewrite(sp.exp).rewrite(sp.Piecewise)


def _check(solver: z3.Solver, *formulas: Any) -> z3.CheckSatResult:
    solver.push()
    solver.add(*formulas)
    answer = solver.check()
    solver.pop()
    return answer


class _Algebra:
    """Real terms; `facts` says what is known of the numbers in them, and `divisors` must not be 0 by that."""

    def __init__(self, context: z3.Context, values: dict[sp.Symbol, sp.Expr]):
        self.facts: list[Any] = []
        self.divisors: list[tuple[tuple[Any, ...], Any]] = []
        self._context = context
        self._values = values
        self._powers: dict[sp.Symbol, tuple[Any, Any]] = {}

    def term(self, node: sp.Basic) -> Any:
        node = self._values.get(node, node)
        if node.is_Rational:
            return z3.Q(int(node.p), int(node.q), self._context)
        if node.is_Symbol:
            return z3.Real(str(node), self._context)
        if isinstance(node, sp.exp):
            return self._exponential(node)
        if isinstance(node, sp.Piecewise):
            return self._choice(node)
        if node.is_Add or node.is_Mul:
            parts = [self.term(argument) for argument in node.args]
            return z3.Sum(parts) if node.is_Add else z3.Product(parts)
        if node.is_Pow and node.exp.is_Integer:
            power = z3.Product([self.term(node.base)] * abs(int(node.exp)))
            return power if node.exp > 0 else self._inverse(power)
        raise NotAlgebraicError(f"{type(node).__name__} in {node}")

    def _exponential(self, node: sp.Expr) -> Any:
        number, symbol = node.args[0].as_coeff_Mul()
        if not (number.is_Integer and symbol.is_Symbol):
            raise NotAlgebraicError(str(node))
        if symbol not in self._powers:
            pair = tuple(z3.Real(f"exp({sign}{symbol})", self._context) for sign in ("", "-"))
            self.facts += [pair[0] > 0, pair[1] > 0, pair[0] * pair[1] == 1]
            self._powers[symbol] = pair
        return z3.Product([self._powers[symbol][int(number) < 0]] * abs(int(number)))

    def _inverse(self, divisor: Any) -> Any:
        """1/d as a number i with d·i = 1, which there is: that d is not 0 has to be shown first."""
        self.divisors.append((tuple(self.facts), divisor))
        inverse = z3.FreshReal("inverse", self._context)
        self.facts.append(divisor * inverse == 1)
        return inverse

    def _choice(self, node: sp.Piecewise) -> Any:
        result = None
        for value, condition in reversed(node.args):
            if condition is sp.true:
                result = self.term(value)
            elif type(condition) in RELATIONS and result is not None:
                test = RELATIONS[type(condition)](self.term(condition.lhs), self.term(condition.rhs))
                result = z3.If(test, self.term(value), result)
            else:
                raise NotAlgebraicError(f"the condition {condition}")
        return result
