"""What a cell does as its input grows without bound: every value is s·x + v up to a small rest.

Let x → +∞ along one input, with everything else fixed. Call a value s·x + v + ε(x) with |ε(x)| ≤ C e^(−δx)
for some δ > 0 a germ (s, v). Numbers are germs, and

    sums      (s, v) + (s′, v′) = (s + s′, v + v′)
    products  (s, v) · (0, v′) = (s v′, v v′), because x e^(−δx) is exponentially small again
    σ         (s, v) goes to 1 if s > 0, to 0 if s < 0, and to σ(v) if s = 0
    tanh      (s, v) goes to 1, to −1, and to tanh(v)

So every value of a step is a germ, as long as no product has two factors that grow. If the sign of s is not
known, σ and tanh have a limit all the same, in [0, 1] and in [−1, 1]: it gets a name of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from symgru.equations import sigmoid
from symgru.proof.evaluation import Arithmetic
from symgru.proof.theorem import ProofError


@dataclass(frozen=True)
class Germ:
    """slope·x + value, up to an exponentially small rest, for x → +∞."""

    slope: sp.Expr
    value: sp.Expr

    def __add__(self, other: Germ) -> Germ:
        return Germ(self.slope + other.slope, self.value + other.value)

    def __mul__(self, other: Germ) -> Germ:
        if self.slope == other.slope == sp.S.Zero:
            return constant(self.value * other.value)
        if self.slope != 0 and other.slope != 0:
            raise ProofError(f"the product of {self} and {other} grows faster than x")
        slope = self.slope * other.value + other.slope * self.value
        return Germ(slope, self.value * other.value)

    @property
    def limit(self) -> sp.Expr:
        """The limit, if there is one.

        Raises:
            ProofError: the value grows.
        """
        if self.slope != 0:
            raise ProofError(f"{self.slope}*x + {self.value} has no limit")
        return self.value


def constant(number: sp.Expr) -> Germ:
    """A value that does not depend on x."""
    return Germ(sp.S.Zero, number)


def _limit(function: Callable[[sp.Expr], sp.Expr], below: int) -> Callable[[Germ], Germ]:
    """A function with the limits `below` and 1."""

    def applied(argument: Germ) -> Germ:
        if argument.slope.is_zero:
            return constant(function(argument.value))
        if argument.slope.is_positive:
            return constant(sp.S.One)
        if argument.slope.is_negative:
            return constant(sp.Integer(below))
        return constant(sp.Dummy("limit", real=True))

    return applied


GERMS = Arithmetic(constant, {"sigmoid": _limit(sigmoid, 0), "tanh": _limit(sp.tanh, -1)})
