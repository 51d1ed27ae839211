"""Terms as formulas in the user's own names, signs and convention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import sympy as sp

from symgru.equations.program import KNOWN_FUNCTIONS
from symgru.formulas.spellings import USUAL, spelled
from symgru.formulas.tree import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Multiply,
    Name,
    Node,
    Number,
    Power,
    Times,
    Total,
    Transposed,
)
from symgru.formulas.values import DiagonalOf, MatrixProduct, TransposedMatrix, Value, ones
from symgru.proof import terms
from symgru.proof.lemmas import Tanh

#: Terms of a sum that are shown.
SHOWN = 8

_FUNCTIONS = {f: f.__name__ for f in KNOWN_FUNCTIONS} | {Tanh: "tanh"}


@dataclass
class Phrasing:
    """How the user writes.

    Attributes:
        rows: Whether vectors are rows.
        pointwise, matrix: His signs for the two products.
        names: His names of values.
        definitions: Terms of values that are written out, because they have no name that reads well.
        inlined: The values that are written out.
        weights: The matrices, of which rows have the transposes.
    """

    rows: bool
    pointwise: Times = Times.CIRCLED
    matrix: Times = Times.NOTHING
    names: Mapping[sp.Symbol, Node] = field(default_factory=dict)
    definitions: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    inlined: frozenset[sp.Symbol] = frozenset()
    weights: frozenset[sp.Symbol] = frozenset()

    def value(self, value: Value) -> Node:
        """A value; one of several blocks in brackets."""
        if len(value.rows) == len(value.columns) == 1:
            return self.term(value.single)
        return Blocks(tuple(tuple(self.term(t) for t in row) for row in value.terms))

    def term(self, term: sp.Expr) -> Node:
        """The formula of a term."""
        if term.is_Symbol:
            turned = self.rows and term in self.weights
            return Transposed(self._symbol(term)) if turned else self._symbol(term)
        if term.is_Rational:
            return _number(term)
        if term.is_Add:
            return self._sum(term)
        if term.is_Mul:
            return self._product(term)
        if term.is_Pow:
            exponent = int(term.exp)
            base = self.term(term.base)
            if exponent > 0:
                return Power(base, exponent)
            return _over(Number(Fraction(1)), base if exponent == -1 else Power(base, -exponent))
        return self._function(term)

    def _symbol(self, symbol: sp.Symbol) -> Node:
        if symbol in self.names:
            return self.names[symbol]
        if symbol in self.inlined:
            return self.term(self.definitions[symbol])
        name = str(symbol)
        if symbol == ones(name[5:-1]):
            return Name("ones", name[5:-1])
        for mark in ("d_",):
            stem = sp.Symbol(name.removeprefix(mark), real=True)
            if name.startswith(mark) and (stem in self.names or str(stem) in USUAL):
                return Derivative(self._symbol(stem))
            if name.startswith(mark) and stem in self.definitions and stem in self.inlined:
                return Derivative(self.term(stem))
        return spelled(USUAL.get(name, name))

    def _sum(self, term: sp.Add) -> Node:
        parts = sorted(term.args, key=lambda a: (a.could_extract_minus_sign(), sp.default_sort_key(a)))
        written = [(a.could_extract_minus_sign(), a) for a in parts]
        return Add(tuple((minus, self.term(-a if minus else a)) for minus, a in written))

    def _product(self, term: sp.Mul) -> Node:
        if term.could_extract_minus_sign():
            return Add(((True, self.term(-term)),))
        number, factors = term.as_coeff_mul()
        over = [f for f in factors if f.is_Pow and f.exp.is_negative]
        nodes = [self.term(f) for f in sorted(set(factors) - set(over), key=_factor_order)]
        if number != 1 or not nodes:
            nodes = [_number(number), *nodes]
        signs = [
            Times.NOTHING if i == 0 and number != 1 and self.pointwise.pointwise else self.pointwise
            for i in range(len(nodes) - 1)
        ]
        whole = nodes[0]
        if len(nodes) > 1:
            whole = _multiplied(nodes, signs)
        for factor in over:
            whole = _over(whole, self.term(1 / factor))
        return whole

    def _function(self, term: sp.Expr) -> Node:
        arguments = term.args
        match term:
            case terms.Contraction():
                return self._applied(arguments[0], arguments[1], transposed=False)
            case terms.TransposedContraction():
                return self._applied(arguments[0], arguments[1], transposed=True)
            case terms.OuterProduct():
                left, right = (self.term(a) for a in arguments)
                factors = (Transposed(left), right) if self.rows else (left, Transposed(right))
                return _multiplied(list(factors), [self.matrix])
            case terms.Total():
                return Total(self.term(arguments[0]))
            case terms.Average():
                return Apply("mean", self.term(arguments[0]))
            case TransposedMatrix():
                return _transposed(self.term(arguments[0]))
            case MatrixProduct():
                return _multiplied([self.term(a) for a in arguments], [self.matrix])
            case DiagonalOf():
                return Apply("diag", self.term(arguments[0]))
        return Apply(_FUNCTIONS.get(term.func, term.func.__name__), self.term(arguments[0]))

    def _applied(self, matrix: sp.Expr, vector: sp.Expr, transposed: bool) -> Node:
        """W v, or v W where vectors are rows: the user's weight is then the transpose of the cell's."""
        weight = self.term(matrix)
        if transposed != self.rows:
            weight = _transposed(weight)
        operand = self.term(vector)
        return _multiplied([operand, weight] if self.rows else [weight, operand], [self.matrix])


def _transposed(node: Node) -> Node:
    return node.operand if isinstance(node, Transposed) else Transposed(node)


def _multiplied(nodes: list[Node], signs: list[Times]) -> Node:
    """A product of which no factor is read differently from the left."""
    first, *rest = nodes
    if isinstance(first, Multiply) and all(sign is signs[0] for sign, _ in first.rest) and signs[0].pointwise:
        return Multiply(first.first, (*first.rest, *zip(signs, rest, strict=True)))
    return Multiply(first, tuple(zip(signs, rest, strict=True)))


def _factor_order(factor: sp.Expr) -> tuple[int, str]:
    cotangent = factor.is_Symbol and str(factor).startswith("d_")
    return (0 if cotangent else 1 if factor.is_Symbol else 2, str(factor))


def _number(number: sp.Rational) -> Node:
    value = Fraction(int(number.p), int(number.q))
    if value.denominator == 1 or value.denominator in (2, 4, 5, 10):
        return Number(value)
    return _over(Number(Fraction(value.numerator)), Number(Fraction(value.denominator)))


def _over(top: Node, bottom: Node) -> Node:
    return Multiply(top, ((Times.OVER, bottom),))
