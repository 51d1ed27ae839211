"""No placement of the reset gate is another: the limits in numbers, and planted false theorems."""

from dataclasses import replace
from itertools import permutations

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.equations import Reset, gru, sigmoid
from symgru.equations.gru import B_N, H_NEW, H_PREV, U_N, W_N, W_R, W_Z, X
from symgru.proof import Arithmetic, ProofError, evaluate, no_conversion
from symgru.proof.conversions import CASES, Limit, Target, copied, exclude, opposite, unmoved
from symgru.proof.germs import GERMS, Germ, constant

EXACT = Arithmetic(
    lambda number: mpmath.mpf(int(number.p)) / int(number.q),
    lambda a: 1 / (1 + mpmath.exp(-a)),
    mpmath.tanh,
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
    first, second = (GERMS.tanh(Germ(slope, sp.S.One)).limit for _ in range(2))
    assert first != second, "two unknown limits are not one number"
    assert first not in (-1, 1, sp.tanh(1))


@pytest.mark.parametrize(("reset", "target"), PAIRS)
def test_every_conversion_is_excluded(reset, target):
    theorem = no_conversion(reset, target)
    assert theorem.calculations == len(CASES[target, reset]()[1])
    assert "with the same number of units" in theorem.statement
    assert "is not excluded" in theorem.assumptions[0]


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


def test_the_targets_have_the_biases_that_the_statements_say():
    for (target, _), build in CASES.items():
        one, _ = build()
        assert one.reset is target
        assert set(one.parameters) <= {W_R, W_N, U_N, B_N}, "c_n = 0"
        assert H_NEW in gru("keep", target).step.outputs
