"""The order in which the factors of a product and the terms of a sum are written.

SymPy sorts by its own rules; people write gates before states, and weights in the order of the cell:

    (1 − z_t) ⊙ h_{t−1}                    gates before states
    ∂L/∂h_t ⊙ (1 − z_t) ⊙ (1 − ñ_t²)       the cotangent first, then gates in the order of the cell
    r_t ⊙ (U_n h_{t−1} + c_n)              sums of products W x after gates and states
    (h_{t−1} − ñ_t) ⊙ Dz_t                 the tangent last
    W_r x_t + U_r h_{t−1} + b_r            products W x before other terms, in the order of their weights
    1 + z_t ⊙ h_{t−1}                      numbers before everything
    ∂L/∂h_t ⊙ z_t + U_nᵀ ∂L/∂a^n_t         what comes back through transposed weights after the rest
    h_{t−1} − ñ_t                          what is subtracted last
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import IntEnum
from typing import Protocol

import sympy as sp

from symgru.equations import Contract


class Role(IntEnum):
    """What a symbol is; products are written in this order."""

    NUMBER = 0
    COEFFICIENT = 1
    COTANGENT = 2
    DIFFERENCE = 3
    GATE = 4
    STATE = 5
    SUM = 6
    TANGENT = 7
    BIAS = 8
    MATRIX = 9


class Placed(Protocol):
    """How a symbol is written, as far as its order goes: its role, and its place among equals."""

    @property
    def role(self) -> Role:
        """What the symbol is."""

    @property
    def order(self) -> int:
        """Place among symbols of the same role; −1 for those that have none."""


class Order:
    """Sort keys for the factors and terms of one program.

    Args:
        placed: Role and place of the symbol of a name.
        inlined: Contractions that are written as their products W x, by their targets.
    """

    def __init__(self, placed: Callable[[str], Placed], inlined: Mapping[sp.Symbol, Contract]) -> None:
        self._placed = placed
        self._inlined = inlined

    def place(self, symbol: sp.Symbol) -> int:
        """Place of a symbol; of products, that of the first matrix."""
        if symbol in self._inlined:
            return min(self.place(term.matrix) for term in self._inlined[symbol].terms)
        return self._placed(str(symbol)).order

    def factor(self, factor: sp.Expr) -> tuple[int, int, bool, str]:
        """Key of a factor: by role, then by place, symbols before what is made of them."""
        places = [self.place(s) for s in factor.free_symbols]
        return self._role(factor), min(places, default=-1), not factor.is_Symbol, str(factor)

    def term(self, term: sp.Expr) -> tuple[bool, int, int, str]:
        """Key of a term: numbers; W x + U h + b; products; through transposed weights; then minus."""
        negative = term.could_extract_minus_sign()
        bare = -term if negative else term
        if bare.is_Number:
            return negative, 0, 0, str(term)
        if bare in self._inlined:
            backwards = any(product.transposed for product in self._inlined[bare].terms)
            return negative, 4 if backwards else 1, self.place(bare), str(term)
        if bare.is_Symbol:
            return negative, 2, self.place(bare), str(term)
        last = max(sp.Mul.make_args(bare), key=self.factor)
        return negative, 3, max((self.place(s) for s in last.free_symbols), default=-1), str(term)

    def _role(self, factor: sp.Expr) -> Role:
        if not factor.free_symbols:
            return Role.NUMBER
        if factor in self._inlined or factor.free_symbols & self._inlined.keys():
            return Role.SUM
        if factor.is_Symbol:
            return self._placed(str(factor)).role
        roles = [self._role(a) for a in factor.args]
        if factor.is_Add:
            return Role.GATE if Role.NUMBER in roles else Role.DIFFERENCE
        return Role.GATE if isinstance(factor, sp.Function) else max(roles)
