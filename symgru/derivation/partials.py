"""Partial derivatives of pointwise statements, written in the values that the program already has."""

from __future__ import annotations

from functools import lru_cache

import sympy as sp

from symgru.equations import Pointwise, Program, name_of, select


@lru_cache(maxsize=8192)  # derived programs repeat the statements of what they are derived from
def slope(expression: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    """∂(expression)/∂(variable), as SymPy has it: terms that are a product with the variable need no rule."""
    terms = []
    for term in sp.Add.make_args(expression):
        factors = sp.Mul.make_args(term)
        rest = [f for f in factors if f != variable]
        if variable not in term.free_symbols:
            continue
        if len(rest) == len(factors) - 1 and not any(variable in f.free_symbols for f in rest):
            terms.append(sp.Mul(*rest))
        else:
            terms.append(sp.diff(term, variable))
    return sp.Add(*terms)


class Partials:
    """∂f/∂v for the pointwise statements of one program.

    SymPy differentiates; then σ(a), σ(−a) and tanh(a) are replaced by the names of the statements that
    compute them, so that a derivative reads in the gates, not in their pre-activations.
    """

    def __init__(self, program: Program):
        pointwise = [s for s in program if isinstance(s, Pointwise)]
        self._computed = {s.expression: s.target for s in pointwise if isinstance(s.expression, sp.Function)}
        masks = [node.args[0] for s in pointwise for node in s.expression.atoms(select)]
        #: Masks: values with no derivative.
        self.constants: frozenset[sp.Symbol] = frozenset(masks)

    def derivative(self, statement: Pointwise, variable: sp.Symbol) -> sp.Expr:
        """∂(expression)/∂(variable)."""
        return slope(statement.expression, variable).xreplace(self._computed)

    def variables(self, statement: Pointwise) -> list[sp.Symbol]:
        """What the statement can be differentiated by, in a fixed order."""
        return sorted(statement.reads - self.constants, key=name_of)
