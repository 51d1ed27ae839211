"""The same bits, whoever computes: any team, any part of the batch, any instruction set with a fused
multiply-add, either polarity."""

import dataclasses

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from symgru.kernels.cpu import toolchain
from symgru.kernels.cpu.passes import plans
from symgru.kernels.names import RESETS

from symgru.testing.cpu_passes import Plans, Problem, Tensors, run
from symgru.testing.cpu_strategies import problems
from symgru.testing.tolerances import assert_close

EXAMPLES = settings().max_examples
LARGE = (  # a team shares the rows of the first; the units of the others, whose weights fill a cache
    Problem("keep", "after", (40, 33, 33, 20), 30, 48),
    Problem("update", "before", (20,) * 3, 50, 350, reverse=True),
    Problem("keep", "whole", (3, 3, 1), 260, 130, dtype=torch.float32),
    Problem("update", "after", (1,) * 9, 70, 200, dtype=torch.float32),
    Problem("keep", "before", (260, 260), 7, 9),
    Problem("keep", "before", (40, 33, 33, 20), 30, 48, reverse=True, resets=True),
    Problem("update", "after", (2,) * 100, 70, 200, dtype=torch.float32, resets=True),
)
small = problems(polarities=("keep",), resets=("after", "before"))


def assert_same(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    other = [name for name in found if not torch.equal(found[name], expected[name])]
    assert not other, f"other bits: {', '.join(other)}"


@pytest.mark.parametrize("problem", LARGE, ids=lambda p: f"{p.polarity}-{p.reset}-{p.batch_sizes[0]}")
def test_any_number_of_threads(library, problem):
    alone = run(library, problem)
    for threads in (2, 3, 4):
        assert_same(run(library, problem, threads), alone)


@given(problem=small, threads=st.integers(2, 4))
def test_any_team_for_small_calls(by_teams, problem, threads):
    for plans_ in by_teams.values():
        assert_same(run(plans_, problem, threads), run(plans_, problem))


@given(problem=problems(), threads=st.integers(1, 2))
def test_matrices_packed_before_or_by_the_call(library, problem, threads):
    assert_same(run(library, problem, packed_before=True), run(library, problem))


@given(problem=problems(), data=st.data())
def test_a_part_of_the_batch(library, problem, data):
    """States and cotangents of each example are the same alone, in half of the batch and in all of it."""
    whole = run(library, problem)
    batch = problem.batch_sizes[0]
    first = data.draw(st.integers(0, batch - 1))
    last = data.draw(st.integers(first + 1, batch))
    part, rows = examples(problem, first, last)
    results = run(library, part, inputs=chosen(problem, problem.inputs(), rows, slice(first, last)))
    expected = chosen(problem, whole, rows, slice(first, last))
    parameters = [name for name in whole if "d_weight" in name or "d_bias" in name or name.endswith("saved")]
    assert_same(*({n: v for n, v in r.items() if n not in parameters} for r in (results, expected)))


def examples(problem: Problem, first: int, last: int) -> tuple[Problem, torch.Tensor]:
    """The problem of some neighbouring examples, and which rows are theirs."""
    rows, sizes, start = [], [], 0
    for size in problem.batch_sizes:
        rows += range(start + first, start + max(first, min(size, last)))
        sizes.append(max(0, min(size, last) - first))
        start += size
    kept = tuple(size for size in sizes if size)
    return dataclasses.replace(problem, batch_sizes=kept), torch.tensor(rows)


def chosen(problem: Problem, values: Tensors, rows: torch.Tensor, batch: slice) -> Tensors:
    """Rows of sequences, examples of first and last states; parameters as they are."""
    shapes, found = problem.shapes(), {}
    for name, value in values.items():
        own = name.rpartition(" ")[2]
        shape = shapes.get(own, ())
        sequence = own in ("x", "h_new", "d_x", "tangent_x", "tangent_h_new", "d_h_new_output", "resets")
        state = own.endswith(("_last", "h_prev", "_carried"))
        assert own == "saved" or sequence or state or "weight" in own or "bias" in own, (own, shape)
        found[name] = value[rows] if sequence else value[batch] if state else value
    return found


@given(problem=problems())
def test_equal_lengths_are_a_dense_batch(library, problem):
    even = dataclasses.replace(problem, batch_sizes=(problem.batch_sizes[0],) * len(problem.batch_sizes))
    packed = dataclasses.replace(even, as_packed=True)
    assert packed.steps is not even.steps
    assert_same(run(library, packed), run(library, even))


@given(problem=problems())
def test_resets_that_are_false_everywhere(library, problem):
    problem = dataclasses.replace(problem, resets=False)
    none = {"resets": torch.zeros(sum(problem.batch_sizes), dtype=torch.bool)}
    assert_same(run(library, problem, inputs=problem.inputs() | none), run(library, problem))


@pytest.mark.skipif("avx512" not in toolchain.supported_here(), reason="this processor has no AVX-512")
@given(problem=small)
@settings(max_examples=2 * EXAMPLES)
def test_avx512_and_avx2(by_teams, problem):
    assert_same(run(by_teams["avx512"], problem), run(by_teams["avx2"], problem))


@pytest.mark.skipif("avx512" not in toolchain.supported_here(), reason="this processor has no AVX-512")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_avx512_and_avx2_with_several_blocks_of_rows(by_teams, dtype):
    """260 rows are two blocks of summands of a weight gradient, and every step is a chunk."""
    for inputs, units in ((7, 9), (17, 33), (40, 15)):
        problem = Problem("keep", "after", (260, 260, 259), inputs, units, dtype=dtype)
        assert_same(run(by_teams["avx512"], problem), run(by_teams["avx2"], problem))


@given(problem=small)
def test_portable_is_close(by_teams, problem):
    """Not the same bits: without a fused multiply-add (SSE2) a product is rounded before it is added."""
    first, *_ = by_teams
    for name, found in run(by_teams["portable"], problem).items():
        if not name.endswith("saved"):
            assert_close(name, found, run(by_teams[first], problem)[name].double())


@pytest.mark.thorough
@pytest.mark.parametrize("name", [n for n in toolchain.supported_here() if n != "portable"])
def test_the_libraries_that_users_get(library, name):
    """Optimised, all cells: every instruction set with a fused multiply-add."""

    @given(problems())
    def same(problem):
        assert_same(run(plans(name), problem), run(library, problem))

    same()
    for problem in LARGE:
        assert_same(run(plans(name), problem), run(library, problem))


@pytest.mark.parametrize("reset", RESETS)
def test_polarities_mirror_each_other(library, reset):
    """With the update gate's weights negated: σ(a) and σ(−a) change places and nothing else changes."""

    @given(problems(polarities=("keep",), resets=(reset,)))
    def mirror(problem):
        twin = dataclasses.replace(problem, polarity="update")
        keep = run(library, problem)
        update = run(library, twin, inputs=mirrored(problem.inputs(), problem.hidden_size))
        assert_same(without_saved(mirrored(update, problem.hidden_size)), without_saved(keep))

    mirror()


def mirrored(values: Tensors, hidden_size: int) -> Tensors:
    """Update gates of all parameters, their tangents and cotangents negated."""
    gates = slice(hidden_size, 2 * hidden_size)
    result = dict(values)
    for name, value in values.items():
        if "weight" in name or "bias" in name:
            result[name] = value.clone()
            result[name][gates] = -value[gates]
    return result


def without_saved(results: Tensors) -> Tensors:
    return {name: value for name, value in results.items() if not name.endswith("saved")}


def test_a_planted_bit_is_caught(library: Plans):
    results = run(library, LARGE[2])
    for name in results:
        wrong = {**results, name: results[name].clone()}
        wrong[name].view(-1)[0] = wrong[name].view(-1)[0].nextafter(torch.tensor(9.0))
        with pytest.raises(AssertionError, match=name):
            assert_same(wrong, results)
