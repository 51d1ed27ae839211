"""False theorems, planted. Each is refuted by numbers first, then the checker has to refuse it.

The numbers come from the NumPy oracle, which shares no code with the checker.
"""

import numpy as np
import pytest
import sympy as sp

from symgru.derivation import Loop
from symgru.equations import (
    VALID,
    Contract,
    Pointwise,
    Product,
    Program,
    Sum,
    bias,
    matrix,
    select,
    sigmoid,
    vector,
)
from symgru.lowering.evaluate import evaluate, evaluate_loop
from symgru.proof import LEMMAS, Lemma, ProofError, Step, Theorem, check, simulate, simulate_loop
from symgru.proof.lemmas import SIGMOID_REFLECTION, A
from symgru.proof.lemmas import B as SECOND

SIZES = {"I": 3, "H": 2}
X, H, G, C, B, Y, ONE, W, U = sp.symbols("x h g c b y one W U", real=True)
H_PREV, H_NEW, C_PREV, C_NEW, D_B = sp.symbols("h_prev h_new c_prev c_new d_b", real=True)
OTHER_LEMMAS = [lemma for lemma in LEMMAS if lemma != SIGMOID_REFLECTION]


def random_inputs(program, steps=4, seed=0):
    random = np.random.default_rng(seed)
    return {
        str(s): random.normal(size=([steps] if shape.per_step else []) + [SIZES[a] for a in shape.axes])
        for s, shape in program.inputs.items()
    }


def difference(left, right, inputs, output="y"):
    """How far apart the outputs of two programs are on the same inputs."""
    return np.abs(evaluate(left, inputs)[output] - evaluate(right, inputs)[output]).max()


def pointwise(expression, *reads):
    return Program(dict.fromkeys(reads, vector("H")), (Pointwise(Y, expression),), (Y,))


# Induction over time.


def two_states(of_h):
    """h ← of_h, c ← 3c, with a sequence x that is read by neither."""
    inputs = dict.fromkeys((H_PREV, C_PREV, X), vector("H"))
    statements = (Pointwise(H_NEW, of_h), Pointwise(C_NEW, 3 * C_PREV))
    return Loop("planted", Program(inputs, statements, (H_NEW, C_NEW)), ((H_PREV, H_NEW), (C_PREV, C_NEW)))


def one_state(of_h):
    inputs = dict.fromkeys((H_PREV, X), vector("H"))
    return Loop("planted", Program(inputs, (Pointwise(H_NEW, of_h),), (H_NEW,)), ((H_PREV, H_NEW),))


def run(loop, **first):
    x = np.arange(1, 4)[:, None] * np.ones((3, 2))
    states = {name: value * np.ones(2) for name, value in first.items()}
    return evaluate_loop(loop, {"x": x, **states})


def test_a_state_that_is_another_state_at_first_need_not_stay_it():
    reference, program = two_states(2 * H_PREV), two_states(1 * H_PREV)
    c = run(reference, h_prev=5, c_prev=1)["c_new"]
    h = run(program, h_prev=1, c_prev=1)["h_new"]
    assert h[0, 0] != c[0, 0], "h′ = c at the start, and not after the first step"
    with pytest.raises(ProofError, match=r"^output h_new is c_prev, not c_new"):
        simulate_loop(reference, program, {H_PREV: C_PREV})


def test_states_may_be_exchanged():
    """The image of a state is moved on one step as a whole, so true relations of this kind are proved."""
    inputs = dict.fromkeys((H_PREV, C_PREV), vector("H"))
    carry = ((H_PREV, H_NEW), (C_PREV, C_NEW))

    def loop(of_h, of_c):
        statements = (Pointwise(H_NEW, of_h), Pointwise(C_NEW, of_c))
        return Loop("exchanged", Program(inputs, statements, (H_NEW, C_NEW)), carry)

    left, right = loop(2 * H_PREV, 3 * C_PREV), loop(3 * H_PREV, 2 * C_PREV)
    result = simulate_loop(left, right, {H_PREV: C_PREV, C_PREV: H_PREV})
    assert [step.claim for step in result.steps if "every" in step.claim] == [
        "h_prev′ = c_prev at every time step",
        "c_prev′ = h_prev at every time step",
    ]
    with pytest.raises(ProofError, match=r"becomes 2\*c_prev; the reference has no such value"):
        simulate_loop(left, left, {H_PREV: C_PREV, C_PREV: H_PREV})


def test_a_state_is_not_an_element_of_a_sequence():
    reference, program = one_state(2 * H_PREV), one_state(1 * H_PREV)
    h = run(program, h_prev=1)["h_new"]
    assert h[1, 0] != 2, "x is 1, 2, 3, h′ stays 1"
    with pytest.raises(ProofError, match=r"^h_prev is related to x, which is not carried"):
        simulate_loop(reference, program, {H_PREV: X})


def test_a_given_state_is_not_given_at_every_step():
    """With h = 0 at every step x + h and x would be the same; it is so at the first step only."""
    reference, program = one_state(X + H_PREV), one_state(X)
    assert run(reference, h_prev=0)["h_new"][1, 0] != run(program, h_prev=0)["h_new"][1, 0]
    with pytest.raises(ProofError, match="h_prev is given, but it is carried"):
        simulate_loop(reference, program, {}, given={H_PREV: sp.S.Zero}, inline=True)


def test_a_goal_for_a_state_is_not_dropped():
    loop = one_state(2 * H_PREV)
    with pytest.raises(ProofError, match="the goal for h_new is -h_new, but the induction needs h_new"):
        simulate_loop(loop, loop, {}, {H_NEW: -H_NEW})


def test_a_sum_over_the_steps_is_no_parameter():
    """At each step alone the sum is what the parameter is related to; added up over three steps it is not."""
    inputs = {H_PREV: vector("H"), X: vector("H"), B: bias("H")}
    statements = (Pointwise(Y, X), Sum(D_B, (Y,)), Pointwise(H_NEW, H_PREV + X))
    loop = Loop("planted", Program(inputs, statements, (H_NEW, D_B)), ((H_PREV, H_NEW),))
    values = {"x": np.ones((3, 1, 2)), "h_prev": np.zeros((1, 2)), "b": np.ones(2)}
    outputs = evaluate_loop(loop, values)
    assert (outputs["d_b"] == 3).all()
    for goal in (B, 1 - D_B, sp.S.One):
        with pytest.raises(ProofError, match="d_b adds up over the steps"):
            simulate_loop(loop, loop, {}, {D_B: goal})
    assert simulate_loop(loop, loop, {}, {D_B: D_B}).steps


# Vectors with one number in every unit: a sum over units depends on how many there are.


UNITS = [
    lambda v: sigmoid(v) + sigmoid(-v),
    lambda v: sp.tanh(sp.S.One) * (sigmoid(v) + sigmoid(-v)),
    lambda v: sp.tanh(sp.S.One) * (sigmoid(v) + sigmoid(-v)) + v - v,
]


@pytest.mark.parametrize("inline", [False, True])
@pytest.mark.parametrize("unit", UNITS, ids=["one", "irrational", "a-part"])
def test_a_constant_vector_has_no_axis(unit, inline):
    """W u for a W of ones and a u of one number: the number times I on one side, times H on the other."""
    left = Program(
        {X: vector("I"), W: matrix("H", "I")},
        (Pointwise(ONE, unit(X)), Contract(Y, (Product(W, ONE),))),
        (Y,),
    )
    right = Program(
        {H: vector("H"), U: matrix("H", "H"), X: vector("I")},
        (Pointwise(ONE, unit(H)), Contract(Y, (Product(U, ONE),))),
        (Y,),
    )
    inputs = random_inputs(left) | random_inputs(right) | {"W": np.ones((2, 3)), "U": np.ones((2, 2))}
    assert difference(left, right, inputs) > 1e-2
    for number in (sp.S.One, sp.sqrt(3)):
        with pytest.raises(ProofError, match="the same number in every unit"):
            simulate(left, right, {U: number, H: sp.S.One}, {Y: Y}, given={W: number}, inline=inline)


@pytest.mark.parametrize("number", [sp.S.One, sp.sqrt(2), sp.Rational(1, 3)])
def test_a_matrix_and_a_vector_of_one_number_have_no_axis(number):
    left = Program({X: vector("I"), W: matrix("H", "I")}, (Contract(Y, (Product(W, X),)),), (Y,))
    right = Program({H: vector("H"), U: matrix("H", "H")}, (Contract(Y, (Product(U, H),)),), (Y,))
    value = float(number)
    sizes = [
        {str(s): np.full([SIZES[a] for a in shape.axes], value) for s, shape in p.inputs.items()}
        for p in (left, right)
    ]
    assert np.abs(evaluate(left, sizes[0])["y"] - evaluate(right, sizes[1])["y"]).max() > 1e-2
    with pytest.raises(ProofError, match="the same number in every unit"):
        simulate(left, right, {U: number, H: number}, {Y: Y}, given={W: number, X: number})


def test_the_sum_of_ones_is_not_one():
    program = Program({X: vector("I")}, (Pointwise(ONE, sigmoid(X) + sigmoid(-X)), Sum(Y, (ONE,))), (Y,))
    assert (evaluate(program, random_inputs(program))["y"] != 1).all()
    with pytest.raises(ProofError, match="the same number in every unit"):
        simulate(program, program, {}, {Y: sp.S.One})


# Masks.

CHOICE = pointwise(select(C, G, H), C, G, H)
MIXTURE = pointwise(C * G + (1 - C) * H, C, G, H)


def test_a_number_is_no_mask():
    assert difference(MIXTURE, CHOICE, random_inputs(CHOICE)) > 1e-2
    with pytest.raises(ProofError, match=r"c is a mask, .* related to c, .* no mask of the reference"):
        simulate(MIXTURE, CHOICE, {}, {Y: Y})
    with pytest.raises(ProofError, match=r"c is no mask, .* related to c, .* a mask of the reference"):
        simulate(CHOICE, MIXTURE, {}, {Y: Y})


def test_a_mask_may_be_related_to_a_mask_alone():
    inputs = dict.fromkeys((VALID, C, G, H), vector("H"))
    by_valid, by_c = (Program(inputs, (Pointwise(Y, select(m, G, H)),), (Y,)) for m in (VALID, C))
    assert simulate(by_valid, by_c, {C: VALID, VALID: C}, {Y: Y}).steps
    for image in (G, 1 - VALID, -VALID, sp.S.Half, sigmoid(VALID)):
        with pytest.raises(ProofError, match=r"c is a mask|input c .* is related to"):
            simulate(by_valid, by_c, {C: image, VALID: C}, {Y: Y})
    with pytest.raises(ProofError, match="valid is a mask"):
        simulate(by_valid, by_valid, {}, {Y: Y}, given={VALID: G})


# Lemmas.

NEGATED = pointwise(sigmoid(-C), C)
PLAIN = pointwise(sigmoid(C), C)
POSITIVE = sp.Symbol("a", positive=True)


AT_ZERO = Lemma("true at 0", "", "", sigmoid(-A), sigmoid(A), cases=(((A, sp.S.Zero),),))
OF_POSITIVE_NUMBERS = Lemma(
    "true of positive numbers",
    "",
    "",
    sigmoid(-POSITIVE),
    1 - sigmoid(sp.Abs(POSITIVE, evaluate=False)),
)


@pytest.mark.parametrize("lemma", [AT_ZERO, OF_POSITIVE_NUMBERS], ids=lambda lemma: lemma.name)
def test_a_lemma_about_some_values_is_not_used_for_all(lemma):
    check(lemma)
    a = np.array([-2.0, 1.5])
    claimed = {AT_ZERO: 1 / (1 + np.exp(-a)), OF_POSITIVE_NUMBERS: 1 - 1 / (1 + np.exp(-np.abs(a)))}[lemma]
    assert np.abs(evaluate(NEGATED, {"c": a})["y"] - claimed).max() > 1e-2
    with pytest.raises(ProofError, match="holds for some values only"):
        simulate(PLAIN, NEGATED, {}, {}, lemmas=[*OTHER_LEMMAS, lemma])


def test_a_lemma_without_cases_says_nothing():
    with pytest.raises(ProofError, match="lemma 'nothing' has no case"):
        Lemma("nothing", "", "", sigmoid(-A), 2 * sigmoid(A), cases=())


def test_a_rule_must_not_invent_a_value():
    """True, because σ(b) + σ(−b) = 1; but a term must not get a b from nowhere."""
    right = 2 - sigmoid(A) - sigmoid(SECOND) - sigmoid(-SECOND)
    lemma = Lemma("with a stranger", "", "", sigmoid(-A), right)
    with pytest.raises(ProofError, match="which has other symbols"):
        simulate(PLAIN, NEGATED, {}, {Y: 1 - Y}, lemmas=[*OTHER_LEMMAS, lemma])


# What is given.


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({H_PREV: X}, r"h_prev \[T, B, H\] is given as x, which"),
        ({H_PREV: B}, r"h_prev \[T, B, H\] is given as b, which"),
        ({H_PREV: W * X}, "is given as"),
        ({H_PREV: sp.Symbol("nowhere", real=True)}, "is given as nowhere"),
    ],
)
def test_what_is_given_has_the_right_shape(given, complaint):
    inputs = {H_PREV: vector("H"), X: vector("I"), B: bias("H"), W: matrix("H", "I")}
    program = Program(inputs, (Pointwise(H_NEW, 2 * H_PREV), Pointwise(Y, 2 * X)), (H_NEW, Y))
    with pytest.raises(ProofError, match=complaint):
        simulate(program, program, {}, {H_NEW: H_NEW}, given=given)


# Steps and theorems.


def test_a_calculated_step_is_calculated():
    """The residual is not a claim of the caller: the step subtracts its two sides itself."""
    with pytest.raises(ProofError, match="'0 = 1' is not shown, residual -1"):
        Theorem("fermat", "0 = 1", "0=1", (), (Step("0 = 1", "obvious", (sp.S.Zero, sp.S.One)),), "so")


def test_a_theorem_of_words_alone_is_none():
    with pytest.raises(ProofError, match="fermat: expected at least one calculation"):
        Theorem("fermat", "0 = 1", "0=1", (), (Step("0 = 1", "obvious"),), "so")
