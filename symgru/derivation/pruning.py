"""Leave out what is zero, and what nobody reads: a derivative in some directions, without its dead part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import sympy as sp

from symgru.derivation.loop import Loop
from symgru.equations import Contract, Mean, Outer, Pointwise, Program, Statement, Sum


def without_zeros(loop: Loop, zeros: Iterable[sp.Symbol]) -> Loop:
    """The loop in which some inputs are zero: neither they nor what is zero with them is computed.

    Args:
        loop: Any loop.
        zeros: Inputs of its step that are zero; a carried one is zero when it enters the first step, and
            stays so if all that reaches it is.
    Returns:
        The loop without those inputs, carried values and outputs that are zero throughout.
    """
    fixed = frozenset(zeros) - loop.carried
    carried = frozenset(zeros) & loop.carried
    while True:  # from the assumption that all of them stay zero down to those that do
        nothing, statements = _propagated(loop.step, fixed | carried)
        moving = {entering for entering, leaving in loop.carry if leaving not in nothing}
        if not carried & moving:
            break
        carried -= moving
    inputs = {s: shape for s, shape in loop.step.inputs.items() if s not in nothing}
    outputs = tuple(o for o in loop.step.outputs if o not in nothing)
    carry = tuple(pair for pair in loop.carry if not set(pair) <= nothing)
    step = Program(inputs, statements, outputs)
    return replace(loop, step=step, carry=carry, transient=loop.transient - nothing)


def _propagated(
    program: Program, zeros: frozenset[sp.Symbol]
) -> tuple[set[sp.Symbol], tuple[Statement, ...]]:
    """All values that are zero if the given inputs are, and the statements of the others."""
    nothing = set(zeros)
    statements: list[Statement] = []
    for statement in program:
        rest = _with_zeros(statement, nothing)
        if rest is None:
            nothing.add(statement.target)
        else:
            statements.append(rest)
    return nothing, tuple(statements)


def _with_zeros(statement: Statement, nothing: set[sp.Symbol]) -> Statement | None:
    """The statement without the terms that are zero; None if there are no others."""
    match statement:
        case Pointwise():
            expression = statement.expression.xreplace(dict.fromkeys(nothing & statement.reads, sp.S.Zero))
            return None if expression == 0 else replace(statement, expression=expression)
        case Contract():
            products = tuple(t for t in statement.terms if not {t.matrix, t.vector} & nothing)
            return replace(statement, terms=products) if products else None
        case Outer():
            pairs = tuple(pair for pair in statement.terms if not set(pair) & nothing)
            return replace(statement, terms=pairs) if pairs else None
        case Sum():
            terms = tuple(term for term in statement.terms if term not in nothing)
            return replace(statement, terms=terms) if terms else None
        case Mean():
            return None if statement.source in nothing else statement


def restricted(loop: Loop, wanted: Iterable[sp.Symbol], last: Iterable[sp.Symbol] = ()) -> Loop:
    """The loop with some of its outputs only, and without what they do not need.

    Args:
        loop: Any loop.
        wanted: Outputs of its step that are wanted: as sequences, or summed over the steps.
        last: Values leaving the step that are wanted as they leave the last one.
    """
    sequences = frozenset(wanted)
    needed = sequences | frozenset(last)
    while True:
        outputs = tuple(o for o in loop.step.outputs if o in needed)
        step = Program(loop.step.inputs, loop.step.statements, outputs).without_dead_statements()
        passed_on = {leaving for entering, leaving in loop.carry if entering in step.inputs}
        if passed_on <= needed:
            break
        needed |= passed_on
    carry = tuple(pair for pair in loop.carry if pair[1] in needed)
    inputs = dict(step.inputs) | {entering: loop.step.inputs[entering] for entering, _ in carry}
    step = Program(inputs, step.statements, outputs)
    return replace(loop, step=step, carry=carry, transient=frozenset(outputs) - sequences)
