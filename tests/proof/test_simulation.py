"""The simulation accepts what is equal, refuses what is not, and numbers agree with it."""

import math

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.derivation import Loop, backward, cotangent, forward, jvp, tangent, vjp
from symgru.equations import (
    VALID,
    Cell,
    Contract,
    Pointwise,
    Polarity,
    Product,
    Program,
    Reset,
    Sum,
    bias,
    gru,
    matrix,
    select,
    sigmoid,
    vector,
    with_lengths,
)
from symgru.equations.gru import B_N, B_R, B_Z, C_N, H_NEW, H_PREV, U_N, U_R, U_Z, W_N, W_R, W_Z, X
from symgru.proof import (
    MIRRORED,
    Arithmetic,
    ProofError,
    evaluate,
    simulate,
    simulate_loop,
    with_diagonal,
)
from symgru.proof.polarity import mirrored_gradients, published

FLOAT = Arithmetic(float, {"sigmoid": lambda a: 1 / (1 + math.exp(-a)), "tanh": math.tanh})
KEEP, UPDATE = gru("keep", "after"), gru("update", "after")
SIZES = {"I": 3, "H": 2}


def random_values(program, seed=0):
    random = np.random.default_rng(seed)
    return {
        s: random.normal(size=[SIZES[axis] for axis in shape.axes]) for s, shape in program.inputs.items()
    }


def outputs(program, values):
    lists = {s: values[s].tolist() for s in program.inputs}
    return [np.array(evaluate(program, lists, FLOAT)[output]) for output in program.outputs]


def minimal_gated_unit(polarity: Polarity) -> Cell:
    """One gate f with two jobs: it resets the state in the candidate and mixes.

    Source: Zhou et al. 2016, arXiv:1603.09420, eq. 6-8 (polarity update).
    """
    names = (
        "f from_x from_h preactivation reset_state candidate_from_x candidate_from_h candidate W_f U_f b_f"
    )
    f, from_x, from_h, preactivation, reset_state, n_x, n_h, n, w_f, u_f, b_f = sp.symbols(names, real=True)
    mix = f * H_PREV + (1 - f) * n if polarity is Polarity.KEEP else (1 - f) * H_PREV + f * n
    step = Program(
        {
            X: vector("I"),
            H_PREV: vector("H"),
            w_f: matrix("H", "I"),
            u_f: matrix("H", "H"),
            b_f: bias("H"),
            W_N: matrix("H", "I"),
            U_N: matrix("H", "H"),
            B_N: bias("H"),
        },
        (
            Contract(from_x, (Product(w_f, X),)),
            Contract(from_h, (Product(u_f, H_PREV),)),
            Pointwise(preactivation, from_x + from_h + b_f),
            Pointwise(f, sigmoid(preactivation)),
            Pointwise(reset_state, f * H_PREV),
            Contract(n_x, (Product(W_N, X),)),
            Contract(n_h, (Product(U_N, reset_state),)),
            Pointwise(n, sp.tanh(n_x + n_h + B_N)),
            Pointwise(H_NEW, mix),
        ),
        (H_NEW,),
    )
    return Cell(f"mgu_{polarity.value}", "MGU", step, ((H_PREV, H_NEW),), "arXiv:1603.09420")


@pytest.mark.parametrize("reset", Reset)
def test_evaluation_knows_all_kinds_of_statements(reset):
    """⟨J v, w⟩ = ⟨v, Jᵀ w⟩, where Jᵀ has transposed contractions, outer products and sums."""
    step = with_lengths(gru("keep", reset)).step
    down, up = jvp(step), vjp(step)
    values = (
        random_values(down, 1) | random_values(up, 2) | random_values(step, 3) | {VALID: np.array([0, 1])}
    )
    (moved,) = outputs(down, values)
    pairs = zip(up.outputs, outputs(up, values), strict=True)
    forwards = (moved * values[cotangent(H_NEW)]).sum()
    backwards = sum(
        (values[sp.Symbol(str(s).replace("d_", "tangent_"), real=True)] * g).sum() for s, g in pairs
    )
    assert abs(forwards - backwards) < 1e-12
    assert abs(forwards) > 1e-2


# What is equal.


@pytest.mark.parametrize("reset", Reset)
@pytest.mark.parametrize("polarity", Polarity)
def test_a_program_simulates_itself(polarity, reset):
    step = gru(polarity, reset).step
    result = simulate(step, step, {})
    assert all(result.relation[s.target] == s.target for s in step)
    assert all(step.checked for step in result.steps)


@pytest.mark.parametrize("reset", Reset)
def test_every_statement_gets_a_step(reset):
    keep, update = gru("keep", reset).step, gru("update", reset).step
    result = simulate(keep, update, MIRRORED, {H_NEW: H_NEW})
    assert [step.claim.partition("′")[0] for step in result.steps] == [str(s.target) for s in update]
    assert result.relation[sp.Symbol("update_gate", real=True)] == 1 - sp.Symbol("update_gate", real=True)


@pytest.mark.parametrize("reset", Reset)
def test_hessian_vector_products_are_mirrored(reset):
    keep, update = (jvp(backward(forward(gru(polarity, reset))).step) for polarity in Polarity)
    moved = {tangent(s): -tangent(s) for s in MIRRORED}
    negated = {tangent(cotangent(s)) for s in MIRRORED}
    goal = {output: -output if output in negated else output for output in update.outputs}
    assert simulate(keep, update, MIRRORED | moved, goal).steps


def consistent(signs, polarity, reset):
    """Whether these signs turn the GRU of polarity keep into that of the polarity, the new state with h."""
    r = {signs[W_R] * signs[X], signs[U_R] * signs[H_PREV], signs[B_R]}
    z = {signs[W_Z] * signs[X], signs[U_Z] * signs[H_PREV], signs[B_Z]}
    n = {signs[W_N] * signs[X], signs[U_N] * signs[H_PREV], signs[B_N], signs[H_PREV]}
    n |= {signs[C_N]} if reset is Reset.AFTER else set()
    return r == {1} and z == {1 if polarity is Polarity.KEEP else -1} and n == {signs[H_PREV]}


@st.composite
def sign_flips(draw):
    """A polarity, a placement, and one sign per input: those of a symmetry, or with a few of them changed."""
    polarity, reset = draw(st.sampled_from(Polarity)), draw(st.sampled_from(Reset))
    x, h = draw(st.sampled_from((1, -1))), draw(st.sampled_from((1, -1)))
    z = 1 if polarity is Polarity.KEEP else -1
    signs = {X: x, H_PREV: h, W_R: x, U_R: h, B_R: 1, W_Z: z * x, U_Z: z * h, B_Z: z}
    signs |= {W_N: h * x, U_N: 1, B_N: h, C_N: h}
    inputs = [s for s in signs if s in gru(polarity, reset).step.inputs]
    for changed in draw(st.sets(st.sampled_from(inputs), max_size=3)):
        signs[changed] *= -1
    return polarity, reset, {s: signs[s] for s in inputs}


@given(sign_flips(), st.integers(0, 2**32 - 1))
def test_sign_flips_are_accepted_exactly_when_the_numbers_agree(flips, seed):
    polarity, reset, signs = flips
    reference, program = gru("keep", reset).step, gru(polarity, reset).step
    relation = {s: sign * s for s, sign in signs.items()}
    values = random_values(reference, seed)
    (plain,) = outputs(reference, values)
    (flipped,) = outputs(program, {s: sign * values[s] for s, sign in signs.items()})
    error = np.abs(flipped - signs[H_PREV] * plain).max()
    goal = {H_NEW: signs[H_PREV] * H_NEW}
    if consistent(signs, polarity, reset):
        result = simulate(reference, program, relation, goal)
        assert all(step.checked for step in result.steps)
        assert error < 1e-12
    else:
        with pytest.raises(ProofError):
            simulate(reference, program, relation, goal)
        assert error > 1e-12, "the numbers agree, so the simulation should have"


# What is not equal.


@pytest.mark.parametrize(
    ("relation", "statement"),
    [
        ({W_Z: -W_Z}, "update_preactivation = "),
        ({W_Z: -W_Z, U_Z: -U_Z}, "update_preactivation = "),
        ({}, "h_new = "),
        (MIRRORED | {B_Z: -2 * B_Z}, "update_preactivation = "),
        (MIRRORED | {B_R: -B_R}, "reset_preactivation = "),
        (MIRRORED | {C_N: sp.S.Zero}, "candidate_preactivation = "),
        (MIRRORED | {W_R: W_N, W_N: W_R}, "reset_preactivation = "),
    ],
)
def test_a_wrong_sign_map_is_refused_at_its_statement(relation, statement):
    with pytest.raises(ProofError, match=f"^'{statement}"):
        simulate(KEEP.step, UPDATE.step, relation, {H_NEW: H_NEW})
    with pytest.raises(ProofError, match=r"^output h_new is"):
        simulate(KEEP.step, UPDATE.step, relation, {H_NEW: H_NEW}, inline=True)


def test_a_gate_with_two_jobs_cannot_change_polarity():
    keep, update = (minimal_gated_unit(polarity) for polarity in Polarity)
    w_f, u_f, b_f = sp.symbols("W_f U_f b_f", real=True)
    mirrored = {w_f: -w_f, u_f: -u_f, b_f: -b_f}
    with pytest.raises(ProofError, match=r"^'reset_state = f\*h_prev' becomes -f\*h_prev \+ h_prev"):
        simulate_loop(published(keep), published(update), mirrored)
    with pytest.raises(ProofError, match=r"^output h_new is"):
        simulate(keep.step, update.step, mirrored, {H_NEW: H_NEW}, inline=True)
    values = random_values(keep.step)
    negated = {s: -v if s in mirrored else v for s, v in values.items()}
    assert np.abs(outputs(keep.step, values)[0] - outputs(update.step, negated)[0]).max() > 1e-3
    assert simulate_loop(published(keep), published(keep), {}).steps, "the cell itself is no obstacle"


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize(
    ("left", "right"), [("before", "after"), ("after", "before"), ("whole", "after"), ("before", "whole")]
)
def test_placements_of_the_reset_gate_are_not_proved_equal(left, right, inline):
    step = gru("keep", right).step
    relation = {C_N: sp.S.Zero} if right == "after" else {}
    with pytest.raises(ProofError):
        simulate(gru("keep", left).step, step, relation, {H_NEW: H_NEW}, inline=inline)


def test_a_diagonal_matrix_alone_does_not_remove_the_bias():
    before, after = (with_diagonal(gru("keep", reset).step, U_N) for reset in ("before", "after"))
    assert simulate(before, after, {C_N: sp.S.Zero}, {H_NEW: H_NEW}, inline=True).steps
    with pytest.raises(ProofError, match=r"^output h_new is"):
        simulate(before, after, {C_N: B_N}, {H_NEW: H_NEW}, inline=True)


def test_only_a_square_matrix_can_be_diagonal():
    with pytest.raises(ProofError, match="cannot be diagonal"):
        with_diagonal(KEEP.step, W_N)


GRADIENTS = sorted(map(str, backward(forward(KEEP)).step.outputs))


# The cotangent that is carried is what the induction demands, not a goal of the caller.
@pytest.mark.parametrize("wrong", [name for name in GRADIENTS if name != "d_h_prev"])
def test_a_wrong_gradient_relation_is_refused(wrong):
    keep, update = backward(forward(KEEP)), backward(forward(UPDATE))
    goal = mirrored_gradients(keep.step)
    planted = {output: -image if str(output) == wrong else image for output, image in goal.items()}
    assert simulate_loop(keep, update, MIRRORED, goal).steps
    with pytest.raises(ProofError, match=f"^output {wrong} is"):
        simulate_loop(keep, update, MIRRORED, planted)


def test_a_cotangent_that_arrives_negated_is_refused():
    carried = sp.Symbol("d_h_new_carried", real=True)
    with pytest.raises(ProofError, match=r"^'d_h_new = "):
        simulate_loop(backward(forward(KEEP)), backward(forward(UPDATE)), MIRRORED | {carried: -carried})


def test_a_carried_value_must_leave_as_it_enters():
    with pytest.raises(ProofError, match=r"^output h_new is h_new, not -h_new"):
        simulate(KEEP.step, UPDATE.step, MIRRORED, {H_NEW: -H_NEW})
    decay = Program({H_PREV: vector("H")}, (Pointwise(H_NEW, -H_PREV),), (H_NEW,))
    plain = Program({H_PREV: vector("H")}, (Pointwise(H_NEW, H_PREV),), (H_NEW,))
    kept, turned = (Loop("loop", step, ((H_PREV, H_NEW),)) for step in (plain, decay))
    with pytest.raises(ProofError, match=r"^output h_new is -h_prev"):
        simulate_loop(kept, turned, {})
    assert simulate(plain, decay, {}, {H_NEW: -H_NEW}).steps, "true of one step"
    assert simulate_loop(kept, kept, {H_PREV: -H_PREV}).relation[H_NEW] == -H_PREV


def test_loops_that_run_the_other_way_are_not_compared():
    loop = published(KEEP)
    with pytest.raises(ProofError, match="do not carry the same values"):
        simulate_loop(loop, Loop(loop.name, loop.step, loop.carry, reverse=True), {})


A, B, CHOICE = sp.symbols("a b choice", real=True)


def one_statement(expression):
    return Program(dict.fromkeys((VALID, A, B), vector("H")), (Pointwise(CHOICE, expression),), (CHOICE,))


def test_a_mask_chooses():
    choice = one_statement(select(VALID, A, B))
    parts = one_statement(select(VALID, A, 0) + select(VALID, 0, B))
    result = simulate(parts, choice, {}, {CHOICE: CHOICE})
    assert result.steps[0].lemmas == ("selection by a mask",)
    assert simulate(choice, one_statement(select(VALID, A, B) + 0 * A), {}, {CHOICE: CHOICE}).steps
    with pytest.raises(ProofError, match=r"^'choice = select"):
        simulate(one_statement(select(VALID, B, A)), choice, {})


def test_a_mask_has_no_sign():
    choice = one_statement(select(VALID, A, B))
    with pytest.raises(ProofError, match="valid is a mask, but related to -valid"):
        simulate(choice, choice, {VALID: -VALID})


@pytest.mark.parametrize(
    ("relation", "complaint"),
    [
        ({W_Z: -W_R * U_Z}, "which the reference does not take"),
        ({B_Z: X}, "which the reference does not take"),
        ({sp.Symbol("b_y", real=True): sp.S.Zero}, "the relation names b_y"),
    ],
)
def test_a_relation_that_is_none_is_refused(relation, complaint):
    with pytest.raises(ProofError, match=complaint):
        simulate(KEEP.step, UPDATE.step, relation)


@pytest.mark.parametrize(
    ("goal", "complaint"),
    [
        ({H_NEW: sp.Symbol("nowhere", real=True)}, "cannot be nowhere"),
        ({H_NEW: X}, "cannot be x"),
        ({sp.Symbol("nowhere", real=True): H_NEW}, "which the program does not have"),
    ],
)
def test_a_goal_that_is_none_is_refused(goal, complaint):
    with pytest.raises(ProofError, match=complaint):
        simulate(KEEP.step, UPDATE.step, MIRRORED, goal)


def test_an_unknown_given_value_is_refused():
    with pytest.raises(ProofError, match="nowhere is given"):
        simulate(KEEP.step, KEEP.step, {}, given={sp.Symbol("nowhere", real=True): sp.S.Zero})


def test_the_sum_of_a_constant_vector_is_not_claimed_to_be_anything():
    u, s = sp.symbols("u s", real=True)
    program = Program({X: vector("I")}, (Pointwise(u, 1 - X), Sum(s, (u,))), (s,))
    other = Program({X: vector("I")}, (Sum(s, (X,)),), (s,))
    with pytest.raises(ProofError, match="the same number in every unit"):
        simulate(other, program, {}, {s: s})
