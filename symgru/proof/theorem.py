"""What a proof is here: a statement, its assumptions, and steps.

A step is calculated or argued. A calculated step has the two sides of an equation, and SymPy shows that
their difference is zero; other judges may be asked too (`symgru.certificates`). An argued step is a rule of
inference in words: induction over time, comparison of coefficients, tanh takes no value twice. Code may have
checked that the rule applies; no calculation shows the rule. A theorem with a calculation that does not come
out cannot be made: the constructor raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from itertools import groupby
from typing import Any

import sympy as sp

from symgru.proof.polynomials import expanded
from symgru.proof.setting import Place
from symgru.proof.text import count, section

SAME = "the same expression of equal values"

Equations = tuple[tuple[str, tuple[str, ...]], ...]  # title of a group, its lines


class ProofError(ValueError):
    """A claim that does not hold, or that this proof does not show; the message names the statement."""


class Kind(str, Enum):
    """Why a step holds: SymPy has shown a difference to be zero, or a rule of inference is stated."""

    CALCULATED = "calculated"
    ARGUED = "argued"


@dataclass(frozen=True)
class Step:
    """One claim and why it holds.

    Attributes:
        claim: What is shown; primed values belong to the second of the two programs.
        justification: The calculation, or the rule.
        equation: The two sides that a calculation shows to be equal, in normal form; None for a rule.
        lemmas: Names of the lemmas that the step used.
        case: Which of several cases the step belongs to; empty if there is one.
        stated: The equation before any lemma rewrote it, for judges other than SymPy; by default `equation`.
        place: The claim as data, for a step of a simulation.
        verdicts: (judge, its verdict) for every judge that was asked; see `symgru.certificates`.
    """

    claim: str
    justification: str
    equation: tuple[sp.Expr, sp.Expr] | None = None
    lemmas: tuple[str, ...] = ()
    case: str = ""
    stated: tuple[sp.Expr, sp.Expr] | None = None
    place: Place | None = None
    verdicts: tuple[tuple[str, str], ...] = ()

    @property
    def kind(self) -> Kind:
        """Calculated or argued."""
        return Kind.ARGUED if self.equation is None else Kind.CALCULATED

    @cached_property
    def residual(self) -> sp.Expr | None:
        """Left side minus right side, simplified; None for a rule."""
        if self.equation is None:
            return None
        left, right = self.equation
        return difference(left, right)

    @property
    def checked(self) -> bool:
        """Whether SymPy has shown the claim by a calculation; False for a rule."""
        return self.residual is not None and bool(self.residual == 0)

    def judged(self, verdicts: tuple[tuple[str, str], ...]) -> Step:
        """The same step with the verdicts of judges; what SymPy has shown need not be shown again."""
        return self._labelled(verdicts=verdicts)

    def _labelled(self, **labels: Any) -> Step:
        step = copy(self)  # with the residual, if it is known
        step.__dict__.update(labels)
        return step

    def of_case(self, case: str) -> Step:
        """The same step as part of a case."""
        return self._labelled(case=case)

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "case": self.case,
            "claim": self.claim,
            "kind": self.kind.value,
            "justification": self.justification,
            "lemmas": list(self.lemmas),
            "equation": None if self.equation is None else list(map(str, self.equation)),
            "residual": None if self.residual is None else str(self.residual),
            "checked": self.checked,
            "verdicts": dict(self.verdicts),
        }


def checked_by(calculations: int, judges: Mapping[str, int]) -> str:
    """Who has checked them: all of them, or so many."""
    all_of_them = [name for name, number in judges.items() if number == calculations]
    some = [f"{number} by {name}" for name, number in judges.items() if number != calculations]
    by = [f"checked by {' and '.join(all_of_them)}"] if all_of_them else []
    return ", ".join([*by, *some])


def difference(left: sp.Expr, right: sp.Expr) -> sp.Expr:
    """Left minus right, expanded, and simplified if that does not make it zero."""
    remainder = left - right
    if remainder != 0:
        remainder = expanded(expanded(left) - expanded(right))
    return remainder if remainder == 0 else sp.simplify(remainder)


def in_case(case: str, steps: Iterable[Step]) -> tuple[Step, ...]:
    """The steps as part of a case."""
    return tuple(step.of_case(case) for step in steps)


@dataclass(frozen=True)
class Theorem:
    """A proved statement.

    Attributes:
        name: Identifier.
        statement, latex: What holds, in words and as a formula.
        assumptions: What is taken for granted, every item of it.
        steps: The proof.
        conclusion: What follows from the steps.
        premises: Names of theorems that the proof rests on.
        equations: What defines the symbols of the proof, in groups with titles.
    Raises:
        ProofError: there is no calculation, or one whose sides are not equal.
    """

    name: str
    statement: str
    latex: str
    assumptions: tuple[str, ...]
    steps: tuple[Step, ...]
    conclusion: str
    premises: tuple[str, ...] = ()
    equations: Equations = ()

    def __post_init__(self) -> None:
        if not self.calculations:
            raise ProofError(f"{self.name}: expected at least one calculation, got none")
        for step in self.steps:
            if step.kind is Kind.CALCULATED and not step.checked:
                raise ProofError(f"{self.name}: '{step.claim}' is not shown, residual {step.residual}")

    @property
    def calculations(self) -> int:
        """Number of steps that SymPy has calculated."""
        return sum(step.kind is Kind.CALCULATED for step in self.steps)

    @property
    def rules(self) -> int:
        """Number of steps that are rules of inference, stated in words."""
        return sum(step.kind is Kind.ARGUED for step in self.steps)

    @property
    def lemmas(self) -> tuple[str, ...]:
        """Names of the lemmas that the steps use, in order of first use."""
        return tuple(dict.fromkeys(lemma for step in self.steps for lemma in step.lemmas))

    @property
    def judges(self) -> dict[str, int]:
        """How many calculations each judge has proved; SymPy's is done by the theorem itself."""
        asked = dict.fromkeys(name for step in self.steps for name, _ in step.verdicts)
        proved = {name: sum((name, "proved") in step.verdicts for step in self.steps) for name in asked}
        return proved or {"SymPy": self.calculations}

    @property
    def evidence(self) -> str:
        """How much of the proof is calculated, how much is argued, and by which lemmas."""
        counts = f"{count(self.calculations, 'calculation')} {checked_by(self.calculations, self.judges)}, "
        counts += f"{count(self.rules, 'rule')} of inference stated"
        return f"{counts}; lemmas: {', '.join(self.lemmas)}" if self.lemmas else counts

    def to_line(self) -> str:
        """Name, statement and what the proof consists of, on one line."""
        return f"{self.name}: {self.statement} [{self.evidence}]"

    def to_text(self) -> str:
        """The theorem and its proof for reading; runs of statements that are simply equal share a line."""
        equations = (
            line for title, lines in self.equations for line in (f"  {title}", *(f"    {x}" for x in lines))
        )
        return "\n".join(
            (
                f"Theorem {self.name}",
                f"  {self.statement}",
                *section("Assumptions", self.assumptions),
                *section("Rests on", self.premises),
                *section("Lemmas", self.lemmas),
                *(("Equations", *equations) if self.equations else ()),
                f"Proof ({count(self.calculations, 'calculation')}, {count(self.rules, 'rule')})",
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
            "equations": [{"title": title, "lines": list(lines)} for title, lines in self.equations],
            "calculations": self.calculations,
            "rules": self.rules,
            "judges": self.judges,
            "steps": [step.to_json() for step in self.steps],
            "conclusion": self.conclusion,
        }


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
            yield f"       calculated: {SAME}"
            continue
        for step in run:
            number += 1
            by = f"   [{', '.join(step.lemmas)}]" if step.lemmas else ""
            yield f"  {number}. {step.claim}"
            yield f"       {'rule' if step.kind is Kind.ARGUED else 'calculated'}: {step.justification}{by}"
