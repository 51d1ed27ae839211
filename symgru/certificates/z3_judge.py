"""Z3 as a judge: definitions and lemmas as axioms, the negated equation, and no model of all of them.

It gets the equation as it comes out of the programs, before SymPy rewrites anything. Of a lemma it gets the
instances at the terms that occur, and only if the step names the lemma; which lemmas Z3 can decide itself is
`symgru.certificates.z3_lemmas`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

import sympy as sp
import z3

from symgru.certificates.obligations import Obligation, needed
from symgru.certificates.verdicts import PROVED, REFUTED, UNDECIDED, Verdict
from symgru.certificates.z3_lemmas import decide_lemma
from symgru.certificates.z3_terms import Encoding, monomials, normal
from symgru.equations import select
from symgru.proof import LEMMAS, Lemma, ProofError
from symgru.proof.lemmas import SELECTION, Tanh
from symgru.proof.terms import LINEAR, Contraction, TransposedContraction

#: Steps that Z3 may take for one equation: a count, not a time, so a verdict does not depend on the machine.
LIMIT = 2_000_000


class Z3Judge:
    """Decides obligations with one solver.

    Args:
        limit: Of the resources that Z3 may use for one obligation.
    """

    name = "Z3"

    def __init__(self, limit: int = LIMIT):
        self._context = z3.Context()
        self._solver = z3.SimpleSolver(ctx=self._context)
        self._solver.set("rlimit", limit)

    @property
    def version(self) -> str:
        """Of Z3."""
        return str(z3.get_version_string())

    def decide(self, obligation: Obligation) -> Verdict:
        """Ask for a counter-model: with the definitions of the right side, then with all that matter."""
        verdict = Verdict(UNDECIDED)
        for definitions in needed(obligation):
            verdict = self._check(obligation, definitions)
            if verdict.status == PROVED:
                break
        return verdict

    def decide_lemma(self, lemma: Lemma) -> Verdict:
        """Whether the lemma follows from definitions; where it does not, it is an axiom here."""
        return decide_lemma(lemma)

    def _check(self, obligation: Obligation, definitions: Mapping[sp.Symbol, sp.Expr]) -> Verdict:
        encoding = Encoding(self._context)
        try:
            left, right = encoding.term(obligation.left), encoding.term(obligation.right)
            axioms = [encoding.term(s) == encoding.term(value) for s, value in definitions.items()]
            axioms += Instances(encoding, obligation).all()
            axioms += [encoding.term(divisor) != 0 for divisor in obligation.divisors]
        except ProofError as error:
            return Verdict(UNDECIDED, str(error))
        self._solver.push()
        self._solver.add(*axioms, *encoding.assumptions, left != right)
        answer = self._solver.check()
        model = self._solver.model() if answer == z3.sat else None
        reason = self._solver.reason_unknown() if answer == z3.unknown else ""
        self._solver.pop()
        if answer == z3.unsat:
            return Verdict(PROVED)
        if model is None:
            return Verdict(UNDECIDED, reason)
        sides = (model.eval(side, model_completion=True) for side in (left, right))
        return Verdict(REFUTED, "the axioms have a model in which {} is not {}".format(*sides))


class Instances:
    """Lemmas at the terms that occur."""

    def __init__(self, encoding: Encoding, obligation: Obligation):
        self._encoding = encoding
        known = {lemma.name: lemma for lemma in LEMMAS}
        for name in obligation.lemmas:
            if name not in known:
                raise ProofError(f"there is no lemma called '{name}'")
        self._lemmas = [known[name] for name in obligation.lemmas]
        self._masks = {encoding.term(mask) for mask in obligation.masks}
        self._uniform = {encoding.term(vector) for vector in obligation.uniform}

    def all(self) -> list[Any]:
        """Axioms: one for each lemma and each term that it speaks of."""
        return [*self._of_operators(), *self._of_functions()]

    def _of_operators(self) -> Iterator[Any]:
        for constant, (head, arguments) in list(self._encoding.operators.items()):
            divisible = head in (Contraction, TransposedContraction)
            parts = [
                self._parts(head, argument, self._uniform if divisible and position == 1 else set())
                for position, argument in enumerate(arguments)
            ]
            if LINEAR[head] in self._lemmas:
                yield constant == self._pulled_apart(head, parts)

    def _parts(self, head: Any, argument: Any, uniform: set[Any]) -> list[tuple[list[Any], Any]]:
        """Factors that are one number in all units, and the rest, of each summand."""
        parts = []
        for number, factors in monomials(argument):
            inside = [f for f in factors if f not in uniform]
            if not inside:
                raise ProofError(f"{head.__name__} of {argument}: a part is the same number in every unit")
            parts.append(([number, *(f for f in factors if f in uniform)], z3.Product(inside)))
        return parts

    def _pulled_apart(self, head: Any, parts: list[list[tuple[list[Any], Any]]]) -> Any:
        terms = []
        for choice in product(*parts):
            outside = [factor for factors, _ in choice for factor in factors]
            terms.append(z3.Product([*outside, self._encoding.apply(head, [rest for _, rest in choice])]))
        return z3.Sum(terms) if terms else self._encoding.number(sp.S.Zero)

    def _of_functions(self) -> Iterator[Any]:
        for applied, (head, arguments) in list(self._encoding.applications.items()):
            if head is select:
                yield from self._of_select(applied, arguments)
                continue
            for lemma in self._lemmas:
                yield from self._of_function(lemma, applied, head, arguments)

    def _of_select(self, applied: Any, arguments: tuple[Any, ...]) -> Iterator[Any]:
        mask, chosen, otherwise = arguments
        if SELECTION in self._lemmas and (mask in self._masks or _is_0_or_1(mask)):
            yield applied == mask * chosen + (1 - mask) * otherwise

    def _of_function(
        self, lemma: Lemma, applied: Any, head: Any, arguments: tuple[Any, ...]
    ) -> Iterator[Any]:
        """f(−a) = … or f(a) = … at the argument that occurs."""
        heads = {Tanh, sp.tanh} if head in (Tanh, sp.tanh) else {head}
        if not (lemma.universal and lemma.left.func in heads and len(arguments) == 1):
            return
        factor, variable = lemma.left.args[0].as_coeff_Mul()
        if variable.is_Symbol and lemma.right.free_symbols <= {variable}:
            value = normal(arguments[0] / self._encoding.number(factor))
            yield applied == self._encoding.at(lemma.right, {variable: value})


def _is_0_or_1(term: Any) -> bool:
    return z3.is_rational_value(term) and term.as_fraction() in (0, 1)
