"""Bias counts: what merges, what does not, in numbers and with planted false claims."""

import numpy as np
import pytest
import sympy as sp

from symgru.cells import gru_with_biases
from symgru.derivation import backward, cotangent
from symgru.equations import Polarity, Reset, gru, sigmoid
from symgru.equations.gru import B_N, B_R, B_Z, C_N, U_R, W_N, W_R, W_Z
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError, simulate_loop
from symgru.proof.biases import (
    C_R,
    C_Z,
    GATE_SUMS,
    SUMS,
    _WithoutC,
    constant_reset_absorbs,
    no_three_are_four,
    six_are_four,
    six_are_three,
    two_biases_double_the_step,
)
from symgru.proof.conversions import NONZERO, Case, Limit, Target, copied, exclude, opposite, unmoved
from symgru.proof.polarity import published
from symgru.testing.loops import Differentiable, Sizes, draw

SIZES = Sizes(steps=3, batch=3, axes={"I": 3, "H": 2})
MERGED = {Reset.BEFORE: SUMS, Reset.WHOLE: SUMS, Reset.AFTER: GATE_SUMS}


def states(cell, point):
    return evaluate_loop(published(cell), point)["h_new"]


def merged(point, reset):
    """The point of the form with fewer biases."""
    sums = {str(b): str(image - b) for b, image in MERGED[reset].items()}
    return {n: v + point[sums[n]] if n in sums else v for n, v in point.items()}


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize("reset", Reset)
def test_sums_of_biases_are_all_that_counts(polarity, reset):
    six, few = gru_with_biases(polarity, reset, 6), gru(polarity, reset)
    point = draw(six, SIZES, seed=1)
    assert np.abs(states(six, point) - states(few, merged(point, reset))).max() < 1e-14
    assert np.abs(states(six, point) - states(few, point)).max() > 1e-2, "without the sum"


@pytest.mark.parametrize("polarity", Polarity)
def test_c_is_no_part_of_b_under_after(polarity):
    cell = gru(polarity, Reset.AFTER)
    point = draw(cell, SIZES, seed=2)
    into_b = point | {"b_n": point["b_n"] + point["c_n"], "c_n": 0 * point["c_n"]}
    assert np.abs(states(cell, point) - states(cell, into_b)).max() > 1e-2
    still = point | {"W_r": 0 * point["W_r"], "U_r": 0 * point["U_r"]}
    gate = 1 / (1 + np.exp(-point["b_r"]))
    absorbed = still | {"b_n": point["b_n"] + gate * point["c_n"], "c_n": 0 * point["c_n"]}
    assert np.abs(states(cell, still) - states(cell, absorbed)).max() < 1e-14


@pytest.mark.parametrize("reset", Reset)
def test_two_biases_double_the_step_of_sgd(reset):
    six = Differentiable(gru_with_biases("keep", reset, 6))
    point = draw(six.cell, SIZES, seed=3)
    gradients = six.vjp(point, {"h_new": np.ones((3, 3, 2))})
    few = Differentiable(gru("keep", reset))
    of_sum = few.vjp(
        {n: v for n, v in merged(point, reset).items() if n in map(str, few.cell.step.inputs)},
        {"h_new": np.ones((3, 3, 2))},
    )
    for b, image in MERGED[reset].items():
        moved = gradients[str(b)] + gradients[str(image - b)]
        assert np.abs(of_sum[str(b)]).max() > 1e-3
        assert np.allclose(moved, 2 * of_sum[str(b)], rtol=1e-12, atol=1e-14)
    if reset is Reset.AFTER:
        assert np.abs(gradients["b_n"] - gradients["c_n"]).max() > 1e-2


def test_the_theorems_cover_every_placement():
    cases = " ".join(step.case for proof in (six_are_three(), six_are_four()) for step in proof.steps)
    for polarity in Polarity:
        for reset in Reset:
            assert f"polarity {polarity.value}, reset {reset.value}, six" in cases
    assert {s.case for s in two_biases_double_the_step().steps} >= {f"reset {r.value}" for r in Reset}
    assert {s.case.split(", ")[1] for s in constant_reset_absorbs().steps} == {
        "c_n = 0",
        "constant reset gate",
    }


# Planted.


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize(("reset", "forgotten"), [(reset, b) for reset, sums in MERGED.items() for b in sums])
def test_planted_a_bias_that_is_left_out(polarity, reset, forgotten):
    six, few = published(gru_with_biases(polarity, reset, 6)), published(gru(polarity, reset))
    sums = {b: image for b, image in MERGED[reset].items() if b != forgotten}
    with pytest.raises(ProofError, match="output h_new is"):
        simulate_loop(six, few, sums, inline=True)


@pytest.mark.parametrize("image", [B_N + C_N, B_N - C_N, B_N + 2 * C_N, B_N], ids=str)
def test_planted_c_merged_under_after(image):
    four, three = published(gru("keep", "after")), published(gru_with_biases("keep", "after", 3))
    with pytest.raises(ProofError, match="output h_new is"):
        simulate_loop(four, three, {B_N: image}, inline=True)


@pytest.mark.parametrize(
    ("given", "image"),
    [
        ({W_R: sp.S.Zero}, "right"),
        ({U_R: sp.S.Zero}, "right"),
        ({}, "right"),
        ({W_R: sp.S.Zero, U_R: sp.S.Zero}, "wrong"),
    ],
    ids=["U_r not 0", "W_r not 0", "neither 0", "gate forgotten"],
)
def test_planted_an_absorbed_c(given, image):
    four, three = published(gru("keep", "after")), published(gru_with_biases("keep", "after", 3))
    absorbed = {B_N: B_N + (sigmoid(B_R) if image == "right" else 1) * C_N}
    with pytest.raises(ProofError):
        simulate_loop(four, three, absorbed | given, given=given, inline=True)


@pytest.mark.parametrize("recurrent", [C_R, C_Z, C_N], ids=str)
def test_planted_gradients_that_are_not_equal(recurrent):
    """The gradient of c is not the negative of that of b, and under after that of c_n is not that of b_n."""
    six = backward(published(gru_with_biases("keep", "after", 6)))
    own = {C_R: B_R, C_Z: B_Z, C_N: B_N}[recurrent]
    image = cotangent(own) if recurrent == C_N else -cotangent(own)
    with pytest.raises(ProofError):
        simulate_loop(six, six, {}, {cotangent(recurrent): image})


def signs(**given):
    return {s: (given.get(str(s)),) for s in (W_Z, W_N, W_R)}


def cases(origin=(sp.S.Zero,), moved=(sp.S.One,)):
    return (
        *(Case(signs(W_z=s), copied(Limit(0, s, moved))) for s in NONZERO),
        *(Case(signs(W_z=0, W_n=s), opposite(0, origin)) for s in NONZERO),
        Case(signs(W_z=0, W_n=0), unmoved(0, origin)),
    )


def test_the_target_is_excluded():
    assert no_three_are_four().calculations == 5


@pytest.mark.parametrize(
    "parameters",
    [{W_R: ((1,),)}, {C_N: ((1,),)}, {W_R: ((1,),), B_N: ((1,),)}],
    ids=["c_n = 0", "constant gate", "b_n in place of c_n"],
)
def test_planted_a_target_that_three_biases_reproduce(parameters):
    with pytest.raises(ProofError, match=r"does not violate|is not told apart"):
        exclude(Target(Reset.AFTER, 1, parameters), Reset.AFTER, cases(), _WithoutC)


def test_planted_candidates_with_c():
    target = Target(Reset.AFTER, 1, {W_R: ((1,),), C_N: ((1,),)})
    with pytest.raises(ProofError, match="not 0"):
        exclude(target, Reset.AFTER, cases())


def test_planted_a_case_left_out():
    target = Target(Reset.AFTER, 1, {W_R: ((1,),), C_N: ((1,),)})
    for left_out in range(5):
        some = tuple(c for i, c in enumerate(cases()) if i != left_out)
        with pytest.raises(ProofError, match="no case covers"):
            exclude(target, Reset.AFTER, some, _WithoutC)
