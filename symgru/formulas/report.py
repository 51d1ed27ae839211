"""What is said of a file of formulas, as data, as text and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from textwrap import wrap
from typing import Any

from symgru.formulas.judge import POINTS, Witness

WIDTH = 110
_HARD_SPACE = "\u00a0"  # where `wrap` breaks no line
SCHEMA, SCHEMA_VERSION = "symgru.formulas", 1


class Status(str, Enum):
    """What is known of a line.

    RIGHT: proved equal to what the derivation gives.
    AGREES: equal to it at all points tried, but not proved.
    DEFINITION: a name that the derivation does not know; later lines are judged with it written out.
    WRONG: not equal, or shapes that cannot fit.
    INHERITED: right if the names in it had their right values, wrong as it stands because of earlier lines.
    NOT_JUDGED: it reads a name that an earlier line left without a value.
    NOT_UNDERSTOOD: not in the grammar, or with names that are not known.
    """

    RIGHT = "right"
    AGREES = "agrees"
    DEFINITION = "definition"
    WRONG = "wrong"
    INHERITED = "inherits an error"
    NOT_JUDGED = "not judged"
    NOT_UNDERSTOOD = "not understood"


#: From what matters most to what matters least, for a line with several verdicts.
SEVERITY = (
    Status.NOT_UNDERSTOOD,
    Status.WRONG,
    Status.NOT_JUDGED,
    Status.INHERITED,
    Status.AGREES,
    Status.RIGHT,
    Status.DEFINITION,
)


@dataclass
class LineReport:
    """What is said of one line.

    Attributes:
        number: In the file.
        text: The equation as it stands there.
        status: The verdict.
        reason: Why, in words; empty if the verdict says all.
        column: Where a line is not understood, from 1; 0 if it is.
        right: The right equation in the user's notation; empty if it is not known.
        difference: The user's side minus the right one; empty if there is none to show.
        because: Numbers of the wrong lines that a right line inherits from.
        notes: Further remarks.
        witness: Inputs that show the difference.
    """

    number: int
    text: str
    status: Status
    reason: str = ""
    column: int = 0
    right: str = ""
    difference: str = ""
    because: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()
    witness: Witness | None = None

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        shown = self.witness
        return {
            "line": self.number,
            "column": self.column,
            "text": self.text,
            "status": self.status.value,
            "reason": self.reason,
            "right": self.right,
            "difference": self.difference,
            "because_of_lines": list(self.because),
            "notes": list(self.notes),
            "witness": None
            if shown is None
            else {
                "sizes": shown.sizes,
                "inputs": shown.inputs,
                "values": shown.read,
                "element": list(shown.place),
                "user": shown.user,
                "right": shown.right,
            },
        }

    def to_lines(self) -> Iterator[str]:
        """For reading."""
        status = {Status.RIGHT: "right (proved)", Status.AGREES: "agrees"}.get(self.status, self.status.value)
        yield f"line {self.number}: {status}"
        yield f"    {self.text}"
        if self.column:
            yield "    " + " " * (self.column - 1) + "^"
        if self.reason:
            yield f"  {self.reason}"
        if self.right:
            yield f"  right: {self.right}"
        if self.difference:
            yield f"  yours minus right: {self.difference}"
        if self.witness is not None:
            yield from _witness_lines(self.witness)
        yield from (f"  note: {note}" for note in self.notes)


@dataclass
class Report:
    """What is said of a file.

    Attributes:
        cell: The cell that lines are judged by, in words.
        lines: One report for each equation.
    """

    cell: str
    lines: list[LineReport] = field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """1 if a line is wrong, else 2 if one is not understood, else 0."""
        found = {line.status for line in self.lines}
        if found & {Status.WRONG, Status.INHERITED}:
            return 1
        return 2 if found & {Status.NOT_UNDERSTOOD, Status.NOT_JUDGED} or not self.lines else 0

    @property
    def summary(self) -> str:
        """How many lines got which verdict."""
        counts = Counter(line.status for line in self.lines)
        words = {Status.RIGHT: "right (proved)", Status.AGREES: f"equal at {POINTS} points but not proved"}
        if counts[Status.DEFINITION] > 1:
            words[Status.DEFINITION] = "definitions"
        parts = [f"{counts[s]} {words.get(s, s.value)}" for s in Status if counts[s]]
        plural = "" if len(self.lines) == 1 else "s"
        return f"{len(self.lines)} equation{plural}: {', '.join(parts)}"

    def to_json(self) -> dict[str, Any]:
        """As values that JSON knows."""
        return {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "cell": self.cell,
            "counts": {s.value: sum(line.status is s for line in self.lines) for s in Status},
            "lines": [line.to_json() for line in self.lines],
        }

    def to_text(self) -> str:
        """For reading: every line that needs attention in full, the others in one line each."""
        parts = [f"Checked against: {self.cell}"]
        parts += ["\n".join(line.to_lines()) for line in self.lines]
        return "\n\n".join([*parts, self.summary])


def _witness_lines(witness: Witness) -> Iterator[str]:
    sizes = ", ".join(f"{name} = {size}" for name, size in witness.sizes.items())
    place = "" if not witness.place else f" (row {witness.place[0]}, column {witness.place[1]})"
    yield f"  for instance, with {sizes}:"
    for values in (witness.inputs, witness.read):
        items = (f"{name} = {_plain(value)}".replace(" ", _HARD_SPACE) for name, value in values.items())
        lines = wrap(", ".join(items), WIDTH - 4, break_long_words=False)
        yield from (f"    {line}".replace(_HARD_SPACE, " ") for line in lines)
    yield f"    yours{place} = {witness.user}, right = {witness.right}"


def _plain(value: Any) -> str:
    """A nested list on one line; of one element, the element."""
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return f"[{', '.join(map(_plain, value))}]" if isinstance(value, list) else str(value)
