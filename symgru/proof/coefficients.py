"""Where the two placements agree for all reset gates: comparison of coefficients.

before   n = tanh(Wx + b + U(r⊙h))        after   n = tanh(Wx + b + r⊙(Uh + c))
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import sympy as sp

from symgru.equations import Pointwise, Polarity, Program, Reset, gru, vector
from symgru.equations.gru import B_N, C_N, CANDIDATE, H_NEW, H_PREV, HIDDEN, RESET_GATE, U_N, UPDATE_GATE
from symgru.proof.evaluation import SYMBOLIC, evaluate
from symgru.proof.lemmas import COMPLEMENT_POSITIVE, TANH_INCREASING, check
from symgru.proof.polarity import EXACT
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem

PREACTIVATION = sp.Symbol("candidate_preactivation", real=True)
FROM_X = sp.Symbol("candidate_from_x", real=True)
U_IJ, C_I = sp.symbols("u_ij c_i", real=True)


@cache
def only_diagonal_recurrence() -> Theorem:
    """If before and after agree whatever the reset gate and the state, U_n is diagonal and c_n = 0.

    Raises:
        ProofError: a step cannot be shown.
    """
    return Theorem(
        name="only-diagonal-recurrence",
        statement="If reset before and reset after, with the same parameters, compute the same new state for "
        "every value of the reset gate and every state, then U_n is diagonal and c_n = 0.",
        latex=r"\forall r \in (0,1)^H,\, h:\; U_n (r \odot h) = r \odot (U_n h + c_n)"
        r"\;\Rightarrow\; (U_n)_{ij} = 0 \;(i \neq j),\; c_n = 0",
        assumptions=(
            "every r in (0, 1)^H and every h occur: with W_r = U_r = 0 the bias b_r sets r to any such "
            "value, independently of h",
            "both have the same parameters; reset before has no c_n; primes mark reset after",
            EXACT,
        ),
        steps=(*_equal_preactivations(), *_coefficients_vanish()),
        conclusion="i and j are any two units, so every off-diagonal element of U_n and every c_n is zero. "
        "With diagonal-recurrence this is the exact condition, if the two are to agree whatever the weights "
        "of the reset gate are. For given weights of the reset gate they agree in other cases too: "
        "shared-reset-gate. With one unit every U_n is diagonal, so there the condition is c_n = 0 alone: "
        "with c_n ≠ 0 they differ.",
        equations=(
            *equations({f"reset {r.value}": gru(Polarity.KEEP, r).step for r in _PLACEMENTS}),
            ("elements", ("u_ij of U_n, c_i of c_n, h_j of h_prev, r_i and r_j of reset_gate",)),
        ),
    )


_PLACEMENTS = (Reset.BEFORE, Reset.AFTER)


def _equal_preactivations() -> Iterator[Step]:
    """Equal states need equal candidates, and these equal pre-activations."""
    first, second = sp.symbols("candidate candidate′", real=True)
    for polarity, factor in ((Polarity.KEEP, 1 - UPDATE_GATE), (Polarity.UPDATE, UPDATE_GATE)):
        definition = gru(polarity, Reset.BEFORE).step.definition(H_NEW)
        if not isinstance(definition, Pointwise):
            raise ProofError(
                f"polarity {polarity.value}: expected a pointwise state update, got {definition}"
            )
        new = definition.expression
        difference = new.xreplace({CANDIDATE: first}) - new.xreplace({CANDIDATE: second})
        yield Step(
            f"polarity {polarity.value}: h_new - h_new′ = ({factor})*(candidate - candidate′)",
            "all else in the state update is equal",
            (difference, factor * (first - second)),
        )
    yield Step(
        "candidate = candidate′",
        "the states are equal, and the factors of the difference are positive",
        lemmas=(check(COMPLEMENT_POSITIVE).name,),
    )
    yield Step(
        "candidate_preactivation = candidate_preactivation′",
        "tanh takes no value twice, so equal candidates need equal pre-activations",
        lemmas=(check(TANH_INCREASING).name,),
    )


def _coefficients_vanish() -> Iterator[Step]:
    """Compare coefficients for a generic unit i and another unit j, with h = 0 in all units but these two."""
    difference, polynomial = _difference_of_two_units()
    powers = {
        sp.Mul(*(v**e for v, e in zip(polynomial.gens, monomial, strict=True))): coefficient
        for monomial, coefficient in polynomial.terms()
    }
    yield Step(
        f"candidate_preactivation - candidate_preactivation′ = {difference} in unit i",
        "take h = 0 in all units but i and j; the two programs, evaluated for these units, as a polynomial",
        (difference, sp.Add(*(coefficient * power for power, coefficient in powers.items()))),
    )
    found = {abs(coefficient) for coefficient in powers.values()}
    if found != {abs(U_IJ), abs(C_I)}:
        raise ProofError(f"expected u_ij and c_i among the coefficients, and nothing else: {powers}")
    for power, coefficient in powers.items():
        yield Step(
            f"the coefficient of {power} is {coefficient}, so {coefficient} = 0",
            "comparison of coefficients: a polynomial that is zero for all r in (0, 1) and all h has no "
            "coefficient other than zero",
        )


def _difference_of_two_units() -> tuple[sp.Expr, sp.Poly]:
    units = ("i", "j")
    values: dict[sp.Symbol, list[Any]] = {
        symbol: [sp.Symbol(f"{name}_{unit}", real=True) for unit in units]
        for symbol, name in ((RESET_GATE, "r"), (H_PREV, "h"), (C_N, "c"), (FROM_X, "a"), (B_N, "b"))
    }
    values[U_N] = [[sp.Symbol(f"u_{row}{column}", real=True) for column in units] for row in units]
    of_unit_i = [evaluate(_preactivation(r), values, SYMBOLIC)[PREACTIVATION][0] for r in _PLACEMENTS]
    difference = sp.expand(of_unit_i[0] - of_unit_i[1])
    return difference, sp.Poly(difference, *values[RESET_GATE], *values[H_PREV])


def _preactivation(reset: Reset) -> Program:
    """The candidate's pre-activation with the reset gate and the part from x as inputs."""
    step = gru(Polarity.KEEP, reset).step
    free = {RESET_GATE: vector(HIDDEN), FROM_X: vector(HIDDEN)}
    statements = tuple(s for s in step if s.target not in free)
    return Program(dict(step.inputs) | free, statements, (PREACTIVATION,)).without_dead_statements()
