"""C++ source of the bodies of stages: all that is pointwise, one register of units at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import sympy as sp

from symgru.equations import sigmoid
from symgru.lowering.cpu_tables import Tables
from symgru.lowering.names import check_cpp_names
from symgru.lowering.placement import Stage
from symgru.lowering.printers import CppPrinter

_print = CppPrinter().doprint


@dataclass(frozen=True)
class _Written:
    """A place that a body writes, and the expression for what it writes, of some values."""

    place: str
    value: str
    reads: tuple[sp.Symbol, ...]


def _writes(tables: Tables, stage: Stage) -> list[_Written]:
    written = []
    outputs = set(tables.step.outputs) - tables.loop.transient
    defined = [s.target for s in tables.step if s.target in stage.defined]
    for symbol in defined:
        if symbol in tables.record:
            written.append(_Written(f"{{Place::record, {tables.record[symbol]}}}", str(symbol), (symbol,)))
        if symbol in tables.in_step:
            written.append(_Written(f"{{Place::step, {tables.in_step[symbol]}}}", str(symbol), (symbol,)))
        if symbol in tables.leaving:
            written.append(_Written(f"{{Place::leaving, {tables.leaving[symbol]}}}", str(symbol), (symbol,)))
        if symbol not in outputs:
            continue
        place = f"{{Place::sequence, {tables.sequence(symbol)}}}"
        gate = tables.gate(symbol)
        if gate is None:
            written.append(_Written(place, str(symbol), (symbol,)))
        elif symbol == gate.value:
            value = f"saved_gate<T>({gate.value}, {gate.complement})"
            written.append(_Written(place, value, gate.members))
    return written


@dataclass(frozen=True)
class Body:
    """Source of what is pointwise in a stage, and the places of what it reads and writes, in order."""

    source: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]


def body(name: str, tables: Tables, stage: Stage) -> Body:
    """The body of a stage as a C++ function template.

    Raises:
        LoweringError: an expression without code, or a symbol with a name that the source needs itself.
    """
    written = _writes(tables, stage)
    targets = [c.target for group in stage.groups for c in group.members]
    wanted = {symbol for each in written for symbol in each.reads}
    read = dict.fromkeys((*stage.read, *(t for t in targets if t in wanted)))
    check_cpp_names({*read, *targets, *(s.target for s in stage.body)})
    reading = _Reading(tables, stage, tuple(read))
    lines: list[str] = []
    for line, symbols in _statements(stage):
        lines += [*reading.before(symbols), line]
    for number, each in enumerate(written, len(reading.places)):
        lines += [*reading.before(each.reads), f"at.write(v{number}, {each.value});"]
    places = (*reading.places, *(each.place for each in written))
    source = [
        f"template <class T> [[gnu::flatten]] void {name}(const View<T>* views, int rows, int columns) {{",
        f"  const View<T> {', '.join(_views(stage, places))};",
        f"  each_block<T, {_rows_at_once(stage)}>(rows, columns, [=](const auto& at) {{",
        *(f"    {line}" for line in lines),
        "  });",
        "}",
    ]
    return Body("\n".join(source) + "\n", reading.places, places[len(reading.places) :])


def _rows_at_once(stage: Stage) -> int:
    """Functions want several rows, to overlap; without one there are rather too few registers for them."""
    return 2 if any(s.expression.atoms(sp.Function) for s in stage.body) else 1


class _Reading:
    """What a body reads: each value just before it is first used, since registers are few."""

    def __init__(self, tables: Tables, stage: Stage, symbols: tuple[sp.Symbol, ...]):
        self._tables = tables
        self._place = {symbol: tables.place(symbol, stage) for symbol in symbols}
        self._read: set[str] = set()
        self.places = tuple(dict.fromkeys(self._place.values()))

    def before(self, symbols: Iterable[sp.Symbol]) -> list[str]:
        """The lines that read those of some values that are not read yet."""
        wanted = set(symbols)
        return [line for s, place in self._place.items() if s in wanted for line in self._lines(s, place)]

    def _lines(self, symbol: sp.Symbol, place: str) -> list[str]:
        gate = self._tables.gate(symbol) if place.startswith("{Place::sequence") else None
        view = f"v{self.places.index(place)}"
        if gate is None:
            method = "mask" if place.startswith("{Place::mask") else "read"
            lines = [f"const auto {symbol} = at.{method}({view});"]
        else:
            part = "gate" if symbol == gate.value else "complement"
            lines = [
                f"const auto {gate.value}_saved = at.saved_gate({view});",
                f"const auto {symbol} = {gate.value}_saved.{part};",
            ]
        new = [line for line in lines if line not in self._read]
        self._read |= set(new)
        return new


def _views(stage: Stage, places: Iterable[str]) -> list[str]:
    """Definitions of the views as local variables, which no store can change.

    Where rows are as far apart as those of another view, it says so: then an offset is computed once.
    """
    first: dict[str, int] = {}
    views = []
    for i, place in enumerate(places):
        rows = _table(stage, place)
        same = first.setdefault(rows, i)
        views.append(f"v{i} = {{views[{i}].p, v{same}.ld}}" if same < i else f"v{i} = views[{i}]")
    return views


def _table(stage: Stage, place: str) -> str:
    """A name of the table in which the rows of a place lie, where all vectors have the axis of the stage."""
    kind, index = place.strip("{}").split(", ")
    if kind == "Place::sum":
        group = [i for i, group in enumerate(stage.groups) for _ in group.members][int(index)]
        return f"{kind} {group}"
    return "carried" if kind in ("Place::entering", "Place::leaving") else kind


def _statements(stage: Stage) -> list[tuple[str, frozenset[sp.Symbol] | set[sp.Symbol]]]:
    """The body, and what each line reads; a gate and its complement together, from one exponential."""
    gates = {s.expression: s.target for s in stage.body if isinstance(s.expression, sigmoid)}
    lines: list[tuple[str, frozenset[sp.Symbol] | set[sp.Symbol]]] = []
    done: set[sp.Symbol] = set()
    for statement in stage.body:
        is_gate = statement.target in gates.values()
        other = gates.get(sigmoid(-statement.expression.args[0])) if is_gate else None
        if other is None:
            line = f"const auto {statement.target} = {_print(statement.expression)};"
            lines.append((line, statement.reads))
        elif statement.target not in done:
            both = f"{statement.target}_both"
            lines.append(
                (f"const auto {both} = gate<T>({_print(statement.expression.args[0])});", statement.reads)
            )
            lines.append(
                (f"const auto {statement.target} = {both}.gate, {other} = {both}.complement;", set())
            )
            done |= {statement.target, other}
    return lines
