"""What a refutation is here: concrete inputs at which rigorous intervals keep two outputs apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp

from symgru.equations import Program
from symgru.proof.setting import Relation
from symgru.proof.text import decimal, plain, texts
from symgru.proof.theorem import ProofError


@dataclass(frozen=True)
class Interval:
    """A closed interval with exact bounds."""

    lower: sp.Rational
    upper: sp.Rational

    def to_json(self, digits: int) -> dict[str, str]:
        """Decimals, the lower bound rounded down and the upper bound up."""
        return {"lower": decimal(self.lower, digits), "upper": decimal(self.upper, digits, up=True)}

    def __str__(self) -> str:
        return f"[{decimal(self.lower, 20)}, {decimal(self.upper, 20, up=True)}]"


@dataclass(frozen=True)
class Witness:
    """Concrete rational inputs, and the output of both sides as enclosing intervals.

    Attributes:
        sizes: Number of units per axis.
        values: Parameters, input and state by name, as exact fractions.
        left, right: The new state of both sides, one interval per unit.
        digits: Decimal digits of the interval arithmetic.
    """

    sizes: Mapping[str, int]
    values: Mapping[str, Any]
    left: tuple[Interval, ...]
    right: tuple[Interval, ...]
    digits: int

    @property
    def gap(self) -> sp.Rational:
        """A lower bound of the distance between the two outputs in the unit where it is largest."""
        pairs = zip(self.left, self.right, strict=True)
        return max(max(a.lower - b.upper, b.lower - a.upper) for a, b in pairs)

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "sizes": dict(self.sizes),
            "values": {name: texts(value) for name, value in self.values.items()},
            "left": [interval.to_json(self.digits) for interval in self.left],
            "right": [interval.to_json(self.digits) for interval in self.right],
            "digits": self.digits,
            "gap": decimal(self.gap, self.digits),
        }


@dataclass(frozen=True)
class Refutation:
    """Two cells that are not the same function, with inputs that tell them apart.

    Attributes:
        name: Identifier.
        statement, latex: What is not equal, in words and as a formula.
        left, right: Titles of the two sides.
        witness: The inputs.
        programs: The step of both sides, of which the witness has the first output; needed for a certificate.
        relation: Inputs of the right side in the values of the witness; those not named are these values.
    Raises:
        ProofError: the outputs at the witness are not shown to differ.
    """

    name: str
    statement: str
    latex: str
    left: str
    right: str
    witness: Witness
    programs: tuple[Program, ...] = ()
    relation: Relation = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.witness.gap > 0:
            raise ProofError(f"{self.name}: the outputs of {self.left} and {self.right} are not told apart")

    @property
    def evidence(self) -> str:
        """By how much the two sides differ at the witness."""
        return (
            f"one witness with fractions, outputs {decimal(self.witness.gap, 6)} apart in rigorous intervals"
        )

    def to_line(self) -> str:
        """Name, statement and what the refutation consists of, on one line."""
        return f"{self.name}: {self.statement} [{self.evidence}]"

    def to_text(self) -> str:
        """The statement and its witness for reading."""
        witness = self.witness
        sizes = ", ".join(f"{axis} = {size}" for axis, size in witness.sizes.items())
        return "\n".join(
            (
                f"Refutation {self.name}",
                f"  {self.statement}",
                f"Witness ({sizes})",
                *(f"  {name} = {plain(value)}" for name, value in witness.values.items()),
                f"New state, one interval per unit, enclosed with {witness.digits} digits and shown with 20",
                f"  {self.left}: {plain(witness.left)}",
                f"  {self.right}: {plain(witness.right)}",
                f"Conclusion\n  They differ by more than {decimal(witness.gap, 6)} in one unit.  ∎",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "kind": "refutation",
            "name": self.name,
            "statement": self.statement,
            "latex": self.latex,
            "left": self.left,
            "right": self.right,
            "witness": self.witness.to_json(),
        }
