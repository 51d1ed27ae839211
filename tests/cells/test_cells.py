"""Every shipped cell, in every wrapper, against the reference written from its source."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symgru.cells import CELLS, FLIPPED, PUBLISHED, gru_with_biases, parts
from symgru.derivation import forward
from symgru.equations import Cell, Polarity, Reset, sigmoid
from symgru.lowering.evaluate import evaluate_loop
from symgru.proof.evaluation import SYMBOLIC, evaluate
from symgru.testing.cells import WRAPPERS, Case, cases, directions
from symgru.testing.derivatives import assert_dot_product, assert_taylor
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.testing.mutants import mutants
from symgru.testing.references import REFERENCES

#: Two orders of summation in float64, on values of size 1; the largest seen is 4e-15 for both.
STATES, GRADIENTS = 1e-12, 1e-10
#: At least two units and two steps: fewer cannot see where a reset gate acts.
sizes = st.builds(
    lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
    st.integers(2, 4),
    st.integers(1, 3),
    st.integers(1, 4),
    st.integers(2, 4),
)
seeds = st.integers(0, 2**31)
every_cell = pytest.mark.parametrize("name", CELLS)
fewer = settings(max_examples=settings().max_examples // 3)
derivative = cache(lambda case: Differentiable(case.cell()))


def states(cell, point):
    results = evaluate_loop(forward(cell), point)
    return {str(leaving): results[str(leaving)] for _, leaving in cell.carry}


def assert_near(found, expected, tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        error = np.abs(found[name] - value).max(initial=0.0)
        assert error < tolerance, f"{name} differs by {error:.2e}"


def test_every_cell_has_a_reference_a_title_and_a_source():
    assert CELLS.keys() == REFERENCES.keys()
    for name, make in CELLS.items():
        cell = make()
        assert cell.name == name
        assert cell.title != name
        assert cell.source


@every_cell
def test_symbols_are_those_of_the_reference(name):
    cell, reference = CELLS[name](), REFERENCES[name]
    entering = dict.fromkeys((state for state, _ in reference.states), "H")
    found = {str(s): "".join(shape.axes) for s, shape in cell.step.inputs.items()}
    assert found == {**reference.inputs, **entering, **reference.parameters}
    assert {str(p) for p in cell.step.parameters} == reference.parameters.keys()
    assert tuple((str(a), str(b)) for a, b in cell.carry) == reference.states


@every_cell
@given(wrapper=st.sampled_from(list(WRAPPERS)), size=sizes, seed=seeds)
def test_states_are_those_of_the_reference(name, wrapper, size, seed):
    case = Case(name, wrapper)
    point = draw(case.cell(), size, seed)
    assert_near(states(case.cell(), point), case.expected(point), STATES)


@every_cell
@fewer
@given(wrapper=st.sampled_from(["bare", "everything"]), size=sizes, seed=seeds)
def test_derivatives_are_those_of_the_reference(name, wrapper, size, seed):
    """Reverse mode is torch's of the reference, and forward mode its transpose."""
    check_derivatives(Case(name, wrapper), size, seed)


@pytest.mark.thorough
@pytest.mark.parametrize("case", cases(), ids=str)
@fewer
@given(size=sizes, seed=seeds)
def test_derivatives_in_every_wrapper(case, size, seed):
    check_derivatives(case, size, seed)


@pytest.mark.parametrize(
    "case", cases(wrappers=[w for w in WRAPPERS if w not in ("bare", "everything")]), ids=str
)
def test_derivatives_in_one_wrapper(case):
    check_derivatives(case, Sizes(3, 3, {"I": 3, "H": 2}), seed=0)


def check_derivatives(case, size, seed):
    cell, derived = case.cell(), derivative(case)
    point, tangents = draw(cell, size, seed), directions(cell, size, seed + 1)
    rng = np.random.default_rng(seed + 2)
    cotangents = {n: rng.standard_normal(h.shape) for n, h in derived.states(point).items()}
    gradients = derived.vjp(point, cotangents)
    assert_near(gradients, case.gradients(point, cotangents), GRADIENTS)
    assert_dot_product(lambda v: derived.jvp(point, v), lambda _: gradients, tangents, cotangents)


@pytest.mark.parametrize("case", cases(wrappers=["bare", "everything"]), ids=str)
def test_taylor(case):
    """At a point away from the kinks of relu, which the seed sees to."""
    cell, derived, size = case.cell(), derivative(case), Sizes(4, 3, {"I": 3, "H": 4})
    point, tangents = draw(cell, size, 2), directions(cell, size, 3)
    assert_taylor(derived.states, lambda v: derived.jvp(point, v), point, tangents)


# The equations themselves: errors planted in them, and what the docstrings claim.


@pytest.mark.parametrize("name", ["mgu_after", "mingru_log", "augru_code", "mut1", "lstm_peephole"])
def test_no_planted_error_in_the_equations_survives(name):
    check_mutants(name)


@pytest.mark.thorough
@every_cell
def test_no_planted_error_survives_in_any_cell(name):
    check_mutants(name)


def check_mutants(name):
    case, size = Case(name), Sizes(3, 3, {"I": 3, "H": 4})
    cell = case.cell()
    point = draw(cell, size, seed=0)
    expected, survivors, planted = case.expected(point), [], 0
    for mutant in mutants(cell.step):
        planted += 1
        try:
            with np.errstate(all="ignore"):
                found = states(replace(cell, step=mutant.program), point)
            assert_near(found, expected, 1e-9)  # far above rounding: a mutant within it is not told apart
        except (AssertionError, ValueError):
            continue
        survivors.append(mutant.error)
    assert not survivors
    assert planted > 10


def test_the_positive_candidate_of_mingru_has_its_two_branches():
    step = CELLS["mingru_log"]().step
    for text in ("3/2", "1/7", "0", "-1/7", "-3"):
        a = sp.Rational(text)
        given = {"x": [a], "h_prev": [a], "W_z": [[sp.S.One]], "W_n": [[sp.S.One]]}
        values = evaluate(step, {s: given[str(s)] for s in step.inputs}, SYMBOLIC)
        (found,) = values[sp.Symbol("candidate", real=True)]
        assert found == (a + sigmoid(0) if a >= 0 else sigmoid(a))
    assert abs(sigmoid(0).evalf(30) - sp.Rational(1, 2)) < 1e-29


def test_polarities_mix_as_they_say():
    g, old, new = sp.symbols("g old new", real=True)
    assert parts.mix("keep", g, old, new) == g * old + (1 - g) * new
    assert parts.mix(Polarity.UPDATE, g, old, new) == (1 - g) * old + g * new
    with pytest.raises(ValueError, match="kept"):
        parts.mix("kept", g, old, new)


@pytest.mark.parametrize("function", PUBLISHED, ids=lambda f: f.__name__)
def test_a_flipped_cell_has_the_parameters_of_the_published_one_and_other_states(function):
    name, published = function.__name__, PUBLISHED[function]
    cell, flipped = CELLS[name](), FLIPPED[name]()
    assert flipped.name in {f"{name}_keep", f"{name}_update"} - {f"{name}_{published.value}"}
    assert dict(flipped.step.inputs) == dict(cell.step.inputs)
    assert CELLS[name]().step == function(published).step
    point = draw(cell, Sizes(3, 3, {"I": 3, "H": 4}), 0)
    assert np.abs(states(flipped, point)["h_new"] - states(cell, point)["h_new"]).max() > 1e-2


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize("reset", Reset)
def test_six_biases_merge_into_the_usual_ones(polarity, reset):
    usual, six = (
        gru_with_biases(polarity, reset, 4 if reset is Reset.AFTER else 3),
        gru_with_biases(polarity, reset, 6),
    )
    point = draw(six, Sizes(3, 3, {"I": 3, "H": 4}), 0)
    merged = {f"b_{gate}": point[f"b_{gate}"] + point[f"c_{gate}"] for gate in "rzn"}
    if reset is Reset.AFTER:
        merged["b_n"] = point["b_n"]  # c_n is inside the reset gate
    assert_near(states(usual, point | merged), states(six, point), STATES)


@pytest.mark.parametrize(
    ("reset", "count"), [("before", 4), ("whole", 4), ("after", 5), ("before", 1), ("after", -1)]
)
def test_a_number_of_biases_that_no_gru_has(reset, count):
    with pytest.raises(ValueError, match=f"reset {reset} has .* biases a unit, got {count}"):
        gru_with_biases("keep", reset, count)


@pytest.mark.parametrize("count", [0, 3, 4, 6])
def test_biases_are_as_many_as_the_name_says(count):
    cell = gru_with_biases("keep", "after", count)
    assert (
        sum(len(shape.axes) == 1 for s, shape in cell.step.inputs.items() if s in cell.step.parameters)
        == count
    )
    assert isinstance(cell, Cell)
