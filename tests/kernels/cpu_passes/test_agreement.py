"""Every plan of every GRU against the oracle, in float64 and float32."""

import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from symgru.kernels.names import POLARITIES, RESETS
from torch.nn.utils.rnn import PackedSequence

from symgru.testing.cpu_passes import (
    DISPENSABLE,
    OPTIONAL,
    OPTIONAL_TANGENTS,
    PASSES,
    Oracle,
    Problem,
    assert_agrees,
    assert_digits_of_closed_gates,
    run,
)
from symgru.testing.cpu_strategies import problems, unwanted
from symgru.testing.derivatives import DOT_PRODUCT_TOLERANCE
from symgru.testing.tolerances import assert_close

CELLS = [(polarity, reset) for polarity in POLARITIES for reset in RESETS]
EXAMPLES = settings().max_examples


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_every_plan_agrees_with_the_oracle(library, polarity, reset):
    @given(problems(polarities=(polarity,), resets=(reset,)), unwanted(), st.integers(1, 4), st.booleans())
    def agrees(problem, nowhere, threads, packed_before):
        results = run(library, problem, threads, nowhere, packed_before)
        assert_agrees(problem, results)
        assert not {name.partition(" ")[2] for name in results} & nowhere

    agrees()


@given(problem=problems(polarities=("keep",), resets=("after", "before")), threads=st.integers(1, 4))
@settings(max_examples=3 * EXAMPLES)
def test_teams_agree_with_the_oracle(by_teams, problem, threads):
    """A team however small the call is, on scratch full of NaN."""
    for plans in by_teams.values():
        assert_agrees(problem, run(plans, problem, threads))


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_many_rows_and_units(library, polarity, reset):
    """Products in several blocks of summands, weights that fill a cache, a team that shares units or rows."""
    for sizes, inputs, units in (((260, 260, 257), 7, 9), ((20,) * 4, 40, 300), ((300, 3), 270, 5)):
        for dtype in (torch.float32, torch.float64):
            problem = Problem(polarity, reset, sizes, inputs, units, dtype=dtype)
            assert_agrees(problem, run(library, problem, threads=3))


def test_what_may_be_absent_is_zero_and_what_is_not_wanted_changes_nothing(library):
    problem = Problem("keep", "after", (3, 3, 2), 4, 5, reverse=True)
    for name in (*OPTIONAL, *OPTIONAL_TANGENTS):
        without = dataclasses.replace(problem, absent=frozenset({name}))
        assert_agrees(without, run(library, without))
    whole = run(library, problem)
    for unwanted_ in (*({name} for name in DISPENSABLE), set(DISPENSABLE)):
        results = run(library, problem, unwanted=frozenset(unwanted_))
        assert results.keys() == {name for name in whole if name.partition(" ")[2] not in unwanted_}
        assert all(torch.equal(results[name], whole[name]) for name in results)


@pytest.mark.parametrize("reverse", [False, True])
def test_a_sequence_that_begins_anew_is_as_alone(library, reverse):
    """One example cut in two at a step, against its two parts: the later one with the first state zero."""
    at, problem = 60, Problem("keep", "after", (1,) * 150, 4, 5, reverse=reverse)
    values = problem.inputs()
    resets = torch.zeros(150, dtype=torch.bool)
    resets[at] = True
    whole = run(library, problem, inputs=values | {"resets": resets})
    parts = []
    for rows in (slice(0, at), slice(at, 150)):
        part = dataclasses.replace(problem, batch_sizes=(1,) * len(range(150)[rows]))
        own = {n: v[rows] if v.shape[0] == 150 else v for n, v in values.items()}
        first, last = rows.start == 0, rows.start != 0  # in time; against it the later part comes first
        if last is not reverse:
            own = {n: v for n, v in own.items() if n not in ("h_prev", "tangent_h_prev")}
        if first is not reverse:
            own.pop("d_h_new_carried")
        absent = frozenset(values) - frozenset(own)
        parts.append(run(library, dataclasses.replace(part, absent=absent), inputs=own))
    for name, found in whole.items():
        one, other = (part[name] for part in parts)
        if name.endswith("saved"):
            assert torch.equal(found, torch.cat((one, other), 1))
        elif "weight" in name or "bias" in name:
            assert_close(name, found, one + other)
        elif "h_prev" in name:  # of the first part in the order of the layer
            assert torch.equal(found, other if reverse else one)
        elif name.endswith("_last"):
            assert torch.equal(found, one if reverse else other)
        else:
            assert torch.equal(found, torch.cat((one, other)))


@pytest.mark.parametrize(("dtype", "count"), [(torch.uint8, 3), (torch.bool, 2)])
def test_resets_that_are_no_truth_values_of_the_rows(dtype, count):
    with pytest.raises(ValueError, match="resets must be 3 contiguous truth values on the CPU, but are"):
        dataclasses.replace(
            Problem("keep", "after", (2, 1), 4, 5).steps, resets=torch.zeros(count, dtype=dtype)
        )


def test_no_rows_give_zero_gradients(library):
    """A batch of none, which `symgru.GRU` allows."""
    problem = Problem("keep", "after", (0, 0), 4, 5)
    results = run(library, problem)
    gradients = {name: value for name, value in results.items() if value.numel()}
    assert len(gradients) == 8
    assert all(torch.equal(value, torch.zeros_like(value)) for value in gradients.values()), gradients


@given(problem=problems())
def test_kept_gates_and_gates_computed_again_give_the_same_gradients(library, problem):
    results = run(library, problem)
    for name in ("h_new", "h_new_last"):
        assert_close(name, results[f"forward_saving {name}"], results[f"forward {name}"].double())
    for name, found in results.items():
        pass_, _, result = name.partition(" ")
        if pass_ == "backward_saved":
            assert_close(name, found, results[f"backward {result}"].double())


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_digits_of_closed_gates(library, polarity, reset):
    assert_digits_of_closed_gates(library, Problem(polarity, reset, (4, 4, 3), 4, 5))


@given(problem=problems(dtypes=(torch.float64,)))
def test_dot_product_of_tangent_and_backward(library, problem):
    """⟨J v, w⟩ = ⟨v, Jᵀ w⟩ for the states, their last ones, the input, the first states and all weights."""
    problem = dataclasses.replace(problem, absent=frozenset())
    values, results = problem.inputs(), run(library, problem)
    left = [
        results["tangent tangent_h_new"] * values["d_h_new_output"],
        results["tangent tangent_h_new_last"] * values["d_h_new_carried"],
    ]
    names = ("x", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
    for pass_ in ("backward", "backward_saved"):
        right = [values[f"tangent_{n}"] * results[f"{pass_} d_{n}"] for n in names]
        right.append(values["tangent_h_prev"] * results[f"{pass_} d_h_prev_last"])
        first, second = (
            math.fsum(v for part in parts for v in part.flatten().tolist()) for parts in (left, right)
        )
        size = sum(float(part.abs().sum()) for part in right)
        assert abs(first - second) <= DOT_PRODUCT_TOLERANCE * max(1.0, size), (pass_, first, second)


@given(problem=problems(polarities=("keep",), resets=("after",)))
def test_no_worse_than_twice_the_error_of_torch(library, problem):
    """Against the oracle, beside torch.nn.GRU in the same dtype."""
    problem = dataclasses.replace(problem, reverse=False, absent=frozenset(), resets=False)
    results, peer = run(library, problem), _peer(problem)
    expected = Oracle(problem).results()
    for name, found in results.items():
        _, _, result = name.partition(" ")
        if result in peer:
            assert_close(name, found, expected[result], peer[result])


def _peer(problem: Problem) -> dict[str, torch.Tensor]:
    values = problem.inputs()
    module = torch.nn.GRU(problem.input_size, problem.hidden_size, dtype=problem.dtype)
    with torch.no_grad():
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(module, f"{name}_l0").copy_(values[name])
    x, h0 = values["x"].requires_grad_(), values["h_prev"].requires_grad_()
    output, last = module(PackedSequence(x, torch.tensor(problem.batch_sizes)), h0[None])
    gradients = torch.autograd.grad(
        (output.data, last),
        (x, h0, *module.parameters()),
        (values["d_h_new_output"], values["d_h_new_carried"][None]),
    )
    names = ("d_x", "d_h_prev_last", "d_weight_ih", "d_weight_hh", "d_bias_ih", "d_bias_hh")
    return dict(zip(names, gradients, strict=True)) | {
        "h_new": output.data.detach(),
        "h_new_last": last[0].detach(),
    }


def test_a_planted_error_of_one_number_is_caught(library):
    problem = Problem("update", "before", (3, 3, 2), 4, 5)
    results = run(library, problem)
    for name in results:
        if not name.endswith("saved"):
            wrong = {**results, name: results[name].clone()}
            wrong[name].view(-1)[-1] += 1e-9
            with pytest.raises(AssertionError, match=name):
                assert_agrees(problem, wrong)


def test_every_pass_of_every_cell_is_tested(library):
    assert set(library) >= {f"gru_{polarity}_{reset}_{name}" for polarity, reset in CELLS for name in PASSES}
