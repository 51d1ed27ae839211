"""Check a file of formulas line by line against the derivation of a cell.

A name that the header, the cell or the literature gives a meaning is *stated* by its line: the right side is
compared with that meaning. Any other name is *defined* by its line. Every line is judged with the values that
the names in it should have, so a wrong line does not make the lines after it wrong; and again with the values
that the lines before have given them, so that an error that is handed on is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from symgru.cells import CELLS
from symgru.equations import Cell
from symgru.formulas import values
from symgru.formulas.document import EXPECTED, Document, Text, read
from symgru.formulas.errors import FormulaError, ShapeError
from symgru.formulas.evaluation import NoValueError
from symgru.formulas.explain import Explainer
from symgru.formulas.judge import Verdict, compare
from symgru.formulas.meaning import Formula, Line, Scope, UnsetError, derivative_key, with_differentials
from symgru.formulas.own_cell import OwnCell
from symgru.formulas.parser import parse_equation
from symgru.formulas.reference import Reference
from symgru.formulas.report import SEVERITY, LineReport, Report, Status
from symgru.formulas.tree import Add, Blocks, Derivative, Equation, Name, Node
from symgru.formulas.values import ONE, SAMPLES, Value

OWN = "own"


def check_formulas(text: str, cells: Mapping[str, Callable[[], Cell]] = CELLS) -> Report:
    """Check every equation of a file.

    Args:
        text: The file.
        cells: The cells that its header may name.
    Raises:
        FormulaError: the header is missing or not understood; with its place.
    """
    document = read(text)
    return _Checker(document, cells).run()


@dataclass(frozen=True)
class _Judged:
    """The verdict on one side of an equation, and the value that a name gets from it."""

    report: LineReport
    line: Line | None = None


class _Checker:
    def __init__(self, document: Document, cells: Mapping[str, Callable[[], Cell]]):
        self._document = document
        self._scope = Scope(
            document.vectors_are_rows, document.primes_of_outputs, document.names, document.new
        )
        self._own: OwnCell | None = None
        if document.cell == OWN:
            self._own = OwnCell(document.states, document.given)
            self._scope.inputs = self._own.known
        else:
            self._take(_cell(document.cell, cells))

    def _take(self, cell: Cell) -> None:
        """Judge by this cell from now on."""
        reference = Reference(cell)
        self._scope.reference = reference
        zero = []
        for name in self._document.zero:
            value = self._scope.meaning(name)
            if value is None or len(value.single.free_symbols) != 1:
                raise FormulaError(f"{name.key} after 'zero:' is not a parameter of the cell", 1)
            zero += value.single.free_symbols
        if zero:
            self._scope.reference = Reference(cell, zero)
        for key, shape in self._document.given.items():
            if key not in self._scope.inputs:
                symbol = sp.Symbol(key, real=True)
                self._scope.inputs[key] = (symbol, shape)
                self._scope.reference.declare(symbol, shape)
        self._explain = Explainer(self._scope, self._document.style)

    @property
    def _reference(self) -> Reference:
        assert self._scope.reference is not None
        return self._scope.reference

    def run(self) -> Report:
        """The verdict on every line."""
        lines = [self._line(text) for text in self._document.equations]
        if self._scope.reference is None:
            missing = "the lines define no complete cell: no line gives the state that leaves the step"
            reason = f"{missing}; 'states: h_{{t-1}} -> h_t' in the header names it"
            lines[-1:] = [replace(report, notes=(*report.notes, reason)) for report in lines[-1:]]
            return Report("the forward equations of the file, which are not complete", lines)
        cell = self._scope.reference.cell
        return Report(f"{cell.title} ({cell.source})", lines)

    def _line(self, text: Text) -> LineReport:
        equation = None
        try:
            equation = parse_equation(text.text, self._document.style)
            if self._scope.reference is None:
                return self._forward(text, equation)
            return self._equation(text, equation)
        except (FormulaError, NoValueError) as error:
            if equation is not None:
                self._leave_without_value(text, equation.left)
            return _failure(text, error)

    def _leave_without_value(self, text: Text, left: Node) -> None:
        """Remember that a line was to define a name, so that the lines that read it can say so."""
        if isinstance(left, Name) and left.key not in self._document.names and not self._scope.meaning(left):
            failed = Line(text.number, None, None, frozenset({text.number}))
            self._scope.lines.setdefault(left.key, failed)

    # The user's own cell.

    def _forward(self, text: Text, equation: Equation) -> LineReport:
        assert self._own is not None
        if not isinstance(equation.left, Name) or len(equation.sides) != 1:
            raise FormulaError("expected 'name = …' until the cell is complete", column=equation.left.column)
        key, side = equation.left.key, equation.sides[0]
        if key in self._own.known or key in self._scope.lines:
            raise FormulaError(f"{key} is defined a second time", column=equation.left.column)
        self._own.supply(side, self._scope.lines, self._document.names)
        value = Formula(self._scope, use_lines=True).value(side)
        if not self._own.define(key, value):
            self._scope.lines[key] = Line(text.number, value, value)
        cell = self._own.finished()
        notes: tuple[str, ...] = ()
        if cell is not None:
            self._take(cell)
            notes = ("the cell is complete; what follows is checked against its derivation",)
        return replace(_report(text, Status.DEFINITION), notes=notes)

    # Lines that are checked.

    def _equation(self, text: Text, equation: Equation) -> LineReport:
        left = with_differentials(equation.left, self._scope)
        sides = [with_differentials(side, self._scope) for side in equation.sides]
        if isinstance(left, Blocks):
            if len(sides) != 1:
                raise FormulaError("several names on the left need one right side", column=left.column)
            return self._several(text, left, sides[0])
        reports = []
        *middle, last = sides
        for side in middle:
            if isinstance(side, Name) and self._meaning(side) is None:
                self._note(side, self._single(text, side, last, False))
            else:
                reports.append(self._note(left, self._single(text, left, side, equation.accumulates)))
        reports.append(self._note(left, self._single(text, left, last, equation.accumulates)))
        return _worst(reports)

    def _note(self, left: Node, judged: _Judged) -> LineReport:
        """Remember what a line says of a name."""
        key = (
            left.key
            if isinstance(left, Name)
            else derivative_key(left)
            if isinstance(left, Derivative)
            else ""
        )
        if key and judged.line is not None:
            self._scope.lines[key] = judged.line
            if isinstance(left, Name) and judged.line.right is not None:
                self._scope.call(judged.line.right, left)
        return judged.report

    def _meaning(self, left: Node) -> Value | None:
        """What the left side should be, by itself or by the line that defines it; None for a new name."""
        if isinstance(left, (Name, Derivative)):
            found = self._scope.meaning(left)
            if found is None and isinstance(left, Name):
                return self._scope.lines_value(left)
            return found
        return Formula(self._scope, use_lines=True).value(left)

    def _single(self, text: Text, left: Node, side: Node, accumulates: bool) -> _Judged:
        meaning = self._meaning(left)
        if meaning is None:
            signals = self._scope.signals(left) if isinstance(left, Name) else {}
            return self._signal(text, side, signals) if signals else self._define(text, left, side)
        side, dropped = self._without_accumulator(left, meaning, side)
        notes = ("what was accumulated before is left out",) if dropped or accumulates else ()
        right = _Attempt.of(self._scope, side, written=False)
        if right.error is not None:
            return self._failed(text, meaning, right.error, notes)
        return self._stated(text, meaning, side, right, notes)

    def _several(self, text: Text, left: Blocks, side: Node) -> LineReport:
        """[a b] = …: each name gets its part."""
        names = [name for row in left.rows for name in row]
        whole = Formula(self._scope, use_lines=True).value(side)
        parts = _parted(whole, len(names))
        written = _Attempt.of(self._scope, side, written=True)
        parts_written = None if written.value is None else _parted(written.value, len(names))
        reports = []
        for i, (name, part) in enumerate(zip(names, parts, strict=True)):
            meaning = self._meaning(name)
            value = None if parts_written is None else parts_written[i]
            attempt = _Attempt(value, frozenset(written.faults), written.error)
            if meaning is None:
                judged = self._defined(text, name, part, attempt)
            else:
                judged = self._compared(text, meaning, part, attempt, ())
            reports.append(self._note(name, judged))
        return _worst(reports)

    def _signal(self, text: Text, side: Node, signals: Mapping[str, Value]) -> _Judged:
        """δ_z = …: one of the derivatives that the literature writes so."""
        right = _Attempt.of(self._scope, side, written=False)
        if right.error is not None:
            raise right.error
        for words, meaning in signals.items():
            judged = self._stated(text, meaning, side, right, (f"read as {words}",))
            if judged.report.status is not Status.WRONG:
                return judged
        words = ", nor ".join(signals)
        unlike = (
            f"this is not {words}; if it is none of them, 'new: …' in the header makes it a name of your own"
        )
        judged.report.notes = (*judged.report.notes[1:], unlike)
        return judged

    def _define(self, text: Text, left: Node, side: Node) -> _Judged:
        right = Formula(self._scope, use_lines=True).value(side)
        return self._defined(text, left, right, _Attempt.of(self._scope, side, written=True))

    def _defined(self, text: Text, left: Node, right: Value, written: _Attempt) -> _Judged:
        report = _report(text, Status.DEFINITION)
        known = self._explain.known(right, left)
        report.notes = (f"this is {known}",) if known else ()
        value = right if not written.faults else written.value
        return _Judged(report, Line(text.number, right, value, written.faults))

    def _failed(self, text: Text, meaning: Value, error: FormulaError, notes: tuple[str, ...]) -> _Judged:
        """A right side without a value: wrong if its shapes cannot fit, else as `_line` says."""
        if not isinstance(error, ShapeError):
            raise error
        report = _report(text, Status.WRONG, f"the shapes cannot fit: {error.message}", error.column)
        report.right, report.notes = self._explain.right(text, meaning), notes
        return _Judged(report, Line(text.number, meaning, None, frozenset({text.number})))

    def _stated(
        self, text: Text, meaning: Value, side: Node, right: _Attempt, notes: tuple[str, ...]
    ) -> _Judged:
        assert right.value is not None
        return self._compared(text, meaning, right.value, _Attempt.of(self._scope, side, written=True), notes)

    def _compared(
        self, text: Text, meaning: Value, right: Value, written: _Attempt, notes: tuple[str, ...]
    ) -> _Judged:
        if meaning.is_number:
            meaning = values.fitted(meaning, right.rows, right.columns) or meaning
        fitted, note = _fit(right, meaning)
        if fitted is None:
            reason = f"the shapes cannot fit: the left side is {meaning}, the right side {right}"
            return self._failed(text, meaning, ShapeError(reason.partition(": ")[2]), notes)
        notes += note
        verdict = compare(self._reference, fitted, meaning)
        here = frozenset({text.number})
        if verdict is Verdict.DIFFERENT:
            report = self._explain.wrong(text, meaning, fitted)
            report.notes = (*notes, *self._cancelled(meaning, written))
            return _Judged(report, Line(text.number, meaning, _value(written, meaning), here))
        status = Status.RIGHT if verdict is Verdict.PROVED else Status.AGREES
        report = _report(text, status)
        if not written.faults or self._holds(meaning, written):
            report.notes = notes
            return _Judged(report, Line(text.number, meaning, meaning))
        report.status, report.because, report.notes = Status.INHERITED, tuple(sorted(written.faults)), notes
        report.reason = _blamed(report.because, written.value is None)
        return _Judged(report, Line(text.number, meaning, _value(written, meaning), written.faults))

    def _holds(self, meaning: Value, written: _Attempt) -> bool:
        value = _value(written, meaning)
        return value is not None and compare(self._reference, value, meaning) is not Verdict.DIFFERENT

    def _cancelled(self, meaning: Value, written: _Attempt) -> Iterator[str]:
        if written.faults and self._holds(meaning, written):
            lines = ", ".join(map(str, sorted(written.faults)))
            yield f"with the wrong values of line {lines} it comes out right: two errors cancel"

    def _without_accumulator(self, left: Node, meaning: Value, side: Node) -> tuple[Node, bool]:
        """`dW = dW + …` adds to what was there before; only what is added is checked."""
        if not isinstance(side, Add) or SAMPLES in (*meaning.rows, *meaning.columns):
            return side, False
        kept = [
            (minus, part)
            for minus, part in side.terms
            if minus or not (isinstance(part, (Name, Derivative)) and self._scope.meaning(part) == meaning)
        ]
        if len(kept) != len(side.terms) - 1:
            return side, False
        if len(kept) == 1 and not kept[0][0]:
            return kept[0][1], True
        return Add(tuple(kept), side.column), True


@dataclass(frozen=True)
class _Attempt:
    """The value of a formula, or why it has none, and the wrong lines it has used."""

    value: Value | None
    faults: frozenset[int]
    error: FormulaError | None

    @classmethod
    def of(cls, scope: Scope, node: Node, written: bool) -> _Attempt:
        formula = Formula(scope, use_lines=True, written=written)
        try:
            return cls(formula.value(node), frozenset(formula.faults), None)
        except FormulaError as error:
            return cls(None, frozenset(formula.faults), error)


def _cell(name: str, cells: Mapping[str, Callable[[], Cell]]) -> Cell:
    wanted = " ".join(name.replace("_", " ").replace(",", " ").lower().split())
    for known, make in cells.items():
        if known.replace("_", " ").lower() == wanted:
            return make()
    raise FormulaError(f"no cell is called {name!r}; there are {', '.join(cells)}, and own; {EXPECTED}", 1)


def _report(text: Text, status: Status, reason: str = "", column: int = 0) -> LineReport:
    indent = len(text.text) - len(text.text.lstrip())
    return LineReport(text.number, text.text.strip(), status, reason, max(column - indent, 0))


def _blamed(lines: tuple[int, ...], without_value: bool) -> str:
    """Why a line that is right in itself is not right as it stands."""
    which = " and ".join(f"line {number}" for number in lines)
    verb = "is" if len(lines) == 1 else "are"
    if without_value:
        return f"right in itself; it has no value as it stands only because {which} {verb} wrong"
    return f"right in itself; its value is wrong only because {which} {verb}"


def _failure(text: Text, error: FormulaError | NoValueError) -> LineReport:
    """The report on a line that has no value."""
    match error:
        case ShapeError():
            return _report(text, Status.WRONG, f"the shapes cannot fit: {error.message}", error.column)
        case UnsetError():
            return _report(text, Status.NOT_JUDGED, error.message, error.column)
        case FormulaError():
            return _report(text, Status.NOT_UNDERSTOOD, error.message, error.column)
        case _:
            return _report(text, Status.NOT_UNDERSTOOD, f"this {error}")


def _fit(value: Value, meaning: Value) -> tuple[Value | None, tuple[str, ...]]:
    """The value in the shape of what it should be; a parameter's gradient may be that of one step."""
    fitted = values.fitted(value, meaning.rows, meaning.columns)
    if fitted is not None or ONE not in (*meaning.rows, *meaning.columns) or value.is_number:
        return fitted, ()
    if SAMPLES in (*value.rows, *value.columns):
        summed = values.fitted(values.total(value), meaning.rows, meaning.columns)
        return summed, ("for one step of one sequence; in general it is summed over time and batch",)
    return None, ()


def _value(written: _Attempt, meaning: Value) -> Value | None:
    return None if written.value is None else _fit(written.value, meaning)[0]


def _parted(value: Value, count: int) -> list[Value]:
    """A row or column of blocks, apart."""
    if len(value.rows) == 1 and len(value.columns) == count:
        return [values.block(row, column, term) for row, column, term in value.blocks]
    if len(value.columns) == 1 and len(value.rows) == count:
        return [values.block(row, column, term) for row, column, term in value.blocks]
    raise ShapeError(f"{count} names on the left, but the right side is {value}")


def _worst(reports: list[LineReport]) -> LineReport:
    report = min(reports, key=lambda r: SEVERITY.index(r.status))
    notes = dict.fromkeys(note for r in reports for note in r.notes)
    return replace(report, notes=tuple(notes))
