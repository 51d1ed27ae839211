"""Two units, up to three steps, every entry a scalar: gradient, tangent and Hessian times vector by SymPy."""

import pytest
import sympy as sp

from symgru.cells import CELLS
from symgru.derivation.caching import clear
from symgru.derivation.partials import Partials
from symgru.testing.brute_force import Problem, assert_same, in_scalars, written_out
from symgru.testing.cells import Case, cases


@pytest.mark.parametrize("case", cases(wrappers=["bare"]), ids=str)
def test_derivatives_of_two_steps(case):
    problem = Problem.draw(case.cell(), steps=2, seed=0)
    assert assert_same(problem.derived(), in_scalars(problem)) > 2 * len(problem.moving)


@pytest.mark.parametrize("name", ["lstm", "gru_keep_after", "mgu", "mingru_log", "dreamer_gru"])
def test_derivatives_of_three_steps_in_every_wrapper_at_once(name):
    problem = Problem.draw(Case(name, "everything").cell(), steps=3, seed=0)
    assert_same(problem.derived(), in_scalars(problem))


@pytest.mark.thorough
@pytest.mark.parametrize("case", cases(), ids=str)
def test_derivatives_of_three_steps_in_every_wrapper(case):
    problem = Problem.draw(case.cell(), steps=3, seed=1)
    assert_same(problem.derived(), in_scalars(problem))


@pytest.mark.parametrize(("name", "steps"), [("rnn", 2), ("mingru", 3), ("mingru_log", 2)])
def test_states_written_out_as_one_expression(name, steps):
    problem = Problem.draw(CELLS[name](), steps, seed=0)
    expected = written_out(problem)
    assert_same(problem.derived(), expected)
    assert_same(in_scalars(problem), expected)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("name", "steps"),
    [("gru_keep_after", 1), ("gru_update_before", 1), ("lstm", 1), ("lightru", 2), ("gru2", 2)],
)
def test_more_states_written_out_as_one_expression(name, steps):
    """The expressions grow by a factor of about ten a step, so the larger cells have one step."""
    problem = Problem.draw(CELLS[name](), steps, seed=0)
    assert_same(problem.derived(), written_out(problem))


@pytest.mark.parametrize(("method", "name"), [(in_scalars, "gru_keep_whole"), (written_out, "mingru")])
@pytest.mark.parametrize("wrong", [lambda d: -d, lambda d: d * (1 + sp.Rational(1, 10**20))])
def test_a_planted_wrong_derivative_is_caught(method, name, wrong, forgetful, monkeypatch):
    """Also one that is off in the 20th digit, which no test in float64 could see."""
    problem = Problem.draw(CELLS[name](), steps=2, seed=0)
    expected, right = method(problem), Partials.derivative
    assert_same(problem.derived(), expected)

    def planted(self, statement, variable):
        derivative = right(self, statement, variable)
        return wrong(derivative) if str(statement.target) == "update_gate" else derivative

    clear()
    monkeypatch.setattr(Partials, "derivative", planted)
    with pytest.raises(AssertionError, match=r"is .*, expected"):
        assert_same(problem.derived(), expected)
