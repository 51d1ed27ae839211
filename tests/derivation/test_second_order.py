"""Double backward from kept values, statement by statement, against the one that computes them again."""

from dataclasses import replace

import numpy as np
import pytest

from symgru.derivation import double_backward
from symgru.derivation.second_order import double_backward_from
from symgru.equations import Contract, Pointwise, Polarity, Reset, gru, sigmoid, tanh
from symgru.testing.second_order import as_emitted, as_written, evaluate_pipeline

SIZES = {"I": 2, "H": 3}
STEPS, BATCH = 4, 3
CELLS = [gru(polarity, reset) for polarity in Polarity for reset in Reset]


def point(cell):
    """Values of everything that a pipeline for double backward reads."""
    rng = np.random.default_rng(0)
    carried = {entering for entering, _ in cell.carry}
    values = {"d_h_new_last": np.zeros((BATCH, SIZES["H"]))}
    values["d_h_new"] = rng.normal(size=(STEPS, BATCH, SIZES["H"]))
    for symbol, shape in cell.step.inputs.items():
        rows = () if not shape.per_step else (BATCH,) if symbol in carried else (STEPS, BATCH)
        for name in (str(symbol), f"dd_d_{symbol}"):
            values[name] = rng.normal(size=(*rows, *(SIZES[axis] for axis in shape.axes)))
    return values


@pytest.mark.parametrize("outer", [None, ("x", "h_prev")], ids=["all", "inputs"])
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_agrees_with_the_pipeline_that_computes_the_gates_again(cell, outer):
    values = point(cell)
    zeros = [n for n in values if outer and n.startswith("dd_d_") and n.removeprefix("dd_d_") not in outer]
    expected = evaluate_pipeline(double_backward(cell), values | {n: 0 * values[n] for n in zeros})
    pipeline = double_backward_from(cell, outer).pipeline
    for run in (as_written, as_emitted):
        found = evaluate_pipeline(pipeline, values, run)
        assert found.keys() == expected.keys() | {"dd_d_h_new_last"}
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.name)
def test_no_loop_after_the_forward_one_goes_through_the_cell_again(cell):
    """No gate is computed, and six products in each loop: one for every matrix that it is about.

    With the reset gate before the product, its cotangent is a product of the backward pass: once more.
    """
    products = []
    for stage in double_backward_from(cell, ("x", "h_prev")).pipeline.stages[1:]:
        step = stage.loop.step
        assert not [s for s in step if isinstance(s, Pointwise) and s.expression.has(sigmoid, tanh)]
        products.append(sum(len(s.terms) for s in step if isinstance(s, Contract)))
    assert products == [6, 7 if "before" in cell.name else 6, 6]


def test_the_last_state_has_a_cotangent_of_its_own():
    """As an addition to the cotangent of the last state of the sequence."""
    cell = CELLS[0]
    values = point(cell)
    pipeline = double_backward_from(cell).pipeline
    last = np.random.default_rng(1).normal(size=values["d_h_new_last"].shape)
    added = values | {"d_h_new": np.concatenate([values["d_h_new"][:-1], values["d_h_new"][-1:] + last])}
    apart = evaluate_pipeline(pipeline, values | {"d_h_new_last": last})
    together = evaluate_pipeline(pipeline, added)
    for name, value in together.items():
        np.testing.assert_allclose(apart[name], value, rtol=1e-12, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("target", ["dd_update_preactivation", "dd_h_prev", "dd_d_h_new"])
def test_a_wrong_sign_is_found(target):
    cell = CELLS[0]
    values, pipeline = point(cell), double_backward_from(cell).pipeline
    right, wrong = (evaluate_pipeline(p, values) for p in (pipeline, with_flipped_sign(pipeline, target)))
    assert not np.allclose(wrong["dd_x"], right["dd_x"])


def with_flipped_sign(pipeline, target):
    """The pipeline with a sign changed in the derivative of the backward loop."""
    *before, stage, last = pipeline.stages
    step = stage.loop.step
    flipped = [replace(s, expression=-s.expression) if str(s.target) == target else s for s in step]
    assert flipped != list(step)
    loop = replace(stage.loop, step=replace(step, statements=tuple(flipped)))
    return replace(pipeline, stages=(*before, replace(stage, loop=loop), last))
