"""Run a program for one step of one example, unit by unit, in any arithmetic: intervals, symbols or germs.

`symgru.lowering.evaluate` runs programs too: on NumPy arrays, all steps and examples at once, rounding, and a
mask there is an array of true and false. Proofs need exact or enclosed numbers, which NumPy does not have, so
there are two interpreters; tests/proof checks that they agree. Here a choice by a mask m is m·a + (1 − m)·b,
which holds for m = 0 and 1 (lemma `selection by a mask`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, attrgetter, mul
from typing import Any

import sympy as sp
from mpmath.ctx_iv import MPIntervalContext
from mpmath.libmp import to_rational

from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Program
from symgru.equations.functions import exp, relu, rsqrt, select, sigmoid, softplus, step, tanh
from symgru.proof.lemmas import SELECTION, TANH_BY_EXP, check
from symgru.proof.witness import Interval

Value = list[Any]  # a vector or bias is a list of numbers, a matrix a list of rows
Values = Mapping[sp.Symbol, Value]


@dataclass(frozen=True)
class Arithmetic:
    """Numbers, and the functions of them that cells use."""

    number: Callable[[sp.Rational], Any]
    functions: Mapping[str, Callable[[Any], Any]]


#: Decimal digits of interval arithmetic.
DIGITS = 50

SYMBOLIC = Arithmetic(
    lambda number: number, {f.__name__: f for f in (sigmoid, tanh, relu, step, softplus, exp, rsqrt)}
)


def intervals(digits: int) -> Arithmetic:
    """Interval arithmetic: every result encloses the exact one.

    σ(a) = 1/(1 + e⁻ᵃ) and tanh(a) = 1 − 2/(1 + e²ᵃ), in which a occurs once, so the intervals stay narrow.
    Source: mpmath.iv rounds lower bounds down and upper bounds up.
    """
    check(TANH_BY_EXP)
    context = MPIntervalContext()
    context.dps = digits
    return Arithmetic(
        number=lambda number: context.mpf(int(number.p)) / int(number.q),
        functions={
            "sigmoid": lambda a: 1 / (1 + context.exp(-a)),
            "tanh": lambda a: 1 - 2 / (1 + context.exp(2 * a)),
            "exp": context.exp,
            "softplus": lambda a: context.log(1 + context.exp(a)),
            "rsqrt": lambda a: 1 / context.sqrt(a),
            "relu": lambda a: context.mpf([max(a.a, 0), max(a.b, 0)]),
            "step": lambda a: context.mpf([int(a.a > 0), int(a.b > 0)]),
        },
    )


def bounds(number: Any) -> Interval:
    """A number of the interval arithmetic with its exact bounds."""
    lower, upper = (sp.Rational(*to_rational(bound)) for bound in number._mpi_)
    return Interval(lower, upper)


def enclose_number(expression: sp.Expr) -> Interval:
    """An interval that contains the value of an expression without symbols."""
    return bounds(_unit(expression, {}, intervals(DIGITS)))


def evaluate(program: Program, values: Values, arithmetic: Arithmetic) -> dict[sp.Symbol, Value]:
    """The value of every symbol of the program, for T = B = 1.

    Args:
        program: What to run.
        values: All inputs, in numbers of the arithmetic; sizes are those of the lists.
        arithmetic: What the numbers are.
    Raises:
        NotImplementedError: the arithmetic lacks a function that the program uses.
    """
    known = {symbol: values[symbol] for symbol in program.inputs}
    for statement in program:
        match statement:
            case Pointwise():
                known[statement.target] = _pointwise(statement, known, arithmetic)
            case Contract():
                products = [_product(term, known) for term in statement.terms]
                known[statement.target] = [_sum(units) for units in zip(*products, strict=True)]
            case Mean():
                units = known[statement.source]
                average = _sum(units) * arithmetic.number(sp.Rational(1, len(units)))
                known[statement.target] = [average] * len(units)
            case Outer():
                outers = [[[u * v for v in known[b]] for u in known[a]] for a, b in statement.terms]
                known[statement.target] = [
                    [_sum(units) for units in zip(*rows, strict=True)] for rows in zip(*outers, strict=True)
                ]
            case _:
                terms = [known[term] for term in statement.terms]
                known[statement.target] = [_sum(units) for units in zip(*terms, strict=True)]
    return known


def _sum(numbers: Any) -> Any:
    return reduce(add, numbers)


def _product(term: Product, known: Values) -> Value:
    rows = known[term.matrix]
    if term.transposed:
        rows = [list(column) for column in zip(*rows, strict=True)]
    return [_sum([w * v for w, v in zip(row, known[term.vector], strict=True)]) for row in rows]


def _pointwise(statement: Pointwise, known: Values, arithmetic: Arithmetic) -> Value:
    reads = sorted(statement.reads, key=attrgetter("name"))
    units = zip(*(known[symbol] for symbol in reads), strict=True)
    return [_unit(statement.expression, dict(zip(reads, unit, strict=True)), arithmetic) for unit in units]


def _unit(node: sp.Expr, unit: Mapping[sp.Symbol, Any], arithmetic: Arithmetic) -> Any:
    if node.is_Symbol:
        return unit[node]
    if node.is_Rational:
        return arithmetic.number(node)
    args = [_unit(a, unit, arithmetic) for a in node.args]
    if node.is_Add or node.is_Mul:
        return reduce(add if node.is_Add else mul, args)
    if node.is_Pow and node.exp.is_Integer and node.exp.is_positive:
        return reduce(mul, [args[0]] * int(node.exp))
    if isinstance(node, select):
        check(SELECTION)
        return args[0] * args[1] + (1 - args[0]) * args[2]
    if node.func.__name__ in arithmetic.functions:
        return arithmetic.functions[node.func.__name__](args[0])
    raise NotImplementedError(f"evaluation does not know {node.func.__name__} in {node}")
