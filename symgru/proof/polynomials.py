"""Terms without brackets, as `sympy.expand` writes them, in a fraction of its time.

`sympy.expand` walks a term once for every kind of rule that it has; a polynomial in function applications
needs distribution alone. What else may occur, such as exp or a negative power, is left to `sympy.expand`.
Results are kept: proofs ask about the same terms again and again.
"""

from __future__ import annotations

from functools import cache, lru_cache
from itertools import product

import sympy as sp

#: What `sympy.expand` does by default; a class has a method for each that changes it.
_HINTS = ("power_base", "power_exp", "mul", "multinomial", "log", "basic")


@lru_cache(maxsize=1 << 15)
def expanded(node: sp.Expr) -> sp.Expr:
    """The term as `sympy.expand` writes it: products of sums multiplied out, in arguments too."""
    return _multiplied_out(node) if _polynomial(node) else sp.expand(node)


@lru_cache(maxsize=1 << 15)
def _polynomial(node: sp.Expr) -> bool:
    """Whether it is made of rational numbers and symbols by sums, products, whole powers and functions."""
    if node.is_Atom:
        return node.is_Rational or (node.is_Symbol and node.is_commutative)
    if node.is_Pow:
        return node.exp.is_Integer and node.exp > 1 and _polynomial(node.base)
    return (node.is_Add or node.is_Mul or _opaque(node.func)) and all(map(_polynomial, node.args))


@cache
def _opaque(head: type[sp.Basic]) -> bool:
    """Whether `sympy.expand` does nothing but expand the arguments of such a function."""
    return issubclass(head, sp.Function) and not any(hasattr(head, f"_eval_expand_{h}") for h in _HINTS)


@lru_cache(maxsize=1 << 15)
def _multiplied_out(node: sp.Expr) -> sp.Expr:
    if node.is_Atom:
        return node
    if node.is_Pow:
        factors = (_multiplied_out(node.base),) * int(node.exp)
        return _distributed(factors) if factors[0].is_Add else sp.Mul(*factors)
    arguments = tuple(map(_multiplied_out, node.args))
    if node.is_Mul and any(a.is_Add for a in arguments):
        return _distributed(arguments)
    return node.func(*arguments)


def _distributed(factors: tuple[sp.Expr, ...]) -> sp.Expr:
    """The product of expanded factors, multiplied out."""
    total = sp.S.One
    for factor in factors:
        pairs = product(sp.Add.make_args(total), sp.Add.make_args(factor))
        total = sp.Add(*(sp.Mul(*pair) for pair in pairs))
    return total
