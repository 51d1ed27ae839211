"""Second derivatives and further ones over time: symmetry, torch's autograd, Taylor slopes, schedules."""

from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from symgru.derivation import (
    gradient,
    hessian_vector,
    pullback,
    pushforward,
    restricted,
    states,
    tangent_of,
    without_zeros,
)
from symgru.derivation.loop import forward, linearised
from symgru.equations import (
    Cell,
    CellBuilder,
    Polarity,
    ProgramError,
    Reset,
    gru,
    sigmoid,
    tanh,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.testing.autograd import AutogradCell
from symgru.testing.derivatives import assert_taylor, inner
from symgru.testing.loops import Differentiable, Sizes, draw, masks
from symgru.testing.mutants import mutants
from symgru.testing.second_order import SecondOrder, as_scheduled, as_written, evaluate_pipeline

#: Two orders of summation in float64; the largest seen is 3e-15, and 2e-9 of central differences, below 1e-7.
TOLERANCE = 1e-10


def lstm():
    cell = CellBuilder("lstm")
    x, h, c = cell.input("x", "I"), cell.state("h", "H"), cell.state("c", "H")

    def gate(k):
        return (
            cell.weight(f"W_{k}", "H", "I") @ x
            + cell.weight(f"U_{k}", "H", "H") @ h
            + cell.bias(f"b_{k}", "H")
        )

    i, f, o = (cell.let(f"{k}_gate", sigmoid(gate(k))) for k in "ifo")
    new = cell.update(c, f * c + i * cell.let("cell_candidate", tanh(gate("g"))))
    cell.update(h, o * tanh(new))
    return cell.build()


def layer_norm():
    cell = CellBuilder("layer_norm")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    raw = [cell.weight(f"W_{k}", "H", "I") @ x + cell.weight(f"U_{k}", "H", "H") @ h for k in "zn"]
    a_z, a_n = cell.layer_norm("normalised", raw, sp.Rational(1, 1000))
    z = cell.let("z", sigmoid(cell.bias("gain", "H") * a_z + cell.bias("b", "H")))
    cell.update(h, z * h + (1 - z) * cell.let("n", tanh(a_n)))
    return cell.build()


def everything(cell):
    return with_lengths(with_zoneout(with_resets(cell)))


GRUS = [gru(p, r) for p in Polarity for r in Reset]
WRAPPED = [
    wrap(gru(*model))
    for model in (("keep", "after"), ("update", "before"))
    for wrap in (with_lengths, with_resets, with_zoneout, everything)
]
OTHERS = [lstm(), everything(lstm()), layer_norm(), with_resets(with_lengths(layer_norm()), shared=True)]
CELLS = [*GRUS, *WRAPPED, *OTHERS]
FEW = [gru("keep", "after"), everything(gru("update", "before")), everything(lstm()), layer_norm()]
each = pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
a_few = pytest.mark.parametrize("cell", FEW, ids=lambda c: c.name)
sizes = st.builds(
    lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
    st.integers(1, 5),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 5),
)
SIZE = Sizes(4, 3, {"I": 2, "H": 3})


@cache
def second_order(number, scheduled=False):
    found = copy(second_order(number)) if scheduled else SecondOrder(CELLS[number])  # schedules are kept
    found.run = as_scheduled if scheduled else as_written
    return found


def of(cell, scheduled=False):
    return second_order(CELLS.index(cell), scheduled)


def directions(cell, size, seed):
    fixed = {str(mask) for mask in masks(cell)}
    return {name: value for name, value in draw(cell, size, seed).items() if name not in fixed}


def problem(cell, size, seed):
    """A point, two directions and cotangents of the states."""
    cotangents = Differentiable(cell).states(draw(cell, size, seed + 3))
    return (
        draw(cell, size, seed),
        directions(cell, size, seed + 1),
        directions(cell, size, seed + 2),
        cotangents,
    )


def assert_equal(found, expected, tolerance=TOLERANCE):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = max(1.0, float(np.abs(value).max()))
        error = float(np.abs(found[name] - value).max())
        assert error <= tolerance * scale, f"{name} differs by {error:.2e} > {tolerance:.0e}"


@each
@settings(max_examples=3)
@given(size=sizes, seed=st.integers(0, 2**31))
def test_hessian_vector_product_against_autograd(cell, size, seed):
    point, direction, _, cotangents = problem(cell, size, seed)
    found = of(cell).hvp(point, direction, cotangents)
    assert_equal(found, AutogradCell(cell).hvp(point, direction, cotangents))


@each
@settings(max_examples=3)
@given(size=sizes, seed=st.integers(0, 2**31))
def test_double_backward_against_autograd(cell, size, seed):
    point, outer, _, cotangents = problem(cell, size, seed)
    found = of(cell).double_backward(point, cotangents, outer)
    assert_equal(found, AutogradCell(cell).double_backward(point, cotangents, outer))


@pytest.mark.thorough
@each
@given(size=sizes, seed=st.integers(0, 2**31))
def test_autograd_on_many_examples(cell, size, seed):
    point, direction, _, cotangents = problem(cell, size, seed)
    reference = AutogradCell(cell).double_backward(point, cotangents, direction)
    for scheduled in (False, True):
        assert_equal(of(cell, scheduled).double_backward(point, cotangents, direction), reference)
        found = of(cell, scheduled).hvp(point, direction, cotangents)
        assert_equal(found, {name: reference[name] for name in found})


def test_hessian_vector_product_of_torchs_own_gru():
    """torch.nn.GRU has six biases; those of the gates are ours in two parts."""
    cell, size = gru("keep", "after"), Sizes(5, 3, {"I": 2, "H": 4})
    point, direction, _, cotangents = problem(cell, size, 0)
    module = torch.nn.GRU(2, 4).double()
    stacks = {
        "weight_ih_l0": ["W_r", "W_z", "W_n"],
        "weight_hh_l0": ["U_r", "U_z", "U_n"],
        "bias_ih_l0": ["b_r", "b_z", "b_n"],
        "bias_hh_l0": ["", "", "c_n"],
    }

    def stacked(values):
        zero = np.zeros(4)
        return {
            k: torch.from_numpy(np.concatenate([values[n] if n else zero for n in v]))
            for k, v in stacks.items()
        }

    inputs = stacked(point) | {
        "x": torch.from_numpy(point["x"]),
        "h_prev": torch.from_numpy(point["h_prev"][None]),
    }
    moved = stacked(direction)
    moved |= {"x": torch.from_numpy(direction["x"]), "h_prev": torch.from_numpy(direction["h_prev"][None])}

    def loss(values):
        parameters = {name: values[name] for name in stacks}
        output, _ = torch.func.functional_call(module, parameters, (values["x"], values["h_prev"]))
        return (output * torch.from_numpy(cotangents["h_new"])).sum()

    inputs = {name: value.requires_grad_() for name, value in inputs.items()}
    first = torch.autograd.grad(loss(inputs), list(inputs.values()), create_graph=True)
    total = sum((g * moved[n]).sum() for n, g in zip(inputs, first, strict=True))
    expected = dict(zip(inputs, torch.autograd.grad(total, list(inputs.values())), strict=True))
    found = of(cell).hvp(point, direction, cotangents)
    for stack, value in stacked(found | {"": np.zeros(4)}).items():
        rows = slice(8, None) if stack == "bias_hh_l0" else slice(None)
        assert (value[rows] - expected[stack][rows]).abs().max() < TOLERANCE
    assert np.abs(found["x"] - expected["x"].numpy()).max() < TOLERANCE
    assert np.abs(found["h_prev"] - expected["h_prev"][0].numpy()).max() < TOLERANCE


@each
def test_the_hessian_is_symmetric(cell):
    point, v, w, cotangents = problem(cell, SIZE, 10)
    left = inner(of(cell).hvp(point, v, cotangents), w)
    right = inner(v, of(cell).hvp(point, w, cotangents))
    assert abs(left) > 1e-3
    assert abs(left - right) <= 1e-11 * max(1.0, abs(left))


@each
def test_both_orders_of_differentiation_agree(cell):
    """The cotangent of the inputs is H v, that of the states' cotangents is the tangent of the states."""
    point, v, _, cotangents = problem(cell, SIZE, 20)
    found = of(cell).double_backward(point, cotangents, v)
    tangents = Differentiable(cell).jvp(point, v)
    expected = of(cell).hvp(point, v, cotangents) | {f"d_{name}": value for name, value in tangents.items()}
    assert_equal(found, expected, 1e-12)


@a_few
def test_taylor_slopes_of_the_gradient(cell):
    size = Sizes(4, 2, {"I": 2, "H": 3})
    point, v, _, cotangents = problem(cell, size, 30)
    chosen = {name: value for name, value in point.items() if name not in v}
    moving = {name: value for name, value in point.items() if name in v}
    derivative, found = Differentiable(cell), SecondOrder(cell)
    assert_taylor(
        lambda p: derivative.vjp({**p, **chosen}, cotangents),
        lambda t: found.hvp(point, t, cotangents),
        moving,
        v,
    )


@each
def test_what_is_scheduled_computes_the_same(cell):
    """All phases of every loop of both second orders; a value that is not stored would be missing."""
    point, v, _, cotangents = problem(cell, SIZE, 40)
    written, scheduled = of(cell), of(cell, scheduled=True)
    assert_equal(scheduled.hvp(point, v, cotangents), written.hvp(point, v, cotangents), 1e-12)
    expected = written.double_backward(point, cotangents, v)
    assert_equal(scheduled.double_backward(point, cotangents, v), expected, 1e-12)


@each
def test_first_order_pipelines_are_the_loops(cell):
    """One evaluator for the gradient and the tangent; the backward loop is the one that kernels have."""
    point, v, _, cotangents = problem(cell, SIZE, 50)
    derivative = Differentiable(cell)
    bars = {f"d_{name}": value for name, value in cotangents.items()}
    for run in (evaluate_pipeline, lambda p, x: evaluate_pipeline(p, x, as_scheduled)):
        gradients = run(gradient(cell), point | bars)
        expected = derivative.vjp(point, cotangents)
        assert_equal(gradients, {f"d_{name}": value for name, value in expected.items()}, 1e-12)
        tangents = run(tangent_of(cell), point | {f"tangent_{n}": t for n, t in v.items()})
        moved = derivative.jvp(point, v)
        assert_equal(tangents, {f"tangent_{name}": value for name, value in moved.items()}, 1e-12)
        assert_equal(run(states(cell), point), derivative.states(point), 1e-12)
    assert gradient(cell).stages[-1].loop.step.statements == derivative.backward.step.statements


@pytest.mark.parametrize("cell", [gru("update", "after"), lstm()], ids=lambda c: c.name)
def test_third_derivatives_agree_with_each_other_and_with_differences(cell):
    """D²ḡ[v, w] as tangent of the Hessian-vector product, as its slope, and the pullback against both."""
    size = Sizes(3, 2, {"I": 2, "H": 2})
    point, v, w, cotangents = problem(cell, size, 60)
    given = point | {f"d_{n}": c for n, c in cotangents.items()} | {f"tangent_{n}": t for n, t in v.items()}
    second = hessian_vector(cell)
    third = pushforward(second, moving=[s for s in second.inputs if s in cell.step.inputs])
    found = evaluate_pipeline(third, given | {f"tangent2_{n}": t for n, t in w.items()})
    again = evaluate_pipeline(third, given | {f"tangent2_{n}": t for n, t in w.items()}, as_scheduled)
    assert_equal(again, found, 1e-11)
    swapped = given | {f"tangent_{n}": t for n, t in w.items()} | {f"tangent2_{n}": t for n, t in v.items()}
    assert_equal(evaluate_pipeline(third, swapped), found, 1e-11)  # symmetric in its directions
    epsilon, slopes = 1e-5, {}
    ahead, behind = (
        evaluate_pipeline(second, given | {n: point[n] + sign * epsilon * t for n, t in w.items()})
        for sign in (1, -1)
    )
    slopes = {f"tangent2_{n}": (ahead[n] - behind[n]) / (2 * epsilon) for n in ahead}
    assert_equal(found, slopes, 1e-7)
    back = pullback(second)
    outer = {f"dd_{n}": np.cos(value) for n, value in evaluate_pipeline(second, given).items()}
    gradients = evaluate_pipeline(back, given | outer)
    left = inner({n.removeprefix("tangent2_"): t for n, t in found.items()}, _named(outer, "dd_"))
    right = inner(w, _named(gradients, "dd_"))
    assert abs(left - right) <= 1e-11 * max(1.0, abs(left))


def _named(values, prefix):
    return {name.removeprefix(prefix): value for name, value in values.items()}


def test_the_fourth_order_is_a_pipeline_too():
    """Pullback of pullback of pullback: prefixes d_, dd_, ddd_, and every loop has a schedule."""
    pipeline = gradient(gru("keep", "before"))
    for prefix in ("dd_", "ddd_"):
        pipeline = pullback(pipeline)
        assert f"{prefix}W_n" in {str(o) for o in pipeline.outputs}
    assert all(stage.schedule.inside for stage in pipeline.stages)
    assert len({stage.loop.name for stage in pipeline.stages}) == len(pipeline.stages)


@pytest.mark.parametrize("order", ["hessian_vector", "double"])
def test_what_lies_in_which_phase(order):
    """Every statement reads what its phase knows; what needs a sum over all steps comes after."""
    for cell in CELLS:
        for stage in getattr(of(cell), order).stages:
            scheduled, step = stage.schedule, stage.loop.step
            known = step.inputs.keys() - stage.loop.carried
            for statement in scheduled.before:
                assert statement.reads <= known, statement
                known |= {statement.target}
            inside = known | stage.loop.carried
            for statement in scheduled.inside:
                assert statement.reads <= inside, statement
                inside |= {statement.target}
            known |= set(scheduled.stored)
            for statement in scheduled.after:
                assert statement.reads <= known, statement
                known |= {statement.target}


@each
def test_second_order_loops_are_linear_in_what_they_carry(cell):
    """All but that of the states: no function and no product of two loop-dependent values is left inside."""
    for stage in (*of(cell).hessian_vector.stages[1:], *of(cell).double.stages[1:]):
        varying = stage.loop.carried | {s.target for s in stage.schedule.inside}
        for statement in stage.schedule.inside:
            if hasattr(statement, "expression"):
                ordered = sorted(statement.reads & varying, key=str)
                assert all(not sp.diff(statement.expression, a, b) for a in ordered for b in ordered), (
                    statement
                )


def test_stored_values_of_second_order():
    """Reverse loops that only serve a derivative store what they carry, and nothing else."""
    for cell in GRUS:
        ahead, moved, back, _ = (stage.schedule for stage in hessian_vector(cell).stages)
        assert [str(s) for s in (*ahead.stored, *moved.stored, *back.stored)] == [
            "h_prev",
            "tangent_h_prev",
            "d_h_new_carried",
        ]


def test_pruning_keeps_what_moves():
    """A carried value that enters as zero stays only if something reaches it."""
    loop = linearised(forward(gru("keep", "after")))
    moving = [s for s in loop.step.inputs if str(s).startswith("tangent_")]
    nothing = without_zeros(loop, moving)
    assert not nothing.carry
    assert not nothing.step.outputs
    (entering, _), *_ = loop.carry
    some = without_zeros(loop, [s for s in moving if str(s) not in ("tangent_x", "tangent_W_n")])
    assert some.carry == loop.carry
    assert entering in some.step.inputs
    assert sum(len(s.reads) for s in some.step) < sum(len(s.reads) for s in loop.step)
    back = gradient(lstm()).stages[-1].loop
    few = restricted(back, [o for o in back.step.outputs if str(o) == "d_b_i"])
    assert {str(o) for o in few.step.outputs} == {"d_b_i", "d_h_prev", "d_c_prev"}
    assert few.transient == {leaving for _, leaving in few.carry}


def test_names_that_are_taken():
    """A cell with a cotangent's name for an input gets another prefix; a trajectory's name is an error."""
    cell = _renamed(gru("keep", "after"), "x", "d_x")
    assert {str(o) for o in gradient(cell).outputs} >= {"dd_d_x", "dd_W_r"}
    with pytest.raises(ProgramError, match="h_prev_trajectory"):
        gradient(_renamed(gru("keep", "after"), "reset_gate", "h_prev_trajectory"))


def _renamed(cell, old, new):
    names = {s: sp.Symbol(new if str(s) == old else str(s), real=True) for s in cell.step.shapes}
    step = replace(
        cell.step,
        inputs={names[s]: shape for s, shape in cell.step.inputs.items()},
        statements=tuple(s.renamed(names) for s in cell.step),
    )
    return Cell(cell.name, cell.title, step, cell.carry, cell.source)


@pytest.mark.parametrize(("order", "number"), [("hessian_vector", 3), ("double", 2), ("double", 3)])
def test_planted_errors_are_caught(order, number):
    """Every ninth slip of the pen in a second-order loop changes what comes out."""
    cell, size = gru("update", "after"), Sizes(3, 2, {"I": 2, "H": 3})
    point, v, _, cotangents = problem(cell, size, 70)
    reference = AutogradCell(cell).double_backward(point, cotangents, v)
    right = SecondOrder(cell)
    pipeline = getattr(right, order)
    stage = pipeline.stages[number]
    planted = list(mutants(stage.loop.step))[::9]
    survivors = []
    for mutant in planted:
        wrong = replace(stage, loop=replace(stage.loop, step=mutant.program))
        setattr(right, order, _with_stage(pipeline, number, wrong))
        found = (
            right.hvp(point, v, cotangents)
            if order == "hessian_vector"
            else right.double_backward(point, cotangents, v)
        )
        if all(np.abs(found[n] - reference[n]).max() < 1e-9 for n in found):
            survivors.append(mutant.error)
    assert not survivors
    assert len(planted) > 15


def _with_stage(pipeline, number, stage):
    return replace(pipeline, stages=(*pipeline.stages[:number], stage, *pipeline.stages[number + 1 :]))
