"""No placement of the reset gate is another: the limits in numbers, and planted false theorems."""

from dataclasses import replace
from itertools import permutations

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.equations import Reset, gru, sigmoid
from symgru.equations.gru import B_N, C_N, H_NEW, H_PREV, U_N, W_N, W_R, W_Z, X
from symgru.proof import Arithmetic, ProofError, evaluate, no_conversion
from symgru.proof.conversions import (
    CASES,
    Case,
    Combination,
    Limit,
    Target,
    copied,
    exclude,
    opposite,
    state_and_one_sign,
    unmoved,
)
from symgru.proof.germs import GERMS, Germ, constant
from symgru.testing.reference import textbook_gru

EXACT = Arithmetic(
    lambda number: mpmath.mpf(int(number.p)) / int(number.q),
    {"sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)), "tanh": mpmath.tanh},
)
PAIRS = list(permutations(Reset, 2))
UNITS, FAR = 2, 10**10  # slopes are at least σ(−15)/4, so e^(−slope·x) is below 10⁻³⁰⁰


def parameters(step, numbers):
    """Multiples of 1/4 for one input and two units, as nested lists."""
    values, numbers = {}, iter(numbers)
    for symbol, shape in step.inputs.items():
        if symbol not in (X, H_PREV):
            sizes = [UNITS if axis == "H" else 1 for axis in shape.axes]
            rows = [[next(numbers) for _ in range(sizes[-1])] for _ in range(sizes[0] if sizes[1:] else 1)]
            values[symbol] = rows if len(sizes) == 2 else rows[0]
    return values


def mapped(value, function):
    return [mapped(part, function) for part in value] if isinstance(value, list) else function(value)


@given(
    st.sampled_from(Reset),
    st.sampled_from((1, -1)),
    st.lists(st.integers(-12, 12), min_size=30, max_size=30),
    st.lists(st.integers(-8, 8), min_size=UNITS, max_size=UNITS),
)
def test_a_germ_is_the_value_far_out(reset, end, quarters, state):
    step = gru("keep", reset).step
    values = parameters(step, (sp.Rational(n, 4) for n in quarters)) | {
        H_PREV: [sp.Rational(n, 4) for n in state]
    }
    x = {X: [Germ(sp.Integer(end), sp.S.Zero)]}
    germs = evaluate(step, {s: mapped(v, constant) for s, v in values.items()} | x, GERMS)
    with mpmath.workdps(60):
        far = {X: [mpmath.mpf(end * FAR)]}
        numbers = evaluate(step, {s: mapped(v, EXACT.number) for s, v in values.items()} | far, EXACT)
        for statement in step:
            for germ, number in zip(germs[statement.target], numbers[statement.target], strict=True):
                claimed = germ.slope * FAR + germ.value
                by_exp = claimed.replace(sigmoid, lambda a: 1 / (1 + sp.exp(-a)))
                assert abs(mpmath.mpf(sp.N(by_exp, 50)) - number) < 1e-30, statement


def test_what_grows_faster_than_x_is_refused():
    x = Germ(sp.S.One, sp.S.Zero)
    with pytest.raises(ProofError, match="grows faster than x"):
        x * x
    with pytest.raises(ProofError, match="has no limit"):
        x.limit  # noqa: B018 - the property raises


def test_an_unknown_sign_has_an_unknown_limit():
    slope = sp.Symbol("s", real=True)
    first, second = (GERMS.functions["tanh"](Germ(slope, sp.S.One)).limit for _ in range(2))
    assert first != second, "two unknown limits are not one number"
    assert first not in (-1, 1, sp.tanh(1))


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_every_conversion_is_excluded(reset, target):
    theorem = no_conversion(reset, target)
    assert theorem.calculations == len(CASES[target, reset]()[1])
    assert "with the same number of units" in theorem.statement
    assert any("is not excluded" in a for a in theorem.assumptions)


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_each_case_is_needed(reset, target):
    one, cases = CASES[target, reset]()
    for left_out in cases:
        with pytest.raises(ProofError, match="no case covers"):
            exclude(one, reset, tuple(case for case in cases if case is not left_out))


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_a_target_is_not_excluded_from_its_own_placement(reset, target):
    one, cases = CASES[target, reset]()
    with pytest.raises(ProofError, match=r"is .*, not 0|does not violate|depends on x"):
        exclude(one, target, cases)


DIAGONAL = {W_R: ((1,), (-1,)), U_N: ((-4, 0), (0, 1))}


@pytest.mark.parametrize(("reset", "target"), [(Reset.AFTER, Reset.BEFORE), (Reset.BEFORE, Reset.AFTER)])
def test_a_diagonal_target_is_not_excluded(reset, target):
    """It has the same states in the other placement (diagonal-recurrence)."""
    _, cases = CASES[target, reset]()
    with pytest.raises(ProofError, match="does not violate"):
        exclude(Target(target, 2, DIAGONAL), reset, cases)


def test_a_target_without_bias_may_be_whole():
    """tanh(r⊙(Uh)) is reset after, and whole with W_n = b_n = 0."""
    one, cases = CASES[Reset.AFTER, Reset.WHOLE]()
    with pytest.raises(ProofError, match="does not violate"):
        exclude(replace(one, parameters={W_R: ((1,),), U_N: ((1,),)}), Reset.WHOLE, cases)


@pytest.mark.parametrize(
    "planted",
    [
        copied(Limit(0, 1, (sp.S.One, sp.S.Zero))),
        opposite(0, (sp.S.One, sp.S.Zero)),
        unmoved(0, (sp.S.Zero, sp.S.One)),
    ],
    ids=["copied", "opposite", "unmoved"],
)
def test_a_relation_that_does_not_hold_in_its_case_is_refused(planted):
    one, cases = CASES[Reset.BEFORE, Reset.AFTER]()
    for position, case in enumerate(cases):
        if case.signs[W_Z][0] == 0 and case.signs[W_R][0] != 0 and case.signs[W_N][0] == 0:
            wrong = (*cases[:position], replace(case, relation=planted), *cases[position + 1 :])
            with pytest.raises(ProofError, match="not 0"):
                exclude(one, Reset.AFTER, wrong)


def test_a_case_may_restrict_the_weights_of_x_alone():
    """With U_n = 0 slipped into one case, a GRU would be shown not to be itself."""
    zero, one, half = sp.S.Zero, sp.S.One, sp.Rational(1, 2)

    def saturated(end):
        limit = Limit(0, end, (zero,))
        return lambda c: Combination(((one, limit),), (-c.new(limit),))

    flat = {W_Z: (0,), W_N: (0,), W_R: (None,)}
    cases = (
        *(Case({W_Z: (s,), W_N: (None,), W_R: (None,)}, copied(Limit(0, s, (one,)))) for s in (1, -1)),
        *(Case({**flat, W_N: (s,)}, saturated(s)) for s in (1, -1)),
        Case({**flat, U_N: (0,)}, state_and_one_sign(Limit(0, 1, (half,)), Limit(0, 1, (zero,)))),
    )
    with pytest.raises(ProofError, match="expected signs of W_z, W_n and W_r"):
        exclude(Target(Reset.BEFORE, 1, {U_N: ((-8,),)}), Reset.BEFORE, cases)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [({C_N: ((1,), (1,))}, "has no parameter c_n"), ({B_N: ((1, 2),)}, r"b_n must be 2 x 1, but is 1 x 2")],
)
def test_a_target_has_the_parameters_of_its_placement(numbers, message):
    with pytest.raises(ProofError, match=message):
        Target(Reset.BEFORE, 2, numbers)


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_the_printed_calculation_is_the_one_that_was_made(reset, target):
    """Not a difference that was zero before: only what keeps or gets the state 0 may read 0 = 0."""
    for step in no_conversion(reset, target).steps:
        if step.equation == (0, 0):
            assert "; 0)" in step.claim or "0, " in step.claim or ", 0)" in step.claim, step.claim
        assert step.equation is None or step.checked
    assert any(step.equation not in (None, (0, 0)) for step in no_conversion(reset, target).steps)


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_states_reached_from_zero_fill_a_region(reset, target):
    """Two inputs move the states of a target in as many directions as it has units, from the state 0."""
    one, _ = CASES[target, reset]()
    values = {
        s: np.zeros([{"H": one.units, "I": 1}[a] for a in shape.axes])
        for s, shape in gru("keep", target).step.inputs.items()
        if s not in (X, H_PREV)
    }
    for symbol, numbers in one.parameters.items():
        values[symbol] = np.array(numbers, dtype=float).reshape(values[symbol].shape)
    named = {str(s): v for s, v in values.items()}

    def state(inputs):
        x = np.array(inputs).reshape(-1, 1, 1)
        return textbook_gru({**named, "x": x, "h_prev": np.zeros((1, one.units))}, "keep", target.value)[
            -1, 0
        ]

    at, step = np.array([0.6, -0.4, 0.9]), 1e-6
    moved = [(state(at + step * e) - state(at - step * e)) / (2 * step) for e in np.eye(len(at))]
    assert np.linalg.matrix_rank(np.array(moved), tol=1e-3) == one.units


def test_the_targets_have_the_biases_that_the_statements_say():
    for (target, _), build in CASES.items():
        one, _ = build()
        assert one.reset is target
        assert set(one.parameters) <= {W_R, W_N, U_N, B_N}, "c_n = 0"
        assert H_NEW in gru("keep", target).step.outputs
