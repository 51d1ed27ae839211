"""Planted errors: every program that one slip of the pen makes of a right one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sympy as sp

from symgru.equations import (
    Contract,
    Mean,
    Outer,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Statement,
    Sum,
)


@dataclass(frozen=True)
class Mutant:
    """A program with one planted error, and what the error is."""

    error: str
    program: Program


def mutants(program: Program) -> Iterator[Mutant]:
    """One error at a time: a sign, a dropped term or factor, a mistaken symbol or transpose."""
    for position, statement in enumerate(program.statements):
        before = Program(program.inputs, program.statements[:position], ())
        for error, wrong in _wrong_statements(statement, before):
            statements = (*program.statements[:position], wrong, *program.statements[position + 1 :])
            try:
                mutated = Program(program.inputs, statements, program.outputs)
            except ProgramError:
                continue
            yield Mutant(f"{error} in '{statement}'", mutated)


def _wrong_statements(statement: Statement, before: Program) -> Iterator[tuple[str, Statement]]:
    match statement:
        case Pointwise():
            yield from _wrong_expressions(statement, before)
        case Contract():
            yield from _wrong_contractions(statement, before)
        case Mean():
            for other in _others(statement.source, before):
                yield f"{statement.source} mistaken for {other}", Mean(statement.target, other)
            yield "mean forgotten", Pointwise(statement.target, statement.source)
        case Outer():
            for i, (left, right) in enumerate(statement.terms):
                for other in _others(left, before):
                    terms = (*statement.terms[:i], (other, right), *statement.terms[i + 1 :])
                    yield f"{left} mistaken for {other}", Outer(statement.target, terms)
                for other in _others(right, before):
                    terms = (*statement.terms[:i], (left, other), *statement.terms[i + 1 :])
                    yield f"{right} mistaken for {other}", Outer(statement.target, terms)
        case Sum():
            for i, term in enumerate(statement.terms):
                for other in _others(term, before):
                    terms_ = (*statement.terms[:i], other, *statement.terms[i + 1 :])
                    yield f"{term} mistaken for {other}", Sum(statement.target, terms_)


def _wrong_expressions(statement: Pointwise, before: Program) -> Iterator[tuple[str, Statement]]:
    expression = statement.expression
    yield "sign", Pointwise(statement.target, -expression)
    for kind, node_type in (("term", sp.Add), ("factor", sp.Mul)):
        for node in sorted(expression.atoms(node_type), key=str):
            for part in node.args:
                rest = node.func(*(a for a in node.args if a is not part))
                yield f"dropped {kind} {part}", Pointwise(statement.target, expression.xreplace({node: rest}))
                if kind == "term":
                    flipped = node.func(*(-a if a is part else a for a in node.args))
                    yield f"sign of {part}", Pointwise(statement.target, expression.xreplace({node: flipped}))
    for symbol in sorted(statement.reads, key=str):
        for other in _others(symbol, before):
            wrong = expression.xreplace({symbol: other})
            yield f"{symbol} mistaken for {other}", Pointwise(statement.target, wrong)


def _wrong_contractions(statement: Contract, before: Program) -> Iterator[tuple[str, Statement]]:
    for i, term in enumerate(statement.terms):

        def with_term(*new: Product, i: int = i) -> Contract:
            return Contract(statement.target, (*statement.terms[:i], *new, *statement.terms[i + 1 :]))

        if len(statement.terms) > 1:
            yield f"dropped {term}", with_term()
        yield f"transpose of {term}", with_term(replace(term, transposed=not term.transposed))
        for other in _others(term.matrix, before):
            yield f"{term.matrix} mistaken for {other}", with_term(replace(term, matrix=other))
        for other in _others(term.vector, before):
            yield f"{term.vector} mistaken for {other}", with_term(replace(term, vector=other))


def _others(symbol: sp.Symbol, before: Program) -> list[sp.Symbol]:
    """The value of the same shape that was defined last before, and the one defined first."""
    shape = before.shapes[symbol]
    alike = [s for s, other in before.shapes.items() if other == shape and s != symbol and str(s) != "valid"]
    return list(dict.fromkeys([*alike[:1], *alike[-1:]]))
