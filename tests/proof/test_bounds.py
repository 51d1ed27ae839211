"""Bounds that hold for all weights: in numbers, not vacuous, and false ones refused."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from symgru.cells import CELLS
from symgru.equations import Polarity, Reset, gru, with_lengths, with_resets, with_zoneout
from symgru.equations.gru import H_NEW, H_PREV
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import (
    Inequalities,
    Magnitudes,
    ProofError,
    bounded_states,
    lipschitz,
    lipschitz_bound,
    state_bound,
)
from symgru.proof import magnitudes as magnitudes_module
from symgru.proof.bounds import X_MAX, M, _leaves_the_bound, unbounded_cells
from symgru.proof.polarity import published
from symgru.testing.loops import Sizes, draw

SIZES = Sizes(steps=5, batch=3, axes={"I": 3, "H": 4})
ATTENTION = sp.Symbol("attention", real=True)
G, N, H = sp.symbols("g n h", real=True)


def wrapped(polarity, reset):
    return with_zoneout(with_resets(with_lengths(gru(polarity, reset)), shared=True))


def states(cell, point):
    return evaluate_loop(published(cell), point)["h_new"]


def norms(point):
    """The value of every norm_… and of x_max."""
    found = {"x_max": np.abs(point["x"]).max()}
    for name, value in point.items():
        rows = np.abs(value).sum(-1) if name[:2] in ("W_", "U_") else np.abs(value)
        found[f"norm_{name}"] = rows.max()
    return found


def constant(cell, point, size):
    """L of the theorem in numbers."""
    limit, largest, _ = lipschitz_bound(cell)
    known = {sp.Symbol(name, real=True): float(v) for name, v in norms(point).items()} | {M: max(1.0, size)}
    for name, parts in largest.items():
        known[name] = max(float(part.xreplace(known)) for part in parts)
    return float(limit.xreplace(known))


# In numbers.


@given(
    st.sampled_from(Polarity),
    st.sampled_from(Reset),
    st.integers(0, 10**6),
    st.sampled_from((0.1, 1.0, 5.0, 30.0)),
)
def test_no_state_leaves_its_bound(polarity, reset, seed, scale):
    cell = wrapped(polarity, reset)
    point = draw(cell, SIZES, seed, scale)
    size = max(1.0, np.abs(point["h_prev"]).max(), np.abs(point["h_prev_restart"]).max())
    assert np.abs(states(cell, point)).max() <= size * (1 + 1e-12)


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize("reset", Reset)
def test_the_bound_is_nearly_attained(polarity, reset):
    """An open gate keeps a large h_0, and a closed one lets a saturated candidate in."""
    cell = gru(polarity, reset)
    open_gate = 40.0 if polarity is Polarity.KEEP else -40.0
    point = {name: 0 * value for name, value in draw(cell, SIZES, 0).items()}
    point |= {"h_prev": np.full_like(point["h_prev"], 3.0), "b_z": point["b_z"] + open_gate}
    assert np.abs(states(cell, point)).max() > 2.999
    saturated = point | {"b_z": -point["b_z"], "b_n": point["b_n"] + 40, "b_r": point["b_r"] + 40}
    saturated["h_prev"] = 0 * point["h_prev"]
    assert np.abs(states(cell, saturated)).max() > 0.999


@settings(deadline=None)
@given(
    st.sampled_from(Polarity),
    st.sampled_from(Reset),
    st.integers(0, 10**6),
    st.sampled_from((0.1, 0.7, 3.0, 10.0)),
)
def test_states_do_not_part_faster_than_the_bound(polarity, reset, seed, scale):
    cell = with_lengths(gru(polarity, reset))
    point = draw(cell, SIZES, seed, scale)
    other = point | {"h_prev": point["h_prev"] + np.random.default_rng(seed + 1).normal(size=(3, 4))}
    apart = np.abs(point["h_prev"] - other["h_prev"]).max()
    assume(apart > 1e-3)
    growth = constant(cell, point, max(np.abs(p["h_prev"]).max() for p in (point, other)))
    found = np.abs(states(cell, point) - states(cell, other)).max(axis=(1, 2))
    assert (found <= apart * growth ** np.arange(1, 6) * (1 + 1e-9)).all()


@pytest.mark.parametrize("reset", Reset)
def test_the_lipschitz_bound_is_nearly_attained(reset):
    """Near the state 0, with open reset gates and closed update gates, a step multiplies by |U_n| = L."""
    cell = gru(Polarity.KEEP, reset)
    point = {name: 0 * value for name, value in draw(cell, SIZES, 0).items()}
    point |= {"U_n": 2 * np.eye(4), "b_r": np.full(4, 40.0), "b_z": np.full(4, -40.0)}
    other = point | {"h_prev": np.full((3, 4), 1e-6)}
    found = np.abs(states(cell, point) - states(cell, other)).max(axis=(1, 2)) / 1e-6
    growth = constant(cell, point, 1.0)
    assert growth == pytest.approx(2.0)
    assert np.allclose(found, growth ** np.arange(1, 6), rtol=1e-6)


def test_cells_without_a_bound_reach_what_no_gru_reaches():
    assert {step.case for step in unbounded_cells().steps} == {"mingru", "ligru"}
    with pytest.raises(ProofError, match="is not shown"):
        replace(unbounded_cells(), steps=tuple(_leaves_the_bound(CELLS["ugrnn"]().step)))


def test_the_constants_name_the_weights_that_matter():
    named = {reset: str(lipschitz(reset).statement) for reset in Reset}
    for text in named.values():
        assert all(f"norm_{weight}" in text for weight in ("U_n", "U_r", "U_z"))
    assert "norm_c_n" in named[Reset.AFTER]
    assert "norm_c_n" not in named[Reset.BEFORE]
    assert str(X_MAX) in named[Reset.WHOLE]
    assert str(X_MAX) not in named[Reset.BEFORE] + named[Reset.AFTER]


def test_every_cell_with_a_convex_update_is_bounded():
    for name in (
        "mgu",
        "mgu_after",
        "ugrnn",
        "gru1",
        "mut1",
        "peephole_gru",
        "dreamer_gru",
        "haste_layernorm_gru",
    ):
        assert state_bound(CELLS[name]())
    for name in ("augru_paper", "augru_code"):
        assert state_bound(CELLS[name](), weights=[ATTENTION])


def test_the_theorem_has_a_case_for_every_convention():
    assert len({step.case for step in bounded_states().steps}) == 6
    for polarity in Polarity:
        for reset in Reset:
            assert any(
                f"{polarity.value}, reset {reset.value}" in step.case for step in bounded_states().steps
            )


# Planted: bounds that do not hold.


@pytest.mark.parametrize(
    "name", ["ligru", "mingru", "mingru_log", "rnn", "lstm", "augru_paper", "augru_code", "gru_d"]
)
def test_planted_cells_without_a_bound_are_refused(name):
    with pytest.raises(ProofError):
        state_bound(CELLS[name]())


def test_planted_a_bound_below_one_is_refused():
    """Without M ≥ 1 a saturated candidate leaves the bound."""
    magnitudes = Magnitudes(gru("keep", "after").step, {H_PREV: M})
    assert magnitudes(H_NEW) != M


def test_planted_resets_to_any_state_are_refused():
    with pytest.raises(ProofError, match="h_prev_restart"):
        state_bound(with_resets(gru("keep", "after")))


@pytest.mark.parametrize("number", [sp.Rational(1, 5), sp.Rational(249, 1000), sp.S.Zero], ids=str)
def test_planted_a_sharper_bound_of_the_derivative_is_refused(number, monkeypatch):
    monkeypatch.setattr(magnitudes_module, "QUARTER", number)
    with pytest.raises(ProofError, match=r"reset_gate\*\(1 - reset_gate\)|update_gate\*\(1 - update_gate\)"):
        lipschitz_bound(gru("keep", "after"))


def test_planted_an_input_without_a_bound_is_refused(monkeypatch):
    magnitudes = Magnitudes(gru("keep", "whole").step, {H_PREV: M}, [M - 1])
    with pytest.raises(ProofError, match=r"the input x .* has no bound"):
        magnitudes(sp.Symbol("candidate_from_x", real=True))


# Inequalities: what is no sum of products of known facts is not shown.


def known():
    inequalities = Inequalities()
    inequalities.given(G, 1 - G, M - 1, M - H, M + H)
    inequalities.argue((1 - N, 1 + N), "a hyperbolic tangent")
    return inequalities


def test_a_convex_combination_is_bounded():
    inequalities = known()
    inequalities.show(M - N, (M - 1,), (1 - N,))
    inequalities.show(M - G * H - (1 - G) * N, (G, M - H), (1 - G, M - N))
    assert M - G * H - (1 - G) * N in inequalities
    assert inequalities.positive(1 - N)
    assert not inequalities.positive(M - H)


@pytest.mark.parametrize(
    ("fact", "products", "message"),
    [
        (sp.Rational(1, 5) - G * (1 - G), (((G - sp.Rational(1, 2)) ** 2,),), "differ by -1/20"),
        (M - G * H - G * N, ((G, M - H), (1 - G, M - N)), "not known not to be negative"),
        (H, ((H,),), "h is not known not to be negative"),
        (N - 1, ((sp.S.NegativeOne, 1 - N),), "-1 is not known not to be negative"),
        (G**3, ((G**3,),), "is not known"),
        (1 - G, ((1 - G, sp.S.One), (G,)), "they differ"),
    ],
    ids=lambda value: "" if isinstance(value, tuple) else str(value),
)
def test_planted_inequalities_are_refused(fact, products, message):
    with pytest.raises(ProofError, match=message):
        known().show(fact, *products)


def test_strictness_needs_a_product_of_positive_factors():
    inequalities = known()
    inequalities.show(1 - N + G, (1 - N,), (G,))
    inequalities.show((1 - N) * G, (1 - N, G))
    assert inequalities.positive(1 - N + G)
    assert not inequalities.positive((1 - N) * G)
