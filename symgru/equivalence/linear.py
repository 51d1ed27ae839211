"""Linear equations between parameters, solved as they come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import sympy as sp


@dataclass(frozen=True)
class Linear:
    """Linear equations in reduced form.

    Attributes:
        unknowns: What is solved for; of several in an equation the first, so that the last stay free.
        solved: Unknown -> its value, in free unknowns and in what is known.
    """

    unknowns: Sequence[sp.Symbol]
    solved: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)

    def reduced(self, expression: sp.Expr) -> sp.Expr:
        """The expression with what is solved put in."""
        return sp.expand(expression.xreplace(dict(self.solved)))

    def with_zero(self, expression: sp.Expr) -> tuple[Linear, sp.Expr]:
        """The equations and `expression` = 0.

        Returns:
            The equations, and what is left of the expression if no unknown is: it has to be zero.
        """
        left = self.reduced(expression)
        unknown = next((u for u in self.unknowns if u in left.free_symbols), None)
        if unknown is None:
            return self, left
        coefficient = left.coeff(unknown)
        value = sp.expand(-(left - coefficient * unknown) / coefficient)
        solved = {u: sp.expand(v.xreplace({unknown: value})) for u, v in self.solved.items()}
        return Linear(self.unknowns, {**solved, unknown: value}), sp.S.Zero
