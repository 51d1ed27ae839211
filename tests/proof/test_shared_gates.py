"""Update gates with a second job: the statements in numbers, and planted false ones refused."""

import numpy as np
import pytest
import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import Polarity
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError, simulate_loop
from symgru.proof.polarity import published
from symgru.proof.shared_gates import (
    ATTENTION,
    P_PRIME,
    P,
    _kept_parts_differ,
    _no_mgu,
    augru_paper_is_not_code,
    augru_polarity,
    fastgrnn,
    fastgrnn_mirrors,
    fastgrnn_polarities_differ,
    kept,
    mgu_polarity,
    p_norm_gru,
    p_norm_polarities_differ,
    refute_with,
)
from symgru.proof.theorem import Kind, Theorem
from symgru.testing.loops import Sizes, draw

SIZES = Sizes(steps=1, batch=1, axes={"I": 2, "H": 3})
PAPER, CODE = CELLS["augru_paper"]().step, CELLS["augru_code"]().step


def states(cell, point):
    return evaluate_loop(published(cell), point)["h_new"]


@pytest.mark.parametrize("attention", [0.0, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_no_augru_keeps_what_the_other_keeps(attention, seed):
    """Far out, h_new/h_prev of paper and code differ at one end, for any two sets of parameters."""
    one, other = CELLS["augru_paper"](), CELLS["augru_code"]()
    left, right = draw(one, SIZES, seed), draw(other, SIZES, seed + 100)
    right["x"] = left["x"]
    gaps = []
    for end in (1e6, -1e6):
        state = np.zeros((1, 3))
        state[0, 1] = end
        common = {"h_prev": state, "attention": np.full((1, 1, 3), attention)}
        gaps.append(((states(one, left | common) - states(other, right | common)) / end)[0, 0, 1])
    assert sum(gaps) > 1e-6
    assert max(gaps) > 1e-6


@pytest.mark.parametrize("name", ["mgu", "mgu_after"])
def test_the_mirrored_mgu_is_another_model(name):
    one, other = CELLS[name](), FLIPPED[name]()
    point = draw(one, SIZES, 1)
    mirrored = {n: -v if n.endswith("_f") else v for n, v in point.items()}
    assert np.abs(states(one, point) - states(other, mirrored)).max() > 1e-2


def test_fastgrnn_mirrors_with_its_state():
    keep, update = (fastgrnn(p) for p in (Polarity.KEEP, Polarity.UPDATE))
    point = draw(keep, Sizes(4, 2, SIZES.axes), 2)
    mirrored = {n: -v if n in ("W", "b_z", "b_n", "h_prev") else v for n, v in point.items()}
    assert np.abs(states(keep, point) + states(update, mirrored)).max() < 1e-14
    alone = {n: -v if n in ("W", "U", "b_z") else v for n, v in point.items()}
    assert np.abs(states(keep, point) - states(update, alone)).max() > 1e-2
    assert fastgrnn_mirrors().calculations


def test_what_is_kept_of_an_infinite_state():
    x = sp.Symbol("x", real=True)
    assert kept(PAPER, 1, "z", 1) == 1 - ATTENTION
    assert kept(PAPER, 1, "z", -1) == 1
    assert kept(CODE, -1, "z", 1) == 0
    assert x in kept(CODE, 0, "z", 1).free_symbols


def test_all_are_proved():
    proofs = [mgu_polarity(), augru_paper_is_not_code(), *map(augru_polarity, ("augru_paper", "augru_code"))]
    assert all(isinstance(proof, Theorem) for proof in proofs)
    assert len({step.case for step in mgu_polarity().steps}) == 4
    for refuted in (fastgrnn_polarities_differ(), p_norm_polarities_differ()):
        assert refuted.witness.gap > sp.Rational(1, 10)


# Planted.


def differ(left, right, certificate):
    return list(_kept_parts_differ(left, right, certificate))


@pytest.mark.parametrize(
    ("left", "right", "certificate"),
    [
        (CODE, PAPER, ((ATTENTION, 2 - P), (1 - ATTENTION, 2 - P_PRIME))),
        (PAPER, PAPER, ((ATTENTION, 2 - P), (1 - ATTENTION, 2 - P_PRIME))),
        (PAPER, CODE, ((ATTENTION, 2 - P), (ATTENTION, 2 - P_PRIME))),
        (PAPER, CODE, ((ATTENTION, 2 + P), (1 - ATTENTION, 2 - P_PRIME))),
        (CELLS["gru_keep_before"]().step, FLIPPED["gru1"]().step, ((ATTENTION, 2 - P),)),
    ],
    ids=["the other way round", "the same cell", "a wrong share", "a wrong sign", "plain GRUs"],
)
def test_planted_cells_whose_kept_parts_are_not_apart(left, right, certificate):
    with pytest.raises(ProofError):
        differ(left, right, certificate)


@pytest.mark.parametrize("name", ["augru_paper", "augru_code"])
def test_planted_attention_without_a_limit(name):
    """Where the attention does not scale the gate down, the polarity can be changed: no certificate holds."""
    scale = ATTENTION if name == "augru_paper" else 1 - ATTENTION
    both = (CELLS[name]().step, FLIPPED[name]().step)
    left, right = both if name == "augru_paper" else both[::-1]
    with pytest.raises(ProofError):
        differ(left, right, ((sp.Integer(1), 1 - scale), (scale, 2 - P), (scale, 2 - P_PRIME)))
    with pytest.raises(ProofError):
        differ(right, left, ((sp.Integer(2), 1 - 2 * scale), (scale, 2 - P), (scale, 2 - P_PRIME)))


@pytest.mark.parametrize("name", ["mgu", "mgu_after"])
def test_planted_an_mgu_that_is_itself(name):
    """A cell is no mirror of itself, so the same argument must fail for one polarity twice."""
    step = CELLS[name]().step
    claims = list(_no_mgu(step, step))
    assert any(claim.kind is Kind.CALCULATED and not claim.checked for claim in claims)
    with pytest.raises(ProofError, match="is not shown"):
        Theorem("planted", "", "", ("none",), tuple(claims), "")


@pytest.mark.parametrize("left_out", ["W", "b_z", "b_n", "h_prev"])
def test_planted_a_sign_left_out_of_fastgrnn(left_out):
    keep, update = (published(fastgrnn(p)) for p in (Polarity.KEEP, Polarity.UPDATE))
    negated = {"W", "b_z", "b_n", "h_prev"} - {left_out}
    with pytest.raises(ProofError):
        simulate_loop(keep, update, {s: -s for s in keep.step.inputs if str(s) in negated})


def test_planted_the_change_of_sign_alone():
    for make, names in ((fastgrnn, ("W", "U", "b_z")), (p_norm_gru, ("W_z", "U_z", "b_z"))):
        keep, update = (published(make(p)) for p in (Polarity.KEEP, Polarity.UPDATE))
        with pytest.raises(ProofError):
            simulate_loop(keep, update, {s: -s for s in keep.step.inputs if str(s) in names}, inline=True)
    for name in ("mgu", "mgu_after", "augru_paper", "augru_code"):
        one, other = published(CELLS[name]()), published(FLIPPED[name]())
        gate = {s: -s for s in one.step.parameters if str(s)[-1] in "fz"}
        with pytest.raises(ProofError):
            simulate_loop(one, other, gate, inline=True)


def test_planted_a_refutation_of_what_is_equal():
    """Mirrored polarities of a cell whose gate only mixes are not told apart."""
    with pytest.raises(ProofError, match="not told apart"):
        refute_with(
            "planted", (CELLS["ugrnn"](), FLIPPED["ugrnn"]()), ("W_z", "U_z", "b_z"), ("keep", "update"), ""
        )
