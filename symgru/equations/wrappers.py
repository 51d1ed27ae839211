"""Wrappers: a cell in, a cell out, so derivatives and schedules of what they add need no theory of their own.

with_lengths   sequences of different lengths   h_t = h̃_t where the step is valid, else h_{t−1}
with_resets    new episodes in a sequence       h_{t−1} is replaced where a step starts one
with_zoneout   zoneout                          h_t = h_{t−1} in the units that are zoned out, else h̃_t

A wrapper sees the cell inside it as one step, so their order has a meaning. The customary one, in which a
replaced state is what zoneout and lengths keep, is with_resets(with_lengths(with_zoneout(cell))).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import chain, count

import sympy as sp

from symgru.equations.cell import Cell
from symgru.equations.functions import select
from symgru.equations.program import Pointwise, Program, ProgramError, Shape, Statement, bias, vector

VALID = sp.Symbol("valid", real=True)
RESTART = sp.Symbol("restart", real=True)


def with_lengths(cell: Cell) -> Cell:
    """The cell for sequences of different lengths: where `valid` is false the state is kept.

        h_t = h̃_t where step t belongs to the sequence, else h_{t-1}

    `valid` [T, B, H] is a mask that broadcasts over the units.

    Raises:
        ProgramError: the states have different axes, or the cell has a `valid` already.
    """
    masks = {VALID: _one_axis(cell, "with_lengths")}
    return _with_update(
        cell, masks, lambda proposed, entering: select(VALID, proposed, entering), "lengths", "with lengths"
    )


def with_resets(cell: Cell, *, shared: bool = False) -> Cell:
    """The cell with resets inside a sequence: where `restart` is true a given state replaces the one carried.

        h_{t-1} becomes h_restart where step t starts an episode

    `restart` [T, B, H] is a mask that broadcasts over the units. The given state of a state h_prev is called
    h_prev_restart; it has a cotangent and a tangent like every input.

    Args:
        cell: What is wrapped.
        shared: The given states are parameters [H], the same at every restart; else vectors [T, B, H].
    Raises:
        ProgramError: the states have different axes, or the cell has a symbol of one of these names already.
    """
    inputs = {RESTART: _one_axis(cell, "with_resets")}
    continued: dict[sp.Symbol, sp.Symbol] = {}
    selections = []
    for entering, _ in cell.carry:
        (axis,) = cell.step.shapes[entering].axes
        given, resumed = (_symbol(f"{entering}_{part}") for part in ("restart", "resumed"))
        inputs[given] = bias(axis) if shared else vector(axis)
        continued[entering] = resumed
        selections.append(Pointwise(resumed, select(RESTART, given, entering)))
    statements = (*selections, *(_reading(s, continued) for s in cell.step))
    step = Program(_with_inputs(cell, inputs), statements, cell.step.outputs)
    return replace(cell, name=f"{cell.name}_resets", title=f"{cell.title}, with resets", step=step)


def with_zoneout(cell: Cell, rate: sp.Rational | None = None) -> Cell:
    """The cell with zoneout: units keep their old state at random.

        training    h_t = h_{t-1} where the mask is true, else h̃_t
        inference   h_t = p h_{t-1} + (1 − p) h̃_t

    Args:
        cell: What is wrapped.
        rate: p, exact, for inference. None for training: the mask of a state h_new is an input
            zoneout_h_new [T, B, H].
    Raises:
        ProgramError: the rate is a float or not between 0 and 1, or the cell has such a mask already.
    Source: Krueger et al. 2016, arXiv:1606.01305, eq. 1 and section 3.1.
    """
    if rate is not None:
        if not isinstance(rate, sp.Rational) or not 0 <= rate <= 1:
            raise ProgramError(
                f"zoneout keeps a state with a rate from 0 to 1, a sympy.Rational, got {rate!r}"
            )
        return _with_update(
            cell, {}, lambda h, old: rate * old + (1 - rate) * h, "zoneout", f"zoneout at rate {rate}"
        )
    masks = {_symbol(f"zoneout_{leaving}"): cell.step.shapes[leaving] for _, leaving in cell.carry}
    per_state = dict(zip((entering for entering, _ in cell.carry), masks, strict=True))
    return _with_update(cell, masks, lambda h, old: select(per_state[old], old, h), "zoneout", "with zoneout")


def _with_update(
    cell: Cell,
    masks: dict[sp.Symbol, Shape],
    update: Callable[[sp.Symbol, sp.Symbol], sp.Expr],
    suffix: str,
    title: str,
) -> Cell:
    """The cell in which what it computes is a proposal, and `update(proposal, old state)` the new state.

    What else the step reads is the proposal: in an LSTM, h reads the new cell state before zoneout.
    """
    taken = {str(s) for s in cell.step.shapes}
    proposed = {leaving: _symbol(_fresh(f"{leaving}_proposed", taken)) for _, leaving in cell.carry}
    names = {s: proposed.get(s, s) for s in cell.step.shapes}
    statements = [statement.renamed(names) for statement in cell.step]
    statements += [
        Pointwise(leaving, update(proposed[leaving], entering)) for entering, leaving in cell.carry
    ]
    step = Program(_with_inputs(cell, masks), tuple(statements), cell.step.outputs)
    return replace(cell, name=f"{cell.name}_{suffix}", title=f"{cell.title}, {title}", step=step)


def _with_inputs(cell: Cell, added: Mapping[sp.Symbol, Shape]) -> dict[sp.Symbol, Shape]:
    taken = {str(s) for s in cell.step.shapes}
    for symbol in added:
        if str(symbol) in taken:
            raise ProgramError(f"cell {cell.name} has a {symbol} already, so no wrapper can add one")
    return {**cell.step.inputs, **added}


def _one_axis(cell: Cell, wrapper: str) -> Shape:
    axes = {cell.step.shapes[entering].axes for entering, _ in cell.carry}
    if len(axes) != 1:
        raise ProgramError(f"{wrapper} has one mask, but the states of cell {cell.name} have axes {axes}")
    return vector(*axes.pop())


def _reading(statement: Statement, other: dict[sp.Symbol, sp.Symbol]) -> Statement:
    """The statement with symbols replaced where it reads them."""
    renamed = {s: other.get(s, s) for s in statement.reads}
    return statement.renamed({**renamed, statement.target: statement.target})


def _fresh(name: str, taken: set[str]) -> str:
    return next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in taken)


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)
