"""How many biases a GRU has: which storage forms are the same model, and which are not.

6H  every product with U has a bias of its own, b_k + c_k
4H  b_r, b_z, b_n, and under reset after c_n, inside the reset gate
3H  one for each gate; under reset after c_n = 0
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache

import sympy as sp

from symgru.cells import gru_with_biases
from symgru.derivation import Loop, backward, cotangent
from symgru.equations import Polarity, Program, Reset, gru, sigmoid
from symgru.equations.gru import B_N, B_R, B_Z, C_N, U_R, W_N, W_R, W_Z
from symgru.proof.conversions import (
    NONZERO,
    Candidates,
    Case,
    Limit,
    Signs,
    Target,
    copied,
    exclude,
    opposite,
    unmoved,
)
from symgru.proof.germs import constant
from symgru.proof.polarity import EXACT, keep_is_update, published
from symgru.proof.simulation import Relation, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case
from symgru.proof.training import DECAY, GRADIENT, MOMENTUM, PARAMETER, RATE

C_R, C_Z = (sp.Symbol(name, real=True) for name in ("c_r", "c_z"))
RECURRENT = (C_R, C_Z, C_N)
SUMS: Relation = {B_R: B_R + C_R, B_Z: B_Z + C_Z, B_N: B_N + C_N}
GATE_SUMS: Relation = {symbol: SUMS[symbol] for symbol in (B_R, B_Z)}
NONE = sp.S.Zero


def _pairs(placements: tuple[Reset, ...]) -> Iterator[tuple[str, Loop, Loop]]:
    """A title, the GRU with six biases, and the one as `symgru.equations.gru` has it, in both polarities."""
    for polarity in Polarity:
        for reset in placements:
            title = f"polarity {polarity.value}, reset {reset.value}"
            yield title, published(gru_with_biases(polarity, reset, 6)), published(gru(polarity, reset))


def _merged(name: str, placements: tuple[Reset, ...], sums: Relation, few: str, words: str) -> Theorem:
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for title, six, other in _pairs(placements):
        programs[f"six biases, {title}"] = six.step
        steps += in_case(f"{title}, six biases are {few}", simulate_loop(six, other, sums, inline=True).steps)
        unused = {c: NONE for c in RECURRENT if c not in other.step.inputs}
        back = simulate_loop(other, six, unused, inline=True)
        steps += in_case(f"{title}, {few} are six", back.steps)
    where = " and ".join(f"reset {reset.value}" for reset in placements)
    kept = "" if B_N in sums else ", c_n stays"
    added = ", ".join(str(c) for b, c in zip((B_R, B_Z, B_N), RECURRENT, strict=True) if b in sums)
    return Theorem(
        name=name,
        statement=f"With {where}, six biases are {few}: {words}, and back with c = 0 for what {few} do not "
        "have, in both polarities.",
        latex=r"\theta' = (b_k + c_k)_k \;\Rightarrow\; h'_t = h_t\quad\text{for all } t",
        assumptions=(
            f"from six to {few}: (b_k)′ = b_k + c_k{kept}; from {few} to six: (b_k)′ = b_k, and what is new "
            "is 0; all the other parameters, the inputs and the initial state are equal; primes mark the "
            "second form",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="The states depend on the sums alone, so all six-bias forms with equal sums are one "
        f"model; the one with {added} = 0 is the canonical choice. Not so for training: "
        "two-biases-double-the-step.",
        equations=equations(programs),
    )


@cache
def six_are_three() -> Theorem:
    """Before and whole: 6H is 3H, b_k + c_k for all three.

    Raises:
        ProofError: a step cannot be shown.
    """
    words = "b_r + c_r, b_z + c_z and b_n + c_n"
    return _merged("six-biases-are-three", (Reset.BEFORE, Reset.WHOLE), SUMS, "three", words)


@cache
def six_are_four() -> Theorem:
    """After: 6H is 4H, b_r + c_r, b_z + c_z, b_n and c_n.

    Raises:
        ProofError: a step cannot be shown.
    """
    words = "b_r + c_r, b_z + c_z, b_n and c_n"
    return _merged("six-biases-are-four", (Reset.AFTER,), GATE_SUMS, "four", words)


@cache
def constant_reset_absorbs() -> Theorem:
    """After: where the reset gate is constant, c_n can be put into b_n; in particular where c_n = 0.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    still: Relation = {W_R: NONE, U_R: NONE}
    for polarity in Polarity:
        four = gru(polarity, Reset.AFTER)
        three = published(gru_with_biases(polarity, Reset.AFTER, 3))
        programs[f"polarity {polarity.value}"] = four.step
        for title, given, relation in (
            ("c_n = 0", {C_N: NONE}, {}),
            ("constant reset gate", still, {B_N: B_N + sigmoid(B_R) * C_N, **still}),
        ):
            result = simulate_loop(published(four), three, relation, given=given, inline=True)
            steps += in_case(f"polarity {polarity.value}, {title}", result.steps)
    return Theorem(
        name="four-biases-are-three-if",
        statement="With reset after, four biases are three if c_n = 0, or if the reset gate is constant (W_r "
        "= 0 and U_r = 0), with b_n + σ(b_r) c_n for b_n.",
        latex=r"W_r = 0,\; U_r = 0 \;\Rightarrow\; b_n + r \odot (U_n h + c_n) = (b_n + \sigma(b_r) \odot "
        r"c_n) + r \odot U_n h",
        assumptions=(
            "c_n = 0; or W_r = 0 and U_r = 0, and (b_n)′ = b_n + σ(b_r) c_n",
            "all the other parameters, the inputs and the initial state are equal; primes mark the "
            "three-bias form",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Unit by unit: the equation of a unit has its own c_n and its own row of W_r and U_r, so "
        "the two conditions may be mixed. Where neither holds: no-three-biases-are-four.",
        equations=equations(programs),
    )


class _WithoutC(Candidates):
    """The GRUs with reset after and c_n = 0."""

    def __init__(self, reset: Reset, units: int, signs: Signs):
        super().__init__(reset, units, signs)
        self._values[C_N] = [constant(NONE)] * units


@cache
def no_three_are_four() -> Theorem:
    """After: some GRU with c_n ≠ 0 is no GRU with c_n = 0, whatever the parameters.

    Raises:
        ProofError: a step cannot be shown.
    """
    one = sp.S.One
    target = Target(Reset.AFTER, 1, {W_R: ((1,),), C_N: ((1,),)})
    origin, moved = (NONE,), (one,)

    def signs(**given: int) -> Signs:
        return {s: (given.get(str(s)),) for s in (W_Z, W_N, W_R)}

    cases = (
        *(Case(signs(W_z=s), copied(Limit(0, s, moved))) for s in NONZERO),
        *(Case(signs(W_z=0, W_n=s), opposite(0, origin)) for s in NONZERO),
        Case(signs(W_z=0, W_n=0), unmoved(0, origin)),
    )
    steps = exclude(target, Reset.AFTER, cases, _WithoutC)
    return Theorem(
        name="no-three-biases-are-four",
        statement="With reset after, there is a GRU with c_n ≠ 0 that no parameters with c_n = 0 reproduce, "
        "in either polarity and with the same number of units: one unit with c_n = 1 and a reset gate that "
        "depends on x. So four or six biases are not three.",
        latex=r"\exists\,\theta\;\forall\,\theta',\, c'_n = 0\;\exists\,x, h:\; h(\theta; x, h) \neq "
        r"h(\theta'; x, h)",
        assumptions=(
            "both take the same input x and the same state h, any real numbers; one input and one unit, with "
            "more of them the others are 0",
            EXACT,
        ),
        premises=(keep_is_update(Reset.AFTER).name,),
        steps=steps,
        conclusion="From h = 0 a candidate without c_n does not see its reset gate, and the target does. The "
        "cases cover every sign of the weights of x, so none of the candidates is the target.",
        equations=(
            *equations({"reset after": gru("keep", Reset.AFTER).step}),
            ("the target", (str(target),)),
            (
                "notation",
                (
                    "L1(+; 0) is the new state of unit 1 for x → +∞ from the state 0; L1(−; 0) for x → −∞",
                    "U_r_11, U_z_11, U_n_11, b_r_1, b_z_1, b_n_1: the elements of unit 1",
                ),
            ),
        ),
    )


@cache
def two_biases_double_the_step() -> Theorem:
    """Two biases of one sum have equal gradients, so an optimiser moves the sum twice.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for reset in Reset:
        six, other = (backward(published(c)) for c in (gru_with_biases("keep", reset, 6), gru("keep", reset)))
        sums = GATE_SUMS if reset is Reset.AFTER else SUMS
        programs[f"six biases, reset {reset.value}, backwards"] = six.step
        result = simulate_loop(six, other, sums, {cotangent(b): cotangent(b) for b in sums})
        _check_equal_gradients(result.steps, sums)
        steps += in_case(f"reset {reset.value}", result.steps)
    return Theorem(
        name="two-biases-double-the-step",
        statement="Two biases that occur as a sum, b_k and c_k, have equal gradients, equal to that of the "
        "merged bias: a step of SGD on both moves the sum by twice what it moves the merged bias, and a step "
        "of any optimiser that acts on each element alone by twice what it moves one of them.",
        latex=r"\nabla_{c_k}\mathcal{L} = \nabla_{b_k}\mathcal{L} = \nabla_{b_k + c_k}\mathcal{L},\qquad "
        r"(b_k - \eta g) + (c_k - \eta g) = (b_k + c_k) - 2\eta g",
        assumptions=(
            "b_k and c_k for k = r and z, and for n with reset before and whole; polarity keep; primes mark "
            "the merged form",
            "the loss is the same differentiable function of the outputs; both states of the optimiser start "
            "equal",
            EXACT,
        ),
        premises=(six_are_three().name, six_are_four().name),
        steps=(*steps, *_doubled()),
        conclusion="The forms compute the same functions and do not train alike: for SGD, with momentum too, "
        "two biases are one with twice the learning rate.",
        equations=(
            *equations(programs),
            (
                "one element",
                (
                    "theta: b_k; theta_c: c_k; g: the gradient of both; lr, mu, lambda: as in "
                    "training-mirrors-sgd",
                    "b, b_c: the buffers of the momentum of b_k and c_k, b_sum: their sum",
                ),
            ),
        ),
    )


def _check_equal_gradients(steps: Collection[Step], sums: Relation) -> None:
    """The gradient of the recurrent bias is among the values that repeat another one."""
    for offset, total in sums.items():
        (recurrent,) = total.free_symbols - {offset}
        claim = f"{cotangent(recurrent)} = {cotangent(offset)}"
        if not any(step.claim in (claim, " = ".join(reversed(claim.split(" = ")))) for step in steps):
            raise ProofError(f"expected a step that shows {claim}, there is none")


def _doubled() -> Iterator[Step]:
    """The sum of two SGD steps with one gradient."""
    other, first, second = sp.symbols("theta_c b b_c", real=True)
    total = PARAMETER + other
    yield Step(
        "without momentum: (b_k + c_k)_new = (b_k + c_k) − 2 lr g",
        "both are moved by −lr g",
        ((PARAMETER - RATE * GRADIENT) + (other - RATE * GRADIENT), total - 2 * RATE * GRADIENT),
    )
    buffers = (MOMENTUM * first + GRADIENT) + (MOMENTUM * second + GRADIENT)
    yield Step(
        "with momentum: the sum of the buffers is that of a gradient 2 g",
        "both buffers are moved by the same rule",
        (buffers, MOMENTUM * (first + second) + 2 * GRADIENT),
    )
    decayed = sum(p - RATE * (GRADIENT + DECAY * p) for p in (PARAMETER, other))
    yield Step(
        "weight decay of both is weight decay of the sum",
        "it is linear",
        (decayed, total - RATE * (2 * GRADIENT + DECAY * total)),
    )
