"""Other coordinates and storage, and the exact condition for the placements: numbers and false claims."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from symgru.cells import CELLS
from symgru.derivation import Loop
from symgru.equations import Contract, Pointwise, Polarity, Program, ProgramError, Reset, gru
from symgru.equations.gru import B_N, C_N, H_NEW, H_PREV, U_N, U_R, U_Z, W_N
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError, converts_exactly, in_groups, simulate, simulate_loop
from symgru.proof.groups import part
from symgru.proof.polarity import published
from symgru.proof.structure import (
    ALPHA,
    SWAPPED_GROUPS,
    TWO_GROUPS,
    _fused,
    _plain_scaled,
    _scaled_tanh,
    _without,
    blocks_are_dense,
    concatenated,
    permutations_of_units,
    scaled_tanh,
    sign_flips,
)
from symgru.proof.support import R_SHARED, H, R, U
from symgru.proof.theorem import Kind, Step
from symgru.testing.loops import Sizes, draw

SIZES = Sizes(steps=4, batch=3, axes={"I": 3, "H": 5})
SQUARE = ("U_r", "U_z", "U_n")
CELL = {reset: gru(Polarity.KEEP, reset) for reset in Reset}
LEAVING = sp.Symbol("scaled_new", real=True)


def states(cell, point):
    return evaluate_loop(published(cell), point)["h_new"]


def parameters(point):
    return [n for n in point if n not in ("x", "h_prev")]


# In numbers, on the cells as they are.


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize("reset", Reset)
def test_signs_of_units_are_free(polarity, reset):
    cell = gru(polarity, reset)
    point = draw(cell, SIZES, 1)
    d = np.array([1, -1, 1, -1, -1])
    flipped = dict(point)
    for name in parameters(point):
        if name in ("W_n", "U_n"):
            flipped[name] = d[:, None] * flipped[name]
        if name in ("b_n", "c_n"):
            flipped[name] = d * flipped[name]
        if name in SQUARE:
            flipped[name] = flipped[name] * d
    flipped["h_prev"] = d * point["h_prev"]
    assert np.abs(states(cell, flipped) - d * states(cell, point)).max() < 1e-14


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize("reset", Reset)
def test_the_order_of_units_is_free(polarity, reset):
    cell = gru(polarity, reset)
    point, order = draw(cell, SIZES, 2), np.array([3, 0, 4, 1, 2])
    moved = {n: point[n][order] for n in parameters(point)} | {
        "x": point["x"],
        "h_prev": point["h_prev"][:, order],
    }
    moved |= {n: moved[n][:, order] for n in SQUARE}
    assert np.abs(states(cell, moved) - states(cell, point)[..., order]).max() < 1e-14


@pytest.mark.parametrize("reset", Reset)
def test_groups_are_the_cell(reset):
    """The cell in groups of 2 and 3 units has the states of the cell."""
    cell, loop = CELL[reset], in_groups(CELL[reset], TWO_GROUPS)
    point = draw(cell, SIZES, 3)
    cut = {"a": slice(0, 2), "b": slice(2, 5)}
    values = {"x": point["x"]}
    for symbol in loop.step.inputs:
        if symbol.name != "x":
            stem, _, letters = symbol.name.rpartition("_")
            value = point[stem]
            if stem in SQUARE:
                values[symbol.name] = value[cut[letters[0]], cut[letters[1]]]
            else:
                values[symbol.name] = value[:, cut[letters]] if stem == "h_prev" else value[cut[letters]]
    results = evaluate_loop(loop, values)
    together = np.concatenate([results["h_new_a"], results["h_new_b"]], axis=-1)
    assert np.abs(together - states(cell, point)).max() < 1e-14


@pytest.mark.parametrize("reset", [Reset.BEFORE, Reset.AFTER])
def test_a_scaled_tanh_is_a_tanh_in_other_units(reset):
    random = np.random.default_rng(4)
    plain, scaled = _plain_scaled(reset, LEAVING), _scaled_tanh(reset)
    point = draw(CELL[reset], SIZES, 4) | {
        "alpha": random.uniform(0.5, 2, 5),
        "beta": random.uniform(0.5, 2, 5),
    }
    one_step = point | {"x": point["x"][:1]}
    left = evaluate_loop(Loop("plain", plain, ((H_PREV, H_NEW),)), one_step)["scaled_new"]
    right = evaluate_loop(Loop("scaled", scaled, ((H_PREV, H_NEW),)), one_step)["h_new"]
    assert np.abs(left - right).max() < 1e-14


def gates(point, groups):
    """The point with the reset parameters of unit g for all units of a group."""
    owner = np.array(groups)
    return point | {n: point[n][owner] for n in ("W_r", "U_r", "b_r")}


@pytest.mark.parametrize("seed", range(3))
def test_before_is_after_where_rows_share_their_gates(seed):
    """Rows read units 0, 1 or units 2, 3, 4, whose gates are equal; those of the rows themselves differ."""
    before, after = CELL[Reset.BEFORE], CELL[Reset.AFTER]
    point = draw(after, SIZES, seed) | {"c_n": np.zeros(5)}
    shared = gates(point, [0, 0, 2, 2, 2])
    reads_first = np.array([True, False, True, True, False])
    support = np.where(reads_first[:, None], np.arange(5) < 2, np.arange(5) >= 2)
    shared["U_n"] = point["U_n"] * support
    target = gates(shared, np.where(reads_first, 0, 2))
    assert np.abs(states(before, shared) - states(after, target)).max() < 1e-14
    assert np.abs(states(before, shared) - states(after, shared)).max() > 1e-3
    dense = shared | {"U_n": point["U_n"]}
    assert np.abs(states(before, dense) - states(after, target | {"U_n": point["U_n"]})).max() > 1e-3


@pytest.mark.parametrize("seed", range(3))
def test_after_is_before_where_columns_share_their_gates(seed):
    before, after = CELL[Reset.BEFORE], CELL[Reset.AFTER]
    point = draw(after, SIZES, seed) | {"c_n": np.zeros(5)}
    shared = gates(point, [0, 0, 2, 2, 2])
    read_by_first = np.array([True, False, True, True, False])
    support = np.where(read_by_first[None, :], np.arange(5)[:, None] < 2, np.arange(5)[:, None] >= 2)
    shared["U_n"] = point["U_n"] * support
    target = gates(shared, np.where(read_by_first, 0, 2))
    assert np.abs(states(after, shared) - states(before, target)).max() < 1e-14
    assert np.abs(states(after, shared | {"c_n": np.ones(5)}) - states(before, target)).max() > 1e-3


def test_all_are_proved():
    for prove in (sign_flips, permutations_of_units, blocks_are_dense, concatenated):
        assert {step.case for step in prove().steps} >= {f"reset {reset.value}" for reset in Reset}
    assert scaled_tanh().rules == 1
    assert "contraction in blocks" in concatenated().lemmas
    for reset in (Reset.BEFORE, Reset.AFTER):
        assert {step.case for step in converts_exactly(reset).steps} == {"sufficient", "necessary"}


def test_before_and_after_have_conditions_and_whole_has_none():
    assert "row" in converts_exactly("before").statement
    assert "column" in converts_exactly("after").statement
    assert "c_n = 0" in converts_exactly("after").statement
    with pytest.raises(KeyError):
        converts_exactly("whole")


def test_candidates_are_fused_only_where_nothing_is_between():
    fused = {reset: {s.target.name for s in _fused(CELL[reset].step)} for reset in Reset}
    assert "candidate_from_both" in fused[Reset.BEFORE]
    assert "candidate_from_both" in fused[Reset.WHOLE]
    assert "candidate_from_both" not in fused[Reset.AFTER]
    assert all({"reset_from_both", "update_from_both"} <= names for names in fused.values())


def test_a_mean_cannot_be_split_into_groups():
    with pytest.raises(ProgramError, match="cannot be written in groups"):
        in_groups(CELLS["dreamer_gru"](), TWO_GROUPS)


# Planted.

FLIPPED = [part(s, "b") for s in (H_PREV, W_N, B_N, C_N)] + [part(U_N, "ba")]
FLIPPED += [part(U, "ab") for U in (U_R, U_Z, U_N)] + [part(U, "bb") for U in (U_R, U_Z)]


@pytest.mark.parametrize("left_out", FLIPPED, ids=str)
def test_planted_a_sign_left_out(left_out):
    loop = in_groups(CELL[Reset.AFTER], TWO_GROUPS)
    with pytest.raises(ProofError):
        simulate_loop(loop, loop, {s: -s for s in FLIPPED if s != left_out})


@pytest.mark.parametrize("added", ["U_n_bb", "U_n_aa", "b_r_b", "W_z_b", "W_n_a"])
def test_planted_a_sign_too_many(added):
    loop = in_groups(CELL[Reset.AFTER], TWO_GROUPS)
    with pytest.raises(ProofError):
        simulate_loop(loop, loop, {s: -s for s in (*FLIPPED, sp.Symbol(added, real=True))})


def exchanged(loop):
    images = {}
    for symbol in loop.step.inputs:
        stem, _, letters = symbol.name.rpartition("_")
        if stem and set(letters) <= set("abc"):
            images[symbol] = part(sp.Symbol(stem), letters.translate(str.maketrans("ab", "ba")))
    return images


@pytest.mark.parametrize("left_out", ["h_prev_a", "W_n_b", "U_n_ab", "U_r_ac", "U_z_cb", "b_r_a", "c_n_b"])
def test_planted_an_exchange_that_leaves_something_behind(left_out):
    loop = in_groups(CELL[Reset.AFTER], SWAPPED_GROUPS)
    images = {s: image for s, image in exchanged(loop).items() if s.name != left_out}
    with pytest.raises(ProofError):
        simulate_loop(loop, loop, images)


@pytest.mark.parametrize("kept", ["U_r_ab", "U_z_ba", "U_n_ab"])
def test_planted_a_block_that_is_not_zero(kept):
    dense = in_groups(CELL[Reset.BEFORE], TWO_GROUPS)
    off = {part(U, letters): sp.S.Zero for U in (U_R, U_Z, U_N) for letters in ("ab", "ba")}
    blocks = Loop("blocks", _without(dense.step, off), dense.carry)
    some = {s: image for s, image in off.items() if s.name != kept}
    with pytest.raises(ProofError):
        simulate_loop(blocks, dense, some)


@pytest.mark.parametrize("reset", [Reset.BEFORE, Reset.AFTER])
@pytest.mark.parametrize("wrong", [ALPHA**2 * H_NEW, H_NEW, -ALPHA * H_NEW], ids=str)
def test_planted_scales_of_a_tanh(reset, wrong):
    plain = _plain_scaled(reset, LEAVING)
    statements = (*plain.statements[:-1], Pointwise(LEAVING, wrong))
    planted = Program(plain.inputs, statements, plain.outputs)
    with pytest.raises(ProofError):
        simulate(planted, _scaled_tanh(reset), {}, {H_NEW: LEAVING}, inline=True)


@pytest.mark.parametrize("source", [Reset.BEFORE, Reset.AFTER])
def test_planted_calculations_of_the_exact_condition(source):
    """Each calculation carries weight: with another right side the theorem cannot be made."""
    theorem = converts_exactly(source)
    for position, step in enumerate(theorem.steps):
        if step.kind is Kind.CALCULATED:
            left, right = step.equation
            wrong = replace(step, equation=(left, right + sp.Symbol("h_j", real=True)), stated=None)
            steps = (*theorem.steps[:position], wrong, *theorem.steps[position + 1 :])
            with pytest.raises(ProofError, match="is not shown"):
                replace(theorem, steps=steps)


@pytest.mark.parametrize(
    "known", [{U: sp.S.One}, {R: 2 * R_SHARED}, {}], ids=["U_ij not 0", "r_j not rho", "neither"]
)
def test_planted_units_that_do_not_share_their_gate(known):
    left, right = ((U * R * H).xreplace(known), (R_SHARED * U * H).xreplace(known))
    assert not Step("planted", "a test", (left, right)).checked


def test_planted_products_that_are_not_added():
    cell = CELL[Reset.BEFORE]
    fused = _fused(cell.step)
    statements = tuple(
        Contract(s.target, s.terms[:1]) if s.target.name == "update_from_both" else s for s in fused
    )
    planted = Loop("planted", Program(fused.inputs, statements, fused.outputs), cell.carry)
    with pytest.raises(ProofError):
        simulate_loop(published(cell), planted, {}, inline=True)
