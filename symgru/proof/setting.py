"""What a simulation is about, and which of its claims a step makes: all that a check needs, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

import sympy as sp

from symgru.equations import Program
from symgru.proof.text import text

Relation = Mapping[sp.Symbol, sp.Expr]
Carry = tuple[tuple[sp.Symbol, sp.Symbol], ...]


class Role(str, Enum):
    """What a step claims: symbol = image for a value of the reference, else symbol′ = image."""

    REFERENCE = "reference"
    STATEMENT = "statement"
    GOAL = "goal"
    INDUCTION = "induction"


@dataclass(frozen=True, eq=False)
class Setting:
    """Two programs, how their inputs are related, and what is to be shown of the outputs.

    Attributes:
        reference, program: Both run on related inputs.
        relation: Inputs of `program` in those of `reference`; those not named are equal.
        goal: Outputs of `program` in values of `reference`.
        given: What is known of inputs of `reference`.
        tied: Parameters of `reference` whose rows, or elements, are all equal.
        carry: Pairs (entering, leaving) of values that both loops carry; None for a single step.
        reverse: Whether the loops run from the last step to the first.
    """

    reference: Program
    program: Program
    relation: Relation
    goal: Relation
    given: Relation
    tied: tuple[sp.Symbol, ...] = ()
    carry: Carry | None = None
    reverse: bool = False


@dataclass(frozen=True)
class Place:
    """The claim of a step as data: where it belongs, and what it says of which symbol."""

    setting: Setting
    role: Role
    symbol: sp.Symbol
    image: sp.Expr

    @property
    def claim(self) -> str:
        """The claim in words; primes mark values of the second program."""
        equal = f"{self.symbol.name}{'' if self.role is Role.REFERENCE else '′'} = {text(self.image)}"
        return f"{equal} at every time step" if self.role is Role.INDUCTION else equal
