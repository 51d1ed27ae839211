"""A derivation document as a LaTeX article that compiles on its own, with pdflatex, xelatex or lualatex."""

from __future__ import annotations

from collections.abc import Iterator

from symgru.documents.model import Document, Group, Inline, Paragraph, Section, Symbol

_PREAMBLE = r"""\documentclass[a4paper]{article}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb}
\usepackage[margin=20mm]{geometry}
\allowdisplaybreaks
\setlength{\parindent}{0pt}
\setlength{\parskip}{0.5\baselineskip}"""

# Characters of the prose that LaTeX reads differently, or that its default fonts lack.
_PROSE = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{",
    "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "⊙": r"$\odot$",
    "σ": r"$\sigma$", "ⱼ": "$_j$", "Σ": r"$\sum$", "ᵀ": r"$^{\top}$", "–": "--", "“": "``", "”": "''",
}  # fmt: skip


def article(document: Document, notice: str = "") -> str:
    """Source of a standalone article."""
    lines = [f"% {notice}"] if notice else []
    lines += [_PREAMBLE, rf"\title{{{_escaped(document.title)}}}", r"\author{}", r"\date{}"]
    lines += [r"\begin{document}", r"\maketitle", ""]
    for section in document.sections:
        lines += _section(section, document.symbols if section.key == "conventions" else ())
    return "\n".join([*lines, r"\end{document}"]) + "\n"


def _section(section: Section, symbols: tuple[Symbol, ...]) -> Iterator[str]:
    yield from (rf"\section{{{_escaped(section.title)}}}", "")
    yield from _paragraphs(section.paragraphs)
    if symbols:
        yield from (r"\begin{tabular}{llll}", r"symbol & name & shape & \\ \hline")
        for symbol in symbols:
            name, shape = rf"\texttt{{{_escaped(symbol.name)}}}", _escaped(symbol.shape)
            yield rf"${symbol.formula.latex}$ & {name} & {shape} & {symbol.role} \\"
        yield from (r"\end{tabular}", "")
    for group in section.groups:
        yield from _group(group)


def _group(group: Group) -> Iterator[str]:
    if group.title:
        yield from (rf"\subsection{{{_escaped(group.title)}}}", "")
    yield from _paragraphs(group.paragraphs)
    if group.equations:
        rows = [f"  {e.target.latex} &= {e.expression.latex}" for e in group.equations]
        yield from (r"\begin{align*}", " \\\\\n".join(rows), r"\end{align*}", "")


def _paragraphs(paragraphs: tuple[Paragraph, ...]) -> Iterator[str]:
    for paragraph in paragraphs:
        yield from ("".join(map(_inline, paragraph)), "")


def _inline(part: Inline) -> str:
    return _escaped(part) if isinstance(part, str) else f"${part.latex}$"


def _escaped(prose: str) -> str:
    return "".join(_PROSE.get(character, character) for character in prose)
