"""Compare two cells: a reparametrisation with its proof, or witnesses, or neither."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, product

import sympy as sp

from symgru.equations import Cell
from symgru.equivalence.forms import Form
from symgru.equivalence.known import impossible
from symgru.equivalence.outcomes import (
    Comparison,
    Different,
    Equal,
    Outcome,
    Reparametrisation,
    Undecided,
)
from symgru.equivalence.pairing import Pairing, PairingError, pairings, scaled
from symgru.equivalence.proving import prove
from symgru.equivalence.space import gates, relations
from symgru.equivalence.unify import Candidate, Unifier
from symgru.equivalence.witnesses import Refuter
from symgru.proof import ProofError
from symgru.proof.text import count

#: So many ways to pair inputs with inputs and states with states at most are tried.
PAIRINGS = 24

GAVE_UP = "gave up"


def compare(left: Cell, right: Cell) -> Comparison:
    """Whether every left cell is a right one, for some parameters of it, and the other way round."""
    forward, backward = contained(left, right), contained(right, left)
    return Comparison(left.name, right.name, forward, backward, _inverse(forward, backward))


def contained(left: Cell, right: Cell) -> Outcome:
    """Whether for all parameters of the left cell some parameters of the right give the same states.

    Returns:
        Equal, with a proof; or Different, with a witness against every relation of the search space; or
        Undecided, with what was tried.
    """
    try:
        paired = list(islice(pairings(left, right), PAIRINGS))
    except PairingError as error:
        return Undecided((str(error),))
    found, tried, unproved = _found(paired, conditional=False)
    if found is not None:
        return found
    gave_up = any(GAVE_UP in words for words in tried)  # with conditions there is more to try, not less
    under = None if gave_up else _found(paired[:1], conditional=True)[0]
    if len(paired) > 1:
        tried = (*tried, "relations are refuted for the first way to pair inputs and states, not for others")
    outcome = Undecided(tried) if unproved else _each_refuted(paired[0], tried)
    if isinstance(outcome, Equal):
        return outcome
    if isinstance(outcome, Different) and len(paired) == 1:  # theorems are about inputs that are paired so
        outcome = replace(outcome, theorem=impossible(left, right, embedded))
    return replace(outcome, under=under)


def embedded(left: Cell, right: Cell) -> Equal | None:
    """The proof that every left cell is a right one, with the same states, if the search finds it."""
    try:
        first = next(pairings(left, right))
    except PairingError:
        return None
    found = _attempt(first, conditional=False)
    return found if isinstance(found, Equal) else None


def _found(paired: list[Pairing], *, conditional: bool) -> tuple[Equal | None, tuple[str, ...], bool]:
    """The first proof; what was tried before; and whether a candidate was neither proved nor refuted."""
    tried, unproved = list[str](), False
    for pairing in paired:
        for scale in _scales(pairing):
            one = scaled(pairing, scale)
            found = _attempt(one, conditional=conditional)
            if isinstance(found, Equal):
                return found, tuple(tried), unproved
            relation, words = found
            tried.append(words)
            unproved |= relation is not None and Refuter(one).refute(relation) is None
    return None, tuple(tried), unproved


def _attempt(pairing: Pairing, *, conditional: bool) -> Equal | tuple[Reparametrisation | None, str]:
    """Unify, and prove what is found; or what was found, if anything, and why it is not proved."""
    left = Form(pairing.left.step, "left_")
    primed = {s: _primed(s) for s in pairing.right.step.inputs}
    right = Form(pairing.right.step, "right_", primed)
    given = {primed[s]: pairing.states.get(s, s) for s in pairing.right.step.vectors}
    goals = tuple(
        (right.outputs[leaving], sp.expand(_factor(pairing, entering) * left.outputs[leaving]))
        for entering, leaving in pairing.left.carry
    )
    unifier = Unifier(left, right, given, goals)
    candidate = unifier.candidate(conditional=conditional)
    states = ", ".join(f"{name}′ = {value}" for name, value in pairing.states.items())
    if candidate is None:
        ending = GAVE_UP if unifier.exhausted else "nothing found"
        return None, f"unification with {states}: {ending} after {count(unifier.branches, 'choice')}"
    relation = Reparametrisation(candidate.parameters, pairing.states, pairing.names)
    try:
        theorem = prove(pairing, candidate)
    except ProofError as error:
        return relation, f"{relation}: a candidate without a proof, {error}"
    return Equal(relation, theorem, candidate.conditions)


def _primed(symbol: sp.Symbol) -> sp.Symbol:
    return sp.Symbol(f"{symbol}′", real=True)


def _factor(pairing: Pairing, entering: sp.Symbol) -> sp.Expr:
    return pairing.states[entering].xreplace({entering: sp.S.One})


def _scales(pairing: Pairing) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Multiples that a state may be: itself, its negative, and ratios of coefficients of the new states."""
    ratios = [sp.S.One, sp.S.NegativeOne]
    ours, theirs = (_coefficients(Form(loop.step, "n_")) for loop in (pairing.left, pairing.right))
    ratios += [sign * b / a for a, b in product(ours, theirs) for sign in (1, -1)]
    options = list(dict.fromkeys(ratios))
    states = list(pairing.states)
    for factors in product(options[: 8 if len(states) == 1 else 2], repeat=len(states)):
        yield dict(zip(states, factors, strict=True))


def _coefficients(form: Form) -> list[sp.Rational]:
    parts = [part for value in form.outputs.values() for part in sp.Add.make_args(value)]
    return sorted({abs(part.as_coeff_Mul()[0]) for part in parts})


def _each_refuted(pairing: Pairing, tried: tuple[str, ...]) -> Outcome:
    """Every relation of the search space, one by one."""
    ours, theirs = (
        gates(Form(loop.step, "n_"), frozenset(entering for entering, _ in loop.carry))
        for loop in (pairing.left, pairing.right)
    )
    space, members = relations(ours, theirs, tuple(pairing.states))
    by_name = _by_name(pairing)
    if by_name is not None:
        members = [by_name, *(m for m in members if m != by_name)]
    refuter, refuted, unproved = Refuter(pairing), [], []
    for relation in (replace(member, names=pairing.names) for member in members):
        witness = refuter.refute(relation)
        if witness is not None:
            refuted.append(witness)
            continue
        try:
            theorem = prove(replace(pairing, states=relation.states), Candidate(relation.parameters, {}))
        except ProofError as error:
            unproved.append(f"{relation}: not told apart at any point tried, and not proved: {error}")
        else:
            return Equal(relation, theorem, {})
    if unproved or not refuted:
        return Undecided((*tried, *unproved, f"{count(len(refuted), 'relation')} refuted ({space})"))
    return Different(pairing.left.name, pairing.right.name, space, tuple(refuted), tried)


def _by_name(pairing: Pairing) -> Reparametrisation | None:
    """Every parameter is the one of the same name, if all have one."""
    left, right = pairing.left.step, pairing.right.step
    if all(p in left.inputs and left.inputs[p] == right.inputs[p] for p in right.parameters):
        return Reparametrisation({p: p for p in right.parameters}, {s: s for s in pairing.states})
    return None


def _inverse(forward: Outcome, backward: Outcome) -> bool:
    """Whether both relations hold without conditions and undo each other."""
    if not (isinstance(forward, Equal) and isinstance(backward, Equal)):
        return False
    there, back = (_by_own_names(outcome.relation) for outcome in (forward, backward))
    return all(
        sp.expand(value.xreplace(dict(inner))) == name
        for outer, inner in ((there, back), (back, there))
        for name, value in outer.items()
    )


def _by_own_names(relation: Reparametrisation) -> dict[sp.Symbol, sp.Expr]:
    own = {here: name for name, here in relation.names.items()}
    return {own.get(here, here): value for here, value in relation.parameters.items()}
