"""When reset before converts into reset after exactly, for given weights: a condition on what U_n couples.

before   Σⱼ U_ij r_j h_j          after   r_i (Σⱼ U_ij h_j + c_i)

One row of U_n sees one gate under after, and the gate of every unit that it reads under before. So before
converts into after where all units that a row reads have the same gate; after into before where all units
that read a unit have the same. Gates are the same where their parameters are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import sympy as sp

from symgru.equations import Polarity, Reset, gru
from symgru.proof.lemmas import CONTRACTION_BILINEAR, SIGMOID_POSITIVE, TANH_INCREASING, check
from symgru.proof.polarity import EXACT
from symgru.proof.terms import Contraction, Normaliser, equations
from symgru.proof.theorem import Step, Theorem, in_case

U, U_PRIME, R, R_SHARED, H, T, C, DELTA = (
    sp.Symbol(name, real=True) for name in ("u_ij", "u_prime_ij", "r_j", "rho", "h_j", "t", "c_i", "delta")
)
MATRIX, STATE = sp.symbols("U_n h_prev", real=True)
FIRST, SECOND, ALPHA, BETA, GAMMA = sp.symbols("p q alpha beta gamma", real=True)
NAMES = (
    "u_ij: an element of U_n; u_prime_ij: of the other form; r_j, h_j: reset gate and state of a unit; rho: "
    "the gate that the units in question share; c_i: a c_n",
    "delta: b_n of the other form minus b_n; t: the state h_j, where all others are 0",
    "alpha, beta, gamma: exp of what three gates read beside W_r x + b_r; p, q: u_ij h_j for two units j",
)


@dataclass(frozen=True)
class Direction:
    """One of the two conversions, in words."""

    source: Reset
    target: Reset
    line: str
    units: str
    condition: str
    choice: str


BEFORE_TO_AFTER = Direction(
    Reset.BEFORE,
    Reset.AFTER,
    "row",
    "the units j with U_ij ≠ 0",
    "in every row i of U_n, all units j with U_ij ≠ 0 have the same reset parameters",
    "row i of after takes the reset parameters that its units j share, and c_n = 0",
)
AFTER_TO_BEFORE = Direction(
    Reset.AFTER,
    Reset.BEFORE,
    "column",
    "the units i with U_ij ≠ 0",
    "c_n = 0, and in every column j of U_n, all units i with U_ij ≠ 0 have the same reset parameters",
    "unit j of before takes the reset parameters that its units i share",
)


@cache
def converts_exactly(source: Reset | str) -> Theorem:
    """The exact condition under which a GRU of one placement is one of the other, before or after.

    Args:
        source: before (into after) or after (into before).
    Raises:
        ProofError: a step cannot be shown.
    """
    way = {Reset.BEFORE: BEFORE_TO_AFTER, Reset.AFTER: AFTER_TO_BEFORE}[Reset(source)]
    name = f"{way.source.value}-is-{way.target.value}-if-gates-are-shared"
    return Theorem(
        name=name,
        statement=f"A GRU with reset {way.source.value} is one with reset {way.target.value} if "
        f"{way.condition}. Where no row of W_r is 0 this is necessary: no parameters of reset "
        f"{way.target.value} with the same update gate do otherwise.",
        latex=r"\forall i:\; U_{ij}, U_{ik} \neq 0 \Rightarrow \rho_j = \rho_k"
        if way.source is Reset.BEFORE
        else r"c = 0,\; \forall j:\; U_{ij}, U_{kj} \neq 0 \Rightarrow \rho_i = \rho_k",
        assumptions=(
            f"reset parameters of a unit are its rows of W_r and U_r and its b_r; {way.choice}; all the "
            "other parameters, the inputs and the initial state are equal",
            "for the necessity: no row of W_r is 0; both have the same update gate for all x and h, any real "
            "numbers; all the other parameters of the second form are free",
            EXACT,
        ),
        steps=(*in_case("sufficient", _sufficient(way)), *in_case("necessary", _necessary(way))),
        conclusion=f"So both halves of the condition are about {way.units}: a diagonal U_n has one in every "
        f"{way.line}, and with one reset gate for all units any U_n will do (diagonal-recurrence, "
        "shared-reset-gate). Where U_n is dense, all units must share one reset gate.",
        equations=(
            *equations({f"reset {r.value}": gru(Polarity.KEEP, r).step for r in (Reset.BEFORE, Reset.AFTER)}),
            ("elements", NAMES),
        ),
    )


def _sufficient(way: Direction) -> Iterator[Step]:
    products = U * R * H, R_SHARED * U * H
    for condition, known in (("U_ij = 0", {U: sp.S.Zero}), ("r_j = rho", {R: R_SHARED})):
        left, right = (side.xreplace(known) for side in products)
        yield Step(
            f"{condition}: u_ij*r_j*h_j = rho*u_ij*h_j", "one of the two holds for every unit", (left, right)
        )
    normalise = Normaliser(shared=frozenset({R_SHARED}))
    taken_out = normalise(Contraction(MATRIX, R_SHARED * STATE))
    yield Step(
        "Σⱼ U_ij rho h_j = rho Σⱼ U_ij h_j",
        "a number leaves a sum over units",
        (taken_out, R_SHARED * Contraction(MATRIX, STATE)),
        (check(CONTRACTION_BILINEAR).name,),
    )
    yield Step(
        "the pre-activations of the candidate are equal at every step, so the states are",
        f"gates with the same parameters are equal, and {way.choice}; induction over time, from the first "
        "step to the last: a step that is entered by equal states is left by equal states",
    )


def _necessary(way: Direction) -> Iterator[Step]:
    yield Step(
        "the pre-activations of the candidate are equal for all x and h_prev",
        "equal states with the same update gate need equal candidates, and tanh takes no value twice",
        lemmas=(check(TANH_INCREASING).name,),
    )
    yield from _one_state(way)
    yield from _two_states(way)


def _one_state(way: Direction) -> Iterator[Step]:
    """h = t in unit j alone, and x to both ends of a line on which what the gate reads grows."""
    yield Step(
        "W_n and W_n′ are equal along every line of x",
        "the rest of the pre-activations is bounded there, for h_prev = t in unit j and 0 elsewhere",
    )
    before = way.source is Reset.BEFORE
    own = T * U + (sp.S.Zero if before else C)  # what the gate of the source multiplies
    other = T * U_PRIME + (C if before else sp.S.Zero)  # that of the target
    ends = {
        "opens with it": (1, 0),
        "opens where it closes": (0, 1),
        "is constant, rho,": (R_SHARED, R_SHARED),
    }
    for words, (opened, closed) in ends.items():
        at_open, at_closed = own - DELTA - opened * other, -DELTA - closed * other
        difference = sp.expand(at_open - at_closed)
        yield Step(
            f"the other gate {words}: {difference} = 0 for all t",
            "the limits at the end where the gate opens, minus those where it closes",
            (at_open - at_closed, own - (opened - closed) * other),
        )
    yield Step(
        "u_prime_ij = u_ij and c_i = 0 wherever u_ij ≠ 0, and the gates open together",
        "comparison of coefficients of t: a constant gate leaves u_ij = 0; one that opens where the first "
        "closes leaves u_ij + u_prime_ij = 0, and at the closed end u_prime_ij = 0",
    )
    if not before:
        at_zero = (own - DELTA - other).xreplace({T: sp.S.Zero})
        yield Step(
            "c_i = 0 in every row",
            "the limits for h_prev = 0, where the other form has no gate",
            (at_zero + DELTA, C),
        )
    yield Step(
        "the two gates read the same number for all x and t: W_r, b_r and the weight of h_j agree",
        "σ takes no value twice, and t*u_ij is not 0",
        lemmas=(check(SIGMOID_POSITIVE).name,),
    )


def _two_states(way: Direction) -> Iterator[Step]:
    """Two states that are not 0: three gates with one x-part, as power series in the exponential of it."""
    yield Step(
        "p*alpha + q*beta = (p + q)*gamma and p*alpha**2 + q*beta**2 = (p + q)*gamma**2",
        f"h_prev is not 0 in two units; along W_r x → −∞ the three gates of the {way.line} are power series "
        "in exp(W_r x + b_r), σ(a) = e^a − e^(2a) + …, and equal series have equal coefficients",
    )
    total = FIRST + SECOND
    first, second = FIRST * ALPHA + SECOND * BETA, FIRST * ALPHA**2 + SECOND * BETA**2
    yield Step(
        "p*q*(alpha - beta)**2 = 0",
        "(p + q) times the second left side minus the square of the first; for the right sides it is 0",
        (total * second - first**2, FIRST * SECOND * (ALPHA - BETA) ** 2),
    )
    yield Step(
        "the same for the right sides",
        "they have one gamma",
        (total * (total * GAMMA**2) - (total * GAMMA) ** 2, sp.S.Zero),
    )
    yield Step(
        f"the rows of U_r agree for {way.units}",
        "p, q and p + q are not 0 for almost all states, so alpha = beta = gamma: the gates read the same of "
        "both states. A further state h_k with an element 0 in place of u_ik changes alpha and gamma alone "
        "(q = 0), so the gates read the same of it too",
    )
