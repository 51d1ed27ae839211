"""Every lemma holds from its definition; a wrong one is refused, and refused before it is used."""

from dataclasses import replace

import pytest
import sympy as sp

from symgru.equations import Reset, gru, sigmoid
from symgru.proof import LEMMAS, MIRRORED, Lemma, ProofError, check, simulate
from symgru.proof.lemmas import (
    _I,
    _J,
    CONTRACTION_BILINEAR,
    OUTER_BILINEAR,
    SELECTION,
    SIGMOID_REFLECTION,
    SUM_LINEAR,
    TANH_BY_EXP,
    TANH_INCREASING,
    A,
    B,
    M,
    Tanh,
)

WRONG_REFLECTION = Lemma("planted", "σ(−a) = σ(a)", "", sigmoid(-A), sigmoid(A))


@pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)
def test_a_lemma_holds(lemma):
    assert check(lemma) is lemma
    assert lemma.residual() == 0


def test_names_are_distinct():
    assert len({lemma.name for lemma in LEMMAS}) == len(LEMMAS)


@pytest.mark.parametrize(
    "lemma",
    [
        WRONG_REFLECTION,
        Lemma("planted", "σ(−a) = −σ(a)", "", sigmoid(-A), -sigmoid(A)),
        Lemma("planted", "tanh is even", "", Tanh(-A), Tanh(A)),
        Lemma("planted", "tanh(−a) = 1 − tanh(a)", "", Tanh(-A), 1 - Tanh(A)),
        replace(SELECTION, right=(1 - M) * A + M * B),
        replace(SELECTION, cases=(((M, sp.S.One),), ((M, sp.Rational(1, 2)),))),
        replace(TANH_INCREASING, right=TANH_INCREASING.right / 2),
        replace(TANH_BY_EXP, right=1 - 2 / (1 + sp.exp(A))),
        replace(CONTRACTION_BILINEAR, right=CONTRACTION_BILINEAR.right.xreplace({A: -A})),
        replace(OUTER_BILINEAR, right=OUTER_BILINEAR.right + OUTER_BILINEAR.right.args[0]),
        replace(SUM_LINEAR, right=SUM_LINEAR.right.xreplace({A: A**2})),
    ],
    ids=lambda lemma: f"{lemma.name}-{lemma.right}"[:40],
)
def test_a_planted_wrong_lemma_is_refused(lemma):
    with pytest.raises(ProofError, match=f"lemma '{lemma.name}' does not hold"):
        check(lemma)


def test_a_wrong_lemma_cannot_be_used():
    keep, update = (gru(polarity, Reset.AFTER).step for polarity in ("keep", "update"))
    with pytest.raises(ProofError, match=r"lemma 'planted' does not hold: sigmoid\(-a\)"):
        simulate(keep, update, MIRRORED, lemmas=(*LEMMAS, WRONG_REFLECTION))


@pytest.mark.parametrize(
    ("missing", "statement"),
    [(SIGMOID_REFLECTION, "update_gate = "), (CONTRACTION_BILINEAR, "update_from_x = ")],
    ids=lambda value: getattr(value, "name", value),
)
def test_a_lemma_that_is_needed_is_missed(missing, statement):
    keep, update = (gru(polarity, Reset.AFTER).step for polarity in ("keep", "update"))
    with pytest.raises(ProofError, match=f"'{statement}"):
        simulate(keep, update, MIRRORED, lemmas=[lemma for lemma in LEMMAS if lemma != missing])


def test_tanh_is_not_odd_by_itself():
    assert Tanh(-A) + Tanh(A) != 0, "the lemma, not SymPy's automatic evaluation, has to do this"


def test_lemmas_are_about_different_identities():
    assert len({(lemma.left, lemma.right) for lemma in LEMMAS}) == len(LEMMAS)


def test_the_outer_product_is_summed_over_steps_and_examples_and_not_over_units():
    t, e = OUTER_BILINEAR.left.variables
    for summand in OUTER_BILINEAR.left.function.atoms(sp.Indexed):
        assert summand.indices[:2] == (t, e)
        assert summand.indices[2] in {_I, _J}
    assert {summand.indices[2] for summand in OUTER_BILINEAR.left.function.atoms(sp.Indexed)} == {_I, _J}
