"""The parts of the search, one by one, and the errors that they have to catch."""

from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from symgru.cells import CELLS
from symgru.certificates import judge, judges
from symgru.equations import CellBuilder, Program, gru, relu, sigmoid, tanh
from symgru.equivalence import Different, PairingError, Refuted, Reparametrisation, compare, contained, unify
from symgru.equivalence.forms import Form, flattened
from symgru.equivalence.linear import Linear
from symgru.equivalence.pairing import pairings
from symgru.equivalence.space import LARGEST, gates, relations
from symgru.equivalence.witnesses import Refuter
from symgru.lowering.evaluate import evaluate
from symgru.proof import Lemma, ProofError, check, simulate
from symgru.proof.lemmas import RELU_REFLECTION, A, Tanh
from symgru.proof.terms import Normaliser

a, b, c, p, q = sp.symbols("a b c p q", real=True)


# What the proofs need beyond σ and tanh


@pytest.mark.parametrize("right", [relu(A), -relu(A), relu(A) + A, relu(A) - 2 * A, 1 - relu(A)])
def test_a_wrong_reflection_of_relu_is_refused(right):
    assert check(RELU_REFLECTION) is RELU_REFLECTION
    with pytest.raises(ProofError, match="lemma 'planted' does not hold"):
        check(Lemma("planted", "", "", relu(-A), right))


def test_relu_is_reflected_by_its_lemma_alone():
    assert Normaliser()(relu(-a - b)) == relu(a + b) - a - b
    assert Normaliser([])(relu(-a - b)) == relu(-a - b)


def test_values_at_zero_follow_from_the_reflections():
    normalise = Normaliser()
    assert [normalise(f(sp.S.Zero)) for f in (sigmoid, Tanh, relu)] == [sp.Rational(1, 2), 0, 0]
    assert list(normalise.used) == ["sigmoid reflection", "tanh is odd"]
    assert Normaliser([])(sigmoid(sp.S.Zero)) == sigmoid(sp.S.Zero)


# Linear equations


def test_equations_are_solved_as_they_come():
    linear, left = Linear((p, q)).with_zero(p + q - a)
    assert (left, linear.solved) == (0, {p: a - q})
    linear, left = linear.with_zero(2 * q - b)
    assert (left, linear.solved) == (0, {p: a - b / 2, q: b / 2})
    assert linear.with_zero(p - c) == (linear, a - b / 2 - c)


# Forms


@pytest.mark.parametrize("name", sorted(CELLS))
def test_a_flattened_step_computes_the_same(name):
    step = CELLS[name]().step
    flat = flattened(step)
    rng = np.random.default_rng(0)
    sizes = {"I": 3, "H": 2}
    values = {
        str(s): rng.standard_normal(
            (*((4,) if shape.per_step else ()), *(sizes[axis] for axis in shape.axes))
        )
        for s, shape in step.inputs.items()
    }
    ours, theirs = evaluate(step, values), evaluate(flat, values)
    for output in step.outputs:
        np.testing.assert_allclose(theirs[str(output)], ours[str(output)], atol=1e-12)


def test_forms_do_not_depend_on_what_has_a_statement():
    def cell(write):
        builder = CellBuilder("cell")
        x, h = builder.input("x", "H"), builder.state("h", "H")
        write(builder, x, h)
        return Form(builder.build().step, "n_").outputs

    def at_once(builder, x, h):
        builder.update(h, (1 - sigmoid(x - h)) * h + tanh(2 * x + 2 * h))

    def in_pieces(builder, x, h):
        gate = builder.let("gate", sigmoid(h - x))
        total = builder.let("total", x + h)
        builder.update(h, builder.let("kept", gate * h) - builder.let("new", tanh(-2 * total)))

    assert cell(at_once) == cell(in_pieces)


# Pairing


def test_states_and_inputs_are_paired_by_shape():
    (pairing,) = pairings(CELLS["rnn"](), CELLS["ugrnn"]())
    assert dict(pairing.states) == {s: s for s, _ in pairing.left.carry}
    peephole = next(pairings(CELLS["gru_keep_after"](), CELLS["peephole_gru"]()))
    assert "context" in map(str, peephole.left.step.inputs), "an input of one is given to both"


def test_inputs_with_other_names_are_paired_by_use():
    def cell(first, second):
        builder = CellBuilder("cell")
        one, other, h = builder.input(first, "H"), builder.input(second, "H"), builder.state("h", "H")
        builder.update(h, tanh(builder.weight("W", "H", "H") @ one) + other * h)
        return builder.build()

    first = next(pairings(cell("a", "b"), cell("c", "d")))
    assert {str(old): str(new) for old, new in first.names.items()} == {"c": "a", "d": "b"}
    first = next(pairings(cell("b", "a"), cell("c", "d")))
    assert {str(old): str(new) for old, new in first.names.items()} == {"c": "b", "d": "a"}


def test_an_input_on_other_axes_is_not_paired():
    with pytest.raises(PairingError, match=r"x is \[T, B, I\] in one and \[T, B, H\] in the other"):
        next(pairings(CELLS["gru_keep_after"](), CELLS["mut1"]()))


# The search space


def space(left, right):
    pairing = next(pairings(left, right))
    sides = (
        gates(Form(loop.step, "n_"), frozenset(s for s, _ in loop.carry))
        for loop in (pairing.left, pairing.right)
    )
    return relations(*sides, tuple(pairing.states))


def test_the_space_has_what_it_says():
    words, found = space(CELLS["rnn"](), CELLS["rnn"]())
    changes = sorted(relation.changes.items() for relation in found)
    assert "each state or its negative" in words
    assert len(found) == 6
    assert sorted({"W_n": "-W_n", "U_n": "-U_n", "b_n": "-b_n"}.items()) in map(sorted, changes)
    # h′ = −h with the negated gate: U keeps its sign, since it multiplies −h
    assert sorted({"W_n": "-W_n", "b_n": "-b_n", "h_prev": "-h_prev"}.items()) in map(sorted, changes)


def test_a_large_space_is_narrowed_in_words():
    words, found = space(CELLS["lstm"](), CELLS["lstm"]())
    assert "a gate of its own" in words
    assert 3 * 2 * 2**4 <= len(found) <= 2 * LARGEST


# Witnesses


def test_a_witness_encloses_what_numpy_computes():
    left, right = CELLS["mgu"](), CELLS["mgu_after"]()
    outcome = contained(left, right)
    assert isinstance(outcome, Different)
    for one in outcome.refuted:
        values = {name: np.array(value, dtype=float) for name, value in one.witness.values.items()}
        for cell, prime, enclosed in ((left, "", one.witness.left), (right, "′", one.witness.right)):
            given = {str(s): values.get(f"{s}{prime}", values.get(str(s))) for s in cell.step.inputs}
            (state,) = evaluate(cell.step, given)["h_new"].reshape(1, -1)
            (factor,) = {v.xreplace({s: sp.S.One}) for s, v in one.relation.states.items()}
            state = state * float(factor) if prime == "" else state
            for unit, interval in zip(state, enclosed, strict=True):
                assert interval.lower - 1e-12 < unit < interval.upper + 1e-12


def test_inputs_that_stand_for_attention_and_time_are_positive():
    witness = contained(CELLS["augru_paper"](), CELLS["augru_code"]()).refuted[0].witness
    assert all(0 <= value <= 1 for value in witness.values["attention"])


def test_equal_steps_are_not_refuted():
    pairing = next(pairings(gru("keep"), gru("update")))
    true = contained(gru("keep"), gru("update")).relation
    assert Refuter(pairing).refute(true) is None
    wrong = Reparametrisation({**true.parameters, sp.Symbol("b_z", real=True): sp.S.Zero}, true.states)
    assert Refuter(pairing).refute(wrong).witness.gap > 0


def test_a_witness_that_shows_nothing_is_refused():
    refuted = contained(gru("keep", "before"), gru("keep", "after")).refuted[0]
    with pytest.raises(ProofError, match="not told apart"):
        Refuted(refuted.relation, replace(refuted.witness, right=refuted.witness.left))


def test_a_difference_needs_witnesses():
    with pytest.raises(ValueError, match="expected a witness for every relation of the space, got none"):
        Different("left", "right", "nothing", ())


# The whole


def test_a_search_that_gives_up_says_so(monkeypatch):
    monkeypatch.setattr(unify, "BRANCHES", 1)
    outcome = contained(gru("keep"), gru("update"))
    # the polarities are still found among the relations of the space, and proved
    assert outcome.relation.changes == {"W_z": "-W_z", "U_z": "-U_z", "b_z": "-b_z"}
    assert "gave up after" in contained(gru("keep", "before"), gru("keep", "after")).tried[0]


@pytest.mark.parametrize(
    ("left", "right"),
    [("gru_keep_after", "gru_update_after_6h"), ("ugrnn", "gru_keep_before"), ("lstm", "lstm_peephole")],
)
def test_other_judges_prove_the_theorems_too(left, right):
    theorem = contained(CELLS[left](), CELLS[right]()).theorem
    assert judge(theorem, judges()).theorem.name == f"{left}-in-{right}"


def test_a_candidate_that_is_not_proved_is_not_reported_as_equal(monkeypatch):
    def refuse(*_):
        raise ProofError("planted")

    monkeypatch.setattr("symgru.equivalence.search.prove", refuse)
    result = compare(gru("keep"), gru("update"))
    assert result.verdict.value == "undecided"
    assert "a candidate without a proof, planted" in result.to_text()


def test_a_proof_needs_each_part_of_a_condition():
    left, right = CELLS["gru_keep_after"](), CELLS["gru_keep_after_3h"]()
    under = contained(left, right).under
    assert isinstance(left.step, Program)
    with pytest.raises(ProofError):
        simulate(
            left.step, right.step, under.relation.parameters, {s: s for s in left.step.outputs}, inline=True
        )
