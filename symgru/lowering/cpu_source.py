"""C++ source of a placed loop: the tables that `kernels/cpu/engine.h` follows, and the bodies of stages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

import sympy as sp

from symgru.equations import Contract, Outer, Sum
from symgru.lowering.cpu_bodies import body
from symgru.lowering.cpu_tables import Sources, Tables
from symgru.lowering.placement import Placement, Stage
from symgru.lowering.printers import LoweringError


def cpu_plan(name: str, title: str, placement: Placement, sources: Sources) -> str:
    """Source of the tables and bodies of one pass.

    Args:
        name: Of the plan in C++.
        title: What the library calls it.
        placement: What it does.
        sources: Where the parameters lie.
    Raises:
        LoweringError: an expression without code, or a value that no table can place.
    """
    tables = Tables(placement, sources)
    parts: list[str] = []
    lists = {phase: _stages(name, phase, tables, parts) for phase in ("before", "inside", "after")}
    copies = [_copy(tables, s) for s in placement.copied]
    carried = [_carried(tables, entering, leaving) for entering, leaving in placement.loop.carry]
    outers = [_outer(name, i, tables, s, parts) for i, s in enumerate(_of(Outer, placement))]
    sums = [_sum(name, i, tables, s, parts) for i, s in enumerate(_of(Sum, placement))]
    parameters = []
    for i, source in enumerate(tables.parameters.values()):
        inner, axis = source[1:-1].rsplit(", ", 1)
        parts.append(f"constexpr Source {name}_parameter_{i}[] = {inner};\n")
        parameters.append(f"{{{name}_parameter_{i}, {axis}}}")
    record = [str(tables.axis(tables.axis_of(s))) for s in placement.record]
    step = [str(tables.axis(tables.axis_of(s))) for s in placement.step]
    tables_ = [
        ("Sequence", "sequences", list(tables.sequences)),
        ("int16_t", "masks", list(tables.masks.values())),
        ("int8_t", "record", record),
        ("int8_t", "step", step),
        ("Carried", "carried", carried),
        ("Parameter", "parameters", parameters),
        ("Matrix", "matrices", list(tables.matrices.values())),
        ("Copy", "copies", copies),
    ]
    names = []
    for kind, table, items in tables_:
        names.append(_list(parts, kind, f"{name}_{table}", items))
    names += [f"{name}_{phase}<T>" if lists[phase] else "{}" for phase in ("before", "inside", "after")]
    names.append(_list(parts, "Outer", f"{name}_outers", outers))
    names.append(_list(parts, "Sum", f"{name}_sums", sums))
    signature = json.dumps(
        {
            "axes": tables.axes,
            "arguments": [[n, kind, list(axes)] for n, (kind, axes) in tables.arguments.kinds.items()],
            "saved": len(placement.saved),
            "optional": _optional(placement),
        }
    )
    reverse = "true" if placement.loop.reverse else "false"
    parts.append(
        f"template <class T> constexpr Plan<T> {name} = {{\n"
        f'    "{title}", R"({signature})", {reverse},\n    ' + ", ".join(names) + "};\n"
    )
    return "\n".join(parts)


def _optional(placement: Placement) -> list[str]:
    """Sequences among the results that are all that a stage is for, so that it is left out with them."""
    found: list[str] = []
    kept = {*placement.record, *placement.step}
    wanted = set(placement.loop.step.outputs) - placement.loop.transient
    for stage in (*placement.before, *placement.after):
        written = [s for s in stage.defined if s in wanted]
        if len(written) == 1 and not stage.defined & kept:
            found += map(str, written)
    return found


def _of(kind: type, placement: Placement) -> list[Outer | Sum]:
    return [s for s in placement.sums if isinstance(s, kind)]


def _list(parts: list[str], kind: str, name: str, items: Iterable[str]) -> str:
    items = list(items)
    if not items:
        return "{}"
    parts.append(f"constexpr {kind} {name}[] = {{{', '.join(items)}}};\n")
    return name


def _stages(name: str, phase: str, tables: Tables, parts: list[str]) -> list[str]:
    stages = []
    placed = getattr(tables.placement, phase)
    operands = {v for stage in tables.placement.inside for g in stage.groups for v in g.vectors}
    operands |= {leaving for entering, leaving in tables.loop.carry if entering in operands}
    for i, stage in enumerate(placed):
        own = f"{name}_{phase}_{i}"
        emitted = body(own, tables, stage)
        groups = []
        for j, group in enumerate(stage.groups):
            runs = _runs(f"{own}_{j}", tables, group.members, parts)
            parts.append(f"constexpr Run {own}_runs_{j}[] = {{{', '.join(runs)}}};\n")
            groups.append(f"{{{_number(tables, phase, i, j)}, {len(group.members)}, {own}_runs_{j}}}")
        group_list = _list(parts, "Group", f"{own}_groups", groups)
        parts.append(emitted.source)
        read_list = _list(parts, "Value", f"{own}_reads", emitted.reads)
        write_list = _list(parts, "Value", f"{own}_writes", emitted.writes)
        publishes = "true" if stage.defined & operands else "false"
        axis = tables.axis(stage.axis)
        stages.append(f"{{{axis}, {publishes}, {group_list}, {read_list}, {write_list}, {own}<T>}}")
    if stages:
        rows = ",\n    ".join(stages)
        parts.append(f"template <class T> constexpr Stage<T> {name}_{phase}[] = {{\n    {rows}}};\n")
    return stages


def _number(tables: Tables, phase: str, stage: int, group: int) -> int:
    """Of a group, over all stages."""
    earlier: list[Stage] = []
    for each in ("before", "inside", "after"):
        stages = list(getattr(tables.placement, each))
        earlier += stages[:stage] if each == phase else stages
        if each == phase:
            break
    return sum(len(s.groups) for s in earlier) + group


def _runs(name: str, tables: Tables, members: Sequence[Contract], parts: list[str]) -> list[str]:
    """Neighbouring operands whose matrices lie below each other, as one."""
    runs: list[list[int]] = []
    terms = members[0].terms
    for k in range(len(terms)):
        if runs and _follows(tables, members, runs[-1][-1], k):
            runs[-1].append(k)
        else:
            runs.append([k])
    sources = []
    for i, run in enumerate(runs):
        matrices = [str(tables.matrix(c.terms[k].matrix)) for k in run for c in members]
        parts.append(f"constexpr int16_t {name}_matrices_{i}[] = {{{', '.join(matrices)}}};\n")
        first = terms[run[0]]
        axis = tables.axis(tables.axis_of(first.vector))
        transposed = "true" if first.transposed else "false"
        sources.append(
            f"{{{tables.place(first.vector)}, {len(run)}, {axis}, {transposed}, {name}_matrices_{i}}}"
        )
    return sources


def _follows(tables: Tables, members: Sequence[Contract], k: int, following: int) -> bool:
    first, second = members[0].terms[k], members[0].terms[following]
    if first.transposed != second.transposed or first.vector not in tables.record:
        return False
    if tables.record.get(second.vector) != tables.record[first.vector] + 1:
        return False
    if tables.axis_of(first.vector) != tables.axis_of(second.vector):
        return False
    for contract in members:
        a, b = (tables.sources.layout.block(contract.terms[i].matrix) for i in (k, following))
        if a is None or b is None or (a.stack, a.index + 1) != (b.stack, b.index):
            return False
    return True


def _copy(tables: Tables, symbol: sp.Symbol) -> str:
    item = tables.record[symbol]
    states = tables.placement.trajectories.get(symbol)
    if states is None:
        if tables.gate(symbol):
            raise LoweringError(f"{symbol} is kept together with its complement, and cannot be summed over")
        return f"{{{tables.sequence(symbol)}, -1, {item}}}"
    axis = tables.axis_of(symbol)
    argument = tables.arguments.index(str(states), "sequence", (axis,))
    key = f"{{{{{argument}, 0}}, {tables.axis(axis)}}}"
    tables.sequences.setdefault(key, key)
    initial = tables.arguments.index(str(symbol), "initial", (axis,))
    return f"{{{list(tables.sequences).index(key)}, {initial}, {item}}}"


def _carried(tables: Tables, entering: sp.Symbol, leaving: sp.Symbol) -> str:
    axis = tables.axis_of(leaving)
    initial = tables.arguments.index(str(entering), "initial", (axis,))
    last = tables.arguments.index(f"{leaving}_last", "last", (axis,))
    return f"{{{initial}, {last}, {tables.axis(axis)}}}"


def _item(tables: Tables, symbol: sp.Symbol) -> int:
    if symbol not in tables.record:
        raise LoweringError(f"{symbol} is summed over time, but no record holds it")
    return tables.record[symbol]


def _outer(name: str, i: int, tables: Tables, statement: Outer | Sum, parts: list[str]) -> str:
    assert isinstance(statement, Outer)
    rows, columns = tables.step.shapes[statement.target].axes
    terms = ", ".join(f"{{{_item(tables, u)}, {_item(tables, v)}}}" for u, v in statement.terms)
    parts.append(f"constexpr OuterTerm {name}_outer_{i}[] = {{{terms}}};\n")
    target = tables.matrix_source(statement.target, "d_matrix")
    return f"{{{target}, {tables.axis(rows)}, {tables.axis(columns)}, {name}_outer_{i}}}"


def _sum(name: str, i: int, tables: Tables, statement: Outer | Sum, parts: list[str]) -> str:
    assert isinstance(statement, Sum)
    targets = ", ".join(tables.bias_sources(statement.target, "d_vector"))
    parts.append(f"constexpr Source {name}_sum_{i}[] = {{{targets}}};\n")
    terms = ", ".join(str(_item(tables, s)) for s in statement.terms)
    parts.append(f"constexpr int16_t {name}_sum_terms_{i}[] = {{{terms}}};\n")
    axis = tables.axis(tables.axis_of(statement.target))
    return f"{{{name}_sum_{i}, {axis}, {name}_sum_terms_{i}}}"
