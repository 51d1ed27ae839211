"""SymPy as a judge: both sides in normal form by the lemmas that the step names; their difference is zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import sympy as sp

from symgru.certificates.obligations import Obligation, needed
from symgru.certificates.verdicts import PROVED, UNDECIDED, Verdict
from symgru.proof import LEMMAS, Lemma, ProofError, check
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import LINEAR, Normaliser


class SympyJudge:
    """Decides obligations by rewriting; what it cannot rewrite to zero it does not call false."""

    name = "SymPy"

    @property
    def version(self) -> str:
        """Of SymPy."""
        return str(sp.__version__)

    def decide(self, obligation: Obligation) -> Verdict:
        """Put in the definitions of the right side first, then all that matter."""
        remainder: sp.Expr | None = None
        try:
            normalise = _normal_form(obligation)
            for definitions in needed(obligation):
                remainder = _remainder(obligation, definitions, normalise)
                if remainder == 0:
                    return Verdict(PROVED)
        except ProofError as error:
            return Verdict(UNDECIDED, str(error))
        return Verdict(UNDECIDED, f"the sides differ by {remainder}")

    def decide_lemma(self, lemma: Lemma) -> Verdict:
        """Whether the lemma follows from definitions, sums over any number of units included."""
        try:
            check(lemma)
        except ProofError as error:
            return Verdict(UNDECIDED, str(error))
        return Verdict(PROVED)


def _normal_form(obligation: Obligation) -> Callable[[sp.Expr], sp.Expr]:
    """Rewriting by the lemmas of the step: f(−a) = … where a sign can be taken out, f(a) = … anywhere."""
    known = {lemma.name: lemma for lemma in LEMMAS}
    if unknown := [name for name in obligation.lemmas if name not in known]:
        raise ProofError(f"there is no lemma called '{unknown[0]}'")
    lemmas = [known[name] for name in obligation.lemmas]
    normalise = Normaliser(lemmas, obligation.masks, obligation.uniform)
    anywhere = [check(lemma) for lemma in lemmas if lemma.universal and lemma.left.args[0].is_Symbol]

    def normal_form(node: sp.Expr) -> sp.Expr:
        node = normalise(node.replace(sp.tanh, Tanh))
        for lemma in anywhere:
            node = node.replace(lemma.left.func, partial(_instance, lemma))
        return node

    return normal_form


def _instance(lemma: Lemma, argument: sp.Expr) -> sp.Expr:
    return lemma.right.xreplace({lemma.left.args[0]: sp.expand(argument)})


def _remainder(
    obligation: Obligation,
    definitions: Mapping[sp.Symbol, sp.Expr],
    normalise: Callable[[sp.Expr], sp.Expr],
) -> sp.Expr:
    sides = [normalise(obligation.left), normalise(obligation.right)]
    # Definitions are acyclic: one that is put in brings only symbols that were defined before it.
    for symbol, definition in reversed(list(definitions.items())):
        value = normalise(definition)
        sides = [_put_in(side, symbol, value) for side in sides]
    left, right = map(normalise, sides)
    remainder = sp.expand(left - right)
    if remainder == 0:
        return remainder
    numerator, _ = sp.fraction(sp.together(remainder))  # not simplify: it may take minutes on what is false
    return remainder if sp.expand(numerator) != 0 else sp.S.Zero


def _put_in(node: sp.Expr, symbol: sp.Symbol, value: sp.Expr) -> sp.Expr:
    """The value in place of the symbol, but not inside operators, which speak of all units."""
    if node == symbol:
        return value
    if type(node) in LINEAR or symbol not in node.free_symbols:
        return node
    return node.func(*(_put_in(argument, symbol, value) for argument in node.args))
