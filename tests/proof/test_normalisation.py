"""Polarity under normalisation, in numbers and with planted false claims."""

import numpy as np
import pytest
import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import Polarity, gru
from symgru.equations.gru import B_Z, U_Z, W_Z
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError, simulate_loop
from symgru.proof.cell_polarity import UPDATE_GATES, cells_mirror, mirrored_start, unmirrored_start
from symgru.proof.normalisation import (
    batch_norm,
    batch_norm_is_plain,
    folded,
    joint_layer_norm,
    layer_norm_per_gate,
    separate_norms,
    weights_negated,
)
from symgru.proof.polarity import published
from symgru.testing.loops import Sizes, draw

SIZES = Sizes(steps=4, batch=3, axes={"I": 3, "H": 3})


def gap(one, other, point, **changed):
    left, right = (
        evaluate_loop(published(cell), values)["h_new"]
        for cell, values in ((one, point), (other, point | changed))
    )
    return np.abs(left - right).max()


def negated(point, names):
    return {name: -point[name] for name in names.split()}


def relation(cell, names):
    return {s: -s for s in cell.step.inputs if str(s) in names.split()}


def test_joint_layer_norm_in_numbers():
    one, other = CELLS["haste_layernorm_gru"](), FLIPPED["haste_layernorm_gru"]()
    point = draw(one, SIZES, 1)
    assert gap(one, other, point, **negated(point, "gain_W_z gain_U_z b_z c_z")) < 1e-13
    assert gap(one, other, point, **negated(point, "W_z U_z b_z c_z")) > 1e-2
    one, other = CELLS["dreamer_gru"](), FLIPPED["dreamer_gru"]()
    point = draw(one, SIZES, 2)
    assert gap(one, other, point, gain_z=-point["gain_z"], b_z=2 - point["b_z"]) < 1e-13
    assert gap(one, other, point, gain_z=-point["gain_z"], b_z=-point["b_z"]) > 1e-2


@pytest.mark.parametrize("names", ["gain_z b_z", "W_z U_z b_z"])
def test_a_norm_for_each_gate_in_numbers(names):
    keep, update = (layer_norm_per_gate(p) for p in (Polarity.KEEP, Polarity.UPDATE))
    point = draw(keep, SIZES, 3)
    assert gap(keep, update, point, **negated(point, names)) < 1e-13


def test_batch_norm_in_the_weights_in_numbers():
    cell = batch_norm(Polarity.KEEP)
    point = draw(cell, SIZES, 4)
    plain = {}
    for gate in "zn":
        factor = point[f"gain_{gate}"] * point[f"inverse_{gate}"]
        plain[f"W_{gate}"] = factor[:, None] * point[f"W_{gate}"]
        plain[f"b_{gate}"] = point[f"b_{gate}"] + point[f"shift_{gate}"] - factor * point[f"mean_{gate}"]
        plain[f"factor_{gate}"] = np.ones(3)
    assert gap(cell, folded(), point, **plain) < 1e-13


def test_all_are_proved():
    assert "sigmoid reflection" in joint_layer_norm().lemmas
    assert "mean is linear" in separate_norms().lemmas
    assert batch_norm_is_plain().calculations > 5
    assert weights_negated().witness.gap > sp.Rational(1, 10)
    assert len({step.case for step in cells_mirror().steps}) == len(UPDATE_GATES) == 13
    assert mirrored_start().premises
    assert unmirrored_start().witness.gap > sp.Rational(1, 10)


def test_every_shipped_cell_with_a_polarity_has_its_verdict():
    """A cell that is added needs a row: mirrored, or shown not to be."""
    elsewhere = {"haste_layernorm_gru", "dreamer_gru"} | {"mgu", "mgu_after", "augru_paper", "augru_code"}
    assert set(FLIPPED) == set(UPDATE_GATES) | elsewhere


# Planted.


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("haste_layernorm_gru", "W_z U_z b_z c_z"),
        ("haste_layernorm_gru", "gain_W_z gain_U_z b_z"),
        ("haste_layernorm_gru", "gain_W_z b_z c_z"),
        ("haste_layernorm_gru", "gain_W_z gain_U_z b_z c_z W_z U_z"),
        ("haste_layernorm_gru", "gain_W_r gain_U_r b_r c_r"),
        ("dreamer_gru", "gain_z b_z"),
        ("dreamer_gru", "W_z U_z b_z"),
    ],
)
def test_planted_signs_under_joint_layer_norm(name, names):
    one, other = CELLS[name](), FLIPPED[name]()
    with pytest.raises(ProofError):
        simulate_loop(published(one), published(other), relation(one, names))


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (layer_norm_per_gate, "gain_z"),
        (layer_norm_per_gate, "W_z b_z"),
        (layer_norm_per_gate, "W_z U_z gain_z b_z"),
        (batch_norm, "gain_z U_z b_z"),
        (batch_norm, "W_z shift_z U_z b_z"),
        (batch_norm, "W_z mean_z U_z b_z"),
    ],
)
def test_planted_signs_under_other_norms(make, names):
    keep, update = (make(p) for p in (Polarity.KEEP, Polarity.UPDATE))
    with pytest.raises(ProofError):
        simulate_loop(published(keep), published(update), relation(keep, names))


@pytest.mark.parametrize("left_out", ["mean", "shift", "inverse", "gain"])
def test_planted_batch_norm_with_a_part_left_out(left_out):
    images = {}
    for gate in "zn":
        parts = {
            name: sp.Symbol(f"{name}_{gate}", real=True) for name in ("gain", "shift", "mean", "inverse", "b")
        }
        parts[left_out] = sp.Integer(left_out in ("gain", "inverse"))
        factor = parts["gain"] * parts["inverse"]
        images[sp.Symbol(f"factor_{gate}", real=True)] = factor
        images[parts["b"]] = parts["b"] + parts["shift"] - factor * parts["mean"]
    with pytest.raises(ProofError):
        simulate_loop(published(batch_norm(Polarity.KEEP)), published(folded()), images, inline=True)


@pytest.mark.parametrize("name", UPDATE_GATES)
def test_planted_a_parameter_left_out_of_the_mirror(name):
    """Each parameter of the update gate has to change its sign, and no other."""
    one, other = published(CELLS[name]()), published(FLIPPED[name]())
    names = UPDATE_GATES[name].split()
    for left_out in names:
        some = {s: -s for s in one.step.inputs if str(s) in names and str(s) != left_out}
        with pytest.raises(ProofError):
            simulate_loop(one, other, some)
    everything = {s: -s for s in one.step.parameters}
    if len(one.step.parameters) > len(names):
        with pytest.raises(ProofError):
            simulate_loop(one, other, everything)


@pytest.mark.parametrize("start", [sp.S.One, sp.S.Zero, -sp.Integer(2)], ids=str)
def test_planted_a_start_that_is_not_mirrored(start):
    keep, update = (published(gru(p, "before")) for p in (Polarity.KEEP, Polarity.UPDATE))
    with pytest.raises(ProofError):
        simulate_loop(keep, update, {W_Z: -W_Z, U_Z: -U_Z, B_Z: start}, given={B_Z: sp.S.One})
