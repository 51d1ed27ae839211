"""A derivation document as Markdown with $…$ mathematics."""

from __future__ import annotations

from collections.abc import Iterator

from symgru.documents.model import Document, Equation, Group, Inline, Paragraph, Section, Symbol


def markdown(document: Document, notice: str = "") -> str:
    """Markdown as GitHub, GitLab and Pandoc read it; the notice becomes a comment on the first line."""
    lines = [f"<!-- {notice} -->", ""] if notice else []
    lines += [f"# {document.title}", ""]
    for section in document.sections:
        lines += _section(section, document.symbols if section.key == "conventions" else ())
    return "\n".join(lines).rstrip() + "\n"


def _section(section: Section, symbols: tuple[Symbol, ...]) -> Iterator[str]:
    yield from (f"## {section.title}", "")
    yield from _paragraphs(section.paragraphs)
    if symbols:
        yield from ("| symbol | name | shape | |", "|---|---|---|---|")
        for symbol in symbols:
            yield f"| ${symbol.formula.latex}$ | `{symbol.name}` | {symbol.shape} | {symbol.role} |"
        yield ""
    for group in section.groups:
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    if group.title:
        yield from (f"### {group.title}", "")
    yield from _paragraphs(group.paragraphs)
    if group.equations:
        yield from ("| equation | shape |", "|---|---|")
        yield from map(_row, group.equations)
        yield ""


def _row(equation: Equation) -> str:
    mathematics = f"{equation.target.latex} = {equation.expression.latex}"
    return f"| ${mathematics}$ | {equation.shape} |"


def _paragraphs(paragraphs: tuple[Paragraph, ...]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from ("".join(map(_inline, paragraph)), "")


def _inline(part: Inline) -> str:
    return part if isinstance(part, str) else f"${part.latex}$"
