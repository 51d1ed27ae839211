"""The page of the cells that ship, docs/cells.md."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

import sympy as sp

from symgru.cells import CELLS
from symgru.documents.compact import compacted
from symgru.equations import Cell
from symgru.lowering.notation import Glyph, Notation, notation_of
from symgru.lowering.unicode_text import TextPrinter

INTRODUCTION = """\
Every cell is a function in `symgru/cells` that writes the published equations; `symgru.cells.CELLS` has it by
name. `W v` is a matrix product, ⊙ a product unit by unit, σ the logistic function, `mean v` the mean over
units. A value that ends in `_prev` enters a step, one that ends in `_new` leaves it. `tests/cells` compares
states and derivatives of each with an independent implementation of the same source."""

# What the builder calls the parts of an equation; everything else was named by the author of the cell.
_PART = re.compile(r"_(from_\w+|preactivation|operand|mean|sigmoid|tanh|relu|exp)(_\d+)?$")


class _NamePrinter(TextPrinter):
    """Symbols by their own names."""

    def _glyph(self, glyph: Glyph) -> str:
        return glyph.text


def page(notice: str) -> str:
    """The page: a notice, a table of all cells, then the equations of each."""
    cells = [make() for make in CELLS.values()]
    rows = [f"| [{c.name}](#{c.name}) | {c.title} | {' | '.join(_counts(c))} |" for c in cells]
    lines = [f"<!-- {notice} -->", "", "# Cells", "", INTRODUCTION, ""]
    lines += ["| cell | | numbers in its parameters | of them biases |", "|---|---|---|---|", *rows]
    return "\n".join([*lines, *(line for cell in cells for line in _section(cell))]) + "\n"


def equations(cell: Cell) -> list[str]:
    """The equations of one step in the names of the cell, one a line; matrix products where they are read."""
    kept = [s.target for s in cell.step if not _PART.search(str(s.target))]
    program, notation = compacted(cell.step, keep=kept), notation_of(cell)
    named = Notation({n: replace(g, text=n) for n, g in notation.table.items()}, notation.aliases)
    printer = _NamePrinter(program.statements, named)
    return [" = ".join(printer.equation(s)) for s in program if not printer.is_inlined(s)]


def numbers(cell: Cell) -> dict[str, int]:
    """How many parameters there are of each size, matrices first: {"HI": 2, "HH": 2, "H": 2}."""
    counts = Counter("".join(cell.step.inputs[p].axes) for p in cell.step.parameters)
    return dict(sorted(counts.items(), key=lambda item: ("HI", "HH", "H", "I").index(item[0])))


def _sum(counts: dict[str, int]) -> str:
    terms = (f"{n if n > 1 else ''}{axes.replace('HH', 'H²')}" for axes, n in counts.items())
    return " + ".join(terms) or "none"


def _counts(cell: Cell) -> tuple[str, str]:
    """The numbers in all parameters, and in those that are no matrices."""
    counts = numbers(cell)
    return _sum(counts), _sum({axes: n for axes, n in counts.items() if len(axes) == 1})


def _section(cell: Cell) -> Iterator[str]:
    yield from ("", f"## {cell.name}", "", f"{cell.title}. Source: {cell.source}.", "")
    yield f"Inputs {_declared(cell, cell.step.vectors)}; parameters {_declared(cell, cell.step.parameters)}."
    yield from ("", "```text", *equations(cell), "```")


def _declared(cell: Cell, symbols: Iterable[sp.Symbol]) -> str:
    """Names and shapes, those of one shape together."""
    together: dict[str, list[str]] = {}
    for symbol in symbols:
        together.setdefault(str(cell.step.inputs[symbol]), []).append(f"`{symbol}`")
    return ", ".join(f"{' '.join(names)} {shape}" for shape, names in together.items())
