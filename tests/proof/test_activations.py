"""Other gate activations: what changes the polarity and what does not, in numbers and with false claims."""

import numpy as np
import pytest
import sympy as sp

from symgru.equations import Polarity, Reset, gru
from symgru.equations.gru import B_R, B_Z, H_NEW, U_R, U_Z, W_R, W_Z
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import MIRRORED, ProofError, Theorem, simulate_loop
from symgru.proof.activations import (
    ALPHA,
    BETA,
    LIMIT,
    OFFSET,
    clipped,
    gate_offset,
    hard_gates,
    keras_hard_sigmoid,
    keras_unscaled,
    with_clipping,
    with_hard_gates,
    with_offset,
)
from symgru.proof.complements import (
    CANDIDATE,
    F_MIRRORED,
    F,
    G,
    _apart,
    new_state,
    no_mirror,
    only_complementary,
)

SIZES = {"I": 3, "H": 2}
HALF = sp.Rational(1, 2)


def point(loop, seed=0, **fixed):
    random = np.random.default_rng(seed)
    values = {}
    for symbol, shape in loop.step.inputs.items():
        leading = [] if not shape.per_step else ([3] if str(symbol) == "h_prev" else [4, 3])
        values[str(symbol)] = random.normal(size=[*leading, *(SIZES[a] for a in shape.axes)])
    return values | {name: np.full(2, value) for name, value in fixed.items() if name in values}


def gap(one, other, values, **changed):
    return np.abs(evaluate_loop(one, values)["h_new"] - evaluate_loop(other, values | changed)["h_new"]).max()


def pair(make, reset, *rest):
    return [make(gru(polarity, reset), *rest) for polarity in (Polarity.KEEP, Polarity.UPDATE)]


def negated(values, *names):
    return {name: -values[name] for name in names}


@pytest.mark.parametrize("reset", Reset)
def test_an_offset_in_numbers(reset):
    keep, update = pair(with_offset, reset)
    values = point(keep, offset=-1.0)
    signs = negated(values, "W_z", "U_z")
    assert gap(keep, update, values, **signs, b_z=-values["b_z"] + 2) < 1e-14
    assert gap(keep, update, values, **signs, b_z=-values["b_z"]) > 1e-2


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize(("alpha", "beta"), [(0.2, 0.5), (0.3, 0.2), (-0.4, 0.7)])
def test_hard_sigmoids_in_numbers(reset, alpha, beta):
    keep, update = pair(with_hard_gates, reset)
    values = point(keep, alpha=alpha, beta=beta)
    signs = negated(values, "W_z", "U_z")
    shift = (1 - 2 * beta) / alpha
    assert gap(keep, update, values, **signs, b_z=-values["b_z"] + shift) < 1e-13
    if shift:
        assert gap(keep, update, values, **signs, b_z=-values["b_z"]) > 1e-2


@pytest.mark.parametrize("reset", Reset)
def test_clipping_in_numbers(reset):
    keep, update = pair(with_clipping, reset)
    values = point(keep, limit=0.5)
    assert gap(keep, update, values, **negated(values, "W_z", "U_z", "b_z")) < 1e-14
    open_ended = point(keep, limit=50.0)
    assert gap(keep, keep, values, limit=open_ended["limit"]) > 1e-2, "the clip does something"


def test_keras_in_numbers():
    cell = gru("keep", "before")
    second, third = (with_hard_gates(cell, sp.Rational(1, n), HALF) for n in (5, 6))
    values = point(second)
    scaled = {name: 1.2 * values[name] for name in ("W_r", "U_r", "b_r", "W_z", "U_z", "b_z")}
    assert gap(second, third, values, **scaled) < 1e-14
    assert gap(second, third, values) > 1e-2


def test_all_are_proved():
    for prove in (gate_offset, hard_gates, clipped, keras_hard_sigmoid, only_complementary):
        assert prove().calculations > 4
    assert "relu reflection" in hard_gates().lemmas
    assert "relu reflection" in clipped().lemmas
    assert keras_unscaled().witness.gap > sp.Rational(1, 100)
    for activation in ("relu", "tanh"):
        assert {step.case.split(",")[0] for step in no_mirror(activation).steps} == {
            "target keep",
            "target update",
        }


def test_one_point_excludes_all_parameters():
    """What the theorems say of relu and tanh gates, for random gates and candidates."""
    random = np.random.default_rng(0)
    n = np.tanh(random.normal(size=1000) * 3)
    relu, tanh = np.maximum(random.normal(size=1000) * 5, 0), np.tanh(random.normal(size=1000) * 3)
    assert ((1 - relu) * 1 + relu * n < 2.0).all()
    assert (relu * 1 + (1 - relu) * n > -1.0).all()
    assert ((1 - tanh) * 2 + tanh * n > -1.2).all()
    assert (tanh * 2 + (1 - tanh) * n < 3.2).all()


# Planted.

SIGNS = {W_Z: -W_Z, U_Z: -U_Z}


@pytest.mark.parametrize("image", [-B_Z, B_Z - 2 * OFFSET, -B_Z - OFFSET, -B_Z + 2 * OFFSET], ids=str)
def test_planted_offsets(image):
    keep, update = pair(with_offset, Reset.AFTER)
    with pytest.raises(ProofError):
        simulate_loop(keep, update, {**SIGNS, B_Z: image}, inline=True)


@pytest.mark.parametrize(
    "image",
    [-B_Z, -B_Z + (1 - BETA) / ALPHA, -B_Z - (1 - 2 * BETA) / ALPHA, -B_Z + (1 - 2 * BETA), B_Z],
    ids=str,
)
def test_planted_shifts_of_a_hard_sigmoid(image):
    keep, update = pair(with_hard_gates, Reset.AFTER)
    with pytest.raises(ProofError):
        simulate_loop(keep, update, {**SIGNS, B_Z: image}, inline=True)


def test_planted_a_hard_sigmoid_off_centre_without_a_shift():
    for beta, holds in ((HALF, True), (sp.Rational(1, 3), False), (sp.S.One, False)):
        keep, update = pair(with_hard_gates, Reset.AFTER, sp.Rational(1, 5), beta)
        if holds:
            assert simulate_loop(keep, update, MIRRORED, inline=True).steps
        else:
            with pytest.raises(ProofError):
                simulate_loop(keep, update, MIRRORED, inline=True)


@pytest.mark.parametrize(
    ("lower", "upper"),
    [(-sp.S.One, sp.Integer(2)), (sp.S.Zero, LIMIT), (-LIMIT, 2 * LIMIT), (-LIMIT, sp.S.Zero)],
)
def test_planted_a_clip_that_is_not_symmetric(lower, upper):
    keep, update = (with_clipping(gru(p, "after"), lower, upper) for p in (Polarity.KEEP, Polarity.UPDATE))
    with pytest.raises(ProofError):
        simulate_loop(keep, update, MIRRORED, inline=True)


@pytest.mark.parametrize(
    ("factor", "scaled"),
    [
        (sp.Rational(5, 6), (W_R, U_R, B_R, W_Z, U_Z, B_Z)),
        (sp.Rational(6, 5), (W_R, U_R, W_Z, U_Z)),
        (sp.Rational(6, 5), (W_Z, U_Z, B_Z)),
        (sp.S.One, ()),
    ],
    ids=["the inverse", "biases left out", "one gate left out", "nothing"],
)
def test_planted_factors_between_keras_2_and_3(factor, scaled):
    cell = gru("keep", "before")
    second, third = (with_hard_gates(cell, sp.Rational(1, n), HALF) for n in (5, 6))
    with pytest.raises(ProofError):
        simulate_loop(second, third, {s: factor * s for s in scaled}, inline=True)


@pytest.mark.parametrize(
    ("target", "value", "state", "above", "products", "activation"),
    [
        (Polarity.KEEP, sp.S.One, sp.S.One, 1, ((sp.S.One,), (G, 1 - CANDIDATE)), "relu"),
        (Polarity.KEEP, sp.Rational(1, 2), sp.S.One, 1, ((G, 1 - CANDIDATE),), "relu"),
        (Polarity.KEEP, sp.Integer(2), sp.S.One, -1, ((sp.S.One,), (G, 1 - CANDIDATE)), "relu"),
        (Polarity.KEEP, sp.Integer(2), sp.S.One, 1, ((sp.S.One,), (1 - G, 1 - CANDIDATE)), "relu"),
        (Polarity.UPDATE, sp.Rational(3, 5), sp.Integer(2), 1, ((1 - G, 1 - CANDIDATE), (1 - G,)), "tanh"),
        (Polarity.UPDATE, -sp.Rational(3, 5), sp.Integer(2), 1, ((1 + G, 1 - CANDIDATE),), "tanh"),
    ],
)
def test_planted_points_that_exclude_nothing(target, value, state, above, products, activation):
    other = Polarity.UPDATE if target is Polarity.KEEP else Polarity.KEEP
    with pytest.raises(ProofError):
        _apart(new_state(target, value), new_state(other, G), state, above, products, activation)


def test_planted_a_difference_that_is_only_not_negative():
    """A bound that may be attained tells nothing apart."""
    with pytest.raises(ProofError, match="it may be 0"):
        _apart(G, sp.S.Zero, sp.S.One, 1, ((G,),), "relu")


def test_planted_an_activation_that_is_not_complementary():
    theorem = only_complementary()
    assert isinstance(theorem, Theorem)
    left, right = theorem.steps[0].equation
    assert sp.expand((left - right).xreplace({F_MIRRORED: 1 - F})) == 0
    assert sp.expand(left.xreplace({F_MIRRORED: 1 - F})) == 0
    assert sp.expand(left.xreplace({F_MIRRORED: -F})) != 0
    assert H_NEW not in left.free_symbols
