"""Where reset before and after coincide: what is proved, in numbers, and what is not."""

import numpy as np
import pytest
import sympy as sp

from symgru.equations import Reset, gru
from symgru.equations.gru import B_R, C_N, U_R, W_R
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError, only_diagonal_recurrence, shared_reset_gate, simulate_loop
from symgru.proof.polarity import published
from symgru.proof.terms import Contraction, Normaliser, OuterProduct, Total, TransposedContraction

SIZES = {"I": 3, "H": 4}
TIED = (W_R, U_R, B_R)
BEFORE, AFTER = (published(gru("keep", reset)) for reset in (Reset.BEFORE, Reset.AFTER))


def gap(tied, bias=0.0, seed=0):
    """How far apart the states of both placements are after three steps, with some of W_r, U_r, b_r tied."""
    random = np.random.default_rng(seed)
    values = {
        str(s): random.normal(size=[SIZES[a] for a in shape.axes])
        for s, shape in AFTER.step.inputs.items()
        if not shape.per_step
    }
    for symbol in tied:
        values[str(symbol)][:] = values[str(symbol)][0]
    values |= {
        "c_n": np.full(4, bias),
        "x": random.normal(size=(3, 5, 3)),
        "h_prev": random.normal(size=(5, 4)),
    }
    before, after = (evaluate_loop(loop, values)["h_new"] for loop in (BEFORE, AFTER))
    return np.abs(before - after).max()


def test_a_shared_reset_gate_hides_the_placement():
    assert gap(TIED) < 1e-14
    assert shared_reset_gate().calculations


@pytest.mark.parametrize("missing", TIED, ids=str)
def test_the_reset_gate_has_to_be_shared_in_full(missing):
    tied = [symbol for symbol in TIED if symbol != missing]
    assert gap(tied) > 1e-3
    with pytest.raises(ProofError, match=r"^output h_new is"):
        simulate_loop(AFTER, BEFORE, {}, given={C_N: sp.S.Zero}, inline=True, tied=tied)


def test_a_shared_reset_gate_does_not_hide_the_bias():
    assert gap(TIED, bias=0.5) > 1e-3
    with pytest.raises(ProofError, match=r"^output h_new is"):
        simulate_loop(AFTER, BEFORE, {}, inline=True, tied=TIED)


def test_only_parameters_are_tied():
    with pytest.raises(ProofError, match="reset_gate cannot be tied"):
        simulate_loop(AFTER, BEFORE, {}, tied=[sp.Symbol("reset_gate", real=True)])


def test_a_shared_value_leaves_a_sum_over_units_and_none_over_time():
    r, v, matrix = sp.symbols("r v W", real=True)
    normalise = Normaliser(shared=frozenset({r}))
    for product in (Contraction, TransposedContraction):
        assert normalise(product(matrix, 2 * r * v)) == 2 * r * product(matrix, v)
    for kept in (Total(r * v), OuterProduct(r * v, v), OuterProduct(v, r * v)):
        assert normalise(kept) == kept
    with pytest.raises(ProofError, match="the same number in every unit"):
        normalise(Contraction(matrix, r))


def test_the_exact_condition_keeps_its_quantifier():
    conclusion = only_diagonal_recurrence().conclusion
    assert "whatever the weights of the reset gate are" in conclusion
    assert "shared-reset-gate" in conclusion
    assert "one unit" in conclusion


def test_each_coefficient_is_compared_once():
    claims = [step.claim for step in only_diagonal_recurrence().steps]
    assert sum(claim.startswith("the coefficient of") for claim in claims) == 3
    assert len(set(claims)) == len(claims)
