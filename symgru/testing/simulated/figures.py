"""Figures about mutants, as Markdown: how many there are, are reported, do no harm, survive, and why."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TypeVar

from symgru.testing.simulated import explained
from symgru.testing.simulated.explained import Explanation, why
from symgru.testing.simulated.mutants import Mutant

#: Part of the errors on each target that must be reported.
GOAL = 0.95
NOTICE = "not run on a GPU"
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant of a kernel: the first report, or None if it survived."""

    target: str
    kernel: str
    mutant: Mutant
    report: str | None

    @property
    def explanation(self) -> Explanation | None:
        """Why it survived, if it did and somebody knows."""
        return None if self.report else why(self.target, self.kernel, self.mutant)


@dataclass(frozen=True)
class Figures:
    """How many mutants there are; do what the kernel does, so are equivalent; are reported; are a riddle."""

    mutants: int
    equivalent: int
    reported: int
    unexplained: int

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Figures:
        """Count."""
        reasons = [o.explanation for o in outcomes if o.report is None]
        return cls(
            len(outcomes),
            sum(reason is not None and reason.equivalent for reason in reasons),
            len(outcomes) - len(reasons),
            reasons.count(None),
        )

    @property
    def surviving(self) -> int:
        """Errors that are not reported."""
        return self.mutants - self.equivalent - self.reported

    @property
    def share(self) -> float:
        """The part of the errors that is reported."""
        return self.reported / max(self.mutants - self.equivalent, 1)

    def cells(self) -> tuple[str, ...]:
        """Of a row of the table."""
        of_all = self.reported / max(self.mutants, 1)
        counts = (self.mutants, self.equivalent, self.reported, self.surviving)
        return (*map(str, counts), f"{self.share:.1%}", f"{of_all:.1%}")


def good(outcomes: Sequence[Outcome], whole: bool) -> bool:
    """Every survivor is explained, and, of a whole run, enough errors are reported on each target."""
    by_target = [Figures.of(found) for _, found in grouped(outcomes, lambda o: o.target)]
    return all(f.unexplained == 0 and (f.share >= GOAL or not whole) for f in by_target)


def stale(outcomes: Sequence[Outcome]) -> list[str]:
    """Explanations that no survivor needs, with the target on which it is so, of all that have run."""
    needed = {(o.target, o.explanation) for o in outcomes if o.report is None}
    return [
        f"{target}: {explanation.what}"
        for target, _ in grouped(outcomes, lambda o: o.target)
        for explanation in explained.EXPLANATIONS
        if target in explanation.targets and (target, explanation) not in needed
    ]


def tables(outcomes: Sequence[Outcome]) -> str:
    """The figures of each target by kernels and by kinds, and the survivors with their reasons."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("symgru", "triton", "torch", "llvmlite"))
    return "\n".join([f"{versions}; {NOTICE}.", "", *_rows(outcomes), "", *_survivors(outcomes)])


def grouped(outcomes: Iterable[Outcome], key: Callable[[Outcome], Key]) -> list[tuple[Key, list[Outcome]]]:
    """Outcomes of one key together, in the order in which the keys come."""
    found: dict[Key, list[Outcome]] = {}
    for outcome in outcomes:
        found.setdefault(key(outcome), []).append(outcome)
    return list(found.items())


def _rows(outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| target | of | mutants | equivalent | reported | surviving | of errors | of all |"
    yield "|---|---|---:|---:|---:|---:|---:|---:|"
    for target, on_target in grouped(outcomes, lambda o: o.target):
        parts = [
            *grouped(on_target, lambda o: o.mutant.kind),
            *grouped(on_target, lambda o: "our kernels" if o.kernel.startswith("gru ") else "other kernels"),
            ("all", on_target),
        ]
        for name, part in parts:
            yield f"| {target} | {name} | {' | '.join(Figures.of(part).cells())} |"


def _survivors(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Each reason once, with the survivors it has on each target; what has none comes first, one by one."""
    survivors = [o for o in outcomes if o.report is None]
    for o in survivors:
        if o.explanation is None:
            yield f"- NOT EXPLAINED: {o.target}, {o.kernel}: {o.mutant}"
    for reason, covered in grouped(survivors, lambda o: o.explanation):
        if reason is not None:
            counts = ", ".join(f"{t} {len(found)}" for t, found in grouped(covered, lambda o: o.target))
            head = "Equivalent" if reason.equivalent else "Not reported"
            yield f"- {head} ({counts}): {reason.what}: {reason.why}."
