"""Which gate activations let the polarity be changed: those with f(−a) = 1 − f(a), and no others."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import sympy as sp

from symgru.equations import Pointwise, Polarity, Reset, gru, relu
from symgru.equations.gru import CANDIDATE, H_NEW, H_PREV, UPDATE_GATE
from symgru.proof.inequalities import Inequalities, Product
from symgru.proof.lemmas import (
    RELU_REFLECTION,
    SIGMOID_REFLECTION,
    TANH_ABOVE_MINUS_ONE,
    TANH_BELOW_ONE,
    TANH_ODD,
    A,
    Lemma,
    Tanh,
    check,
)
from symgru.proof.polarity import EXACT
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

F, F_MIRRORED, G = (sp.Symbol(name, real=True) for name in ("f", "f_mirrored", "g"))
TWO = sp.Integer(2)


def _update(polarity: Polarity) -> Pointwise:
    definition = gru(polarity, Reset.BEFORE).step.definition(H_NEW)
    if not isinstance(definition, Pointwise):
        raise ProofError(f"polarity {polarity.value}: expected a pointwise state update, got {definition}")
    return definition


def new_state(polarity: Polarity, gate: sp.Expr, candidate: sp.Expr = CANDIDATE) -> sp.Expr:
    """The state update of a polarity, with an expression for the gate."""
    return _update(polarity).expression.xreplace({UPDATE_GATE: gate, CANDIDATE: candidate})


@cache
def only_complementary() -> Theorem:
    """The change of sign changes the polarity exactly if f(−a) = 1 − f(a).

    Raises:
        ProofError: a step cannot be shown.
    """
    keep, update = new_state(Polarity.KEEP, F), new_state(Polarity.UPDATE, F_MIRRORED)
    return Theorem(
        name="only-complementary-activations",
        statement="With any gate activation f, polarity update with the negated pre-activation of its gate "
        "computes what polarity keep does, for all states and candidates, exactly if f(−a) = 1 − f(a) for "
        "every a that occurs. σ and the hard sigmoid with β = 1/2 have this property; relu, tanh and "
        "softsign do not.",
        latex=r"f(a)\,h + (1 - f(a))\,n = (1 - f(-a))\,h + f(-a)\,n\ \;\forall h, n\ \iff\ f(-a) = 1 - f(a)",
        assumptions=(
            "f is any function of real numbers; f and f_mirrored are f(a) and f(−a)",
            "state and candidate are not equal in at least one case; they are independent of the gate's "
            "pre-activation, as with U_z = 0, W_z = 0 and b_z = a",
            EXACT,
        ),
        steps=(
            Step(
                "h_new - h_new′ = (f + f_mirrored - 1)*(h_prev - candidate)",
                "the state updates of both polarities; primes mark update",
                (keep - update, (F + F_MIRRORED - 1) * (H_PREV - CANDIDATE)),
            ),
            Step(
                "h_new = h_new′ for all h_prev and candidate exactly if f_mirrored = 1 - f",
                "a product is 0 exactly if a factor is, and h_prev - candidate is not always 0",
            ),
            *_instances(),
        ),
        conclusion="For the hard sigmoid with another β a shift of the bias helps "
        "(keep-is-update-hard-sigmoid). For relu and tanh no parameters help: no-relu-gate-is-its-mirror, "
        "no-tanh-gate-is-its-mirror.",
        equations=(
            *equations({f"polarity {p.value}": (_update(p),) for p in Polarity}),
            ("notation", ("f: f(a), f_mirrored: f(−a); a: the pre-activation of the update gate",)),
        ),
    )


def _instances() -> Iterator[Step]:
    """f(a) + f(−a) − 1 for what is in use, by the lemmas about reflection."""

    def reflected(lemma: Lemma) -> sp.Expr:
        return -lemma.left.args[0], lemma.right

    _, of_sigmoid = reflected(SIGMOID_REFLECTION)
    yield Step(
        "σ(a) + σ(−a) - 1 = 0",
        "sigmoid reflection",
        (SIGMOID_REFLECTION.left.func(A) + of_sigmoid - 1, sp.S.Zero),
        (check(SIGMOID_REFLECTION).name,),
    )
    y = A + sp.Rational(1, 2)  # 1 − y is the same at −a
    hard = relu(y) - relu(y - 1)
    mirrored = (relu(y - 1) - (y - 1)) - (relu(y) - y)
    yield Step(
        "f(a) + f(−a) - 1 = 0 for f(a) = clip(a + 1/2, 0, 1) = relu(a + 1/2) - relu(a - 1/2)",
        "both relu of f(−a), reflected",
        (hard + mirrored - 1, sp.S.Zero),
        (check(RELU_REFLECTION).name,),
    )
    yield Step(
        "tanh(a) + tanh(−a) - 1 = -1",
        "tanh is odd; so is softsign, with the same result",
        (Tanh(A) + TANH_ODD.right - 1, sp.S.NegativeOne),
        (check(TANH_ODD).name,),
    )
    yield Step(
        "relu(2) + relu(−2) - 1 = 1",
        "their values",
        (relu(sp.Integer(2)) + relu(sp.Integer(-2)) - 1, sp.S.One),
    )


@cache
def no_mirror(activation: str) -> Theorem:
    """With relu or tanh gates no parameters change the polarity.

    Args:
        activation: relu or tanh.
    Raises:
        ProofError: a step cannot be shown.
    """
    cases = {"relu": _relu_cases, "tanh": _tanh_cases}[activation]
    value, words = {"relu": (TWO, "2"), "tanh": (-sp.Rational(3, 5), "−3/5")}[activation]
    steps: list[Step] = []
    for target in Polarity:
        candidate = Polarity.UPDATE if target is Polarity.KEEP else Polarity.KEEP
        state, offset, products = cases(target)
        steps += in_case(
            f"target {target.value}, candidates {candidate.value}",
            _apart(new_state(target, value), new_state(candidate, G), state, offset, products, activation),
        )
    return Theorem(
        name=f"no-{activation}-gate-is-its-mirror",
        statement=f"With {activation} as the activation of the update gate, there is a GRU of each polarity "
        "that no parameters of the other polarity reproduce, with any number of units and any placement of "
        "the reset gate.",
        latex=rf"f = \{'mathrm{relu}' if activation == 'relu' else 'tanh'}:\quad "
        rf"\exists\,\theta\;\forall\,\theta'"
        r"\;\exists\,x, h:\; h^{\mathrm{keep}}(\theta; x, h) \neq h^{\mathrm{update}}(\theta'; x, h)",
        assumptions=(
            "the target has W_n = U_n = 0 and no bias of the candidate, so candidate = 0, and at one input "
            f"its gate is {words}; it is compared there, from one state, with all candidates",
            "g and candidate are gate and candidate state of the other cell, whatever its parameters; the "
            "candidate state is a hyperbolic tangent",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="One input and one state exclude all parameters at once. What is used of the gate is its "
        "range; softsign has that of tanh.",
        equations=(
            *equations({f"polarity {p.value}": (_update(p),) for p in Polarity}),
            ("notation", ("g: the update gate of the candidate cell",)),
        ),
    )


def _relu_cases(target: Polarity) -> tuple[sp.Expr, int, tuple[Product, ...]]:
    """The state; +1 if the target is above the candidates, else −1; the difference as a sum of products."""
    if target is Polarity.KEEP:
        return sp.S.One, 1, ((sp.S.One,), (G, 1 - CANDIDATE))
    return sp.S.One, -1, ((1 + CANDIDATE,), (G, 1 - CANDIDATE))


def _tanh_cases(target: Polarity) -> tuple[sp.Expr, int, tuple[Product, ...]]:
    if target is Polarity.KEEP:
        return TWO, -1, ((sp.Rational(1, 5),), (1 + CANDIDATE,), (1 - G, sp.S.One), (1 - G, 1 - CANDIDATE))
    return TWO, 1, ((sp.Rational(6, 5),), (1 - G, sp.S.One), (1 - G, 1 - CANDIDATE))


def _apart(
    target: sp.Expr,
    candidate: sp.Expr,
    state: sp.Expr,
    above: int,
    products: tuple[Product, ...],
    activation: str,
) -> tuple[Step, ...]:
    at_state = {H_PREV: state}
    ours, theirs = target.xreplace({**at_state, CANDIDATE: sp.S.Zero}), candidate.xreplace(at_state)
    inequalities = Inequalities()
    names = [check(lemma).name for lemma in (TANH_BELOW_ONE, TANH_ABOVE_MINUS_ONE)]
    inequalities.argue((1 - CANDIDATE, 1 + CANDIDATE), "a hyperbolic tangent is between −1 and 1", names)
    if activation == "relu":
        inequalities.given(G)
    else:
        inequalities.argue((1 - G,), "the gate is a hyperbolic tangent", names[:1])
    step = inequalities.show(
        above * (ours - theirs),
        *products,
        claim=f"h_new {'>' if above > 0 else '<'} h_new′ from h_prev = {state}",
    )
    if not inequalities.positive(above * (ours - theirs)):
        raise ProofError(f"'{step.claim}': expected a positive difference, it may be 0: {step.justification}")
    return tuple(inequalities.steps)
