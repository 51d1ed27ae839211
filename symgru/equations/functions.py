"""The scalar functions that cells use and SymPy lacks in the form we need."""

from __future__ import annotations

import sympy as sp
from sympy import exp, tanh
from sympy.core.function import ArgumentIndexError

__all__ = ["exp", "reflect_sigmoid", "relu", "rsqrt", "select", "sigmoid", "softplus", "step", "tanh"]


class sigmoid(sp.Function):  # named as the field writes it, like sympy.tanh
    """Logistic function σ(a) = 1 / (1 + exp(−a)).

    Its derivative is written σ(a)·σ(−a): both factors are computed without cancellation, where
    σ(a)·(1 − σ(a)) rounds to zero from about a = 17 in float32.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """dσ(a)/da = σ(a)·σ(−a)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        argument = self.args[0]
        return sigmoid(argument) * sigmoid(-argument)

    def _eval_rewrite_as_exp(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return 1 / (1 + sp.exp(-argument))

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.exp)._eval_evalf(prec)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_extended_real

    def _eval_is_positive(self) -> bool | None:
        return self.args[0].is_extended_real


class step(sp.Function):
    """1 for a > 0, else 0: the derivative of relu as torch has it, 0 at 0. Its own derivative is 0."""

    nargs = 1

    @classmethod
    def eval(cls, argument: sp.Expr) -> sp.Expr | None:
        """Numbers have a value."""
        return sp.Integer(bool(argument > 0)) if argument.is_Rational else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """0, also at the jump."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return sp.S.Zero

    def _eval_rewrite_as_Piecewise(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return sp.Piecewise((sp.S.One, argument > 0), (sp.S.Zero, True))

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_extended_real


class relu(sp.Function):
    """max(a, 0). Its derivative is `step`, 0 at the kink."""

    nargs = 1

    @classmethod
    def eval(cls, argument: sp.Expr) -> sp.Expr | None:
        """Numbers have a value."""
        return max(argument, sp.S.Zero) if argument.is_Rational else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """d relu(a)/da = step(a)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return step(self.args[0])

    def _eval_rewrite_as_Piecewise(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return sp.Piecewise((argument, argument > 0), (sp.S.Zero, True))

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_extended_real


class softplus(sp.Function):
    """log(1 + exp(a)). Its derivative is σ(a)."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """d softplus(a)/da = σ(a)."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return sigmoid(self.args[0])

    def _eval_rewrite_as_exp(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return sp.log(1 + sp.exp(argument))

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.exp)._eval_evalf(prec)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_extended_real


class rsqrt(sp.Function):
    """1/√a for a > 0, which the cell has to see to (a variance plus a positive number).

    Its derivative is written −rsqrt(a)³/2, without a division.
    """

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """d rsqrt(a)/da = −rsqrt(a)³/2."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        return -sp.Rational(1, 2) * self**3

    def _eval_rewrite_as_Pow(self, argument: sp.Expr, **_: object) -> sp.Expr:
        return 1 / sp.sqrt(argument)

    def _eval_evalf(self, prec: int) -> sp.Expr:
        return self.rewrite(sp.Pow)._eval_evalf(prec)

    def _eval_is_real(self) -> bool | None:
        return self.args[0].is_positive


class select(sp.Function):
    """select(condition, chosen, otherwise): `chosen` where the condition is true, `otherwise` elsewhere.

    The condition is a value of its own (a mask), not an expression of the others, so the
    derivative with respect to it does not exist: `Partials` leaves masks out, and fdiff raises.
    """

    nargs = 3

    @classmethod
    def eval(cls, condition: sp.Expr, chosen: sp.Expr, otherwise: sp.Expr) -> sp.Expr | None:
        """Equal cases need no mask."""
        return chosen if chosen == otherwise else None

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """1 where the case is taken, else 0."""
        condition = self.args[0]
        if argindex == 2:
            return select(condition, sp.S.One, sp.S.Zero)
        if argindex == 3:
            return select(condition, sp.S.Zero, sp.S.One)
        raise ArgumentIndexError(self, argindex)


def reflect_sigmoid(expression: sp.Expr) -> sp.Expr:
    """Rewrite σ(−a) as 1 − σ(a) wherever the argument has a leading minus sign.

    Source: σ(−a) = 1/(1 + eᵃ) = e⁻ᵃ/(e⁻ᵃ + 1) = 1 − σ(a); `symgru.proof.lemmas` checks it.
    """
    return expression.replace(
        lambda node: isinstance(node, sigmoid) and node.args[0].could_extract_minus_sign(),
        lambda node: 1 - sigmoid(-node.args[0]),
    )
