"""Polarity under normalisation: what has to change its sign, and what must not; batch norm in the weights.

Joint layer norm runs over the units of all gates, so the sign of one block changes mean and variance of all:
the gain and the shift of the block change their sign, not the weights before the norm.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import Cell, CellBuilder, Polarity, Program, sigmoid, tanh
from symgru.proof.polarity import EXACT, published
from symgru.proof.shared_gates import refute_with
from symgru.proof.simulation import Relation, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import Step, Theorem, in_case
from symgru.proof.witness import Refutation

EPSILON = sp.Rational(1, 100_000)
BATCH_NORM = ("gain", "shift", "mean", "inverse")


def _symbols(names: str) -> tuple[sp.Symbol, ...]:
    return tuple(sp.Symbol(name, real=True) for name in names.split())


def _negated(names: str) -> Relation:
    return {symbol: -symbol for symbol in _symbols(names)}


@cache
def joint_layer_norm() -> Theorem:
    """Joint layer norm: the gain and the shift of the update gate change their sign.

    Raises:
        ProofError: a step cannot be shown.
    """
    b_z = sp.Symbol("b_z", real=True)
    relations: Mapping[str, Relation] = {
        "haste_layernorm_gru": _negated("gain_W_z gain_U_z b_z c_z"),
        "dreamer_gru": {**_negated("gain_z"), b_z: 2 - b_z},
    }
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for name, relation in relations.items():
        one, other = published(CELLS[name]()), published(FLIPPED[name]())
        programs[CELLS[name]().title] = one.step
        steps += in_case(name, simulate_loop(one, other, relation).steps)
    return Theorem(
        name="keep-is-update-layer-norm",
        statement="With one layer norm over all gates, the polarities are one model when the gain and the "
        "shift after the norm are negated for the update gate, and its weights are not: in the GRU of Haste "
        "(gain_W_z, gain_U_z, b_z, c_z), in that of DreamerV3 gain_z, and b_z becomes 2 − b_z because of its "
        "offset −1.",
        latex=r"(\gamma_z, \beta_z) \mapsto -(\gamma_z, \beta_z),\quad (W_z, U_z) \mapsto (W_z, U_z)",
        assumptions=(
            "all the other parameters, the weights of the update gate too, the inputs and the initial state "
            "are equal; primes mark the other polarity",
            "the number under the root is positive: a variance plus ε",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="The norm sees the same products, so it gives the same values, and gain and shift turn "
        "the sign of what the gate reads. Negating the weights instead: "
        "layer-norm-is-not-mirrored-by-weights.",
        equations=equations(programs),
    )


def weights_negated() -> Refutation:
    """Joint layer norm: negating the weights of the update gate does not change the polarity.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    name = "haste_layernorm_gru"
    return refute_with(
        "layer-norm-is-not-mirrored-by-weights",
        (CELLS[name](), FLIPPED[name]()),
        ("W_z", "U_z", "b_z", "c_z"),
        ("polarity keep", "polarity update"),
        "With one layer norm over all gates, polarity keep is not polarity update with (W_z, U_z) and the "
        "shifts of the gate negated: mean and variance over all gates are others.",
    )


def layer_norm_per_gate(polarity: Polarity) -> Cell:
    """A gated cell whose gate and candidate are normalised each on its own.

    z = σ(LN(W_z x + U_z h) γ_z + b_z),   n = tanh(LN(W_n x + U_n h) γ_n + b_n)
    """
    cell = CellBuilder("layer_norm_per_gate", f"layer norm for each gate, polarity {polarity.value}")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    values = []
    for gate, function in (("z", sigmoid), ("n", tanh)):
        W, U = cell.weight(f"W_{gate}", "H", "I"), cell.weight(f"U_{gate}", "H", "H")
        gain, shift = cell.bias(f"gain_{gate}", "H"), cell.bias(f"b_{gate}", "H")
        (normal,) = cell.layer_norm(f"normalised_{gate}", [W @ x + U @ h], EPSILON)
        values.append(cell.let(f"gate_{gate}", function(normal * gain + shift)))
    z, n = values
    cell.update(h, z * h + (1 - z) * n if polarity is Polarity.KEEP else (1 - z) * h + z * n)
    return cell.build()


def batch_norm(polarity: Polarity) -> Cell:
    """A gated cell with batch norm of W x as at inference: running mean μ and s = 1/√(v + ε) are parameters.

    z = σ((W_z x − μ_z) γ_z s_z + β_z + U_z h + b_z), and the candidate likewise
    """
    cell = CellBuilder("batch_norm", f"batch norm at inference, polarity {polarity.value}")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    values = []
    for gate, function in (("z", sigmoid), ("n", tanh)):
        W, U, offset = (
            cell.weight(f"W_{gate}", "H", "I"),
            cell.weight(f"U_{gate}", "H", "H"),
            cell.bias(f"b_{gate}", "H"),
        )
        gain, shift, middle, inverse = (cell.bias(f"{name}_{gate}", "H") for name in BATCH_NORM)
        from_x = cell.let(f"{gate}_from_x", W @ x)
        values.append(
            cell.let(f"gate_{gate}", function((from_x - middle) * gain * inverse + shift + U @ h + offset))
        )
    z, n = values
    cell.update(h, z * h + (1 - z) * n if polarity is Polarity.KEEP else (1 - z) * h + z * n)
    return cell.build()


@cache
def separate_norms() -> Theorem:
    """Norms of one gate alone, and batch norm: gain and shift, or the weights, change their sign.

    Raises:
        ProofError: a step cannot be shown.
    """
    cases = (
        ("layer norm for each gate, gain", layer_norm_per_gate, "gain_z b_z"),
        ("layer norm for each gate, weights", layer_norm_per_gate, "W_z U_z b_z"),
        ("batch norm, gain", batch_norm, "gain_z shift_z U_z b_z"),
        ("batch norm, weights and mean", batch_norm, "W_z mean_z shift_z U_z b_z"),
    )
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for title, make, names in cases:
        keep, update = (published(make(polarity)) for polarity in (Polarity.KEEP, Polarity.UPDATE))
        programs[keep.name] = keep.step
        steps += in_case(
            f"{title}: ({', '.join(names.split())}) negated",
            simulate_loop(keep, update, _negated(names)).steps,
        )
    return Theorem(
        name="keep-is-update-separate-norms",
        statement="With a layer norm for each gate, or batch norm with fixed mean and variance, the "
        "polarities are one model when gain and shift of the update gate are negated; or, in place of the "
        "gain, the weights before the norm, with batch norm also the mean.",
        latex=r"\mathrm{LN}(-a) = -\mathrm{LN}(a),\qquad \mathrm{BN}_{-\mu}(-a) - \beta = "
        r"-(\mathrm{BN}_{\mu}(a) - \beta)",
        assumptions=(
            "what is not named as negated is equal, the inputs and the initial state too; primes mark update",
            "the number under the root is positive: a variance plus ε",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="A norm of one gate alone is odd. With one norm over all gates the weights must not be "
        "negated: layer-norm-is-not-mirrored-by-weights.",
        equations=equations(programs),
    )


def folded() -> Cell:
    """The same cell without its norm: diag(factor) W for W, so that W x is factor ⊙ (W x)."""
    cell = CellBuilder("folded", "batch norm in the weights")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    values = []
    for gate, function in (("z", sigmoid), ("n", tanh)):
        W, U = cell.weight(f"W_{gate}", "H", "I"), cell.weight(f"U_{gate}", "H", "H")
        offset, factor = cell.bias(f"b_{gate}", "H"), cell.bias(f"factor_{gate}", "H")
        from_x = cell.let(f"{gate}_from_x", W @ x)
        values.append(cell.let(f"gate_{gate}", function(factor * from_x + U @ h + offset)))
    z, n = values
    cell.update(h, z * h + (1 - z) * n)
    return cell.build()


@cache
def batch_norm_is_plain() -> Theorem:
    """Batch norm at inference is a scale of the rows of W and a shift of the bias.

    Raises:
        ProofError: a step cannot be shown.
    """
    relation: dict[sp.Symbol, sp.Expr] = {}
    for gate in "zn":
        gain, shift, middle, inverse, offset, factor = _symbols(
            " ".join(f"{name}_{gate}" for name in (*BATCH_NORM, "b", "factor"))
        )
        relation |= {factor: gain * inverse, offset: offset + shift - gain * inverse * middle}
    normed = batch_norm(Polarity.KEEP)
    result = simulate_loop(published(normed), published(folded()), relation, inline=True)
    return Theorem(
        name="batch-norm-is-plain",
        statement="Batch norm of W x with fixed mean μ and variance v is a plain cell with diag(γ/√(v + ε)) "
        "W for W and b + β − γμ/√(v + ε) for b, gate by gate.",
        latex=r"\frac{\gamma}{\sqrt{v + \varepsilon}} \odot (Wx - \mu) + \beta = "
        r"\mathrm{diag}\Bigl(\frac{\gamma}{\sqrt{v + \varepsilon}}\Bigr) Wx + \beta - \frac{\gamma \odot "
        r"\mu}{\sqrt{v + \varepsilon}}",
        assumptions=(
            "mean and inverse = 1/√(v + ε) are parameters, as at inference; in training they are those of a "
            "batch",
            "W′ = diag(factor) W, so that W′x is factor⊙(Wx), with factor = gain*inverse; b′ = b + β − "
            "factor μ; all the other parameters, the inputs and the initial state are equal; primes mark the "
            "plain cell",
            EXACT,
        ),
        steps=result.steps,
        conclusion="One gate and the candidate stand for any number of gates: each has its own norm.",
        equations=equations({"batch norm": normed.step}),
    )
