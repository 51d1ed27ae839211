"""Where reset before and reset after are equal: special weights, and tests that cannot see the difference.

before   n = tanh(Wx + b + U(r⊙h))        after   n = tanh(Wx + b + r⊙(Uh + c))
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Contract, Pointwise, Polarity, Program, Reset, Statement, bias, gru
from symgru.equations.gru import B_R, C_N, H_NEW, H_PREV, U_N, U_R, W_R
from symgru.proof.lemmas import CONTRACTION_BILINEAR, check
from symgru.proof.polarity import EXACT, published
from symgru.proof.simulation import simulate, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

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
    programs: dict[str, Program] = {}
    for polarity in Polarity:
        before, after = (_diagonal_loop(polarity, reset) for reset in (Reset.BEFORE, Reset.AFTER))
        programs[f"polarity {polarity.value}, reset before, U_n diagonal"] = before.step
        result = simulate_loop(before, after, UNBIASED, inline=True)
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
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Both have the same candidate, so the same states at every time step. A test with one "
        "hidden unit and no c_n cannot tell them apart.",
        equations=equations(programs),
    )


def _diagonal_loop(polarity: Polarity, reset: Reset) -> Loop:
    cell = gru(polarity, reset)
    return Loop(f"{cell.name}_diagonal", with_diagonal(cell.step, U_N), cell.carry)


@cache
def shared_reset_gate() -> Theorem:
    """With one reset gate for all units and c_n = 0, reset before and after are the same model.

    Raises:
        ProofError: a step cannot be shown.
    """
    tied = (W_R, U_R, B_R)
    steps = [
        Step(
            "reset_gate is the same number in every unit, at each step and for each example",
            "the rows of W_r and U_r and the elements of b_r are equal, so every unit has the same "
            "pre-activation",
        )
    ]
    programs: dict[str, Program] = {}
    for polarity in Polarity:
        before, after = (published(gru(polarity, reset)) for reset in (Reset.BEFORE, Reset.AFTER))
        programs[f"polarity {polarity.value}, reset after"] = after.step
        result = simulate_loop(after, before, {}, given=UNBIASED, inline=True, tied=tied)
        steps += in_case(f"polarity {polarity.value}", result.steps)
    return Theorem(
        name="shared-reset-gate",
        statement="Reset before and reset after compute the same states, with any U_n, if all units have the "
        "same reset gate and c_n = 0.",
        latex=r"r_i = r_j \;(\forall i, j),\; c_n = 0 \;\Rightarrow\; U_n (r \odot h) = r \odot (U_n h + c_n)"
        "",
        assumptions=(
            "all rows of W_r are equal, all rows of U_r are equal, and all elements of b_r are equal",
            "c_n = 0",
            "all the other parameters, the inputs and the initial state are equal; primes mark reset before",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion=f"A number that all units share can be taken out of the product with U_n "
        f"({check(CONTRACTION_BILINEAR).name}). So for given weights of the reset gate a diagonal U_n is not "
        "necessary: only-diagonal-recurrence asks for equality whatever they are.",
        equations=equations(programs),
    )


@cache
def one_step_from_zero() -> Theorem:
    """One step from the zero state, with c_n = 0, does not see whether the reset gate comes before or after.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    zero = {H_PREV: sp.S.Zero}
    programs: dict[str, Program] = {}
    for polarity in Polarity:
        before, after = (gru(polarity, reset).step for reset in (Reset.BEFORE, Reset.AFTER))
        programs[f"polarity {polarity.value}, reset before"] = before
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
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="One step from zero, without c_n, does not tell them apart: test with T ≥ 3 and h_0 ≠ 0.",
        equations=equations(programs),
    )
