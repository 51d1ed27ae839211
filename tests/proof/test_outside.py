"""Layer norm and clips against plain GRUs: in numbers, and false claims that must fail."""

import numpy as np
import pytest
import sympy as sp

from symgru.cells import CELLS
from symgru.derivation import Loop
from symgru.equations import CellBuilder, Pointwise, Polarity, Program, Reset, gru, relu
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof import ProofError
from symgru.proof.activations import LIMIT, with_clipping, with_hard_gates
from symgru.proof.outside import (
    _layer_norms,
    _settled,
    clipped_is_plain,
    clipped_target,
    layer_norm_target,
    no_gru_is_clipped,
    no_gru_is_layer_norm,
    without_relu,
)
from symgru.proof.polarity import published

UNITS, EPSILON = 5, 1e-5


@pytest.mark.parametrize("prove", [no_gru_is_layer_norm, clipped_is_plain, no_gru_is_clipped])
def test_each_is_proved(prove):
    theorem = prove()
    assert all(step.checked for step in theorem.steps if step.equation)


# Layer norm.


def layer_norm_at(x, units, gain):
    """The new state of unit 1 of the target, with two weights that are not 0."""
    weights = np.zeros(units)
    weights[:2] = 1, -1
    return np.tanh(gain * x / np.sqrt((weights**2).mean() * x**2 + EPSILON)) / 2


def target_values(cell, numbers, x):
    values = {}
    for symbol, shape in cell.step.inputs.items():
        size = [{"I": 1, "H": 2}[axis] for axis in shape.axes]
        value = np.full(size, float(numbers.get(symbol.name, 0)))
        if symbol.name.startswith("W_"):
            value = np.array([[1.0], [-1.0]])
        values[symbol.name] = value
    values["x"] = np.array([[[x]]])
    return {name: v[None] if name in ("h", "h_prev") else v for name, v in values.items()}


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize("x", [-3.0, 0.002, 0.1, 7.0])
def test_the_target_is_what_the_cell_computes(position, x):
    cell, numbers = list(_layer_norms())[position]
    (output,) = evaluate_loop(published(cell), target_values(cell, numbers, x))[cell.carry[0][1].name][0]
    epsilon = 1e-3 if cell.name == "dreamer_gru" else EPSILON
    expected = np.tanh(x / np.sqrt(x**2 + epsilon)) / 2
    np.testing.assert_allclose(output, [expected, -expected], atol=1e-14)


@pytest.mark.parametrize("units", [2, 3, 8])
def test_the_target_comes_to_its_limit_slowly(units):
    """x²(L − h) goes to ε'(1 − tanh² 1)/4, where ε' = nε/2; a plain GRU has 0 there."""
    x, gain = 3.0, np.sqrt(2 / units)
    scaled = x**2 * (np.tanh(1) / 2 - layer_norm_at(x, units, gain))
    np.testing.assert_allclose(scaled, units * EPSILON / 2 * (1 - np.tanh(1) ** 2) / 4, rtol=1e-4)
    plain = np.tanh(1 + np.exp(-3.0 * np.array([10.0, 20.0]))) / 2 - np.tanh(1) / 2
    assert plain[1] * 20**2 < 1e-9 < scaled


@pytest.mark.parametrize(
    "numbers", [{"gain_W_n": 2}, {"gain_W_n": 1, "b_z": 1}, {"gain_W_n": 1, "gain_W_z": 1}]
)
def test_another_target_is_told_apart(numbers):
    with pytest.raises(ProofError, match=r"does not hold|expected the root"):
        layer_norm_target(CELLS["haste_layernorm_gru"](), numbers)


def test_a_gru_without_layer_norm_is_no_target():
    with pytest.raises(ProofError, match="expected the root of"):
        layer_norm_target(gru("keep", "after"), {})


@pytest.mark.parametrize("name", ["mingru", "ligru"])
def test_a_cell_that_grows_has_no_limit(name):
    """The rule about limits is evaluated for every plain GRU; it must fail for cells that are none."""
    with pytest.raises((ProofError, NotImplementedError), match=r"has no limit|does not know relu"):
        _settled(_with_symbols_of_the_gru(CELLS[name]()))


def _with_symbols_of_the_gru(cell):
    (pair,) = cell.carry
    assert [str(symbol) for symbol in pair] == ["h_prev", "h_new"]
    return cell.step


# Clips.


def clipped_loop(reset):
    return with_clipping(gru(Polarity.KEEP, reset))


def point(loop, scale, seed=0):
    random = np.random.default_rng(seed)
    values = {}
    for symbol, shape in loop.step.inputs.items():
        leading = [] if not shape.per_step else ([4] if symbol.name == "h_prev" else [6, 4])
        size = [*leading, *({"I": 3, "H": UNITS}[axis] for axis in shape.axes)]
        values[symbol.name] = scale * random.normal(size=size)
    return values | {"h_prev": np.tanh(values["h_prev"])}


def bound(values, reset):
    """‖W‖ max|x| + ‖U‖ max(1, |h_0|) + |b|, with |c_n| for reset after, as the conclusion says."""
    norms = [
        np.abs(values[f"W_{k}"]).sum(axis=1).max() * np.abs(values["x"]).max()
        + np.abs(values[f"U_{k}"]).sum(axis=1).max()
        + np.abs(values[f"b_{k}"]).max()
        + (np.abs(values["c_n"]).max() if k == "n" and reset is Reset.AFTER else 0)
        for k in "rzn"
    ]
    return max(norms)


@pytest.mark.parametrize("reset", Reset)
def test_an_inactive_clip_changes_nothing_and_an_active_one_does(reset):
    plain, clipped = published(gru(Polarity.KEEP, reset)), clipped_loop(reset)
    values = point(clipped, 0.5)
    of_plain = {k: v for k, v in values.items() if k != LIMIT.name}
    states = evaluate_loop(plain, of_plain)["h_new"]
    for limit, equal in ((bound(values, reset), True), (0.3, False)):
        result = evaluate_loop(clipped, values | {LIMIT.name: np.full(UNITS, limit)})["h_new"]
        gap = np.abs(result - states).max()
        assert gap < 1e-12 if equal else gap > 1e-2


@pytest.mark.parametrize("reset", Reset)
def test_the_clipped_target_is_flat(reset):
    values = {k: 0 * v for k, v in point(clipped_loop(reset), 1.0).items()}
    values["W_n"] = np.zeros_like(values["W_n"])
    values["W_n"][0, 0] = 2 if reset is Reset.WHOLE else 1
    values[LIMIT.name] = np.full(UNITS, 0.7)
    for x, expected in (
        (0.0, 0.0),
        (0.7, np.tanh(0.7) / 2),
        (5.0, np.tanh(0.7) / 2),
        (0.5, np.tanh(0.5) / 2),
    ):
        values["x"] = np.zeros_like(values["x"])
        values["x"][0, 0, 0] = x
        result = evaluate_loop(clipped_loop(reset), values)["h_new"][0, 0, 0]
        np.testing.assert_allclose(result, expected, atol=1e-14)


def test_only_a_clip_from_minus_c_to_c_is_taken_out():
    cell = gru(Polarity.KEEP, Reset.AFTER)
    assert len(list(without_relu(with_clipping(cell)))) == 3
    for lower, upper in ((-2 * LIMIT, LIMIT), (-LIMIT, 2 * LIMIT), (sp.S.Zero, LIMIT)):
        with pytest.raises(ProofError, match="expected a clip of reset_preactivation from -limit to limit"):
            list(without_relu(with_clipping(cell, lower, upper)))
    with pytest.raises(ProofError, match="nothing is clipped"):
        list(without_relu(published(cell)))
    with pytest.raises(ProofError, match="expected a clip"):
        list(without_relu(with_hard_gates(cell, sp.S.One, sp.Rational(1, 2))))


def test_a_clip_that_shifts_is_not_shown(monkeypatch):
    """Planted: where it does nothing, the clip adds c."""
    shifted = with_clipping

    def planted(cell):
        loop = shifted(cell)
        statements = tuple(
            Pointwise(s.target, s.expression + LIMIT)
            if isinstance(s, Pointwise) and s.expression.has(relu)
            else s
            for s in loop.step
        )
        return Loop(loop.name, Program(loop.step.inputs, statements, loop.step.outputs), loop.carry)

    monkeypatch.setattr("symgru.proof.outside.with_clipping", planted)
    with pytest.raises(
        ProofError, match=r"'reset_clipped = reset_preactivation' is not shown, residual limit"
    ):
        clipped_is_plain.__wrapped__()


def test_without_a_clip_the_target_is_not_flat(monkeypatch):
    monkeypatch.setattr(
        "symgru.proof.outside.with_clipping", lambda cell: with_clipping(cell, -LIMIT, 2 * LIMIT)
    )
    with pytest.raises(ProofError, match=r"'h_new = tanh\(limit\)/2 for x = beyond \+ limit.*does not hold"):
        clipped_target(Reset.BEFORE)


def test_a_linear_candidate_is_not_settled():
    cell = CellBuilder("linear", "a cell whose candidate grows")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W = cell.weight("W_n", "H", "I")
    cell.update(h, h / 2 + W @ x)
    with pytest.raises(ProofError, match="has no limit"):
        _settled(cell.build().step)
