"""What holds of the states for all weights: they are bounded, and Lipschitz continuous in the first one.

M is the largest of 1 and the absolute values of what the states start from. |·| is the largest absolute value
of a unit, and norm_U_n the row-sum norm of U_n that belongs to it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import cache

import sympy as sp

from symgru.cells import CELLS
from symgru.derivation import jvp, linearised, tangent
from symgru.derivation.forward_mode import PREFIX
from symgru.equations import (
    Cell,
    Polarity,
    Program,
    Reset,
    gru,
    sigmoid,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.equations.gru import H_NEW, H_PREV, W_N, X
from symgru.proof.evaluation import SYMBOLIC, evaluate
from symgru.proof.magnitudes import Magnitudes, norm
from symgru.proof.polarity import EXACT, keep_is_update, published
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

M, D, X_MAX = (sp.Symbol(name, real=True) for name in ("M", "D", "x_max"))
MASKS = "a mask is true or false"


def state_bound(
    cell: Cell, bounded: Collection[sp.Symbol] = (), weights: Collection[sp.Symbol] = ()
) -> tuple[Step, ...]:
    """Show that states from −M to M stay there, for a cell that combines state and tanh candidate convexly.

    Args:
        cell: Any cell.
        bounded: Inputs that are from −M to M, such as the states of resets.
        weights: Inputs that are from 0 to 1, such as an attention score.
    Raises:
        ProofError: a new state is not shown to be at most M.
    """
    inputs = dict.fromkeys((*(entering for entering, _ in cell.carry), *bounded), M)
    magnitudes = Magnitudes(cell.step, inputs, [M - 1], weights)
    for entering, leaving in cell.carry:
        limit = magnitudes(leaving)
        if limit != M:
            raise ProofError(f"cell {cell.name}: expected |{leaving}| <= M, but the bound of it is {limit}")
        magnitudes.proof.steps.append(
            Step(
                f"|{entering}| <= M at every time step",
                "induction over time, from the first step to the last: it holds where the loop starts, by "
                f"the definition of M, and a step that is entered by |{entering}| <= M is left by "
                f"|{leaving}| <= M",
            )
        )
    return tuple(magnitudes.proof.steps)


@cache
def bounded_states() -> Theorem:
    """|h_t| ≤ max(1, |h_0|) in every polarity and placement, with lengths, resets and zoneout.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs = {}
    restart = sp.Symbol(f"{H_PREV}_restart", real=True)
    for polarity in Polarity:
        for reset in Reset:
            cell = with_zoneout(with_resets(with_lengths(gru(polarity, reset))))
            case = f"polarity {polarity.value}, reset {reset.value}, with lengths, resets and zoneout"
            programs[f"{polarity.value} {reset.value}"] = cell.step
            steps += in_case(case, state_bound(cell, [restart]))
    return Theorem(
        name="bounded-states",
        statement="No state is larger than the largest of 1 and what it starts from: |h_t| ≤ max(1, |h_0|) "
        "in every unit, for all weights and inputs, in both polarities and all placements of the reset gate, "
        "with and without lengths, resets and zoneout. From h_0 = 0 every state is from −1 to 1.",
        latex=r"\|h_t\|_\infty \le \max(1, \|h_0\|_\infty)\quad\text{for all } t",
        assumptions=(
            f"{MASKS}; without lengths, resets or zoneout it is the same for all units and steps",
            "with resets, the states that are put in place of the one carried are at most M too",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="The new state is a convex combination of the old one and of a hyperbolic tangent, so it "
        "grows only where neither is larger. Weights, inputs, sizes and the number of steps do not occur in "
        "the bound. It is attained in the limit: a gate that is open keeps h_0, and a saturated candidate "
        "reaches 1.",
        equations=(*equations(programs), ("notation", ("M = max(1, |h_0|, |h_restart|), over all units",))),
    )


@cache
def unbounded_cells() -> Theorem:
    """A linear or rectified candidate takes the state where no GRU goes: minGRU and Li-GRU are no GRUs.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs = {}
    for name in ("mingru", "ligru"):
        step = CELLS[name]().step
        programs[name] = step
        steps += in_case(name, _leaves_the_bound(step))
    return Theorem(
        name="no-gru-is-mingru-or-ligru",
        statement="There are a minGRU and a Li-GRU that no GRU reproduces, whatever its parameters, "
        "placement, polarity and number of units: from the state 0 they reach 2, and no GRU leaves the "
        "numbers from −1 to 1.",
        latex=r"h_0 = 0:\quad |h^{\mathrm{GRU}}_t| \le 1 < 2 = h^{\mathrm{minGRU}}_1",
        assumptions=(
            "the target has one input and one unit, W_n = 1 and all other parameters 0; x = 4 and h_0 = 0",
            "the GRU has hyperbolic tangents as candidates and starts from 0 too",
            EXACT,
        ),
        premises=(bounded_states().name,),
        steps=tuple(steps),
        conclusion="Their candidates, W_n x and relu(…), have no bound. Adding units to the GRU does not "
        "help either.",
        equations=equations(programs),
    )


def _leaves_the_bound(step: Program) -> Iterator[Step]:
    zero = {s: [[sp.S.Zero]] if len(shape.axes) == 2 else [sp.S.Zero] for s, shape in step.inputs.items()}
    values = evaluate(step, zero | {W_N: [[sp.S.One]], X: [sp.Integer(4)]}, SYMBOLIC)
    new = values[H_NEW][0].xreplace({sigmoid(sp.S.Zero): sp.Rational(1, 2)})
    yield Step("h_new = 2", "the gate reads 0 and is 1/2, the candidate is 4", (new, sp.Integer(2)))
    yield Step("every GRU has |h_new| <= 1 there", "bounded-states with h_0 = 0, so M = 1")


def lipschitz_bound(cell: Cell) -> tuple[sp.Expr, Mapping[sp.Symbol, tuple[sp.Expr, ...]], tuple[Step, ...]]:
    """A number L such that a change D of the state that enters a step becomes one of at most L D.

    It is computed from the tangent program, with the tangents of all inputs but the state 0.

    Returns:
        L; the names of larger ones of several numbers that occur in it; the steps.
    Raises:
        ProofError: a coefficient of the tangent has no bound.
    """
    ((entering, leaving),) = cell.carry
    step = linearised(published(cell)).step
    moving = [symbol for symbol in step.shapes if str(symbol).startswith(PREFIX)]
    inputs = {s: sp.S.Zero for s in moving if s in step.inputs} | {
        tangent(entering): D,
        entering: M,
        X: X_MAX,
    }
    magnitudes = Magnitudes(step, inputs, [M - 1, M, D, X_MAX], moving=moving, unit=D)
    limit = sp.cancel(magnitudes(tangent(leaving)) / D)
    if D in limit.free_symbols:
        raise ProofError(f"cell {cell.name}: the bound {limit} of {tangent(leaving)} is no multiple of D")
    return limit, magnitudes.largest, tuple(magnitudes.proof.steps)


@cache
def lipschitz(reset: Reset | str) -> Theorem:
    """|h_t(h_0) − h_t(h_0′)| ≤ Lᵗ |h_0 − h_0′|, with an L that is made of norms of the weights.

    Raises:
        ProofError: a step cannot be shown.
    """
    reset = Reset(reset)
    cell = with_lengths(gru(Polarity.KEEP, reset))
    constant, largest, steps = lipschitz_bound(cell)
    named = "; ".join(f"{name} = max({', '.join(map(str, parts))})" for name, parts in largest.items())
    premises = (bounded_states().name, keep_is_update(reset, lengths=True).name)
    return Theorem(
        name=f"lipschitz-{reset.value}",
        statement=f"The states of the GRU with reset {reset.value} are Lipschitz continuous in the first "
        f"one: |h_t(h_0) − h_t(h_0′)| ≤ L^t |h_0 − h_0′|, where L = {constant}, {named}, in both polarities, "
        "with and without lengths.",
        latex=r"\|h_t(h_0) - h_t(h_0')\|_\infty \le L^t\, \|h_0 - h_0'\|_\infty",
        assumptions=(
            "both sequences have the same parameters and the same inputs",
            *(("no input is larger than x_max",) if reset is Reset.WHOLE else ()),
            f"with lengths, {MASKS}, and the same in both",
            EXACT,
        ),
        premises=premises,
        steps=(*steps, *_along_the_line(constant)),
        conclusion="L is at least 1: a gate that is open keeps a difference. So the bound says how fast a "
        "difference can grow, not that it vanishes. For polarity update the parameters are those of keep "
        f"with a sign ({premises[1]}), which no norm sees.",
        equations=(*equations({"one step with its tangent": jvp(cell.step)}), _notation(named)),
    )


def _along_the_line(constant: sp.Expr) -> tuple[Step, ...]:
    return (
        Step(
            f"|tangent_h_t| <= ({constant})^t D",
            "induction over time, from the first step to the last: a step that is entered by a tangent of at "
            "most D is left by one of at most L D, whatever D is; |h_prev| <= M at every step "
            "(bounded-states)",
        ),
        Step(
            "|h_t(h_0) − h_t(h_0′)| <= L^t |h_0 − h_0′|",
            "mean value inequality: on the line from h_0 to h_0′ no point is larger than the larger of its "
            "ends, so M serves all of it, and the derivative of h_t along it is the tangent that starts with "
            "h_0 − h_0′",
        ),
    )


def _notation(named: str) -> tuple[str, tuple[str, ...]]:
    lines = (
        "M = max(1, |h_0|, |h_0′|); D: a bound of the tangent that enters; x_max: of the inputs",
        f"{norm(sp.Symbol('W'))}: the largest sum of absolute values in a row of W; of a bias, the largest "
        "absolute value: norm_U_r, norm_U_z, norm_U_n, norm_W_n, norm_b_n, norm_c_n",
        f"larger ones: {named}",
    )
    return ("notation", lines)
