"""A simulation is replayed from its programs; forged ones, whose steps all look alike, are refused.

Forgeries here are made by somebody who knows the format well: every step is there and says what it should.
"""

from dataclasses import replace

import pytest
import sympy as sp

from symgru.certificates import decide, obligations
from symgru.derivation import Loop
from symgru.equations import (
    Contract,
    Outer,
    Pointwise,
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
)
from symgru.equations.gru import B_N, B_Z, C_N, H_NEW, H_PREV, W_R, W_Z, X
from symgru.proof import MIRRORED, ProofError, Step, gradients_mirror, keep_is_update, simulate, simulate_loop
from symgru.proof.polarity import published
from symgru.proof.setting import Place, Role, Setting
from symgru.proof.terms import term

Y, B, W, G, M, D_B = sp.symbols("y b W g m d_b", real=True)
GATE = sp.Symbol("update_gate", real=True)
ALL_LEMMAS = ("sigmoid reflection", "contraction is bilinear", "selection by a mask", "sum is linear")


def forged(reference, program, relation=None, goal=None, images=None, carry=None, **setting):
    """Steps that claim images (by default: equal to the value of the same name) without any calculation."""
    relation, goal, images = relation or {}, goal or {}, images or {}
    whole = Setting(reference, program, relation, goal, setting.pop("given", {}), carry=carry, **setting)
    related = {s: relation.get(s, s) for s in program.inputs}
    steps = []
    for statement in program:
        related[statement.target] = images.get(statement.target, statement.target)
        place = Place(whole, Role.STATEMENT, statement.target, related[statement.target])
        equation = (term(statement).xreplace(related), place.image)
        steps.append(Step(place.claim, "so it is", equation, ALL_LEMMAS, place=place))
    for entering, _ in carry or ():
        place = Place(whole, Role.INDUCTION, entering, related[entering])
        steps.append(Step(place.claim, "induction", place=place))
    return steps


def replayed(steps, by):
    """How many calculations hold."""
    decided = [(step, o) for step, o in obligations(steps) if o is not None]
    for step, obligation in decided:
        decide(step.claim, obligation, by)
    return len(decided)


def pointwise(expression, *reads):
    return Program(dict.fromkeys(reads, vector("H")), (Pointwise(Y, expression),), (Y,))


# What simulations make, obligations find complete.


@pytest.mark.parametrize("reset", Reset)
def test_the_steps_of_a_simulation_are_what_has_to_be_decided(reset):
    """The left side of every step, before rewriting, is computed here from the programs again."""
    for theorem in (keep_is_update(reset, True), gradients_mirror(reset)):
        for step, obligation in obligations(theorem.steps):
            if step.place and step.place.role is not Role.INDUCTION:
                assert step.stated[0] == obligation.left
                assert obligation.right.free_symbols <= step.place.setting.reference.shapes.keys()
            else:
                assert obligation is None


def test_an_honest_forgery_is_a_proof(by):
    step = gru("keep", "after").step
    assert replayed(forged(step, step, goal={H_NEW: H_NEW}), by) == len(step.statements)


# What does not hold is refused by the judges.


def test_the_polarities_are_not_equal_unmirrored(by):
    keep, update = (gru(polarity, "after") for polarity in ("keep", "update"))
    steps = forged(keep.step, update.step, goal={H_NEW: H_NEW}, carry=keep.carry)
    with pytest.raises(ProofError, match=r"h_new′ = h_new is not shown; SymPy: not proved.*; Z3: refuted"):
        replayed(steps, by)


def test_the_gate_is_not_equal_when_mirrored(by):
    keep, update = (gru(polarity, "after").step for polarity in ("keep", "update"))
    images = {s.target: -s.target for s in update if str(s.target).startswith("update_from")}
    images[sp.Symbol("update_preactivation", real=True)] = -sp.Symbol("update_preactivation", real=True)
    with pytest.raises(ProofError, match="update_gate′ = update_gate is not shown"):
        replayed(forged(keep, update, MIRRORED, images=images), by)
    images[GATE] = 1 - GATE
    assert replayed(forged(keep, update, MIRRORED, images=images), by) == len(update.statements)


@pytest.mark.parametrize(("left", "right"), [("before", "after"), ("whole", "before"), ("after", "whole")])
def test_the_placements_are_not_equal(left, right, by):
    reference, program = gru("keep", left).step, gru("keep", right).step
    relation = {C_N: sp.S.Zero} if C_N in program.inputs else {}
    given = {} if relation or C_N not in reference.inputs else {C_N: sp.S.Zero}
    with pytest.raises(ProofError, match=r"is not shown|no value of the reference"):
        replayed(forged(reference, program, relation, given=given), by)


def test_no_step_can_lean_on_itself(by):
    """y′ = 2y would follow from y′ = y and a definition of y that is about y′."""
    with pytest.raises(ProofError, match=r"y′ = 2\*y is not shown"):
        replayed(forged(pointwise(X, X), pointwise(X, X), images={Y: 2 * Y}), by)


@pytest.mark.parametrize(
    "nothing",
    [(B_Z + B_N) ** 2 - B_Z**2 - 2 * B_Z * B_N - B_N**2, sigmoid(B_Z) + sigmoid(-B_Z) - 1],
    ids=["square", "complements"],
)
def test_nothing_follows_from_a_division_by_what_is_always_0(nothing):
    """That the divisor is not 0 is assumed, and from a contradiction Z3 proves the polarities equal."""
    keep, update = (gru(polarity, "after") for polarity in ("keep", "update"))
    steps = forged(keep.step, update.step, {B_N: B_N / nothing}, goal={H_NEW: H_NEW}, carry=keep.carry)
    with pytest.raises(ProofError, match="divides by"):
        list(obligations(steps))


# What is missing, or does not fit, is refused before.


def without(steps, role, position=0):
    found = [step for step in steps if step.place.role is role]
    return [step for step in steps if step is not found[position]]


def loop_steps():
    return list(keep_is_update("after").steps)


def test_every_statement_needs_its_step(by):
    for position in range(13):
        with pytest.raises(ProofError, match="expected one step for each statement"):
            replayed(without(loop_steps(), Role.STATEMENT, position), by)


def test_steps_in_another_order_are_refused(by):
    steps = loop_steps()
    for i in range(len(steps) - 1):
        exchanged = [*steps[:i], steps[i + 1], steps[i], *steps[i + 2 :]]
        with pytest.raises(ProofError, match=r"out of order|in order"):
            replayed(exchanged, by)


def test_a_step_twice_is_refused(by):
    steps = loop_steps()
    for i in range(len(steps)):
        with pytest.raises(ProofError, match=r"in order|out of order"):
            replayed([*steps[: i + 1], *steps[i:]], by)


def test_induction_is_needed_and_needs_its_step(by):
    with pytest.raises(ProofError, match="expected one induction for each carried value"):
        replayed(without(loop_steps(), Role.INDUCTION), by)
    keep, update = (gru(polarity, "after") for polarity in ("keep", "update"))
    steps = forged(keep.step, keep.step, images={H_NEW: H_NEW}, carry=keep.carry, relation={H_PREV: -H_PREV})
    with pytest.raises(ProofError, match="the induction needs h_new′ = -h_new, which is not shown"):
        replayed(steps, ())
    assert replayed(forged(keep.step, keep.step, carry=keep.carry), by)
    assert update.carry == keep.carry


def test_the_words_of_a_claim_are_its_data(by):
    steps = loop_steps()
    steps[3] = replace(steps[3], claim="reset_gate′ = 1 - reset_gate")
    with pytest.raises(ProofError, match="the step says 'reset_gate′ = 1 - reset_gate', its data"):
        replayed(steps, by)


def test_a_goal_has_to_be_reached(by):
    step = gru("keep", "after").step
    with pytest.raises(ProofError, match="the goal h_new′ = -h_new is not reached"):
        replayed(forged(step, step, goal={H_NEW: -H_NEW}), by)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"relation": {B: X}}, "the relation names b, which the second program does not take"),
        ({"relation": {X: sp.Symbol("nowhere", real=True)}}, "of another shape or unknown"),
        ({"relation": {X: W_Z}}, "of another shape or unknown"),
        ({"relation": {W_Z: sp.Symbol("U_z", real=True)}}, "of another shape or unknown"),
        ({"given": {H_NEW: X}}, "h_new is given as x, which the reference does not take as such"),
        ({"given": {H_PREV: X}}, "h_prev is given as x, which the reference does not take as such"),
        ({"tied": (H_PREV,)}, "h_prev cannot be tied"),
        ({"images": {H_NEW: X}}, r"the image lives on \['I'\], expected \['H'\]"),
        ({"images": {H_NEW: W_R}}, r"the image lives on \['H', 'I'\], expected \['H'\]"),
        ({"images": {H_NEW: B}}, "b is no value of the reference"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(change, complaint, by):
    step = gru("keep", "after").step
    with pytest.raises(ProofError, match=complaint):
        replayed(forged(step, step, **change), by)


def test_what_is_carried_is_not_given(by):
    cell = gru("keep", "after")
    with pytest.raises(ProofError, match="h_prev is given, but it is carried"):
        replayed(forged(cell.step, cell.step, given={H_PREV: sp.S.Zero}, carry=cell.carry), by)


def test_a_state_is_not_related_to_a_sequence(by):
    inputs = dict.fromkeys((H_PREV, G), vector("H"))
    left = Program(inputs, (Pointwise(H_NEW, 2 * H_PREV),), (H_NEW,))
    steps = forged(
        left, left, {H_PREV: G}, images={H_NEW: 2 * G}, carry=((H_PREV, H_NEW),), goal={H_NEW: 2 * G}
    )
    with pytest.raises(ProofError, match="h_prev is related to g, which has another value at each step"):
        replayed(steps, by)


def test_a_sum_over_the_steps_is_no_parameter(by):
    inputs = {H_PREV: vector("H"), G: vector("H"), B: bias("H")}
    statements = (Pointwise(Y, G), Sum(D_B, (Y,)), Pointwise(H_NEW, H_PREV + G))
    step = Program(inputs, statements, (H_NEW, D_B))
    steps = forged(step, step, images={D_B: B}, goal={D_B: B}, carry=((H_PREV, H_NEW),))
    with pytest.raises(ProofError, match="d_b adds up over the steps, so b at each step says nothing of it"):
        list(obligations(steps))


def test_a_mask_is_related_to_a_mask(by):
    program = pointwise(select(M, G, H_PREV), M, G, H_PREV)
    for image in (G, 1 - M, sp.S.Half):
        with pytest.raises(ProofError, match="m is a mask, but related to"):
            replayed(forged(program, program, {M: image}), by)
    with pytest.raises(ProofError, match="g is no mask, but related to m"):
        replayed(forged(program, program, {G: M}), by)


def test_a_program_that_does_not_carry_the_state_is_refused(by):
    loop = published(gru("keep", "after"))
    for carry, complaint in (
        (((X, H_NEW),), "a program does not carry|different shapes|the induction needs|x"),
        (((H_PREV, GATE),), "does not carry h_prev to update_gate"),
        (((H_PREV, H_NEW), (H_PREV, H_NEW)), "a carried value enters twice"),
    ):
        with pytest.raises(ProofError, match=complaint):
            replayed(forged(loop.step, loop.step, carry=carry), by)


def test_a_repeated_value_of_the_reference_is_a_step(by):
    """It is a claim about the reference, so it is decided as every other claim, and cannot be forged."""
    inputs = {X: vector("H")}
    statements = (Pointwise(Y, sigmoid(X)), Pointwise(G, sigmoid(-X)))
    reference = Program(inputs, statements, (Y, G))
    steps = simulate(reference, reference, {}).steps
    assert steps[0].claim == "g = 1 - y"
    assert replayed(steps, by) == 3
    wrong = replace(steps[0], place=replace(steps[0].place, image=Y), claim="g = y")
    with pytest.raises(ProofError, match="g = y is not shown"):
        replayed([wrong, *steps[1:]], by)
    later = replace(steps[0], place=replace(steps[0].place, image=G), claim="g = g")
    with pytest.raises(ProofError, match="names values that are defined later, or nowhere"):
        replayed([later, *steps[1:]], by)
    with pytest.raises(ProofError, match="claimed twice"):
        replayed([steps[0], *steps], by)


def test_outer_products_and_means_are_replayed(by):
    from symgru.equations import Mean

    inputs = {X: vector("I"), G: vector("H"), W: matrix("H", "I")}
    statements = (Contract(Y, (Product(W, X),)), Mean(M, Y), Pointwise(B, G * M), Outer(D_B, ((B, X),)))
    program = Program(inputs, statements, (D_B, M))
    negative = {W: -W}
    goal = {D_B: -D_B, M: -M}
    assert replayed(simulate(program, program, negative, goal).steps, by) == 4
    loop = Loop("empty", program, ())
    assert replayed(simulate_loop(loop, loop, negative, goal).steps, by) == 4
