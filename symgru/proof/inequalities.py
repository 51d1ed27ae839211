"""Inequalities as calculations: what is not negative is a sum of products of what is known not to be.

    1/4 − g(1 − g) = (g − 1/2)²             M − (g h + (1 − g) n) = g(M − h) + (1 − g)(M − n)

Such an equation shows an inequality: SymPy decides the equation, and that sums and products of numbers that
are not negative are not negative, and squares neither, is all that has to be argued.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symgru.proof.polynomials import expanded
from symgru.proof.text import text
from symgru.proof.theorem import ProofError, Step

SUM_OF_PRODUCTS = "a sum of products of numbers that are not negative, by the lines above or as squares"

Product = tuple[sp.Expr, ...]


class Inequalities:
    """Expressions that are known not to be negative, and the steps by which they are known.

    Attributes:
        steps: The proof so far.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._strict: dict[sp.Expr, bool] = {}

    def __contains__(self, fact: sp.Expr) -> bool:
        form = expanded(fact)
        return form in self._strict or bool(form.is_Rational and form >= 0)

    def positive(self, fact: sp.Expr) -> bool:
        """Whether the expression is known to be positive."""
        form = expanded(fact)
        return self._strict.get(form, bool(form.is_Rational and form > 0))

    def given(self, *facts: sp.Expr) -> None:
        """What is assumed: the assumptions of the theorem say it, so it is no step."""
        for fact in facts:
            self._strict.setdefault(expanded(fact), False)

    def argue(self, facts: Sequence[sp.Expr], why: str, lemmas: Sequence[str] = ()) -> None:
        """Facts that a rule gives, with the sign > 0."""
        claims = ", ".join(f"{text(fact)} > 0" for fact in facts)
        self.steps.append(Step(claims, why, lemmas=tuple(lemmas)))
        for fact in facts:
            self._strict[expanded(fact)] = True

    def bound(self, target: sp.Expr, limit: sp.Expr, why: str, lemmas: Sequence[str] = ()) -> None:
        """|target| ≤ limit, which a rule gives."""
        self.steps.append(Step(f"|{text(target)}| <= {text(limit)}", why, lemmas=tuple(lemmas)))
        self.given(limit - target, limit + target)

    def show(self, fact: sp.Expr, *products: Product, claim: str = "", lemmas: Sequence[str] = ()) -> Step:
        """Show fact ≥ 0, or fact > 0 if all factors of a product are positive.

        Args:
            fact: The expression.
            products: What it is the sum of: products of known facts, squares and numbers from 0 on.
            claim: The inequality in another form, for reading.
            lemmas: What made the fact an expression of these symbols.
        Raises:
            ProofError: a factor is not known not to be negative, or the sum is not the expression.
        """
        for factor in (factor for product in products for factor in product):
            if not self._known(factor):
                raise ProofError(f"'{claim or fact}': {factor} is not known not to be negative")
        total = sp.Add(*(sp.Mul(*product) for product in products))
        strict = any(all(self.positive(factor) for factor in product) for product in products)
        step = Step(
            claim or f"{text(fact)} {'>' if strict else '>='} 0",
            f"{SUM_OF_PRODUCTS}: {text(total)}",
            (fact, total),
            tuple(lemmas),
        )
        if not step.checked:
            raise ProofError(f"'{step.claim}': {fact} is not {total}, they differ by {step.residual}")
        if fact not in self or (strict and not self.positive(fact)):
            self._strict[expanded(fact)] = strict
            self.steps.append(step)
        return step

    def _known(self, factor: sp.Expr) -> bool:
        square = isinstance(factor, sp.Pow) and factor.exp.is_Integer and factor.exp % 2 == 0
        return bool(square) or factor in self
