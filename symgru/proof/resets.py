"""The placements of the reset gate are different models, but for special weights and blind tests.

before   n = tanh(Wx + b + U(r⊙h))        after   n = tanh(Wx + b + r⊙(Uh + c))
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import (
    Contract,
    Pointwise,
    Polarity,
    Program,
    Reset,
    Statement,
    bias,
    gru,
    vector,
)
from symgru.equations.gru import B_N, C_N, CANDIDATE, H_NEW, H_PREV, HIDDEN, RESET_GATE, U_N, UPDATE_GATE
from symgru.proof.evaluation import SYMBOLIC, evaluate
from symgru.proof.lemmas import COMPLEMENT_POSITIVE, TANH_INCREASING, check
from symgru.proof.polarity import EXACT
from symgru.proof.simulation import simulate, simulate_loop
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

PREACTIVATION = sp.Symbol("candidate_preactivation", real=True)
FROM_X = sp.Symbol("candidate_from_x", real=True)
UNBIASED = {C_N: sp.S.Zero}


def with_diagonal(program: Program, weight: sp.Symbol) -> Program:
    """The program with a diagonal matrix in place of one of its matrices: W v becomes w⊙v, unit by unit.

    Raises:
        ProofError: the matrix is not square, or is used in a sum with others.
    """
    rows, columns = program.inputs[weight].axes
    if rows != columns:
        raise ProofError(f"{weight} {program.inputs[weight]} cannot be diagonal")
    inputs = dict(program.inputs) | {weight: bias(rows)}
    statements = tuple(_diagonal(statement, weight) for statement in program)
    return Program(inputs, statements, program.outputs)


def _diagonal(statement: Statement, weight: sp.Symbol) -> Statement:
    if weight not in statement.reads:
        return statement
    if not isinstance(statement, Contract) or {term.matrix for term in statement.terms} != {weight}:
        raise ProofError(f"'{statement}' uses {weight} in another way than in a product of its own")
    return Pointwise(statement.target, sp.Add(*(weight * term.vector for term in statement.terms)))


@cache
def diagonal_recurrence() -> Theorem:
    """With a diagonal U_n and c_n = 0, reset before and after are the same model.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    for polarity in Polarity:
        before, after = (_diagonal_loop(polarity, reset) for reset in (Reset.BEFORE, Reset.AFTER))
        result = simulate_loop(before, after, UNBIASED, {H_NEW: H_NEW}, inline=True)
        steps += in_case(f"polarity {polarity.value}", result.steps)
    return Theorem(
        name="diagonal-recurrence",
        statement="Reset before and reset after compute the same states if U_n is diagonal and c_n = 0; in "
        "particular with a single hidden unit.",
        latex=r"U_n = \mathrm{diag}(u),\; c_n = 0 \;\Rightarrow\; U_n (r \odot h) = r \odot (U_n h + c_n)",
        assumptions=(
            "U_n is diagonal, so that U_n v is u⊙v; every matrix is, when H = 1",
            "c_n = 0",
            "all the other parameters, the inputs and the initial state are equal; primes mark reset after",
            EXACT.partition(";")[0],
        ),
        steps=tuple(steps),
        conclusion="Both have the same candidate, so the same states at every time step. A test with one "
        "hidden unit and no c_n cannot tell them apart.",
    )


def _diagonal_loop(polarity: Polarity, reset: Reset) -> Loop:
    cell = gru(polarity, reset)
    return Loop(f"{cell.name}_diagonal", with_diagonal(cell.step, U_N), cell.carry)


@cache
def one_step_from_zero() -> Theorem:
    """One step from the zero state, with c_n = 0, does not see whether the reset gate comes before or after.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    zero = {H_PREV: sp.S.Zero}
    for polarity in Polarity:
        before, after = (gru(polarity, reset).step for reset in (Reset.BEFORE, Reset.AFTER))
        result = simulate(before, after, zero | UNBIASED, {H_NEW: H_NEW}, given=zero, inline=True)
        steps += in_case(f"polarity {polarity.value}", result.steps)
    return Theorem(
        name="one-step-from-zero",
        statement="From the state 0, with c_n = 0, one step of reset before and one step of reset after are "
        "equal.",
        latex=r"h_0 = 0,\; c_n = 0 \;\Rightarrow\; h_1^{\mathrm{before}} = h_1^{\mathrm{after}}",
        assumptions=(
            "h_0 = 0",
            "c_n = 0",
            "all the other parameters and the inputs are equal; primes mark reset after",
        ),
        steps=tuple(steps),
        conclusion="One step from zero, without c_n, does not tell them apart: test with T ≥ 3 and h_0 ≠ 0.",
    )


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
        ),
        steps=(*_equal_preactivations(), *_coefficients_vanish()),
        conclusion="i and j are any two units, so every off-diagonal element of U_n and every c_n is zero. "
        "With diagonal-recurrence this is the exact condition.",
    )


def _equal_preactivations() -> tuple[Step, ...]:
    """Equal states need equal candidates, and these equal pre-activations."""
    first, second = sp.symbols("candidate candidate′", real=True)
    steps = []
    factors = {Polarity.KEEP: 1 - UPDATE_GATE, Polarity.UPDATE: UPDATE_GATE}
    for polarity, factor in factors.items():
        definition = gru(polarity, Reset.BEFORE).step.definition(H_NEW)
        if not isinstance(definition, Pointwise):
            raise ProofError(
                f"polarity {polarity.value}: expected a pointwise state update, got {definition}"
            )
        new = definition.expression
        difference = new.xreplace({CANDIDATE: first}) - new.xreplace({CANDIDATE: second})
        steps.append(
            Step(
                f"polarity {polarity.value}: h_new - h_new′ = ({factor})*(candidate - candidate′)",
                f"the factor {factor} is positive, so equal states need equal candidates",
                sp.expand(difference - factor * (first - second)),
                (COMPLEMENT_POSITIVE.name,),
            )
        )
    residual = check(COMPLEMENT_POSITIVE).residual() + check(TANH_INCREASING).residual()
    reason = "tanh takes no value twice, so equal candidates need equal pre-activations"
    return (
        *steps,
        Step("candidate_preactivation = candidate_preactivation′", reason, residual, (TANH_INCREASING.name,)),
    )


def _coefficients_vanish() -> tuple[Step, ...]:
    """Compare coefficients for a generic unit i and another unit j, with h = 0 in all units but these two."""
    difference, polynomial = _difference_of_two_units()
    u_ij, c_i = sp.symbols("u_ij c_i", real=True)
    steps = [
        Step(
            f"candidate_preactivation - candidate_preactivation′ = {difference} in unit i",
            "take h = 0 in all units but i and j; the two programs, evaluated for these units",
            sp.expand(difference - polynomial.as_expr()),
        )
    ]
    equations = []
    for monomial, coefficient in polynomial.terms():
        power = sp.Mul(*(v**e for v, e in zip(polynomial.gens, monomial, strict=True)))
        equations.append(coefficient)
        steps.append(
            Step(
                f"the coefficient of {power} is {coefficient}, so {coefficient} = 0",
                "a polynomial that is zero for all r in (0, 1) and all h has no coefficient other than zero",
                sp.expand(_derivative_at_zero(difference, polynomial.gens, monomial) - coefficient),
            )
        )
    solutions = sp.solve(equations, (u_ij, c_i), dict=True)
    if solutions != [{u_ij: 0, c_i: 0}]:
        raise ProofError(
            f"the coefficients {equations} vanish for {solutions}, expected u_ij = c_i = 0 alone"
        )
    squares = (u_ij**2 + c_i**2).xreplace(solutions[0])
    steps.append(Step("u_ij = 0 and c_i = 0", "the only solution of these equations", squares))
    return tuple(steps)


def _derivative_at_zero(
    expression: sp.Expr, variables: Sequence[sp.Symbol], orders: Sequence[int]
) -> sp.Expr:
    """The coefficient of v₁ᵃ v₂ᵇ … in a polynomial that is of degree one in each, by differentiation."""
    derivative = sp.diff(expression, *zip(variables, orders, strict=True))
    return derivative.xreplace(dict.fromkeys(variables, sp.S.Zero))


def _difference_of_two_units() -> tuple[sp.Expr, sp.Poly]:
    units = ("i", "j")
    values: dict[sp.Symbol, list[Any]] = {
        symbol: [sp.Symbol(f"{name}_{unit}", real=True) for unit in units]
        for symbol, name in ((RESET_GATE, "r"), (H_PREV, "h"), (C_N, "c"), (FROM_X, "a"), (B_N, "b"))
    }
    values[U_N] = [[sp.Symbol(f"u_{row}{column}", real=True) for column in units] for row in units]
    of_unit_i = [
        evaluate(_preactivation(reset), values, SYMBOLIC)[PREACTIVATION][0]
        for reset in (Reset.BEFORE, Reset.AFTER)
    ]
    difference = sp.expand(of_unit_i[0] - of_unit_i[1])
    return difference, sp.Poly(difference, *values[RESET_GATE], *values[H_PREV])


def _preactivation(reset: Reset) -> Program:
    """The candidate's pre-activation with the reset gate and the part from x as inputs."""
    step = gru(Polarity.KEEP, reset).step
    free = {RESET_GATE: vector(HIDDEN), FROM_X: vector(HIDDEN)}
    statements = tuple(s for s in step if s.target not in free)
    return Program(dict(step.inputs) | free, statements, (PREACTIVATION,)).without_dead_statements()
