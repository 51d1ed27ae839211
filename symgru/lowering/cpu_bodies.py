"""C++ source of the bodies of stages: all that is pointwise, one register of units at a time."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symgru.derivation.saving import Saved
from symgru.equations import sigmoid
from symgru.lowering.cpu_tables import Tables
from symgru.lowering.names import check_cpp_names
from symgru.lowering.placement import Stage
from symgru.lowering.printers import CppPrinter

_print = CppPrinter().doprint


@dataclass(frozen=True)
class _Written:
    """A place that a body writes, and the expression for what it writes."""

    place: str
    value: str


def _writes(tables: Tables, stage: Stage) -> list[_Written]:
    written = []
    outputs = set(tables.step.outputs) - tables.loop.transient
    defined = [s.target for s in tables.step if s.target in stage.defined]
    for symbol in defined:
        if symbol in tables.record:
            written.append(_Written(f"{{Place::record, {tables.record[symbol]}}}", str(symbol)))
        if symbol in tables.in_step:
            written.append(_Written(f"{{Place::step, {tables.in_step[symbol]}}}", str(symbol)))
        if symbol in tables.leaving:
            written.append(_Written(f"{{Place::leaving, {tables.leaving[symbol]}}}", str(symbol)))
        if symbol not in outputs:
            continue
        place = f"{{Place::sequence, {tables.sequence(symbol)}}}"
        gate = tables.gate(symbol)
        if gate is None:
            written.append(_Written(place, str(symbol)))
        elif symbol == gate.value:
            written.append(_Written(place, f"saved_gate<T>({gate.value}, {gate.complement})"))
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
    wanted = {w.value for w in written}
    read = dict.fromkeys((*stage.read, *(t for t in targets if str(t) in wanted)))
    check_cpp_names({*read, *targets, *(s.target for s in stage.body)})
    places: list[str] = []
    lines: list[str] = []
    for symbol in read:
        place = tables.place(symbol, stage)
        gate = tables.gate(symbol) if place.startswith("{Place::sequence") else None
        if place not in places:
            places.append(place)
            lines.append(_read(symbol, gate, f"v{len(places) - 1}", symbol in tables.placement.masks))
        if gate is not None:
            part = "gate" if symbol == gate.value else "complement"
            lines.append(f"const Vec<T> {symbol} = {gate.value}_saved.{part};")
    lines += _statements(stage)
    lines += [f"at.write(v{len(places) + i}, {each.value});" for i, each in enumerate(written)]
    views = [f"v{i} = views[{i}]" for i in range(len(places) + len(written))]  # that no store can change
    source = [
        f"template <class T> void {name}(const View<T>* views, int rows, int columns) {{",
        f"  const View<T> {', '.join(views)};",
        "  each_block<T>(rows, columns, [=](const auto& at) {",
        *(f"    {line}" for line in lines),
        "  });",
        "}",
    ]
    return Body("\n".join(source) + "\n", tuple(places), tuple(w.place for w in written))


def _read(symbol: sp.Symbol, gate: Saved | None, view: str, mask: bool) -> str:
    if gate is not None:
        return f"const Gate<T> {gate.value}_saved = at.saved_gate({view});"
    return (
        f"const Mask<T> {symbol} = at.mask({view});" if mask else f"const Vec<T> {symbol} = at.read({view});"
    )


def _statements(stage: Stage) -> list[str]:
    """The body; a gate and its complement together, from one exponential."""
    gates = {s.expression: s.target for s in stage.body if isinstance(s.expression, sigmoid)}
    lines: list[str] = []
    done: set[sp.Symbol] = set()
    for statement in stage.body:
        is_gate = statement.target in gates.values()
        other = gates.get(sigmoid(-statement.expression.args[0])) if is_gate else None
        if other is None:
            lines.append(f"const Vec<T> {statement.target} = {_print(statement.expression)};")
        elif statement.target not in done:
            both = f"{statement.target}_both"
            lines.append(f"const Gate<T> {both} = gate<T>({_print(statement.expression.args[0])});")
            lines.append(f"const Vec<T> {statement.target} = {both}.gate, {other} = {both}.complement;")
            done |= {statement.target, other}
    return lines
