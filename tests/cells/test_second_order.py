"""Second derivatives of every shipped cell over time, against autograd of the reference of its source.

Kinks (relu in ligru and gru_d, the branch of mingru_log) need no distance: on either side both differentiate
the same branch, and only an argument as small as its rounding error, which no seed gives, could part them.
"""

from copy import copy
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgru.testing.cells import WRAPPERS, cases, directions, mask_names
from symgru.testing.derivatives import assert_dot_product, inner
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.testing.mutants import mutants
from symgru.testing.second_order import SecondOrder

#: Of the largest entry: two orders of summation in float64; the largest seen is 5e-15.
TOLERANCE = 1e-10
SIZE = Sizes(4, 3, {"I": 2, "H": 3})
FAST = ("bare", "everything")
fast = pytest.mark.parametrize("case", cases(wrappers=FAST), ids=str)
others = pytest.mark.parametrize("case", cases(wrappers=[w for w in WRAPPERS if w not in FAST]), ids=str)
few, fewer = (settings(max_examples=settings().max_examples // n) for n in (5, 12))
sizes = st.builds(
    lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(1, 4),
)
seeds = st.integers(0, 2**31)
second_order = cache(lambda case: SecondOrder(case.cell()))


def problem(case, size, seed):
    """A point with its lengths and masks, two directions, two times cotangents of the states."""
    cell = case.cell()
    point, rng = draw(cell, size, seed), np.random.default_rng(seed + 3)
    first, second = (
        {name: rng.standard_normal(h.shape) for name, h in case.expected(point).items()} for _ in range(2)
    )
    return point, directions(cell, size, seed + 1), directions(cell, size, seed + 2), first, second


def assert_near(found, expected):
    """Each value to 1e-10 of its largest entry; of 1 if that is less, as small ones are differences."""
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        allowed = TOLERANCE * max(1.0, np.abs(value).max())
        error = np.abs(found[name] - value).max()
        assert error <= allowed, f"{name} differs by {error:.2e} > {allowed:.2e}"


def check_against_the_reference(case, size, seed):
    point, outer, _, cotangents, _ = problem(case, size, seed)
    expected = case.double_backward(point, cotangents, outer)
    assert_near(second_order(case).double_backward(point, cotangents, outer), expected)
    inputs = {name: value for name, value in expected.items() if name in point}
    assert_near(second_order(case).hvp(point, outer, cotangents), inputs)


def check_symmetry(case):
    """⟨H v, w⟩ = ⟨v, H w⟩, which is not zero."""
    point, v, w, cotangents, _ = problem(case, SIZE, seed=10)

    def product(direction):
        return second_order(case).hvp(point, direction, cotangents)

    assert abs(inner(product(v), w)) > 1e-3
    assert_dot_product(product, product, v, w)


def check_transposition(case):
    """⟨D x̄ (v, w), u⟩ = ⟨(v, w), double backward of u⟩; x̄ is linear in h̄, so D x̄ (v, w) = H v + x̄(w)."""
    point, u, v, cotangents, w = problem(case, SIZE, seed=20)
    derivative, found = Differentiable(case.cell()), second_order(case)

    def moved(tangents):
        along = found.hvp(point, {name: tangents[name] for name in v}, cotangents)
        linear = derivative.vjp(point, {name: tangents[f"d_{name}"] for name in w})
        assert along.keys() == linear.keys() == u.keys()
        return {name: along[name] + linear[name] for name in u}

    tangents = v | {f"d_{name}": value for name, value in w.items()}
    assert_dot_product(moved, lambda outer: found.double_backward(point, cotangents, outer), tangents, u)


@fast
@few
@given(size=sizes, seed=seeds)
def test_second_derivatives_are_those_of_the_reference(case, size, seed):
    """Double backward, and the Hessian times a vector."""
    check_against_the_reference(case, size, seed)


@fast
def test_the_hessian_is_symmetric(case):
    check_symmetry(case)


@fast
def test_double_backward_is_the_transpose_of_the_gradients_derivative(case):
    check_transposition(case)


@pytest.mark.thorough
@others
@fewer
@given(size=sizes, seed=seeds)
def test_second_derivatives_in_every_wrapper(case, size, seed):
    check_against_the_reference(case, size, seed)


@pytest.mark.thorough
@others
def test_symmetry_and_transposition_in_every_wrapper(case):
    check_symmetry(case)
    check_transposition(case)


# Errors planted in what is derived.

#: tanh is odd and the last loop of the double backward reads only its square, so two signs change nothing.
HARMLESS = {"rnn": 2}


def planted(pipeline):
    """The pipeline with one sign wrong in its last loop, one at a time."""
    *stages, last = pipeline.stages
    for mutant in mutants(last.loop.step):
        if mutant.error.startswith("sign"):
            wrong = replace(last, loop=replace(last.loop, step=mutant.program))
            yield mutant.error, replace(pipeline, stages=(*stages, wrong))


def scattered(case, point):
    """The point with masks true or false anywhere; past the end of a sequence no error would show."""
    rng = np.random.default_rng(31)
    return point | {name: rng.random(point[name].shape) < 1 / 2 for name in sorted(mask_names(case.cell()))}


def check_planted_signs(case):
    point, outer, _, cotangents, _ = problem(case, Sizes(6, 5, {"I": 2, "H": 3}), seed=30)
    point = scattered(case, point)
    expected, right = case.double_backward(point, cotangents, outer), second_order(case)
    inputs = {name: value for name, value in expected.items() if name in point}
    caught, survivors = 0, []
    for order, judge in (
        ("hessian_vector", lambda s: assert_near(s.hvp(point, outer, cotangents), inputs)),
        ("double", lambda s: assert_near(s.double_backward(point, cotangents, outer), expected)),
    ):
        judge(right)
        for error, pipeline in planted(getattr(right, order)):
            wrong = copy(right)
            setattr(wrong, order, pipeline)
            try:
                with np.errstate(all="ignore"):
                    judge(wrong)
            except AssertionError:
                caught += 1
            else:
                survivors.append(f"{order}: {error}")
    count = caught + len(survivors)
    assert len(survivors) == HARMLESS.get(case.name, 0), f"{len(survivors)} of {count} survived: {survivors}"
    assert caught > 50, f"only {caught} planted signs caught"


@pytest.mark.parametrize("case", cases(["gru_keep_after", "lstm"], ["everything"]), ids=str)
def test_no_planted_sign_survives(case):
    check_planted_signs(case)


@pytest.mark.thorough
@pytest.mark.parametrize("case", cases(wrappers=["everything"]), ids=str)
def test_no_planted_sign_survives_in_any_cell(case):
    check_planted_signs(case)
