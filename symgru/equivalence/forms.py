"""Forms of a step in which it does not matter what has a statement of its own.

`Form`, for the search: every new state as a polynomial in inputs, parameters and applications of functions,
where an application, σ(…), tanh(…), a matrix product or a mean, is one symbol, and equal ones are the same
symbol. `flattened`, for proofs: a program whose pointwise statements read no other pointwise statements.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count

import sympy as sp

from symgru.equations import Pointwise, Program, Statement, select
from symgru.proof.terms import Contraction, Normaliser, TransposedContraction, masks, term

PRODUCTS = (Contraction, TransposedContraction)


class _Names(dict[sp.Expr, sp.Symbol]):
    """Names of applications; what has none yet gets one."""

    def __init__(self, prefix: str):
        self._prefix = prefix
        self.nodes: dict[sp.Symbol, sp.Expr] = {}

    def get(self, node: sp.Expr, default: object = None) -> sp.Symbol:
        if node not in self:
            self[node] = sp.Symbol(f"{self._prefix}{len(self) + 1}", real=True)
            self.nodes[self[node]] = node
        return self[node]


class Form:
    """The normal form of a step.

    Args:
        step: The step.
        prefix: What the symbols of applications begin with.
        values: What the inputs are; themselves if not given.
    Attributes:
        outputs: Every output as a polynomial in inputs and applications.
        nodes: What each application is; its arguments are inputs and applications before it.
        parameters: What the parameters are called here -> the parameters.
    """

    def __init__(self, step: Program, prefix: str, values: Mapping[sp.Symbol, sp.Expr] | None = None):
        self.step = step
        known = dict(values or {symbol: symbol for symbol in step.inputs})
        self.parameters = {known[p]: p for p in step.parameters}
        self._masks = {known[mask] for mask in masks(step)}
        self._names = _Names(prefix)
        self._normalise = Normaliser(masks=self._masks)
        self._normalise.named = self._names
        self.nodes: Mapping[sp.Symbol, sp.Expr] = self._names.nodes
        for statement in step:
            known[statement.target] = self.normal(term(statement).xreplace(known))
        self.outputs = {output: known[output] for output in step.outputs}

    def normal(self, expression: sp.Expr) -> sp.Expr:
        """An expression of inputs and applications in normal form; a mask is 0 or 1, so m² = m."""
        powers = {node: node.base for node in expression.atoms(sp.Pow) if node.base in self._masks}
        result = self._normalise(expression.xreplace(powers))
        powers = {node: node.base for node in result.atoms(sp.Pow) if node.base in self._masks}
        return sp.expand(result.xreplace(powers))


def flattened(step: Program) -> Program:
    """The step with every polynomial written out in inputs, products, means and applications of functions."""
    taken = set(step.shapes)
    statements: list[Statement] = []
    polynomials: dict[sp.Symbol, sp.Expr] = {}

    def name(target: sp.Symbol, expression: sp.Expr) -> sp.Symbol:
        numbers = (sp.Symbol(f"{target}_{i}", real=True) for i in count(2))
        symbol = next(n for n in numbers if n not in taken)
        taken.add(symbol)
        statements.append(Pointwise(symbol, expression))
        return symbol

    def flat(node: sp.Expr, target: sp.Symbol) -> sp.Expr:
        """A polynomial; applications in it, and their arguments, have statements before it."""
        if node.is_Atom:
            return polynomials.get(node, node)
        if not node.is_Function or isinstance(node, select):
            return node.func(*(flat(a, target) for a in node.args))
        return name(target, applied(node, target))

    def applied(node: sp.Expr, target: sp.Symbol) -> sp.Expr:
        (argument,) = node.args
        return node if argument.is_Symbol else node.func(name(target, sp.expand(flat(argument, target))))

    for statement in step:
        if isinstance(statement, Pointwise):
            expression, target = statement.expression, statement.target
            if expression.is_Function and not isinstance(expression, select):
                statement = Pointwise(target, applied(expression, target))
            else:
                polynomials[target] = sp.expand(flat(expression, target))
                statement = Pointwise(target, polynomials[target])
        statements.append(statement)
    return Program(step.inputs, tuple(statements), step.outputs)
