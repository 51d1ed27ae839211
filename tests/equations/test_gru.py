"""The equations against the GRU typed from the papers, and against torch.nn.GRU."""

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from sympy.core.function import ArgumentIndexError

from symgru.equations import Polarity, Reset, gru, reflect_sigmoid, select, sigmoid, with_lengths
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.testing.reference import textbook_gru

CONVENTIONS = [(p, r) for p in Polarity for r in Reset]
sizes = st.builds(
    lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 5),
    st.integers(1, 6),
)


@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
@given(size=sizes, seed=st.integers(0, 2**31))
def test_equations_are_the_published_ones(polarity, reset, size, seed):
    cell = gru(polarity, reset)
    values = draw(cell, size, seed)
    states = Differentiable(cell).states(values)["h_new"]
    assert np.abs(states - textbook_gru(values, polarity.value, reset.value)).max() < 1e-13


def test_keep_after_is_torch():
    cell, size = gru("keep", "after"), Sizes(5, 3, {"I": 4, "H": 6})
    v = draw(cell, size, seed=0)
    peer = torch.nn.GRU(4, 6, dtype=torch.float64)
    zeros = np.zeros(6)
    rows = {
        "weight_ih_l0": [v["W_r"], v["W_z"], v["W_n"]],
        "weight_hh_l0": [v["U_r"], v["U_z"], v["U_n"]],
        "bias_ih_l0": [v["b_r"], v["b_z"], v["b_n"]],
        "bias_hh_l0": [zeros, zeros, v["c_n"]],
    }
    peer.load_state_dict({name: torch.from_numpy(np.concatenate(parts)) for name, parts in rows.items()})
    with torch.no_grad():
        expected, _ = peer(torch.from_numpy(v["x"]), torch.from_numpy(v["h_prev"])[None])
    assert np.abs(Differentiable(cell).states(v)["h_new"] - expected.numpy()).max() < 1e-13


def test_conventions_differ_where_they_should():
    """With one set of values no two conventions agree: the values can tell them apart."""
    size = Sizes(3, 3, {"I": 3, "H": 4})
    values = draw(gru("keep", "after"), size, seed=0)
    states = [textbook_gru(values, p.value, r.value) for p, r in CONVENTIONS]
    for i, one in enumerate(states):
        for other in states[:i]:
            assert np.abs(one - other).max() > 1e-2


@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_only_reset_after_has_a_bias_of_its_own(polarity, reset):
    biases = {str(p) for p in gru(polarity, reset).step.parameters if str(p)[0] in "bc"}
    assert biases == {"b_r", "b_z", "b_n"} | ({"c_n"} if reset is Reset.AFTER else set())


@pytest.mark.parametrize("bad", [{"polarity": "kept"}, {"reset": "during"}])
def test_unknown_conventions_are_refused(bad):
    with pytest.raises(ValueError, match=r"kept|during"):
        gru(**bad)


def test_with_lengths_keeps_the_state_after_the_end():
    cell, size = with_lengths(gru("update", "before")), Sizes(5, 4, {"I": 3, "H": 4})
    values = draw(cell, size, seed=3)
    states = Differentiable(cell).states(values)["h_new"]
    free = textbook_gru(values, "update", "before")
    lengths = values["valid"][..., 0].sum(0)
    assert lengths.min() < 5
    for row, length in enumerate(lengths):
        assert np.abs(states[:length, row] - free[:length, row]).max() < 1e-13
        assert (states[length:, row] == states[length - 1, row]).all()


def test_sigmoid_is_the_logistic_function():
    a = sp.Symbol("a", real=True)
    assert sp.simplify(sp.diff(sigmoid(a).rewrite(sp.exp), a) - sigmoid(a).diff(a).rewrite(sp.exp)) == 0
    assert reflect_sigmoid(sigmoid(-a) * 2) == 2 * (1 - sigmoid(a))
    assert abs(sigmoid(sp.Rational(1, 3)).evalf(30) - 1 / (1 + sp.exp(-sp.Rational(1, 3)).evalf(30))) < 1e-28


def test_select_has_no_derivative_by_its_mask():
    m, a, b = sp.symbols("m a b", real=True)
    assert select(m, a, b).diff(a) == select(m, 1, 0)
    assert select(m, a, b).diff(b) == select(m, 0, 1)
    assert select(m, a, a) == a
    with pytest.raises(ArgumentIndexError):
        select(m, a, b).fdiff(1)
