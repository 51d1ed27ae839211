"""Backpropagation from saved values: what the forward pass keeps, so that nothing costly is computed again.

Kept are the gates, σ(a), and whatever else has a function of its own in the cell (the candidate); then the
products that the backward pass would still compute. A gate stands for its complement too: of σ(a) and σ(−a)
the smaller one is kept, with a sign that says which; the other is 1 minus it, exact to rounding (`Saved`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import sympy as sp

from symgru.derivation.loop import Loop, backward, forward
from symgru.equations import Cell, Contract, Pointwise, Program, Statement, sigmoid


@dataclass(frozen=True)
class Saved:
    """What is kept as one number: a value, or σ(a) and σ(−a)."""

    value: sp.Symbol
    complement: sp.Symbol | None = None

    @property
    def members(self) -> tuple[sp.Symbol, ...]:
        """The values that it stands for."""
        return (self.value,) if self.complement is None else (self.value, self.complement)


@dataclass(frozen=True)
class Saving:
    """A forward loop that keeps values at every step, and the backward loop that reads them.

    Attributes:
        forward: With the kept values among its outputs.
        backward: With the kept values among its inputs, as sequences.
        saved: What is kept, in order.
    """

    forward: Loop
    backward: Loop
    saved: tuple[Saved, ...]


def saving(cell: Cell) -> Saving:
    """Forward and backward loop of a cell that hand on the gates and what else is costly to compute again."""
    loop = _with_named_complements(forward(cell))
    gates = _gates(loop.step)
    paired = {s for gate in gates for s in gate.members}
    kept = [*paired, *(s.target for s in loop.step if _is_function(s) and s.target not in paired)]
    whole = backward(loop)
    back = given(whole, kept)
    while products := [
        s.target for s in back.step if isinstance(s, Contract) and s.target in loop.step.shapes
    ]:
        kept += products
        back = given(whole, kept)
    used = [s for s in kept if s in back.step.inputs]
    saved = (
        *(gate for gate in gates if set(gate.members) & set(used)),
        *(Saved(s) for s in used if s not in paired),
    )
    step = loop.step
    values = (s for each in saved for s in each.members)
    ahead = Program(step.inputs, step.statements, tuple(dict.fromkeys((*step.outputs, *values))))
    return Saving(replace(loop, step=ahead), back, saved)


def _is_function(statement: Statement) -> bool:
    return isinstance(statement, Pointwise) and isinstance(statement.expression, sp.Function)


def _gates_of(program: Program) -> list[Pointwise]:
    return [s for s in program if isinstance(s, Pointwise) and isinstance(s.expression, sigmoid)]


def _with_named_complements(loop: Loop) -> Loop:
    """Beside every σ(a) a value σ(−a), so that a derivative can read it."""
    known = {s.expression for s in _gates_of(loop.step)}
    statements: list[Statement] = []
    for statement in loop.step:
        statements.append(statement)
        if isinstance(statement, Pointwise) and isinstance(statement.expression, sigmoid):
            mirrored = sigmoid(-statement.expression.args[0])
            if mirrored not in known:
                known.add(mirrored)
                name = sp.Symbol(f"{statement.target}_complement", real=True)
                statements.append(Pointwise(name, mirrored))
    return replace(loop, step=Program(loop.step.inputs, tuple(statements), loop.step.outputs))


def _gates(program: Program) -> list[Saved]:
    named = {s.expression: s.target for s in _gates_of(program)}
    pairs: dict[frozenset[sp.Symbol], Saved] = {}
    for expression, target in named.items():
        pair = Saved(target, named[sigmoid(-expression.args[0])])
        pairs.setdefault(frozenset(pair.members), pair)
    return list(pairs.values())


def given(loop: Loop, known: Iterable[sp.Symbol], computed: Program | None = None) -> Loop:
    """The loop that reads known values in place of computing them.

    Args:
        loop: Any loop.
        known: Values that it computes, or that have a name in `computed`.
        computed: A program that computes the known values; the step of the loop if None.
    """
    step, known = loop.step, list(known)
    source = computed or step
    named = {s.expression: s.target for s in source if s.target in known and isinstance(s, Pointwise)}
    statements = [
        replace(s, expression=s.expression.xreplace(named)) if isinstance(s, Pointwise) else s
        for s in step
        if s.target not in known
    ]
    inputs = dict(step.inputs) | {s: source.shapes[s] for s in known}
    pruned = Program(inputs, tuple(statements), step.outputs).without_dead_statements()
    carried = {entering: step.inputs[entering] for entering, _ in loop.carry}
    return replace(loop, step=Program(dict(pruned.inputs) | carried, pruned.statements, pruned.outputs))
