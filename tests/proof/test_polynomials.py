"""Expansion by distribution alone is that of SymPy, and what is kept of it goes stale nowhere."""

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symgru.equations import relu, rsqrt, select, sigmoid
from symgru.proof.lemmas import BLOCKS, CONTRACTION_BILINEAR, LEMMAS, SIGMOID_REFLECTION, Tanh, _vanishes
from symgru.proof.polynomials import _polynomial, expanded
from symgru.proof.terms import Contraction, Normaliser, Total
from symgru.proof.theorem import Step, difference

a, b, c, x = sp.symbols("a b c x", real=True)
LEAVES = st.sampled_from([a, b, c]) | st.fractions(-4, 4, max_denominator=3).map(
    lambda f: sp.Rational(f.numerator, f.denominator)
)


def _larger(terms):
    few = st.lists(terms, min_size=2, max_size=3)
    return (
        few.map(lambda parts: sp.Add(*parts))
        | few.map(lambda parts: sp.Mul(*parts))
        | st.builds(sp.Pow, terms, st.integers(1, 3))
        | st.builds(lambda f, t: f(t), st.sampled_from([sigmoid, Tanh, relu, Total, sp.tanh]), terms)
        | st.builds(Contraction, terms, terms)
    )


POLYNOMIALS = st.recursive(LEAVES, _larger, max_leaves=8)


@settings(deadline=None, max_examples=300)
@given(POLYNOMIALS)
def test_it_is_the_expansion_of_sympy(term):
    assert _polynomial(term)
    assert expanded(term) == sp.expand(term)
    assert expanded(expanded(term)) == expanded(term)


@pytest.mark.parametrize(
    "term",
    [
        (a + b) / (b + c),
        1 / ((a + b) * (b + c)),
        sp.exp(a + b) * (a + b),
        sp.sqrt(a * (b + c)) * (a + 1),
        (a + b) ** 2 * sp.log(a * b),
        sp.oo * a,
        (a + sp.nan),
        (a + b) ** c * (a + b),
        sigmoid(sp.exp(a + b)),
        sp.Sum(a * (x + 1), (x, 1, 3)) * (a + b),
        sp.Symbol("A", commutative=False) * (a + sp.Symbol("B", commutative=False)),
    ],
    ids=str,
)
def test_what_is_no_polynomial_is_left_to_sympy(term):
    assert not _polynomial(term)
    assert expanded(term) == sp.expand(term) or term is sp.nan


def test_unevaluated_terms_are_evaluated():
    assert expanded(sp.Mul(2, a, 3, a + b, evaluate=False)) == 6 * a**2 + 6 * a * b
    assert expanded(sp.Add(a, a, evaluate=False)) == 2 * a
    assert expanded(select(a, b * (b + c), c)) == select(a, b**2 + b * c, c)
    assert expanded(rsqrt(b * (b + c))) == rsqrt(b**2 + b * c)
    assert expanded(sp.Abs(a * (b + c))) == sp.Abs(a * b + a * c)


@settings(deadline=None, max_examples=100)
@given(POLYNOMIALS, st.sampled_from([a, b, sp.S.One, a * b, sigmoid(a)]))
def test_a_planted_difference_is_found(term, wrong):
    """What is equal differs by 0; with something added it does not."""
    assert difference(sp.expand(term), term) == 0
    assert sp.expand(difference(term + wrong, term) - wrong) == 0
    assert difference(term + wrong, term) != 0


@pytest.mark.parametrize("number", [sp.oo, -sp.oo, sp.zoo, sp.nan])
def test_infinity_is_not_equal_to_itself(number):
    assert not Step("planted", "", (number, number)).checked
    assert not Step("planted", "", (sp.Add(number, a), sp.Add(number, a))).checked


# The Normaliser keeps normal forms.


def test_a_name_that_is_given_later_is_used():
    normalise = Normaliser()
    assert normalise(sigmoid(a) + 1) == sigmoid(a) + 1
    normalise.named[sigmoid(a)] = b
    assert normalise(sigmoid(a) + 1) == b + 1
    normalise.named = {sigmoid(a): c}
    assert normalise(sigmoid(a) + 1) == c + 1


def test_lemmas_are_reported_each_time():
    normalise = Normaliser()
    for _ in range(2):
        normalise.used.clear()
        assert normalise(2 * sigmoid(-a)) == 2 - 2 * sigmoid(a)
        assert list(normalise.used) == [SIGMOID_REFLECTION.name]
    normalise(Tanh(-a) * sigmoid(-a))
    assert list(normalise.used) == [SIGMOID_REFLECTION.name, "tanh is odd"]


# Lemmas are decided without simplify, and false ones are not.


@pytest.mark.parametrize("lemma", LEMMAS, ids=lambda lemma: lemma.name)
def test_every_lemma_is_decided_fast_and_a_wrong_one_is_not(lemma):
    for case in lemma.cases:
        left, right = (
            side.xreplace(dict(case)).rewrite(sp.exp).replace(relu, lambda t: (t + sp.Abs(t)) / 2)
            for side in (lemma.left, lemma.right)
        )
        assert _vanishes(left - right)
        assert not _vanishes(left + right) or left == -right == 0
        assert not _vanishes(left - right + a)


def test_blocks_must_meet():
    """Σ to n + m is not Σ to n plus Σ from n, or from n + 2."""
    whole, parts = BLOCKS.left, BLOCKS.right
    (second,) = (total for total in parts.atoms(sp.Sum) if total.limits[0][1] != 1)
    index, lower, upper = second.limits[0]
    for shift in (-1, 1):
        moved = sp.Sum(second.function, (index, lower + shift, upper))
        assert not _vanishes(whole - parts.xreplace({second: moved}))
    assert not _vanishes(CONTRACTION_BILINEAR.left - 2 * CONTRACTION_BILINEAR.right)
