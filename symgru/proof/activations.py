"""Gates that are not σ(Wx + Uh + b): fixed offsets, hard sigmoids, clipped pre-activations."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import (
    Cell,
    Pointwise,
    Polarity,
    Program,
    Reset,
    Statement,
    bias,
    gru,
    relu,
    sigmoid,
)
from symgru.equations.gru import (
    B_R,
    B_Z,
    CANDIDATE,
    HIDDEN,
    U_R,
    U_Z,
    UPDATE_GATE,
    W_R,
    W_Z,
)
from symgru.proof.polarity import EXACT, MIRRORED, published
from symgru.proof.refutations import refute
from symgru.proof.simulation import Relation, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case
from symgru.proof.witness import Refutation

OFFSET, ALPHA, BETA, LIMIT = (sp.Symbol(name, real=True) for name in ("offset", "alpha", "beta", "limit"))
GATES = ("reset", "update")
HALF = sp.Rational(1, 2)


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


def rewritten(cell: Cell, images: Mapping[sp.Symbol, tuple[Statement, ...]], *parameters: sp.Symbol) -> Loop:
    """The loop of a cell with other statements for some values, and further parameters [H]."""
    statements = [new for s in cell.step for new in images.get(s.target, (s,))]
    inputs = dict(cell.step.inputs) | {p: bias(HIDDEN) for p in parameters}
    return Loop(cell.name, Program(inputs, tuple(statements), cell.step.outputs), cell.carry)


def with_offset(cell: Cell) -> Loop:
    """The cell with a fixed number d for each unit added to what the update gate reads: σ(… + d)."""
    preactivation = _symbol("update_preactivation")
    old = cell.step.definition(preactivation)
    if not isinstance(old, Pointwise):
        raise ProofError(f"cell {cell.name}: expected a pointwise {preactivation}, got {old}")
    return rewritten(cell, {preactivation: (Pointwise(preactivation, old.expression + OFFSET),)}, OFFSET)


def with_hard_gates(cell: Cell, alpha: sp.Expr = ALPHA, beta: sp.Expr = BETA) -> Loop:
    """The cell with gates clip(αa + β, 0, 1) = relu(αa + β) − relu(αa + β − 1)."""
    images = {}
    for gate in GATES:
        value, scaled, argument = (_symbol(f"{gate}_{part}") for part in ("gate", "scaled", "preactivation"))
        clipped = relu(scaled) - relu(scaled - 1)
        images[value] = (Pointwise(scaled, alpha * argument + beta), Pointwise(value, clipped))
    return rewritten(cell, images, *sorted(alpha.free_symbols | beta.free_symbols, key=str))


def with_clipping(cell: Cell, lower: sp.Expr = -LIMIT, upper: sp.Expr = LIMIT) -> Loop:
    """The cell with all pre-activations clipped: lower + relu(a − lower) − relu(a − upper)."""
    images = {}
    for target, function in ((_symbol("reset_gate"), sigmoid), (UPDATE_GATE, sigmoid), (CANDIDATE, sp.tanh)):
        name = str(target).removesuffix("_gate")
        argument, clipped = _symbol(f"{name}_preactivation"), _symbol(f"{name}_clipped")
        bounded = lower + relu(argument - lower) - relu(argument - upper)
        images[target] = (Pointwise(clipped, bounded), Pointwise(target, function(clipped)))
    return rewritten(cell, images, *sorted(lower.free_symbols | upper.free_symbols, key=str))


@cache
def gate_offset() -> Theorem:
    """Keep and update with a fixed offset in the update gate: (b_z + d) becomes −(b_z + d).

    Raises:
        ProofError: a step cannot be shown.
    """
    signs: Relation = {W_Z: -W_Z, U_Z: -U_Z}
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for reset in Reset:
        keep, update = (gru(polarity, reset) for polarity in (Polarity.KEEP, Polarity.UPDATE))
        programs[f"polarity keep, reset {reset.value}"] = with_offset(keep).step
        for title, other, image in (
            ("offset in both", with_offset(update), -B_Z - 2 * OFFSET),
            ("offset in keep", published(update), -(B_Z + OFFSET)),
        ):
            result = simulate_loop(with_offset(keep), other, {**signs, B_Z: image})
            steps += in_case(f"reset {reset.value}, {title}", result.steps)
    return Theorem(
        name="keep-is-update-with-offset",
        statement="With a fixed offset d in the update gate, σ(W_z x + U_z h + b_z + d), the polarities are "
        "one model: (W_z, U_z) are negated, and b_z + d becomes −(b_z + d); that is b_z′ = −b_z − 2 d if "
        "update has the same offset, and −(b_z + d) if it has none.",
        latex=r"b_z + d \;\mapsto\; -(b_z + d)",
        assumptions=(
            "d is the same number for a unit at all steps; it may differ from unit to unit",
            "(W_z, U_z)′ = −(W_z, U_z); all the other parameters, the inputs and the initial state are "
            "equal; primes mark update",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="DreamerV3 has d = −1: there b_z becomes 2 − b_z, or 1 − b_z where the other form has no "
        "offset.",
        equations=equations(programs),
    )


@cache
def hard_gates() -> Theorem:
    """Keep and update with hard sigmoids clip(αa + β): the bias has to be shifted by (1 − 2β)/α.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    relation: Relation = {W_Z: -W_Z, U_Z: -U_Z, B_Z: -B_Z + (1 - 2 * BETA) / ALPHA}
    for reset in Reset:
        keep, update = (with_hard_gates(gru(p, reset)) for p in (Polarity.KEEP, Polarity.UPDATE))
        programs[f"polarity keep, reset {reset.value}"] = keep.step
        steps += in_case(f"reset {reset.value}", simulate_loop(keep, update, relation, inline=True).steps)
    return Theorem(
        name="keep-is-update-hard-sigmoid",
        statement="With hard sigmoid gates clip(αa + β, 0, 1) the polarities are one model: (W_z, U_z) are "
        "negated, and b_z becomes −b_z + (1 − 2β)/α; for β = 1/2 that is −b_z.",
        latex=r"f(a) = \mathrm{clip}(\alpha a + \beta, 0, 1):\quad f(-a + \tfrac{1 - 2\beta}{\alpha}) = 1 - "
        r"f(a)",
        assumptions=(
            "α ≠ 0; α and β are the same in both, and may differ from unit to unit",
            "(W_z, U_z)′ = −(W_z, U_z), b_z′ = −b_z + (1 − 2β)/α; all the other parameters, the inputs and "
            "the initial state are equal; primes mark update",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Keras has β = 1/2, ONNX any α and β.",
        equations=equations(programs),
    )


@cache
def clipped() -> Theorem:
    """Keep and update with pre-activations clipped from −c to c.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for reset in Reset:
        keep, update = (with_clipping(gru(p, reset)) for p in (Polarity.KEEP, Polarity.UPDATE))
        programs[f"polarity keep, reset {reset.value}"] = keep.step
        steps += in_case(f"reset {reset.value}", simulate_loop(keep, update, MIRRORED).steps)
    return Theorem(
        name="keep-is-update-clipped",
        statement="With pre-activations clipped from −c to c, as ONNX and Core ML have it, the polarities "
        "are one model when (W_z, U_z, b_z) are negated.",
        latex=r"\mathrm{clip}(-a, -c, c) = -\mathrm{clip}(a, -c, c)",
        assumptions=(
            "c is the same in both; clip(a) = relu(a + c) − relu(a − c) − c",
            "(W_z, U_z, b_z)′ = −(W_z, U_z, b_z), all the other parameters, the inputs and the initial state "
            "are equal; primes mark update",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="A symmetric clip is odd, so the negative pre-activation is clipped to the negative.",
        equations=equations(programs),
    )


@cache
def keras_hard_sigmoid() -> Theorem:
    """Keras 2 clips 0.2 a + 0.5, Keras 3 clips a/6 + 0.5: six fifths of what the gates read.

    Raises:
        ProofError: a step cannot be shown.
    """
    factor = sp.Rational(6, 5)
    relation = {s: factor * s for s in (W_R, U_R, B_R, W_Z, U_Z, B_Z)}
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for reset in (Reset.BEFORE, Reset.AFTER):
        second, third = _keras(reset)
        programs[f"Keras 2, reset {reset.value}"] = second.step
        steps += in_case(f"reset {reset.value}", simulate_loop(second, third, relation, inline=True).steps)
    return Theorem(
        name="keras-2-is-keras-3",
        statement="A GRU with the hard sigmoid of Keras 2, clip(a/5 + 1/2), is one with that of Keras 3, "
        "clip(a/6 + 1/2), when the weights and biases of both gates are multiplied by 6/5.",
        latex=r"\mathrm{clip}(\tfrac{1}{5}a + \tfrac12) = \mathrm{clip}(\tfrac{1}{6}\cdot\tfrac{6}{5}a + "
        r"\tfrac12)",
        assumptions=(
            "(W, U, b)′ = 6/5 (W, U, b) for r and z; all the other parameters, the inputs and the initial "
            "state are equal; primes mark Keras 3",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Without the factor: keras-2-is-not-keras-3-unscaled.",
        equations=equations(programs),
    )


def _keras(reset: Reset) -> tuple[Loop, Loop]:
    cell = gru(Polarity.KEEP, reset)
    second, third = (with_hard_gates(cell, sp.Rational(1, n), HALF) for n in (5, 6))
    return second, third


def keras_unscaled() -> Refutation:
    """The same weights under the two hard sigmoids are two models.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    second, third = _keras(Reset.BEFORE)
    return refute(
        "keras-2-is-not-keras-3-unscaled",
        second.step,
        third.step,
        ("clip(a/5 + 1/2)", "clip(a/6 + 1/2)"),
        "A GRU with the hard sigmoid of Keras 2 and one with that of Keras 3, with the same weights, are "
        "different functions.",
        r"h^{\mathrm{Keras\,2}}(\theta) \neq h^{\mathrm{Keras\,3}}(\theta)",
    )
