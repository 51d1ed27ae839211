"""The polarity of published cells other than the GRU, and of the values that training starts from."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import Polarity, Program, Reset, gru
from symgru.equations.gru import B_Z, U_Z, W_Z
from symgru.proof.evaluation import DIGITS
from symgru.proof.polarity import EXACT, keep_is_update, published
from symgru.proof.refutations import SIZES, enclose, fractions
from symgru.proof.shared_gates import negative
from symgru.proof.simulation import simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import Step, Theorem, in_case
from symgru.proof.witness import Refutation, Witness

#: The parameters of the update gate, for cells whose update gate does nothing but mix; those with layer norm
#: are in `symgru.proof.normalisation`.
UPDATE_GATES: Mapping[str, str] = {
    "mingru": "W_z",
    "mingru_log": "W_z",
    "ligru": "W_z U_z b_z",
    "ugrnn": "W_z U_z b_z",
    "lightru": "W_f U_f b_f",
    "gru1": "U_z b_z",
    "gru2": "U_z",
    "gru3": "b_z",
    "mut1": "W_z b_z",
    "mut2": "W_z U_z b_z",
    "mut3": "W_z U_z b_z",
    "peephole_gru": "W_z U_z P_z b_z",
    "gru_d": "W_z U_z V_z b_z",
}


@cache
def cells_mirror() -> Theorem:
    """Every cell whose update gate only mixes changes its polarity with the sign of what the gate reads.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for name, parameters in UPDATE_GATES.items():
        one, other = published(CELLS[name]()), published(FLIPPED[name]())
        programs[name] = one.step
        signs = {symbol: -symbol for symbol in one.step.parameters if str(symbol) in parameters.split()}
        steps += in_case(
            f"{name}, ({', '.join(parameters.split())}) negated", simulate_loop(one, other, signs).steps
        )
    return Theorem(
        name="keep-is-update-cells",
        statement="The polarity of a published cell whose update gate does nothing but mix changes with the "
        f"sign of the parameters of that gate: {', '.join(UPDATE_GATES)}.",
        latex=r"h^{\mathrm{update}}_t(-\theta_z, \theta) = h^{\mathrm{keep}}_t(\theta_z, "
        r"\theta)\quad\text{for all } t",
        assumptions=(
            "the parameters that the case names are negated, all the others, the inputs and the initial "
            "state are equal; primes mark the other polarity",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Cells whose gate has a second job: no-mgu-is-its-mirror, no-augru-paper-is-code, "
        "fastgrnn-is-not-mirrored, p-norm-is-not-mirrored.",
        equations=equations(programs),
    )


@cache
def mirrored_start() -> Theorem:
    """A gate bias that starts at 1 in one polarity has to start at −1 in the other.

    Raises:
        ProofError: a step cannot be shown.
    """
    one = sp.S.One
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for reset in Reset:
        keep, update = (published(gru(polarity, reset)) for polarity in (Polarity.KEEP, Polarity.UPDATE))
        programs[f"polarity keep, reset {reset.value}"] = keep.step
        start = simulate_loop(keep, update, {W_Z: -W_Z, U_Z: -U_Z, B_Z: -one}, given={B_Z: one})
        steps += in_case(f"reset {reset.value}", start.steps)
    steps.append(
        Step(
            "a draw of W_z and U_z that is symmetric about 0 starts both polarities alike",
            "then −W_z and −U_z have the distribution of W_z and U_z, so nothing has to be changed for them",
        )
    )
    return Theorem(
        name="gate-bias-starts-mirrored",
        statement="A GRU of polarity keep whose update gate starts with the bias 1, as in TensorFlow 1, is "
        "one of polarity update whose gate starts with −1, with W_z and U_z negated; draws of W_z and U_z "
        "that are symmetric about 0 need no change.",
        latex=r"b_z = 1 \;\mapsto\; b_z = -1",
        assumptions=(
            "b_z is 1 in polarity keep and −1 in update; (W_z, U_z)′ = −(W_z, U_z); all the other "
            "parameters, the inputs and the initial state are equal; primes mark update",
            EXACT,
        ),
        premises=tuple(keep_is_update(reset).name for reset in Reset),
        steps=tuple(steps),
        conclusion="From there on training-mirrors keeps them one model. With 1 in both: "
        "gate-bias-start-is-not-mirrored.",
        equations=equations(programs),
    )


def unmirrored_start() -> Refutation:
    """With the bias 1 of the update gate in both polarities, they are two models.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    left, right = (gru(polarity, Reset.BEFORE).step for polarity in (Polarity.KEEP, Polarity.UPDATE))
    values = fractions(left.inputs, SIZES) | {B_Z: [sp.S.One] * SIZES["H"]}
    mirrored = values | {symbol: negative(values[symbol]) for symbol in (W_Z, U_Z)}
    witness = Witness(
        sizes=SIZES,
        values={str(symbol): value for symbol, value in values.items()},
        left=enclose(left, values),
        right=enclose(right, mirrored),
        digits=DIGITS,
    )
    return Refutation(
        "gate-bias-start-is-not-mirrored",
        "Polarity keep with an update gate that starts with the bias 1 is not polarity update with (W_z, "
        "U_z) negated and the same bias 1: in one the state is kept at first, in the other it is replaced.",
        r"h^{\mathrm{keep}}(b_z = 1) \neq h^{\mathrm{update}}(b_z = 1)",
        "polarity keep",
        "polarity update",
        witness,
        (left, right),
        {W_Z: -W_Z, U_Z: -U_Z},
    )
