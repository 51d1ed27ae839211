"""The two polarities of the GRU are one model: keep with (W_z, U_z, b_z) is update with their negatives."""

from __future__ import annotations

from functools import cache
from itertools import product

from symgru.derivation import Loop, backward, cotangent, forward, with_complements
from symgru.equations import Cell, Polarity, Program, Reset, Statement, gru, with_lengths
from symgru.equations.gru import B_Z, U_Z, W_Z
from symgru.proof.simulation import Relation, Simulation, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import Step, Theorem, in_case

#: What the change of polarity negates.
MIRRORED: Relation = {symbol: -symbol for symbol in (W_Z, U_Z, B_Z)}

EXACT = "exact arithmetic"
MASKED = "valid is true or false, and the same in both"
ASSUMPTIONS = (
    "the update gate is a logistic function, so that σ(−a) = 1 − σ(a)",
    "the update gate is used in the state update and nowhere else",
    "the parameters are mirrored: (W_z, U_z, b_z)′ = −(W_z, U_z, b_z), all the others are equal; primes mark "
    "update",
    "the inputs and the initial state are equal",
    EXACT,
)


def assumptions(lengths: bool) -> tuple[str, ...]:
    """The assumptions, with or without lengths."""
    return (*ASSUMPTIONS, MASKED) if lengths else ASSUMPTIONS


def published(cell: Cell) -> Loop:
    """The loop of a cell with its equations as they stand."""
    return Loop(cell.name, cell.step, cell.carry)


@cache
def cells(reset: Reset | str, lengths: bool = False) -> tuple[Cell, Cell]:
    """The GRU in both polarities, keep first."""
    keep, update = (gru(polarity, reset) for polarity in (Polarity.KEEP, Polarity.UPDATE))
    return (with_lengths(keep), with_lengths(update)) if lengths else (keep, update)


@cache
def keep_is_update(reset: Reset | str, lengths: bool = False) -> Theorem:
    """Both polarities give the same states at every time step, for every size.

    Args:
        reset: Placement of the reset gate.
        lengths: For sequences of different lengths.
    Raises:
        ProofError: a step cannot be shown.
    """
    keep, update = map(published, cells(reset, lengths))
    result = simulate_loop(keep, update, MIRRORED)
    name = Reset(reset).value
    return Theorem(
        name=f"keep-is-update-{name}{'-lengths' if lengths else ''}",
        statement=f"The GRU with reset {name} and polarity update, h′ = (1 − z)⊙h + z⊙n, computes the same "
        f"states as with polarity keep, h′ = z⊙h + (1 − z)⊙n, when (W_z, U_z, b_z) are negated"
        f"{', for sequences of any lengths' if lengths else ''}.",
        latex=r"h^{\mathrm{update}}_t(-W_z, -U_z, -b_z, \theta) = h^{\mathrm{keep}}_t(W_z, U_z, b_z, \theta)"
        r"\quad\text{for all } t",
        assumptions=assumptions(lengths),
        steps=result.steps,
        conclusion="All outputs are equal, for every number of units, inputs, examples and time steps. "
        "Negation is its own inverse, so the same holds from update to keep. Stacked and bidirectional "
        "layers follow layer by layer: the outputs of one are the inputs of the next, and those of the "
        "reversed sequence are equal for the same reason.",
        equations=equations({f"polarity keep, reset {name}": keep.step}),
    )


@cache
def gradients_mirror(reset: Reset | str, lengths: bool = False) -> Theorem:
    """The gradients of (W_z, U_z, b_z) are negated and all other gradients are equal.

    Raises:
        ProofError: a step cannot be shown.
    """
    keep, update = (backward(forward(cell)) for cell in cells(reset, lengths))
    result = simulate_loop(keep, update, MIRRORED, mirrored_gradients(keep.step))
    name = Reset(reset).value
    same = keep_is_update(reset, lengths)
    return Theorem(
        name=f"gradients-mirror-{name}{'-lengths' if lengths else ''}",
        statement=f"For a loss of the outputs of the GRU with reset {name}"
        f"{' and with lengths, on sequences of any lengths' if lengths else ''}, backpropagation through "
        "time gives the negated gradients of (W_z, U_z, b_z) and equal gradients of all other parameters, of "
        "the inputs and of the initial state.",
        latex=r"\nabla_{\theta_z} \mathcal{L}^{\mathrm{update}} = -\nabla_{\theta_z} "
        r"\mathcal{L}^{\mathrm{keep}},\quad \nabla_{\theta} \mathcal{L}^{\mathrm{update}} = \nabla_{\theta} "
        r"\mathcal{L}^{\mathrm{keep}}\quad\text{for all other } \theta, x, h_0",
        assumptions=(*assumptions(lengths), "the loss is the same differentiable function of the outputs"),
        premises=(same.name, complementary_gates().name),
        steps=result.steps,
        conclusion="Outputs are equal, so the loss and its gradient by them are equal; carried backwards "
        "through every time step, the gradients are mirrored exactly as the parameters are. A gradient of a "
        "parameter adds up over the steps, and its parts are mirrored one by one. In stacked and "
        "bidirectional layers, layer by layer: the gradient of the inputs of one is that of the outputs of "
        "the one below.",
        equations=equations({f"polarity keep, reset {name}, backwards": keep.step}),
    )


def mirrored_gradients(step: Program) -> Relation:
    """What each output of a backward step is to be: negated for what is mirrored, else equal."""
    negated = {cotangent(symbol) for symbol in MIRRORED}
    return {output: -output if output in negated else output for output in step.outputs}


@cache
def complementary_gates() -> Theorem:
    """Computing σ(−a) in place of 1 − σ(a) changes neither the states nor any gradient."""
    steps: list[Step] = []
    programs: dict[str, tuple[Statement, ...]] = {}
    for polarity, reset, lengths in product(Polarity, Reset, (False, True)):
        cell = with_lengths(gru(polarity, reset)) if lengths else gru(polarity, reset)
        case = f"polarity {polarity.value}, reset {reset.value}{', with lengths' if lengths else ''}"
        title = f"{polarity.value} {reset.value}{' lengths' if lengths else ''}"
        programs[title] = (*cell.step, *backward(published(cell)).step)
        steps += in_case(f"{case}, states", _states(cell).steps)
        steps += in_case(f"{case}, gradients", _gradients(cell).steps)
    return Theorem(
        name="complementary-gates",
        statement="The GRU with two complementary gates, σ(a) and σ(−a), has the states and the gradients of "
        "the published form with σ(a) and 1 − σ(a), in every polarity and reset placement, with and without "
        "lengths.",
        latex=r"\sigma(a) \odot u + \sigma(-a) \odot v = \sigma(a) \odot u + (1 - \sigma(a)) \odot v,"
        r"\quad (u, v) = (h, n) \text{ for keep},\; (n, h) \text{ for update}",
        assumptions=(
            "the parameters, inputs and initial state are equal; primes mark the complementary form",
            f"with lengths, {MASKED}",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Kernels may compute both gates, where the documents write 1 − z.",
        equations=equations(programs),
    )


def _states(cell: Cell) -> Simulation:
    complementary = Loop(cell.name, with_complements(cell.step), cell.carry)
    return simulate_loop(published(cell), complementary, {})


def _gradients(cell: Cell) -> Simulation:
    """The adjoints do not correspond statement by statement: the complement has a cotangent of its own."""
    plain = backward(published(cell))
    same = {output: output for output in plain.step.outputs}
    return simulate_loop(plain, backward(forward(cell)), {}, same, inline=True)
