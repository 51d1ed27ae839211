"""The derivation document of cells other than the GRU: letters of their own, several states, means."""

import json

import pytest
import sympy as sp

from symgru.documents import FORMATS, derivation, derivation_of
from symgru.equations import (
    CellBuilder,
    Polarity,
    gru,
    relu,
    sigmoid,
    tanh,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.lowering.notation import GRU, notation_of


def lstm():
    cell = CellBuilder("lstm", "LSTM", source="Hochreiter and Schmidhuber 1997")
    x, h, c = cell.input("x", "I"), cell.state("h", "H"), cell.state("c", "H")
    value = {}
    for name, function in (("input_gate", sigmoid), ("forget_gate", sigmoid), ("g", tanh)):
        letter = name[0]
        W, U = cell.weight(f"W_{letter}", "H", "I"), cell.weight(f"U_{letter}", "H", "H")
        value[name] = cell.let(name, function(W @ x + U @ h + cell.bias(f"b_{letter}", "H")))
    new = cell.update(c, value["forget_gate"] * c + value["input_gate"] * value["g"])
    cell.update(h, tanh(new))
    return cell.build()


def normalised():
    cell = CellBuilder("normalised", "cell with layer normalisation")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    parts = [cell.weight(f"W_{k}", "H", "I") @ x for k in "ab"]
    a, b = cell.layer_norm("normed", parts, sp.Rational(1, 1000))
    cell.update(h, relu(a) * h + b)
    return cell.build()


CELLS = {
    "lstm": lstm,
    "normalised": normalised,
    "wrapped": lambda: with_resets(with_zoneout(with_lengths(lstm()))),
    "gru with resets": lambda: with_resets(gru()),
}


def equations(document, key, title=None):
    groups = [g for g in document.section(key).groups if title in (None, g.title)]
    return {e.target.text: e.expression.text for g in groups for e in g.equations}


def test_the_lstm_in_its_own_letters():
    document = derivation_of(lstm())
    assert document.title == "Derivation of the LSTM"
    step = equations(document, "forward")
    assert step["a^f_t"] == "W_f x_t + U_f h_{t−1} + b_f"
    assert step["c_t"] == "f_t ⊙ c_{t−1} + i_t ⊙ g_t"
    inside = equations(document, "gradient", "Inside the step")
    assert inside["∂L/∂c^{total}_t"] == "∂L/∂c_t + ∂L/∂h_t ⊙ (1 − h_t²)"
    assert inside["∂L/∂a^f_t"] == "∂L/∂c^{total}_t ⊙ f_t ⊙ (1 − f_t) ⊙ c_{t−1}"
    assert equations(document, "gradient", "Inputs of the step")["∂L/∂c_{t−1}"] == "∂L/∂c^{total}_t ⊙ f_t"


def test_both_states_are_carried():
    document = derivation_of(lstm())
    (words,) = document.section("through_time").paragraphs
    assert "".join(w if isinstance(w, str) else w.text for w in words).endswith(
        "Likewise ∂L/∂c^{later}_{t−1} becomes ∂L/∂c^{later}_t."
    )


def test_a_mean_over_units_and_its_adjoint():
    document = derivation_of(normalised())
    assert any(value.startswith("mean ") for value in equations(document, "forward").values())
    assert any(value.startswith("mean ∂L/∂") for value in equations(document, "gradient").values())


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("form", FORMATS)
def test_every_format_renders_every_cell(name, form):
    text = FORMATS[form](derivation_of(CELLS[name]()))
    if form == "json":
        cell = json.loads(text)["cell"]
        assert (cell["polarity"], cell["reset"]) == (None, None)
        assert cell["lengths"] == (name == "wrapped")
    assert "None" not in text


@pytest.mark.parametrize("name", CELLS)
def test_no_two_symbols_are_written_alike(name):
    document = derivation_of(CELLS[name]())
    for target in ("text", "latex"):
        written = [getattr(symbol.formula, target) for symbol in document.symbols]
        assert len(set(written)) == len(written)


@pytest.mark.parametrize("polarity", Polarity)
def test_the_letters_of_the_gru_stay(polarity):
    assert notation_of(gru(polarity)) is GRU
    assert notation_of(with_lengths(gru(polarity))) is GRU
    document = derivation_of(gru(polarity))
    named = derivation(polarity)
    assert document.sections[1:] == named.sections[1:]


def test_a_letter_that_is_taken_is_written_out():
    cell = CellBuilder("clash")
    x, h = cell.input("x", "H"), cell.state("h", "H")
    f = cell.let("f", sigmoid(x))
    g = cell.let("forget_gate", tanh(x))
    cell.update(h, f * h + g)
    symbols = {s.name: s.formula.text for s in derivation_of(cell.build()).symbols}
    assert symbols["f"] == "f_t"
    assert symbols["forget_gate"] == "forget_gate_t"
