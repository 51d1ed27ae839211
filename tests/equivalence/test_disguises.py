"""A cell that is disguised is found to be equal to itself; a cell with a slip is not, unless it is."""

from functools import cache

import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from symgru.cells import CELLS
from symgru.equations import Cell, Contract, Pointwise, Program, Reset, gru, sigmoid
from symgru.equivalence import Different, Equal, compare, contained
from symgru.testing.mutants import mutants

NAMES = (
    *("gru_keep_before", "gru_update_after", "gru_keep_whole", "gru_keep_after_6h", "mgu", "mgu_after"),
    *("mingru", "ligru", "ugrnn", "lightru", "gru1", "gru3", "mut1", "mut3", "augru_paper", "augru_code"),
    *("peephole_gru", "rnn", "lstm"),
)
FACTORS = [sp.Integer(1), sp.Integer(-1), sp.Rational(3, 2), sp.Integer(-2)]


def multiples(cell: Cell, factors: dict[sp.Symbol, sp.Expr]) -> Cell:
    """The cell in other parameters: where it has a product W v or a bias b, it now has a multiple of it."""
    seen = dict[sp.Symbol, sp.Expr]()
    statements = []
    for statement in cell.step:
        if isinstance(statement, Contract):
            (term,) = statement.terms
            seen[statement.target] = factors.get(term.matrix, sp.S.One) * statement.target
        elif isinstance(statement, Pointwise):
            known = {b: k * b for b, k in factors.items() if len(cell.step.inputs[b].axes) == 1}
            statement = Pointwise(statement.target, statement.expression.xreplace({**seen, **known}))
        statements.append(statement)
    step = Program(cell.step.inputs, tuple(statements), cell.step.outputs)
    return Cell(cell.name, cell.title, step, cell.carry, cell.source)


def reflected(cell: Cell, gates: set[sp.Symbol]) -> Cell:
    """The cell with 1 − σ(−a) for σ(a) in these gates."""
    statements = [
        Pointwise(s.target, s.expression.replace(sigmoid, lambda a: 1 - sigmoid(-a)))
        if s.target in gates
        else s
        for s in cell.step
    ]
    step = Program(cell.step.inputs, tuple(statements), cell.step.outputs)
    return Cell(cell.name, cell.title, step, cell.carry, cell.source)


def renamed(cell: Cell, order: list[int]) -> Cell:
    """The cell with other names for everything, its inputs in another order."""
    names = {s: sp.Symbol(f"v{order[i]}", real=True) for i, s in enumerate(cell.step.shapes)}
    inputs = sorted(cell.step.inputs, key=lambda s: str(names[s]))
    step = Program(
        {names[s]: cell.step.inputs[s] for s in inputs},
        tuple(s.renamed(names) for s in cell.step),
        tuple(names[s] for s in cell.step.outputs),
    )
    return Cell(
        f"disguised_{cell.name}", cell.title, step, tuple((names[a], names[b]) for a, b in cell.carry), ""
    )


@st.composite
def disguises(draw_, names=NAMES):
    cell = CELLS[draw_(st.sampled_from(names))]()
    factors = {p: draw_(st.sampled_from(FACTORS)) for p in cell.step.parameters}
    gates = [s.target for s in cell.step if isinstance(s, Pointwise) and s.expression.func == sigmoid]
    other = reflected(multiples(cell, factors), draw_(st.sets(st.sampled_from(gates))) if gates else set())
    return cell, renamed(other, draw_(st.permutations(range(len(cell.step.shapes)))))


@given(disguises())
def test_a_disguise_is_seen_through_and_proved(largest_difference, pair):
    cell, disguised = pair
    result = compare(cell, disguised)
    for outcome, (left, right) in ((result.forward, pair), (result.backward, pair[::-1])):
        assert isinstance(outcome, Equal), outcome.to_text()
        assert not outcome.conditions
        assert largest_difference(left, right, outcome.relation) < 1e-9


@pytest.mark.parametrize("name", ["gru_d", "dreamer_gru", "haste_layernorm_gru"])
def test_a_disguise_of_a_larger_cell(name, largest_difference):
    cell = CELLS[name]()
    size = len(cell.step.shapes)
    disguised = renamed(cell, [(5 * i + 3) % size if size % 5 else size - 1 - i for i in range(size)])
    outcome = contained(cell, disguised)
    assert isinstance(outcome, Equal), outcome.to_text()
    assert largest_difference(cell, disguised, outcome.relation) < 1e-9


@cache
def slips(name):
    cell = CELLS[name]()
    made = ((m.error, Cell(f"slip_{name}", m.error, m.program, cell.carry, "")) for m in mutants(cell.step))
    return cell, tuple(made)


def is_judged_rightly(cell, error, slip, largest_difference) -> bool:
    """Whether the slip is called equal; what is called so has to be so, and what is not has witnesses."""
    outcome = contained(cell, slip)
    if isinstance(outcome, Equal):
        assert not outcome.conditions
        assert largest_difference(cell, slip, outcome.relation) < 1e-9, f"{error}: {outcome.relation}"
        return True
    if isinstance(outcome, Different):
        assert all(one.witness.gap > 0 for one in outcome.refuted)
    return False


@settings(max_examples=12)
@given(st.sampled_from(("gru_keep_before", "gru_update_after", "mgu", "ligru", "ugrnn")), st.data())
def test_a_slip_is_not_called_equal_unless_it_is(largest_difference, name, data):
    cell, made = slips(name)
    is_judged_rightly(cell, *data.draw(st.sampled_from(made)), largest_difference)


@pytest.mark.thorough
@pytest.mark.parametrize("reset", Reset)
def test_every_slip_is_judged_rightly(reset, largest_difference):
    cell, made = slips(gru("keep", reset).name)
    equal = sum(is_judged_rightly(cell, *slip, largest_difference) for slip in made)
    print(
        f"{len(made)} slips of {cell.name}: {equal} are the same model, {len(made) - equal} are not called so"
    )
    assert 0 < equal < len(made) / 2
