"""Wrappers: what they add, in what order they are put, and what they refuse."""

import numpy as np
import pytest
import sympy as sp

from symgru.equations import (
    RESTART,
    VALID,
    Cell,
    CellBuilder,
    ProgramError,
    gru,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.testing.loops import Differentiable, Sizes, draw

SIZES = Sizes(6, 4, {"I": 3, "H": 4})
THIRD = sp.Rational(1, 3)


def counter() -> Cell:
    """h grows by the square of c, and c by x; so each wrapper can be read from the numbers."""
    cell = CellBuilder("counter")
    x, h, c = cell.input("x", "H"), cell.state("h", "H"), cell.state("c", "H")
    new = cell.update(c, c + x)
    cell.update(h, h + new**2)
    return cell.build()


def run(cell: Cell, seed: int = 0, **given):
    values = draw(cell, SIZES, seed) | given
    return values, Differentiable(cell).states(values)


def by_hand(values, keep):
    """The counter, with `keep(t, old, proposed)` applied to both states at once."""
    h, c, rows = values["h_prev"], values["c_prev"], []
    for t, x in enumerate(values["x"]):
        proposed = c + x
        h, c = keep(t, {"h": h, "c": c}, {"h": h + proposed**2, "c": proposed})
        rows.append((h, c))
    return {"h_new": np.stack([h for h, _ in rows]), "c_new": np.stack([c for _, c in rows])}


def assert_same(found, expected):
    for name, value in expected.items():
        assert np.abs(found[name] - value).max() < 1e-12, name


def test_lengths_keep_both_states():
    values, found = run(with_lengths(counter()))
    valid = values["valid"]
    assert not valid.all()
    assert_same(
        found, by_hand(values, lambda t, old, new: [np.where(valid[t], new[s], old[s]) for s in "hc"])
    )


def test_zoneout_of_one_state_does_not_change_what_the_other_reads():
    """As published: h is made from the cell state before its zoneout."""
    values, found = run(with_zoneout(counter()))
    masks = {s: values[f"zoneout_{s}_new"] for s in "hc"}
    assert (masks["h"] != masks["c"]).any()
    expected = by_hand(values, lambda t, old, new: [np.where(masks[s][t], old[s], new[s]) for s in "hc"])
    assert_same(found, expected)


def test_zoneout_at_inference_is_the_mean_over_masks():
    values, found = run(with_zoneout(counter(), THIRD))
    expected = by_hand(values, lambda t, old, new: [old[s] / 3 + 2 * new[s] / 3 for s in "hc"])
    assert_same(found, expected)


@pytest.mark.parametrize("rate", [0, 1])
def test_zoneout_at_the_ends_is_nothing_and_everything(rate):
    values, found = run(with_zoneout(counter(), sp.Integer(rate)))
    assert_same(found, by_hand(values, lambda t, old, new: [(old if rate else new)[s] for s in "hc"]))


@pytest.mark.parametrize("shared", [False, True])
def test_resets_replace_the_state_before_the_step(shared):
    cell = with_resets(counter(), shared=shared)
    values, found = run(cell)
    restart = values["restart"]
    assert restart.any()
    assert values["h_prev_restart"].ndim == (1 if shared else 3)
    h, c = values["h_prev"], values["c_prev"]
    for t, x in enumerate(values["x"]):
        given = [values[f"{s}_prev_restart"] if shared else values[f"{s}_prev_restart"][t] for s in "hc"]
        h, c = np.where(restart[t], given[0], h), np.where(restart[t], given[1], c) + x
        h = h + c**2
        assert np.abs(found["h_new"][t] - h).max() < 1e-12
        assert np.abs(found["c_new"][t] - c).max() < 1e-12


def test_a_replaced_state_is_what_lengths_and_zoneout_keep():
    """At a step that restarts and is zoned out everywhere, the given state leaves."""
    cell = with_resets(with_lengths(with_zoneout(counter())))
    everywhere = np.ones((6, 4, 4), bool)
    masks = {"zoneout_h_new": everywhere, "zoneout_c_new": everywhere, "restart": everywhere}
    values, found = run(cell, **masks, valid=everywhere)
    assert_same(found, {f"{s}_new": values[f"{s}_prev_restart"] for s in "hc"})
    values, found = run(cell, restart=everywhere, valid=~everywhere)
    assert_same(found, {f"{s}_new": values[f"{s}_prev_restart"] for s in "hc"})


def test_names_say_what_a_cell_is_wrapped_in():
    cell = with_resets(with_lengths(with_zoneout(gru("keep", "after"))))
    assert cell.name == "gru_keep_after_zoneout_lengths_resets"
    assert cell.title == "GRU, polarity keep, reset after, with zoneout, with lengths, with resets"
    assert {VALID, RESTART} <= cell.step.inputs.keys()
    assert with_zoneout(gru(), THIRD).title.endswith(", zoneout at rate 1/3")


@pytest.mark.parametrize("rate", [0.1, -sp.Rational(1, 10), sp.Rational(11, 10), "1/3", 1])
def test_a_rate_is_exact_and_a_probability(rate):
    with pytest.raises(ProgramError, match=r"rate from 0 to 1, a sympy\.Rational, got"):
        with_zoneout(gru(), rate)


@pytest.mark.parametrize("wrap", [with_lengths, with_resets, with_zoneout])
def test_nothing_is_wrapped_twice(wrap):
    with pytest.raises(ProgramError, match=r"cell gru_keep_after_\w+ has a \w+ already"):
        wrap(wrap(gru()))


def test_a_symbol_of_the_cell_is_not_taken_for_a_mask():
    cell = CellBuilder("own")
    valid, h = cell.input("valid", "H"), cell.state("h", "H")
    cell.update(h, valid + h)
    with pytest.raises(ProgramError, match="cell own has a valid already, so no wrapper can add one"):
        with_lengths(cell.build())


@pytest.mark.parametrize("wrap", [with_lengths, with_resets])
def test_one_mask_needs_one_axis(wrap):
    cell = CellBuilder("two")
    h, c = cell.state("h", "H"), cell.state("c", "I")
    cell.update(h, h)
    cell.update(c, c)
    with pytest.raises(ProgramError, match="has one mask, but the states of cell two have axes"):
        wrap(cell.build())
