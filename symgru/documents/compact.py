"""Programs in the form that people write: gates by their letters, and no name for what is read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import sympy as sp

from symgru.equations import Pointwise, Program, Statement, reflect_sigmoid


def in_gates(program: Program) -> Program:
    """The same program with σ(−a) written as 1 − σ(a), and σ(a) as the gate that computes it."""
    gates = {
        s.expression: s.target
        for s in program
        if isinstance(s, Pointwise) and isinstance(s.expression, sp.Function)
    }

    def rewritten(statement: Statement) -> Statement:
        if not isinstance(statement, Pointwise) or statement.expression in gates:
            return statement
        return Pointwise(statement.target, reflect_sigmoid(statement.expression).xreplace(gates))

    return Program(program.inputs, tuple(map(rewritten, program)), program.outputs)


def compacted(program: Program, keep: Iterable[sp.Symbol] = ()) -> Program:
    """The same outputs with pointwise values written out where they are read, if that is in one place.

    Args:
        keep: Values that keep a statement of their own.
    """
    kept = {*program.outputs, *keep}
    readers = Counter(symbol for statement in program for symbol in statement.reads)
    in_pointwise = {r for s in program if isinstance(s, Pointwise) for r in s.reads}
    written_out: dict[sp.Expr, sp.Expr] = {}
    statements: list[Statement] = []
    for statement in program:
        if not isinstance(statement, Pointwise):
            statements.append(statement)
            continue
        target, expression = statement.target, statement.expression
        if expression.free_symbols & written_out.keys():
            expression = sp.factor_terms(expression.xreplace(written_out))
        if target not in kept and readers[target] == 1 and target in in_pointwise:
            written_out[target] = expression
        else:
            statements.append(Pointwise(target, expression))
    return Program(program.inputs, tuple(statements), program.outputs)


def added(program: Program, original: Program) -> tuple[Statement, ...]:
    """The statements of a derivative that the program it was derived from does not have."""
    targets = {s.target for s in original}
    return tuple(s for s in program if s.target not in targets)
