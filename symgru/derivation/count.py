"""Operations, counted on statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from symgru.equations import Contract, Mean, Outer, Pointwise, Statement, Sum, select


@dataclass(frozen=True)
class Operations:
    """Counts for each unit, sequence and step.

    Attributes:
        scalar: Additions, subtractions, multiplications, negations and choices by a mask.
        functions: Evaluations of σ, tanh and the like.
        products: Products of a matrix with a vector.
        outer: Outer products, summed over time and batch: each is one matrix product over all steps.
        means: Means over units.
    """

    scalar: int = 0
    functions: int = 0
    products: int = 0
    outer: int = 0
    means: int = 0

    @property
    def pointwise(self) -> int:
        """Scalar operations where a function counts as one."""
        return self.scalar + self.functions

    def __add__(self, other: Operations) -> Operations:
        return Operations(*(a + b for a, b in zip(self._counts(), other._counts(), strict=True)))

    def _counts(self) -> tuple[int, ...]:
        return self.scalar, self.functions, self.products, self.outer, self.means


def operations(statements: Iterable[Statement]) -> Operations:
    """Count the operations of some statements."""
    total = Operations()
    for statement in statements:
        match statement:
            case Pointwise():
                total += expression_cost(statement.expression)
            case Contract():
                total += Operations(products=len(statement.terms))
            case Outer():
                total += Operations(outer=len(statement.terms))
            case Mean():
                total += Operations(means=1)
            case Sum():
                pass  # part of a reduction over all steps, as the additions inside matrix products are
    return total


def expression_cost(node: sp.Expr) -> Operations:
    """The cost of an expression as it is emitted: x² is x·x, a subtraction is one operation."""
    if node.is_Atom:
        return Operations()
    if node.is_Pow:
        repeated = (expression_cost(node.base) for _ in range(int(node.exp)))
        return sum(repeated, Operations(scalar=int(node.exp) - 1))
    if node.is_Mul and node.args[0] == -1:  # −x, unless it stands in a sum
        return Operations(scalar=1) + expression_cost(-node)
    arguments = list(node.args)
    if node.is_Add:
        negative = [a for a in arguments if a.could_extract_minus_sign() and _is_subtracted(a)]
        arguments = [-a if a in negative else a for a in arguments]
        own = Operations(scalar=len(arguments) - (len(negative) < len(arguments)))
    elif node.is_Mul:
        own = Operations(scalar=len(arguments) - 1)
    else:
        own = Operations(scalar=1) if isinstance(node, select) else Operations(functions=1)
    return sum((expression_cost(a) for a in arguments), own)


def _is_subtracted(term: sp.Expr) -> bool:
    """Whether a term is written as minus another: −x·y, but not x·(a − b)."""
    return bool(sp.Mul.make_args(term)[0].is_negative)
