"""What a comparison of two cells can end in, one way and both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import sympy as sp

from symgru.proof import ProofError, Refutation, Theorem, Witness
from symgru.proof.text import count, decimal

#: How many refuted relations are printed; JSON has all.
SHOWN = 4


@dataclass(frozen=True)
class Reparametrisation:
    """Parameters and states of the right cell in those of the left.

    Attributes:
        parameters: Parameter of the right -> expression of parameters of the left.
        states: State of the right, by its name on the left -> multiple of the state of the left.
        names: Inputs, states and parameters of the right that have another name here -> that name.
    """

    parameters: Mapping[sp.Symbol, sp.Expr]
    states: Mapping[sp.Symbol, sp.Expr]
    names: Mapping[sp.Symbol, sp.Symbol] = field(default_factory=dict)

    @property
    def distance(self) -> int:
        """How many parameters and states are not simply equal."""
        return sum(name != value for name, value in (*self.parameters.items(), *self.states.items()))

    @property
    def changes(self) -> dict[str, str]:
        """What is not simply equal, by name."""
        both = {**self.parameters, **self.states}
        return {str(name): str(value) for name, value in both.items() if name != value}

    def __str__(self) -> str:
        changes = ", ".join(f"{name}′ = {value}" for name, value in self.changes.items())
        if len(self.changes) == len(self.parameters) + len(self.states):
            return changes
        return f"{changes}, the rest equal" if changes else "all parameters equal"

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "parameters": {str(name): str(value) for name, value in self.parameters.items()},
            "states": {str(name): str(value) for name, value in self.states.items()},
            "names": {str(name): str(here) for name, here in self.names.items()},
        }


@dataclass(frozen=True)
class Equal:
    """Every left cell is a right one: a reparametrisation, and the proof.

    Attributes:
        relation: The parameters of the right cell.
        theorem: The proof.
        conditions: What has to hold of the parameters of the left; nothing if empty.
    """

    relation: Reparametrisation
    theorem: Theorem
    conditions: Mapping[sp.Symbol, sp.Expr]

    def to_text(self) -> str:
        """For reading."""
        conditions = ", ".join(f"{name} = {value}" for name, value in self.conditions.items())
        where = f"if {conditions}" if conditions else "yes"
        return f"{where}, with {self.relation}\n  proof: {self.theorem.evidence}"

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "kind": "equal",
            "relation": self.relation.to_json(),
            "conditions": {str(name): str(value) for name, value in self.conditions.items()},
            "theorem": self.theorem.to_json(),
        }


@dataclass(frozen=True)
class Refuted:
    """A reparametrisation that does not do it, and a point at which it does not.

    Attributes:
        relation: What is refuted, and nothing else.
        witness: One step of both, from related states. Names of the right have primes; the new states on the
            left are multiplied as the relation says.
    Raises:
        ProofError: the outputs at the witness are not shown to differ.
    """

    relation: Reparametrisation
    witness: Witness

    def __post_init__(self) -> None:
        if not self.witness.gap > 0:
            raise ProofError(f"{self.relation}: the new states at the witness are not told apart")

    def refutation(self, left: str, right: str) -> Refutation:
        """As a refutation of two cells of these names."""
        return Refutation(
            f"{left}-is-not-{right}",
            f"With {self.relation}, where primes mark {right}, one step from related states does not end in "
            "related states.",
            r"h^{\mathrm{left}}(\theta) \neq h^{\mathrm{right}}(\varphi(\theta))",
            left,
            right,
            self.witness,
        )

    def to_json(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """As values that JSON knows; of the point only what is not in `shared`."""
        witness = self.witness.to_json()
        witness["values"] = {k: v for k, v in witness["values"].items() if shared.get(k) != v}
        return {"relation": self.relation.to_json(), "witness": witness}


@dataclass(frozen=True)
class Different:
    """No reparametrisation of the search space turns a left cell into a right one: each has a witness.

    Attributes:
        left, right: Names of the cells.
        space: What the reparametrisations are, in words.
        refuted: Each of them, with its witness.
        tried: What else was tried, and how it ended.
        theorem: Shows that no parameters at all do, if that is known.
        under: What holds of some left cells.
    """

    left: str
    right: str
    space: str
    refuted: tuple[Refuted, ...]
    tried: tuple[str, ...] = ()
    theorem: Theorem | None = None
    under: Equal | None = None

    def __post_init__(self) -> None:
        if not self.refuted:
            raise ValueError("expected a witness for every relation of the space, got none")

    def to_text(self) -> str:
        """For reading, with the first witness in full."""
        lines = ["not by a relation of the search space; whether other parameters do it is not decided"]
        if self.theorem is not None:
            lines = ["no", f"  theorem {self.theorem.name}: {self.theorem.statement}"]
        lines += _under(self.under)
        lines.append(f"  refuted, {count(len(self.refuted), 'relation')}: {self.space}")
        for one in self.refuted[:SHOWN]:
            lines.append(f"    {one.relation}: {decimal(one.witness.gap, 6)} apart")
        if len(self.refuted) > SHOWN:
            gap = min(one.witness.gap for one in self.refuted)
            lines.append(f"    and {len(self.refuted) - SHOWN} more, all at least {decimal(gap, 6)} apart")
        first = self.refuted[0].refutation(self.left, self.right)
        lines.extend(f"  {line}" for line in first.to_text().splitlines())
        return "\n".join([*lines, *(f"  {line}" for line in self.tried)])

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows; what the witnesses share is in `point`."""
        point = self.refuted[0].witness.to_json()["values"]
        return {
            "kind": "different",
            "space": self.space,
            "point": point,
            "refuted": [one.to_json(point) for one in self.refuted],
            "tried": list(self.tried),
            "theorem": None if self.theorem is None else self.theorem.to_json(),
            "under": None if self.under is None else self.under.to_json(),
        }


@dataclass(frozen=True)
class Undecided:
    """Neither a proof nor a witness for every relation.

    Attributes:
        tried: What was tried, and how it ended.
        under: What holds of some left cells.
    """

    tried: tuple[str, ...]
    under: Equal | None = None

    def to_text(self) -> str:
        """For reading."""
        return "\n".join(["not decided; tried", *(f"  {line}" for line in self.tried), *_under(self.under)])

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        under = None if self.under is None else self.under.to_json()
        return {"kind": "undecided", "tried": list(self.tried), "under": under}


Outcome = Equal | Different | Undecided


def _under(under: Equal | None) -> list[str]:
    return [] if under is None else [f"  {line}" for line in under.to_text().splitlines()]


class Verdict(str, Enum):
    """How two cells are related as sets of functions, one for each choice of parameters.

    DIFFERENT is by a theorem: no parameters at all. UNRELATED: every relation of the search space has a
    witness against it; whether other parameters do it is not known.
    """

    EQUAL = "equal"
    LEFT_IN_RIGHT = "left in right"
    RIGHT_IN_LEFT = "right in left"
    DIFFERENT = "different"
    UNRELATED = "not related in the search space"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Comparison:
    """Two cells, compared both ways.

    Attributes:
        left, right: Their names.
        forward: Whether every left is a right.
        backward: Whether every right is a left.
        one_to_one: Whether the two reparametrisations are inverse to each other.
    """

    left: str
    right: str
    forward: Outcome
    backward: Outcome
    one_to_one: bool = False

    @property
    def verdict(self) -> Verdict:
        """In one word; an inclusion says nothing about the other way, which has its own outcome."""
        ways = [isinstance(outcome, Equal) for outcome in (self.forward, self.backward)]
        if any(ways):
            return Verdict.EQUAL if all(ways) else Verdict.LEFT_IN_RIGHT if ways[0] else Verdict.RIGHT_IN_LEFT
        refuted = [outcome for outcome in (self.forward, self.backward) if isinstance(outcome, Different)]
        if any(outcome.theorem for outcome in refuted):
            return Verdict.DIFFERENT
        return Verdict.UNRELATED if len(refuted) == 2 else Verdict.UNDECIDED

    def to_text(self) -> str:
        """For reading."""
        exact = ", one to one" if self.one_to_one else ""
        return "\n".join(
            (
                f"{self.left} and {self.right}: {self.verdict.value}{exact}",
                f"Is every {self.left} a {self.right}? {_sentence(self.forward)}",
                f"Is every {self.right} a {self.left}? {_sentence(self.backward)}",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "left": self.left,
            "right": self.right,
            "verdict": self.verdict.value,
            "one_to_one": self.one_to_one,
            "forward": self.forward.to_json(),
            "backward": self.backward.to_json(),
        }


def _sentence(outcome: Outcome) -> str:
    text = outcome.to_text()
    return text[0].upper() + text[1:]
