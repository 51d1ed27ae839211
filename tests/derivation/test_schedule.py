"""The schedule says what it should, and does not change what is computed."""

import pytest
import sympy as sp

from symgru.derivation import backward, forward, linearised, schedule
from symgru.equations import (
    Cell,
    Contract,
    Outer,
    Pointwise,
    Polarity,
    Program,
    Reset,
    Sum,
    gru,
    sigmoid,
    with_lengths,
)
from symgru.lowering.modules import passes

CELLS = [wrap(gru(p, r)) for p in Polarity for r in Reset for wrap in (lambda c: c, with_lengths)]


def matrices(statements):
    return {str(t.matrix) for s in statements if isinstance(s, Contract) for t in s.terms}


def names(symbols):
    return {str(s) for s in symbols}


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
@pytest.mark.parametrize("derivative", [backward, linearised])
def test_derivative_loops_are_linear(cell, derivative):
    """No exponential, and no product of two loop-dependent values, is left inside."""
    scheduled = schedule(derivative(forward(cell)))
    varying = scheduled.loop.carried | {s.target for s in scheduled.inside}
    for statement in scheduled.inside:
        if isinstance(statement, Pointwise):
            assert not statement.expression.has(sigmoid, sp.tanh)
            ordered = sorted(statement.reads & varying, key=str)
            assert all(not sp.diff(statement.expression, a, b) for a in ordered for b in ordered)


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_products_run_where_they_are_cheap(cell):
    """Input products before the loop, recurrent ones inside; in backward the gates' products before it."""
    loop = forward(cell)
    ahead, back = schedule(loop), schedule(backward(loop))
    assert matrices(ahead.before) == {"W_r", "W_z", "W_n"}
    assert matrices(ahead.inside) == {"U_r", "U_z", "U_n"}
    assert matrices(back.before) == {"W_r", "W_z", "W_n", "U_r", "U_z", "U_n"}
    assert matrices(back.inside) == {"U_r", "U_z", "U_n"}
    assert matrices(back.after) == {"W_r", "W_z", "W_n"}
    assert not any(isinstance(s, Outer | Sum) for s in (*back.before, *back.inside))


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_backward_needs_only_inputs_and_states(cell):
    loop = backward(forward(cell))
    given = names(loop.step.inputs) - {"d_h_new_carried", "d_h_new_output"}
    assert given == names(cell.step.inputs)


@pytest.mark.parametrize("reset", Reset)
def test_stored_values_are_as_few_as_the_products_allow(reset):
    """One cotangent a step, and one more where the step has two dependent products."""
    stored = names(passes(gru("keep", reset))["backward"].stored)
    assert stored == ({"d_h_new", "d_reset_state"} if reset is Reset.BEFORE else {"d_h_new"})


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
def test_both_polarities_have_one_interface(cell):
    """What a kernel reads and writes depends on the reset placement, not on the polarity."""
    other = gru(Polarity.UPDATE if "keep" in cell.name else Polarity.KEEP, cell.name.split("_")[2])
    other = with_lengths(other) if cell.name.endswith("lengths") else other
    for name, scheduled in passes(cell).items():
        twin = passes(other)[name]
        assert scheduled.sequences == twin.sequences
        assert scheduled.stored == twin.stored
        assert scheduled.parameters == twin.parameters


def test_every_statement_lies_in_the_phase_that_its_reads_allow():
    for cell in CELLS:
        for scheduled in passes(cell).values():
            known = names(scheduled.loop.step.inputs) - names(scheduled.loop.carried)
            for statement in scheduled.before:
                assert names(statement.reads) <= known, statement
                known.add(str(statement.target))
            inside = known | names(scheduled.loop.carried)
            for statement in scheduled.inside:
                assert names(statement.reads) <= inside, statement
                inside.add(str(statement.target))
            known |= names(scheduled.stored)
            for statement in scheduled.after:
                assert names(statement.reads) <= known, statement
                known.add(str(statement.target))


def test_names_of_hoisted_parts_are_new():
    """A cell may use the very name that hoisting would choose."""
    cell = gru("keep", "after")
    taken = sp.Symbol("reset_preactivation_invariant", real=True)
    renamed = {sp.Symbol("reset_from_x", real=True): taken}
    statements = tuple(_renamed(s, renamed) for s in cell.step)
    step = Program(cell.step.inputs, statements, cell.step.outputs)
    scheduled = schedule(forward(Cell(cell.name, cell.title, step, cell.carry, cell.source)))
    targets = [s.target for s in (*scheduled.before, *scheduled.inside)]
    assert taken in targets
    assert len(targets) == len(set(targets))


def _renamed(statement, names):
    target = names.get(statement.target, statement.target)
    if isinstance(statement, Pointwise):
        return Pointwise(target, statement.expression.xreplace(names))
    return Contract(target, statement.terms)
