"""A report as aligned text, as Markdown and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from symgru.benchmark.model import OURS, Entry, Row, Table
from symgru.benchmark.run import Report

FORMAT, VERSION = "symgru-benchmark", 1
UNSTEADY = 1.5  # a median beyond this multiple of the minimum was disturbed, and is marked
_HEAD = ("T,B,I,H", "threads", "variant", "median", "minimum", "speed-up", "(min/min)", "of floor", "error")
_ABOUT = (
    "Speed-up: time of torch.nn.GRU over that of the variant, the median of the ratios within a round; "
    "(min/min): of the two minima. Of floor: median over the least time that products and memory can take on "
    "this machine. Error: of outputs and gradients against torch.nn.GRU in float64, relative to the largest "
    "number; the worst one."
)

_Block = Callable[[Sequence[Sequence[str]]], list[str]]


def text(report: Report) -> str:
    """For a terminal."""
    lines = [f"{name:18} {value}" for name, value in report.machine.items()]
    lines += ["date".ljust(18) + f" {report.date}", *map(str, report.peaks)]
    lines += [f"WARNING: {warning}" for warning in report.warnings]
    lines += ["", _ABOUT]
    for table in report.tables:
        lines += ["", f"{table.name}: {table.title}", *_body(table, _aligned), *_after(table)]
    return "\n".join(lines) + "\n"


def markdown(report: Report) -> str:
    """For a page."""
    lines = ["| | |", "|---|---|", *(f"| {_cell(n)} | {_cell(v)} |" for n, v in report.machine.items())]
    lines += [f"| date | {report.date} |", "", *(f"- {peak}" for peak in report.peaks)]
    lines += [f"- **Warning**: {warning}" for warning in report.warnings]
    lines += ["", _ABOUT]
    for table in report.tables:
        lines += ["", f"## {table.name}", "", f"{table.title}.", "", *_body(table, _piped), ""]
        lines += [f"- {note}" for note in _after(table)]
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """All figures, seconds and bytes a second, in version 1 of the form that docs/benchmarks.md describes."""
    content: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "date": report.date,
        "machine": report.machine,
        "warnings": list(report.warnings),
        "peaks": [asdict(peak) for peak in report.peaks],
        "tables": [asdict(table) for table in report.tables],
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def seconds(value: float) -> str:
    """Three digits with a unit: 44.1 us, 1.25 ms, 2.51 s."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{_three(value / size)} {unit}"
    return f"{_three(value / 1e-9)} ns"


def _three(value: float) -> str:
    return f"{value:.0f}" if value >= 99.95 else f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _body(table: Table, block: _Block) -> list[str]:
    lost = {id(row) for row, _ in [*table.losses(), *table.refused()]}
    rows = [row for row in table.rows if id(row) in lost] if table.losses_alone else list(table.rows)
    if not rows:
        return ["no row: nothing was lost" if table.rows else "no row: nothing was measured"]
    details = list(dict.fromkeys(name for row in rows for entry in row.entries for name in entry.details))
    labelled = any(row.label for row in rows)
    head = [*_HEAD[:2], *(["what"] if labelled else []), *_HEAD[2:], *details, "remark"]
    lines = [_line(row, entry, details, labelled) for row in rows for entry in row.entries]
    return block([head, *lines])


def _line(row: Row, entry: Entry, details: Iterable[str], labelled: bool) -> list[str]:
    first = entry is row.entries[0]
    place = [str(row.shape), str(row.threads), *([row.label] if labelled else [])]
    return [
        *(place if first else [""] * len(place)),
        entry.variant,
        *((seconds(entry.times.median), seconds(entry.times.minimum)) if entry.times else ("-", "-")),
        *(_number(value) for value in (entry.speedup, entry.fastest, entry.distance)),
        "-" if entry.error is None else f"{entry.error:.1e}",
        *(_number(entry.details.get(name)) for name in details),
        _remark(entry),
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else _three(value)


def _remark(entry: Entry) -> str:
    if entry.refused:
        return f"REFUSED: {entry.why}"
    slower = f"{OURS} is SLOWER: {entry.ahead:.2f}" if entry.ahead is not None and entry.ahead < 1 else ""
    scatter = entry.times.median / entry.times.minimum if entry.times else 1.0
    unsteady = f"unsteady: median {_three(scatter)} times the minimum" if scatter > UNSTEADY else ""
    return "; ".join(filter(None, (slower, unsteady, entry.why)))


def _after(table: Table) -> list[str]:
    ahead = [entry.ahead for row in table.rows for entry in row.entries if entry.ahead is not None]
    lines = list(table.notes)
    if ahead:
        lost = sum(times < 1 for times in ahead)
        lines.append(f"{OURS} was slower than a rival in {lost} of {len(ahead)} comparisons")
    if table.refused():
        lines.append(f"{len(table.refused())} results were wrong and have no time")
    return lines


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    words = {i for i, name in enumerate(rows[0]) if name in ("T,B,I,H", "what", "variant", "remark")}
    return [
        "  ".join(
            c.ljust(w) if i in words else c.rjust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _piped(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *rest = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return [head, "|" + "---|" * len(rows[0]), *rest]


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
