"""What a proof is here: a statement, its assumptions, and steps that SymPy has checked one by one.

A theorem with an unchecked step cannot be made: the constructor raises. The same holds for a refutation
whose witness does not separate the two sides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import sympy as sp

SAME = "the same expression of equal values"


class ProofError(ValueError):
    """A claim that does not hold, or that this proof does not show; the message names the statement."""


@dataclass(frozen=True)
class Step:
    """One claim and why it holds.

    Attributes:
        claim: What is shown; primed values belong to the second of the two programs.
        justification: The calculation, or the rule.
        lemmas: Names of the lemmas that the calculation used.
        residual: Left side minus right side of the claim, simplified; zero when the claim holds.
        case: Which of several cases the step belongs to; empty if there is one.
    """

    claim: str
    justification: str
    residual: sp.Expr
    lemmas: tuple[str, ...] = ()
    case: str = ""

    @property
    def checked(self) -> bool:
        """Whether the claim holds."""
        return bool(self.residual == 0)

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "case": self.case,
            "claim": self.claim,
            "justification": self.justification,
            "lemmas": list(self.lemmas),
            "residual": str(self.residual),
            "checked": self.checked,
        }


def in_case(case: str, steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps as part of a case."""
    return tuple(replace(step, case=case) for step in steps)


@dataclass(frozen=True)
class Theorem:
    """A proved statement.

    Attributes:
        name: Identifier.
        statement, latex: What holds, in words and as a formula.
        assumptions: What is taken for granted, every item of it.
        premises: Names of theorems that the proof rests on.
        steps: The proof.
        conclusion: What follows from the steps.
    Raises:
        ProofError: there is no step, or one that is not checked.
    """

    name: str
    statement: str
    latex: str
    assumptions: tuple[str, ...]
    steps: tuple[Step, ...]
    conclusion: str
    premises: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.steps:
            raise ProofError(f"{self.name}: expected at least one step, got none")
        for step in self.steps:
            if not step.checked:
                raise ProofError(f"{self.name}: '{step.claim}' is not shown, residual {step.residual}")

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Names of the lemmas that the steps use, in order of first use."""
        return tuple(dict.fromkeys(lemma for step in self.steps for lemma in step.lemmas))

    def to_text(self) -> str:
        """The theorem and its proof for reading; runs of statements that are simply equal share a line."""
        return "\n".join(
            (
                f"Theorem {self.name}",
                f"  {self.statement}",
                *_section("Assumptions", self.assumptions),
                *_section("Rests on", self.premises),
                *_section("Lemmas", self.lemmas),
                "Proof",
                *_proof_lines(self.steps),
                f"Conclusion\n  {self.conclusion}  ∎",
            )
        )

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "kind": "theorem",
            "name": self.name,
            "statement": self.statement,
            "latex": self.latex,
            "assumptions": list(self.assumptions),
            "premises": list(self.premises),
            "lemmas": list(self.lemmas),
            "steps": [step.to_json() for step in self.steps],
            "conclusion": self.conclusion,
        }


@dataclass(frozen=True)
class Interval:
    """A closed interval with exact bounds."""

    lower: sp.Rational
    upper: sp.Rational

    def to_json(self, digits: int) -> dict[str, str]:
        """Decimals, the lower bound rounded down and the upper bound up."""
        return {"lower": _decimal(self.lower, digits), "upper": _decimal(self.upper, digits, up=True)}

    def __str__(self) -> str:
        return f"[{_decimal(self.lower, 20)}, {_decimal(self.upper, 20, up=True)}]"


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
            "values": {name: _texts(value) for name, value in self.values.items()},
            "left": [interval.to_json(self.digits) for interval in self.left],
            "right": [interval.to_json(self.digits) for interval in self.right],
            "digits": self.digits,
            "gap": _decimal(self.gap, self.digits),
        }


@dataclass(frozen=True)
class Refutation:
    """Two cells that are not the same function, with inputs that tell them apart.

    Attributes:
        name: Identifier.
        statement, latex: What is not equal, in words and as a formula.
        left, right: Titles of the two sides.
        witness: The inputs.
    Raises:
        ProofError: the outputs at the witness are not shown to differ.
    """

    name: str
    statement: str
    latex: str
    left: str
    right: str
    witness: Witness

    def __post_init__(self) -> None:
        if not self.witness.gap > 0:
            raise ProofError(f"{self.name}: the outputs of {self.left} and {self.right} are not told apart")

    def to_text(self) -> str:
        """The statement and its witness for reading."""
        witness = self.witness
        sizes = ", ".join(f"{axis} = {size}" for axis, size in witness.sizes.items())
        return "\n".join(
            (
                f"Refutation {self.name}",
                f"  {self.statement}",
                f"Witness ({sizes})",
                *(f"  {name} = {_plain(value)}" for name, value in witness.values.items()),
                f"New state, one interval per unit, enclosed with {witness.digits} digits and shown with 20",
                f"  {self.left}: {_plain(witness.left)}",
                f"  {self.right}: {_plain(witness.right)}",
                f"Conclusion\n  They differ by more than {_decimal(witness.gap, 6)} in one unit.  ∎",
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


def _section(title: str, lines: tuple[str, ...]) -> Iterator[str]:
    if lines:
        yield title
        yield from (f"  - {line}" for line in lines)


def _proof_lines(steps: tuple[Step, ...]) -> Iterator[str]:
    for case, run in groupby(steps, key=lambda step: step.case):
        if case:
            yield f"  Case {case}"
        yield from _case_lines(run)


def _case_lines(steps: Iterable[Step]) -> Iterator[str]:
    number = 0
    for same, run in groupby(steps, key=lambda step: step.justification == SAME):
        if same:
            number += 1
            yield f"  {number}. {'; '.join(step.claim for step in run)}"
            yield f"       {SAME}"
            continue
        for step in run:
            number += 1
            by = f"   [{', '.join(step.lemmas)}]" if step.lemmas else ""
            yield f"  {number}. {step.claim}"
            yield f"       {step.justification}{by}"


def _decimal(number: sp.Rational, digits: int, up: bool = False) -> str:
    """The number with so many decimals, rounded down or up."""
    scaled = int((sp.ceiling if up else sp.floor)(number * 10**digits))
    whole, decimals = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{decimals:0{digits}d}"


def _plain(value: Any) -> str:
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, (list, tuple)) else str(value)


def _texts(value: Any) -> Any:
    return [_texts(part) for part in value] if isinstance(value, (list, tuple)) else str(value)
