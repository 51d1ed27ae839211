"""Partial derivatives of pointwise statements, written in the values that the program already has."""

from __future__ import annotations

import sympy as sp

from symgru.equations import Pointwise, Program, name_of, select


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
        return sp.diff(statement.expression, variable).xreplace(self._computed)

    def variables(self, statement: Pointwise) -> list[sp.Symbol]:
        """What the statement can be differentiated by, in a fixed order."""
        return sorted(statement.reads - self.constants, key=name_of)
