"""What a rung is asked for, and what it found. Loads neither torch nor triton."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

#: A rung by its letter, and whether Triton's interpreter runs in it; None: it does not use Triton's kernels.
RUNGS: dict[str, tuple[str, bool | None]] = {
    "a": ("emitted passes against the float64 oracle", None),
    "b": ("loops in Triton's interpreter", True),
    "c": ("compiled loops on simulated GPUs", False),
    "d": ("compile matrix against its budgets", False),
    "e": ("static model of cycles, as advice", False),
    "f": ("compiled loops on a GPU", False),
}
NOT_ON_A_GPU = "not run on a GPU"


@dataclass(frozen=True)
class Request:
    """What is asked of a rung.

    Attributes:
        targets: GPUs that are simulated, or compiled for; each rung has its own choice where there are none.
        thorough: Everything that takes minutes.
        accept: The reason for which (d) takes the figures that it finds as budgets; None to compare.
    """

    targets: tuple[str, ...] = ()
    thorough: bool = False
    accept: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a rung found.

    Attributes:
        rung: Its letter.
        verdict: passed, failed, advice, or not run.
        checks: How many were made.
        failures: Each in words.
        notes: What else is to be said.
    """

    rung: str
    verdict: str
    checks: int
    failures: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def text(self) -> str:
        """A line, and what there is to say under it."""
        head = f"({self.rung}) {RUNGS[self.rung][0]}: {self.verdict}"
        counted = f", {self.checks} checks" if self.checks else ""
        under = [*(f"FAILED {failure}" for failure in self.failures), *self.notes]
        return "\n".join([head + counted, *("    " + line.replace("\n", "\n    ") for line in under)])
