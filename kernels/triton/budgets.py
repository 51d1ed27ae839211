"""Budgets of compiled kernels, in a reviewed file: what each kernel costs, and why that changed last.

`budgets.json` has, for each release of Triton, a line for each kernel of the matrix, and a list of reasons to
which only `accept` adds. A kernel that compiles to other figures is drift: an error, until the new figures
are accepted with a reason. Compilers differ, so other releases of Triton have no budgets.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..simulator.static import Static
from .compile import Kernel

FILE = Path(__file__).with_name("budgets.json")


@dataclass(frozen=True)
class Figures:
    """What a kernel costs.

    Attributes:
        registers: Of a thread, of 32 bits.
        spilled: Bytes of a thread.
        shared_memory: Bytes of a program.
        matrix, barriers, instructions: Of a time step: how many of each matrix instruction, barriers of the
            program, instructions in all.
        global_bytes: What a thread loads and stores in a time step.
    """

    registers: int
    spilled: int
    shared_memory: int
    matrix: Mapping[str, int]
    barriers: int
    global_bytes: int
    instructions: int

    @classmethod
    def of(cls, found: Static) -> Figures:
        """The figures of a compiled kernel, whose longest loop is the one over time."""
        loop = found.longest_loop
        if loop is None:
            raise ValueError(f"{found.kernel} for {found.target}: expected a loop over time, there is none")
        return cls(
            registers=found.registers,
            spilled=found.spilled,
            shared_memory=found.shared_memory,
            matrix=loop.matrix,
            barriers=loop.barriers,
            global_bytes=loop.global_bytes,
            instructions=loop.size,
        )


@dataclass(frozen=True)
class Budget:
    """Figures, and the number of the reason for them."""

    figures: Figures
    reason: int


@dataclass(frozen=True)
class Budgets:
    """What the file holds.

    Attributes:
        reasons: In the order in which they were given.
        releases: For each release of Triton, the budget of each kernel by its words.
    """

    reasons: tuple[str, ...]
    releases: Mapping[str, Mapping[str, Budget]]

    def complaints(self, release: str, kernel: Kernel, found: Figures) -> list[str]:
        """How a kernel drifted from its budget, in sentences; to have none is drift too.

        Raises:
            NoBudgetsError: There are none for this release of Triton.
        """
        if release not in self.releases:
            raise NoBudgetsError(
                f"there are budgets for triton {' and '.join(self.releases) or '(none)'}, "
                f"this is {release}: its compiler may well give other figures"
            )
        budget = self.releases[release].get(str(kernel))
        if budget is None:
            return [f"{kernel}: has no budget"]
        reason = self.reasons[budget.reason]
        return [
            f"{kernel}: {name.replace('_', ' ')} {_words(old)} became {_words(new)} (last accepted: {reason})"
            for name, old, new in _changes(budget.figures, found)
        ]

    def accept(self, release: str, found: Mapping[Kernel, Figures], reason: str) -> Budgets:
        """The budgets with these figures; those that are new or changed get the reason.

        Raises:
            ValueError: The reason is empty.
        """
        if not reason.strip():
            raise ValueError("expected a reason why these figures are right, got none")
        known = dict(self.releases.get(release, {}))
        changed = {
            str(kernel): Budget(figures, len(self.reasons))
            for kernel, figures in found.items()
            if str(kernel) not in known or known[str(kernel)].figures != figures
        }
        if not changed:
            return self
        return Budgets((*self.reasons, reason.strip()), {**self.releases, release: known | changed})


class NoBudgetsError(LookupError):
    """Nothing is recorded for this release of Triton."""


def _changes(old: Figures, new: Figures) -> list[tuple[str, Any, Any]]:
    both = ((field.name, getattr(old, field.name), getattr(new, field.name)) for field in fields(Figures))
    return [change for change in both if change[1] != change[2]]


def _words(figure: Any) -> str:
    if isinstance(figure, Mapping):
        return ", ".join(f"{count} {name}" for name, count in figure.items()) or "none"
    return str(figure)


def load(file: Path = FILE) -> Budgets:
    """Read the file.

    Raises:
        ValueError: It is not as `save` writes it.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
        reasons = tuple(document["reasons"])
        releases = {
            release: {kernel: _budget(line, reasons) for kernel, line in lines.items()}
            for release, lines in document["releases"].items()
        }
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{file}: expected budgets as `symgru kernels verify` writes them: {error}"
        ) from error
    return Budgets(reasons, releases)


def _budget(line: dict[str, Any], reasons: tuple[str, ...]) -> Budget:
    reason = line.pop("reason")
    if reason not in range(len(reasons)):
        raise ValueError(f"expected the number of a reason under {len(reasons)}, got {reason!r}")
    return Budget(Figures(**line), reason)


def save(budgets: Budgets, file: Path = FILE) -> None:
    """Write the file, a line for each reason and each kernel, so that a review sees what changed."""
    releases = {
        json.dumps(release): _lines(
            {k: {**asdict(b.figures), "reason": b.reason} for k, b in sorted(lines.items())}
        )
        for release, lines in sorted(budgets.releases.items())
    }
    body = ",\n".join(f"{release}: {{\n{lines}\n}}" for release, lines in releases.items())
    reasons = ",\n".join(json.dumps(reason, ensure_ascii=False) for reason in budgets.reasons)
    file.write_text(f'{{"reasons": [\n{reasons}\n],\n"releases": {{\n{body}\n}}}}\n', encoding="utf-8")


def _lines(entries: Mapping[str, Any]) -> str:
    return ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in entries.items())
