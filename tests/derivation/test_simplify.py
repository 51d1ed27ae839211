"""The cheapest form computes the same, costs no more anywhere, and treats both polarities alike."""

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.cells import CELLS
from symgru.derivation import (
    backward,
    double_backward,
    forward,
    gradient,
    hessian_vector,
    linearised,
    operations,
    schedule,
    simplified,
    tangent_of,
)
from symgru.derivation.cost import fused_step
from symgru.derivation.rewriting import factored, written_out
from symgru.derivation.simplify import cheapest
from symgru.equations import Pointwise, Reset, gru, relu, select, sigmoid, tanh, with_lengths, with_resets
from symgru.lowering.evaluate import evaluate_expression
from symgru.testing.loops import Differentiable, Sizes, draw, masks
from symgru.testing.second_order import as_emitted, evaluate_pipeline

PHASES = ("before", "inside", "after")
CHOSEN = ["gru_keep_after", "gru_update_before", "mgu_after", "mingru_log", "lstm"]
cells = pytest.mark.parametrize("name", CHOSEN)
a, b, c, d, e, m = sp.symbols("a b c d e m", real=True)
u, v, w = sp.symbols("u v w", real=True)


def counts(scheduled):
    return [operations(getattr(scheduled, phase)) for phase in PHASES]


def results(forms, values):
    values = dict(values)
    for phase in forms:
        for statement in phase:
            values[str(statement.target)] = evaluate_expression(statement.expression, values)
    return values


def cheapest_of(*expressions):
    statements = [Pointwise(t, x) for t, x in zip((u, v, w), expressions, strict=False)]
    (phase,) = cheapest((statements,), {u, v, w}, {*"abcdemuvw"})
    return phase, operations(phase)


@pytest.mark.parametrize(
    ("expressions", "cost"),
    [
        ((a * b * c, a * b * d), 3),  # a pair of factors
        ((a * b * c, a * b * c * d), 3),  # one product inside another
        ((a * b * c, a * b * d, a * c * d), 5),
        ((a - b, (b - a) * c, (a - b) * d), 4),  # a difference and its negative
        ((a + b + c, a + b + d), 3),
        ((a * b + a * c,), 2),  # factored
        ((a * b * c + a * b * d, a * b), 3),
        ((a**2 * b, a**2 * c), 3),
        ((-a * b * (c - d),), 3),  # the sign goes into the difference
        ((a * (1 - b**2) * c, a * (1 - b**2) * d), 5),
        ((select(m, a * b, 0), select(m, a * b * c, 0)), 4),
    ],
    ids=str,
)
def test_known_minima(expressions, cost):
    statements, found = cheapest_of(*expressions)
    assert found.pointwise == cost, statements


def test_functions_are_evaluated_once():
    statements, found = cheapest_of(tanh(a) * b, tanh(a) * c, sigmoid(-a) + sigmoid(-a) * b)
    assert found.functions == 2, statements


leaves = st.sampled_from([a, b, c, d, e, sp.Integer(2), sp.Rational(1, 2), sp.Integer(-1)])
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda pair: pair[0] + pair[1]),
        st.tuples(inner, inner).map(lambda pair: pair[0] * pair[1]),
        inner.map(lambda x: -x),
        inner.map(lambda x: x**2),
        inner.map(sigmoid),
        inner.map(relu),
    ),
    max_leaves=8,
)


@given(st.lists(trees, min_size=1, max_size=3))
def test_any_expressions_keep_their_values_and_cost_no_more(expressions):
    statements = [Pointwise(t, x) for t, x in zip((u, v, w), expressions, strict=False)]
    names = {*"abcdemuvw"}
    (phase,) = cheapest((statements,), {u, v, w}, names)
    assert operations(phase).pointwise <= operations(statements).pointwise
    values = {name: np.asarray(0.3 + 0.17 * i) for i, name in enumerate("abcde")}
    found, expected = results([phase], values), results([statements], values)
    for statement in statements:
        name = str(statement.target)
        assert np.allclose(found[name], expected[name], rtol=1e-11, atol=1e-9), phase


@cells
@pytest.mark.parametrize("order", [gradient, tangent_of, hessian_vector, double_backward])
def test_no_phase_gets_worse(name, order):
    """In total fewer operations or as many; inside, where time cannot be saved, never more."""
    for stage in order(CELLS[name]()).stages:
        old, new = counts(stage.schedule), counts(stage.simplified)
        assert sum(c.pointwise for c in new) <= sum(c.pointwise for c in old)
        assert new[1].pointwise <= old[1].pointwise
        assert [c.products for c in new] == [c.products for c in old]
        assert stage.simplified.stored == stage.schedule.stored


@cells
def test_the_cheapest_form_computes_the_same(name):
    """All derivatives, phase by phase, against the loops as written."""
    cell, size = CELLS[name](), Sizes(4, 2, {"I": 2, "H": 3})
    point, fixed = draw(cell, size, 0), {str(mask) for mask in masks(cell)}
    direction = {n: t for n, t in draw(cell, size, 1).items() if n not in fixed}
    given_ = point | {f"tangent_{n}": t for n, t in direction.items()}
    given_ |= {f"dd_d_{n}": t for n, t in direction.items()}
    given_ |= {f"d_{n}": t for n, t in Differentiable(cell).states(draw(cell, size, 2)).items()}
    for order in (gradient, tangent_of, hessian_vector, double_backward):
        pipeline = order(cell)
        found, expected = evaluate_pipeline(pipeline, given_, as_emitted), evaluate_pipeline(pipeline, given_)
        for value in expected:
            assert np.abs(found[value] - expected[value]).max() < 1e-11, (pipeline.name, value)


def _mirrored(statements):
    """With the update gate and its complement exchanged, and the signs of all terms forgotten."""
    gate, complement = sp.symbols("update_gate update_gate_complement", real=True)
    other = {gate: complement, complement: gate}
    return {
        str(s.target): _unsigned(s.expression.xreplace(other)) for s in statements if isinstance(s, Pointwise)
    }


def _unsigned(node):
    if node.is_Atom:
        return abs(node) if node.is_Number else node
    return node.func(*map(_unsigned, node.args))


def _definitions(statements):
    return {str(s.target): _unsigned(s.expression) for s in statements if isinstance(s, Pointwise)}


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("wrap", [lambda x: x, with_lengths, with_resets])
def test_both_polarities_are_taken_apart_alike(reset, wrap):
    """Products of the same pairs in the same order: so the kernels of both are bit-identical."""
    keep, update = (wrap(gru(polarity, reset)) for polarity in ("keep", "update"))
    for loop in (lambda x: x, backward, linearised):
        ours, theirs = (simplified(schedule(loop(forward(cell)))) for cell in (keep, update))
        for phase in PHASES:
            left, right = _mirrored(getattr(ours, phase)), _definitions(getattr(theirs, phase))
            for gate in ("update_gate", "update_gate_complement"):  # σ(a) and σ(−a) themselves
                left.pop(gate, None), right.pop(gate, None)
            assert left == right
    left, right = fused_step(keep), fused_step(update)
    assert _mirrored(left.statements) == _definitions(right.statements)


def test_complements_are_not_undone():
    """No 1 − σ, and no division, in any cheapest form of a GRU's derivatives."""
    for cell in (gru("keep", "after"), with_lengths(gru("update", "before"))):
        gates = sp.symbols("reset_gate update_gate", real=True)
        for order in (tangent_of, hessian_vector, double_backward):
            for stage in order(cell).stages:
                for phase in PHASES:
                    for s in getattr(stage.simplified, phase):
                        if isinstance(s, Pointwise):
                            powers = s.expression.atoms(sp.Pow)
                            assert all(power.exp > 0 for power in powers), s
                            assert not any(s.expression.has(1 - gate) for gate in gates), s


def test_the_comparison_of_polarities_can_fail():
    """Two products that differ in the order of their factors alone."""
    left = [Pointwise(u, a * b), Pointwise(v, u * c)]
    right = [Pointwise(u, b * c), Pointwise(v, u * a)]
    assert _definitions(left) != _definitions(right)


def test_forms_of_the_search():
    phases = ([Pointwise(u, a * b), Pointwise(v, u * c + u * d)], [Pointwise(w, v + tanh(e))])
    (first, second) = written_out(phases, {w}, (sp.Mul, sp.Add))
    assert first == []
    assert second == [Pointwise(w, a * b * c + a * b * d + tanh(e))]
    assert factored([second]) == [[Pointwise(w, a * b * (c + d) + tanh(e))]]
    assert written_out(phases, {u, v, w}, (sp.Mul, sp.Add)) == [list(phase) for phase in phases]


def test_a_value_that_is_zero_once_it_is_written_out_still_reads_something():
    """A number has no units, steps or examples, so programs have no such values."""
    phase = (Pointwise(u, a * b), Pointwise(v, u - a * b), Pointwise(w, v + c))
    (found,) = cheapest((phase,), {v, w}, {*"abcuvw"})
    assert all(statement.reads for statement in found)
