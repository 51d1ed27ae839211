"""Pairs of cells of which the answer is known, each with its reason; and what the answers are made of."""

import json

import pytest
import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import (
    CellBuilder,
    Polarity,
    Reset,
    exp,
    gru,
    relu,
    sigmoid,
    softplus,
    tanh,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.equivalence import Different, Equal, Undecided, Verdict, compare, contained
from symgru.equivalence.pairing import pairings
from symgru.equivalence.proving import prove
from symgru.equivalence.unify import Candidate
from symgru.proof import ProofError
from symgru.proof.shared_gates import fastgrnn

HALF = sp.Rational(1, 2)
FLIP = {"W_z": "-W_z", "U_z": "-U_z", "b_z": "-b_z"}


def changes(outcome):
    assert isinstance(outcome, Equal), outcome.to_text()
    return outcome.relation.changes


# The GRU: equal under the change of polarity, not across placements


@pytest.mark.parametrize("wrap", [lambda cell: cell, with_lengths, with_resets, with_zoneout])
@pytest.mark.parametrize("reset", Reset)
def test_the_polarities_are_one_model(reset, wrap, largest_difference):
    keep, update = (wrap(gru(polarity, reset)) for polarity in Polarity)
    result = compare(keep, update)
    assert result.verdict is Verdict.EQUAL
    assert result.one_to_one
    assert changes(result.forward) == changes(result.backward) == FLIP
    assert largest_difference(keep, update, result.forward.relation) < 1e-12


@pytest.mark.parametrize("polarity", Polarity)
@pytest.mark.parametrize(("left", "right"), [(a, b) for a in Reset for b in Reset if a.value < b.value])
def test_placements_differ_and_no_parameters_help(left, right, polarity):
    result = compare(gru("keep", left), gru(polarity, right))
    assert result.verdict is Verdict.DIFFERENT
    for outcome, (target, other) in ((result.forward, (left, right)), (result.backward, (right, left))):
        assert outcome.theorem.name == f"no-{other.value}-is-{target.value}"
        assert outcome.theorem.statement in outcome.to_text()
        assert all(one.witness.gap > 0 for one in outcome.refuted)
        assert "unification" in outcome.tried[0]


def test_what_holds_of_some_is_proved_with_its_condition():
    under = contained(gru("keep", "before"), gru("keep", "after")).under
    assert {str(name): value for name, value in under.conditions.items()} == {"U_n": 0}
    assert "the parameters of gru_keep_before are such that U_n = 0" in under.theorem.assumptions
    assert "if U_n = 0, with" in contained(gru("keep", "before"), gru("keep", "after")).to_text()


# Biases

ALL_SUMS = {f"b_{k}": f"b_{k} + c_{k}" for k in "rzn"}
BIASES = [
    ("before", "", "_6h", {"c_r": "0", "c_z": "0", "c_n": "0"}, ALL_SUMS),
    ("whole", "", "_6h", {"c_r": "0", "c_z": "0", "c_n": "0"}, ALL_SUMS),
    ("after", "", "_6h", {"c_r": "0", "c_z": "0"}, {"b_r": "b_r + c_r", "b_z": "b_z + c_z"}),
]


@pytest.mark.parametrize(("reset", "few", "many", "split", "merge"), BIASES)
def test_biases_split_and_merge(reset, few, many, split, merge):
    result = compare(CELLS[f"gru_keep_{reset}{few}"](), CELLS[f"gru_keep_{reset}{many}"]())
    assert result.verdict is Verdict.EQUAL
    assert not result.one_to_one, "six biases say the same in many ways"
    assert (changes(result.forward), changes(result.backward)) == (split, merge)


def test_biases_merge_across_polarities_too():
    result = compare(CELLS["gru_keep_before_6h"](), CELLS["gru_update_before"]())
    assert changes(result.forward)["b_z"] == "-b_z - c_z"


@pytest.mark.parametrize("many", ["", "_6h"])
def test_a_recurrent_bias_of_the_candidate_is_not_lost(many):
    result = compare(CELLS["gru_keep_after_3h"](), CELLS[f"gru_keep_after{many}"]())
    assert result.verdict is Verdict.LEFT_IN_RIGHT
    assert changes(result.forward)["c_n"] == "0"
    assert result.backward.theorem.name == "no-three-biases-are-four"
    assert {str(name): value for name, value in result.backward.under.conditions.items()} == {"c_n": 0}


# Other cells


@pytest.mark.parametrize(
    "name", [n for n in FLIPPED if n not in ("mgu", "mgu_after", "augru_paper", "augru_code")]
)
def test_the_polarities_of_published_cells_are_one_model(name):
    left, right = CELLS[name](), FLIPPED[name]()
    result = compare(left, right)
    assert result.verdict is Verdict.EQUAL
    assert result.one_to_one


def test_under_a_joint_normalisation_gains_and_shifts_change_and_weights_do_not():
    result = compare(CELLS["haste_layernorm_gru"](), FLIPPED["haste_layernorm_gru"]())
    assert changes(result.forward) == {p: f"-{p}" for p in ("gain_W_z", "gain_U_z", "b_z", "c_z")}


def test_a_fixed_offset_of_a_gate_moves_into_the_bias():
    result = compare(CELLS["dreamer_gru"](), FLIPPED["dreamer_gru"]())
    assert changes(result.forward) == {"gain_z": "-gain_z", "b_z": "2 - b_z"}


@pytest.mark.parametrize(
    ("name", "theorem"),
    [
        ("mgu", "no-mgu-is-its-mirror"),
        ("mgu_after", "no-mgu-is-its-mirror"),
        ("augru_paper", "no-augru-paper-is-its-mirror"),
        ("augru_code", "no-augru-code-is-its-mirror"),
    ],
)
def test_a_gate_with_a_second_job_does_not_flip(name, theorem):
    result = compare(CELLS[name](), FLIPPED[name]())
    assert result.verdict is Verdict.DIFFERENT
    for outcome in (result.forward, result.backward):
        assert len(outcome.refuted) > 10
        assert outcome.theorem.name == theorem


def test_paper_and_code_of_augru_differ_for_all_parameters():
    result = compare(CELLS["augru_paper"](), CELLS["augru_code"]())
    assert result.verdict is Verdict.DIFFERENT
    assert {o.theorem.name for o in (result.forward, result.backward)} == {"no-augru-paper-is-code"}


@pytest.mark.parametrize(("left", "right"), [("mgu", "mgu_after"), ("mgu", "ligru"), ("gru1", "mut1")])
def test_without_a_theorem_only_the_search_space_is_refuted(left, right):
    result = compare(CELLS[left](), CELLS[right]())
    for outcome in (result.forward, result.backward):
        if isinstance(outcome, Different):
            assert outcome.theorem is None
            assert "whether other parameters do it is not decided" in outcome.to_text()
    assert result.verdict is (Verdict.UNDECIDED if right == "mut1" else Verdict.UNRELATED)


def test_equal_cells_with_other_functions_are_not_called_different():
    """σ(a) = exp(−softplus(−a)), which no relation of the parameters says, and no lemma."""

    def cell(name, gate):
        builder = CellBuilder(name)
        x, h = builder.input("x", "I"), builder.state("h", "H")
        W, U, b = builder.weight("W", "H", "I"), builder.weight("U", "H", "H"), builder.bias("b", "H")
        builder.update(h, gate(W @ x + U @ h + b))
        return builder.build()

    result = compare(cell("one", sigmoid), cell("other", lambda a: exp(-softplus(a))))
    assert result.verdict in (Verdict.UNRELATED, Verdict.UNDECIDED)
    assert "whether other parameters do it is not decided" in result.to_text()


def test_a_gate_that_shares_its_weights_flips_with_the_state():
    result = compare(*map(fastgrnn, Polarity))
    assert changes(result.forward) == {p: f"-{p}" for p in ("W", "b_z", "b_n", "h_prev")}
    assert result.one_to_one


ONE_GATE_FOR_TWO = {f"{p}_{k}": f"{p}_f" for p in "WUb" for k in "rz"}
INCLUSIONS = [
    ("mgu", "gru_update_before", ONE_GATE_FOR_TWO),
    ("mgu_after", "gru_keep_after", ONE_GATE_FOR_TWO),
    ("lightru", "ugrnn", {"W_z": "-W_f", "U_z": "-U_f", "b_z": "-b_f", "U_n": "0", "b_n": "0"}),
    # a reset gate that is 1/2 everywhere
    ("ugrnn", "gru_keep_before", {"W_r": "0", "U_r": "0", "b_r": "0", "U_n": "2*U_n"}),
    ("gru1", "gru_update_before", {"W_r": "0", "W_z": "0"}),
    ("gru2", "gru1", {"b_r": "0", "b_z": "0"}),
    ("gru3", "gru1", {"U_r": "0", "U_z": "0"}),
    ("lstm", "lstm_peephole", {"p_i": "0", "p_f": "0", "p_o": "0"}),
    ("gru_keep_after", "peephole_gru", {"P_r": "0", "P_z": "0", "P_n": "0"}),
]


@pytest.mark.parametrize(("left", "right", "relation"), INCLUSIONS)
def test_a_cell_is_a_special_case_of_another(left, right, relation):
    result = compare(CELLS[left](), CELLS[right]())
    assert result.verdict is Verdict.LEFT_IN_RIGHT
    assert changes(result.forward) == relation
    assert isinstance(result.backward, Different)


def hard(name, slope, polarity=Polarity.KEEP, offset=HALF):
    """A GRU with reset before whose gates are clip(slope·a + offset, 0, 1), by relu."""
    cell = CellBuilder(name, name)
    x, h = cell.input("x", "I"), cell.state("h", "H")

    def gate(letter):
        W, U = cell.weight(f"W_{letter}", "H", "I"), cell.weight(f"U_{letter}", "H", "H")
        a = cell.let(f"a_{letter}", W @ x + U @ h + cell.bias(f"b_{letter}", "H"))
        return cell.let(letter, relu(slope * a + offset) - relu(slope * a + offset - 1))

    z, r = gate("z"), gate("r")
    W, U = cell.weight("W_n", "H", "I"), cell.weight("U_n", "H", "H")
    n = cell.let("n", tanh(W @ x + cell.bias("b_n", "H") + U @ (r * h)))
    keeps = polarity is Polarity.KEEP
    cell.update(h, z * h + (1 - z) * n if keeps else (1 - z) * h + z * n)
    return cell.build()


KERAS_2, KERAS_3 = sp.Rational(1, 5), sp.Rational(1, 6)


def test_the_hard_sigmoids_of_keras_2_and_3_are_a_scaling_apart():
    result = compare(hard("keras_2", KERAS_2), hard("keras_3", KERAS_3))
    assert result.one_to_one
    assert changes(result.forward) == {f"{p}_{k}": f"6*{p}_{k}/5" for p in "WUb" for k in "zr"}
    assert changes(result.backward)["b_z"] == "5*b_z/6"


@pytest.mark.parametrize(
    ("left", "right", "bias"),
    [
        (hard("hard", KERAS_2), hard("hard_update", KERAS_2, Polarity.UPDATE), "-b_z"),
        (hard("hard", KERAS_2), hard("hard_update", KERAS_3, Polarity.UPDATE), "-6*b_z/5"),
        # (1 − 2·offset)/slope is what the bias moves by when the gate is not symmetric about 0
        (
            hard("hard", KERAS_2, offset=sp.Rational(2, 5)),
            hard("hard_update", KERAS_2, Polarity.UPDATE, sp.Rational(2, 5)),
            "1 - b_z",
        ),
    ],
    ids=["same slope", "other slope", "other offset"],
)
def test_a_hard_sigmoid_flips_by_the_reflection_of_relu(left, right, bias, largest_difference):
    result = compare(left, right)
    assert result.one_to_one
    assert changes(result.forward)["b_z"] == bias
    assert "relu reflection" in result.forward.theorem.lemmas
    assert largest_difference(left, right, result.forward.relation) < 1e-12


# States


def leaky(name, sign=1, scale=1):
    """A gated cell with a candidate that is not odd, written in the state h, −h or a multiple of it."""
    cell = CellBuilder(name, name)
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W, U, V, R = (cell.weight(n, "H", a) for n, a in (("W", "I"), ("U", "H"), ("V", "I"), ("R", "H")))
    z = cell.let("z", sigmoid(V @ x + R @ h))
    cell.update(h, z * h + (1 - z) * sign * scale * relu(W @ x + U @ h))
    return cell.build()


def test_states_may_be_negatives_of_each_other():
    outcome = contained(leaky("left"), leaky("right", sign=-1))
    assert changes(outcome) == {"U": "-U", "R": "-R", "h_prev": "-h_prev"}


def test_states_may_be_multiples_of_each_other(largest_difference):
    outcome = contained(leaky("left"), leaky("right", scale=3))
    assert changes(outcome) == {"U": "U/3", "R": "R/3", "h_prev": "3*h_prev"}
    assert largest_difference(leaky("left"), leaky("right", scale=3), outcome.relation) < 1e-12


# What cannot be decided, and what is not claimed


def test_cells_with_different_states_are_not_compared():
    outcome = contained(CELLS["gru_keep_after"](), CELLS["lstm"]())
    assert isinstance(outcome, Undecided)
    assert outcome.tried == (
        "gru_keep_after carries h_prev [T, B, H], lstm h_prev [T, B, H], c_prev [T, B, H]",
    )


def test_an_equality_without_a_lemma_for_it_is_undecided():
    """softplus(−a) = softplus(a) − a holds, and is no lemma: so it is neither proved nor refuted."""

    def cell(name, candidate):
        builder = CellBuilder(name, name)
        x, h = builder.input("x", "H"), builder.state("h", "H")
        builder.update(h, candidate(builder.let("a", x + h)))
        return builder.build()

    result = compare(cell("one", lambda a: softplus(-a)), cell("other", lambda a: softplus(a) - a))
    assert result.verdict is Verdict.UNDECIDED
    assert "not told apart at any point tried, and not proved" in result.to_text()


def test_a_false_relation_is_not_proved():
    keep, update = (gru(polarity, Reset.AFTER) for polarity in Polarity)
    true = contained(keep, update).relation.parameters
    planted = [{**true, symbol: value} for symbol in true for value in (-true[symbol], sp.S.Zero)]
    for relation in planted:
        with pytest.raises(ProofError):
            prove(next(pairings(keep, update)), Candidate(relation, {}))
    print(f"{len(planted)} planted false relations, none proved")
    assert len(planted) == 20


def test_results_are_values_that_json_knows():
    for left, right in (("gru_keep_after", "gru_keep_after_3h"), ("mgu", "lstm")):
        result = compare(CELLS[left](), CELLS[right]())
        data = json.loads(json.dumps(result.to_json()))
        assert data["verdict"] == result.verdict.value
        assert data["forward"]["kind"] == type(result.forward).__name__.lower()
    witness = compare(CELLS["mgu"](), CELLS["mgu_after"]()).to_json()["forward"]
    assert witness["point"]["x"] == witness["refuted"][0]["witness"]["values"].get("x", witness["point"]["x"])
    assert all(float(one["witness"]["gap"]) > 0 for one in witness["refuted"])
