"""Reverse-mode derivative of a program (vector-Jacobian product), as a program.

The adjoint of each kind of statement is made of the same kinds:

    pointwise  u = f(v, …)     v̄ += ū · ∂f/∂v
    contract   u = W v         v̄ += Wᵀ ū          W̄ += ū vᵀ
    mean       u = mean v      v̄ += mean ū
    outer      M = Σ u vᵀ      ū += M̄ v           v̄ += M̄ᵀ u
    sum        s = Σ u         ū += s̄
"""

from __future__ import annotations

from collections import defaultdict
from itertools import chain, count

import sympy as sp

from symgru.derivation.caching import cached
from symgru.derivation.partials import Partials
from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Program, Statement, Sum

PREFIX = "d_"


def cotangent(symbol: sp.Symbol, prefix: str = PREFIX) -> sp.Symbol:
    """The symbol of its cotangent."""
    return sp.Symbol(f"{prefix}{symbol}", real=True)


@cached
def vjp(program: Program, prefix: str = PREFIX) -> Program:
    """The program followed by its adjoint statements in reverse order.

    Inputs are those of the program and the cotangents of its outputs; outputs are the cotangents of its
    inputs (of those that an output depends on; masks have none).

    Raises:
        ProgramError: the prefix makes a name that the program already has.
    """
    adjoint = _Adjoint(program, prefix)
    for statement in reversed(program.statements):
        adjoint.transpose(statement)
    outputs = tuple(adjoint.finish(symbol) for symbol in program.inputs if adjoint.reached(symbol))
    inputs = dict(program.inputs) | {cotangent(s, prefix): program.shapes[s] for s in program.outputs}
    whole = Program(inputs, (*program.statements, *adjoint.statements), outputs)
    return whole.without_dead_statements()


class _Adjoint:
    """Collects the contributions to each cotangent, then writes one statement for their sum."""

    def __init__(self, program: Program, prefix: str):
        self.statements: list[Statement] = []
        self._program = program
        self._prefix = prefix
        self._partials = Partials(program)
        self._expressions: dict[sp.Symbol, list[sp.Expr]] = defaultdict(list)
        self._products: dict[sp.Symbol, list[Product]] = defaultdict(list)
        self._pairs: dict[sp.Symbol, list[tuple[sp.Symbol, sp.Symbol]]] = defaultdict(list)
        self._named: dict[sp.Expr, sp.Symbol] = {}
        self._shared: set[sp.Symbol] = set()
        for output in program.outputs:
            self._expressions[output].append(cotangent(output, prefix))

    def reached(self, symbol: sp.Symbol) -> bool:
        moved = sp.Add(*self._expressions[symbol]) != 0  # contributions may cancel
        return bool(moved or self._products[symbol] or self._pairs[symbol])

    def transpose(self, statement: Statement) -> None:
        """Add the contributions of one statement to the cotangents of what it reads."""
        if not self.reached(statement.target):
            return
        match statement:
            case Pointwise():
                bar = self._total(statement.target)
                for variable in self._partials.variables(statement):
                    derivative = self._partials.derivative(statement, variable)
                    if derivative != 0:  # such as that of step
                        self._expressions[variable].append(bar * derivative)
            case Contract():
                bar = self._total(statement.target)
                for term in statement.terms:
                    self._products[term.vector].append(Product(term.matrix, bar, not term.transposed))
                    pair = (term.vector, bar) if term.transposed else (bar, term.vector)
                    self._pairs[term.matrix].append(pair)
            case Mean():
                bar = self._total(statement.target)
                name = sp.Symbol(f"{bar}_mean", real=True)
                self.statements.append(Mean(name, bar))
                self._expressions[statement.source].append(name)
            case Outer():
                bar = cotangent(statement.target, self._prefix)
                for left, right in statement.terms:
                    self._products[left].append(Product(bar, right))
                    self._products[right].append(Product(bar, left, transposed=True))
            case Sum():
                bar = cotangent(statement.target, self._prefix)  # the same at every step, so no vector
                self._shared.add(bar)
                for term in statement.terms:
                    self._expressions[term].append(bar)

    def finish(self, symbol: sp.Symbol) -> sp.Symbol:
        """Write the cotangent of an input under its own name."""
        name = cotangent(symbol, self._prefix)
        shape = self._program.inputs[symbol]
        if shape.per_step:
            self._write_vector(symbol, name)
        elif len(shape.axes) == 1:
            terms = tuple(self._name(e, f"{name}_per_step") for e in self._expressions[symbol])
            self.statements.append(Sum(name, terms))
        else:
            self.statements.append(Outer(name, tuple(self._pairs[symbol])))
        return name

    def _total(self, symbol: sp.Symbol) -> sp.Symbol:
        """The cotangent of an intermediate value; a single symbol needs no statement."""
        expressions, products = self._expressions[symbol], self._products[symbol]
        if not products and len(expressions) == 1 and self._is_vector(expressions[0]):
            return expressions[0]
        name = cotangent(symbol, self._prefix)
        if symbol in self._program.outputs:
            name = sp.Symbol(f"{name}_total", real=True)
        return self._write_vector(symbol, name)

    def _is_vector(self, expression: sp.Expr) -> bool:
        return bool(expression.is_Symbol) and expression not in self._shared

    def _write_vector(self, symbol: sp.Symbol, name: sp.Symbol) -> sp.Symbol:
        expressions, products = self._expressions[symbol], self._products[symbol]
        if products and not expressions:
            self.statements.append(Contract(name, tuple(products)))
            return name
        if products:
            through_weights = sp.Symbol(f"{name}_through_weights", real=True)
            self.statements.append(Contract(through_weights, tuple(products)))
            expressions = [*expressions, through_weights]
        self.statements.append(Pointwise(name, sp.Add(*expressions)))
        self._named[sp.Add(*expressions)] = name
        return name

    def _name(self, expression: sp.Expr, name: str) -> sp.Symbol:
        """A symbol for the expression: itself, one that a statement already has, or a new one."""
        if expression.is_Symbol:
            return expression
        if expression not in self._named:
            taken = {s.name for s in self._named.values()}
            fresh = next(n for n in chain([name], (f"{name}_{i}" for i in count(2))) if n not in taken)
            self._named[expression] = sp.Symbol(fresh, real=True)
            self.statements.append(Pointwise(self._named[expression], expression))
        return self._named[expression]
