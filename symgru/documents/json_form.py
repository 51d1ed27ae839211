"""A derivation document as JSON, for other programs to read.

The object has these fields; `schema_version` rises when one of them changes its meaning or goes away, and
stays when one is added:

    schema          "symgru.derivation"
    schema_version  1
    generator       name and version of what wrote it
    title           str
    cell            {name, polarity, reset, lengths, source}; polarity and reset are null for cells other than
                    the GRU, lengths is true for a cell with a mask
    symbols         [{name, text, latex, shape, role}], role one of input, parameter, computed, output
    sections        [{key, title, paragraphs, groups}], in reading order
        key         conventions, forward, complementary, gradient, through_time, schedule or tangent
        paragraphs  [str], formulas in plain text
        groups      [{title, paragraphs, statements}]
            statements  [{kind, target: {name, text, latex, shape}, expression: {text, latex}}]
                kind    pointwise, contract, mean, outer or sum

A contraction that is written where it is read is part of that statement's expression. A shape is a list of
axes: T steps, B sequences, I inputs, H hidden units.
"""

from __future__ import annotations

import json

from symgru.documents.model import Document, Equation, Formula, Group, Paragraph, Section

SCHEMA = "symgru.derivation"
SCHEMA_VERSION = 1

Json = dict[str, object]


def json_form(document: Document, notice: str = "") -> str:
    """The document as a JSON object; a notice becomes its field `notice`."""
    return (
        json.dumps(as_data(document) | ({"notice": notice} if notice else {}), ensure_ascii=False, indent=2)
        + "\n"
    )


def as_data(document: Document) -> Json:
    """The document as dictionaries and lists."""
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "generator": f"symgru {document.version}",
        "title": document.title,
        "cell": {
            "name": document.cell,
            "polarity": document.polarity,
            "reset": document.reset,
            "lengths": document.lengths,
            "source": document.source,
        },
        "symbols": [
            {"name": s.name, **_formula(s.formula), "shape": axes(s.shape), "role": s.role}
            for s in document.symbols
        ],
        "sections": [_section(section) for section in document.sections],
    }


def axes(shape: str) -> list[str]:
    """The axes of a printed shape: "[T, B, H]" is T, B, H."""
    return shape.strip("[]").split(", ")


def _section(section: Section) -> Json:
    return {
        "key": section.key,
        "title": section.title,
        "paragraphs": _paragraphs(section.paragraphs),
        "groups": [_group(group) for group in section.groups],
    }


def _group(group: Group) -> Json:
    return {
        "title": group.title,
        "paragraphs": _paragraphs(group.paragraphs),
        "statements": [_statement(equation) for equation in group.equations],
    }


def _statement(equation: Equation) -> Json:
    return {
        "kind": equation.kind,
        "target": {"name": equation.name, **_formula(equation.target), "shape": axes(equation.shape)},
        "expression": _formula(equation.expression),
    }


def _formula(formula: Formula) -> dict[str, str]:
    return {"text": formula.text, "latex": formula.latex}


def _paragraphs(paragraphs: tuple[Paragraph, ...]) -> list[str]:
    return ["".join(p if isinstance(p, str) else p.text for p in paragraph) for paragraph in paragraphs]
