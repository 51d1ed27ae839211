"""What a phase of a schedule costs, in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from symgru import derivation
from symgru.documents.words import counted
from symgru.equations import Statement


@dataclass(frozen=True)
class Operations:
    """Counts over one phase.

    Attributes:
        scalar: Scalar operations for each unit, sequence and step; a function counts as one.
        products: Products of a matrix with a vector.
        outer: Outer products, summed over time and batch: each is one matrix product over all steps.
        means: Means over units.
    """

    scalar: int
    products: int
    outer: int
    means: int = 0

    def __str__(self) -> str:
        parts = [counted(self.scalar, "scalar operation"), counted(self.products, "matrix product")]
        if self.outer:
            parts.append(counted(self.outer, "sum of outer products", "sums of outer products"))
        if self.means:
            parts.append(counted(self.means, "mean over units", "means over units"))
        return ", ".join(parts)


def operations(statements: Iterable[Statement]) -> Operations:
    """Count the operations of some statements."""
    count = derivation.operations(statements)
    return Operations(count.pointwise, count.products, count.outer, count.means)
