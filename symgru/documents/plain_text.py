"""A derivation document as Unicode text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from symgru.documents.model import Document, Equation, Group, Inline, Paragraph, Section, Symbol

WIDTH = 100


def plain_text(document: Document, notice: str = "") -> str:
    """Text with the equals signs of a group in one column; prose is wrapped, equations are not."""
    lines = [notice, ""] if notice else []
    lines += [document.title, "=" * len(document.title), ""]
    for section in document.sections:
        lines += _section(section, document.symbols if section.key == "conventions" else ())
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, symbols: tuple[Symbol, ...]) -> Iterator[str]:
    yield from (section.title, "-" * len(section.title), "")
    yield from _paragraphs(section.paragraphs)
    if symbols:
        yield from columns([(s.formula.text, s.name, s.shape, s.role) for s in symbols])
        yield ""
    for group in section.groups:
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    if group.title:
        yield from (f"{group.title}:", "")
    yield from _paragraphs(group.paragraphs)
    if group.equations:
        yield from aligned(group.equations)
        yield ""


def aligned(equations: Sequence[Equation], indent: int = 4) -> Iterator[str]:
    """Equations under each other, their equals signs in one column."""
    width = max(len(e.target.text) for e in equations)
    for equation in equations:
        yield f"{' ' * indent}{equation.target.text:<{width}} = {equation.expression.text}"


def columns(rows: Sequence[Sequence[str]], indent: int = 4) -> Iterator[str]:
    """A table without rules."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield f"{' ' * indent}{'  '.join(cells)}".rstrip()


def _paragraphs(paragraphs: tuple[Paragraph, ...]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from textwrap.wrap("".join(map(_inline, paragraph)), WIDTH, break_long_words=False)
        yield ""


def _inline(part: Inline) -> str:
    return part if isinstance(part, str) else part.text
