"""Forward-mode derivative of a program (Jacobian-vector product), as a program."""

from __future__ import annotations

import sympy as sp

from symgru.derivation.caching import cached
from symgru.derivation.partials import Partials
from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Program, Statement, Sum

PREFIX = "tangent_"


def tangent(symbol: sp.Symbol, prefix: str = PREFIX) -> sp.Symbol:
    """The symbol of its tangent."""
    return sp.Symbol(f"{prefix}{symbol}", real=True)


@cached
def jvp(program: Program, prefix: str = PREFIX) -> Program:
    """The program followed by the tangent of every statement.

    Inputs are those of the program and their tangents, outputs the tangents of its outputs.
    Masks have no tangent.

    Raises:
        ProgramError: the prefix makes a name that the program already has.
    """
    partials = Partials(program)
    moving = {s: tangent(s, prefix) for s in program.inputs if s not in partials.constants}
    statements: list[Statement] = list(program.statements)
    for statement in program:
        rule = _tangent_statement(statement, moving, partials, tangent(statement.target, prefix))
        if rule is not None:
            statements.append(rule)
            moving[statement.target] = rule.target
    inputs = dict(program.inputs) | {moving[s]: shape for s, shape in program.inputs.items() if s in moving}
    outputs = tuple(moving[s] for s in program.outputs if s in moving)
    return Program(inputs, tuple(statements), outputs).without_dead_statements()


def _tangent_statement(
    statement: Statement, moving: dict[sp.Symbol, sp.Symbol], partials: Partials, target: sp.Symbol
) -> Statement | None:
    match statement:
        case Pointwise():
            terms = [
                moving[v] * partials.derivative(statement, v)
                for v in partials.variables(statement)
                if v in moving
            ]
            tangent_ = sp.Add(*terms)
            return Pointwise(target, tangent_) if tangent_ != 0 else None  # zero: such as that of step
        case Contract():
            products = []
            for term in statement.terms:
                if term.matrix in moving:
                    products.append(Product(moving[term.matrix], term.vector, term.transposed))
                if term.vector in moving:
                    products.append(Product(term.matrix, moving[term.vector], term.transposed))
            return Contract(target, tuple(products)) if products else None
        case Mean():
            return Mean(target, moving[statement.source]) if statement.source in moving else None
        case Outer():
            pairs = [(moving[left], right) for left, right in statement.terms if left in moving]
            pairs += [(left, moving[right]) for left, right in statement.terms if right in moving]
            return Outer(target, tuple(pairs)) if pairs else None
        case Sum():
            summands = [moving[term] for term in statement.terms if term in moving]
            return Sum(target, tuple(summands)) if summands else None
