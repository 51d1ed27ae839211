"""The page of the demo: one HTML file that loads nothing."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from jinja2 import Environment, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from symgru.demo.figures import loss_curves
from symgru.documents import Formula
from symgru.documents.proofs import cases, totals
from symgru.documents.words import counted

if TYPE_CHECKING:
    from symgru.demo.run import Findings

TEMPLATE = "report.html.jinja"

# A line over a letter and over a product, as latex2mathml writes it: characters, which browsers draw thin.
LINES = ("\u00af", "\u2015")


@cache
def mathml(latex: str) -> Markup:
    """A formula as MathML, which browsers draw without help; a line over a part of it is a border."""
    formula = ElementTree.fromstring(convert(latex, xmlns=""))
    for over in list(formula.iter("mover")):
        _, mark = over
        if mark.text in LINES:
            over.tag, over.attrib = "mrow", {"class": "over"}
            over.remove(mark)
    return Markup(ElementTree.tostring(formula, encoding="unicode"))


def inline(part: str | Formula) -> str:
    """A part of a paragraph; the template escapes what is not MathML."""
    return part if isinstance(part, str) else mathml(part.latex)


def nested(value: object) -> str:
    """Lists of fractions without quotation marks."""
    return f"[{', '.join(map(nested, value))}]" if isinstance(value, list | tuple) else str(value)


def report(findings: Findings) -> str:
    """The page."""
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"mathml": mathml, "inline": inline, "cases": cases, "nested": nested}
    template = environment.from_string((files("symgru.documents") / TEMPLATE).read_text(encoding="utf-8"))
    proofs = [proof.to_json() for proof in findings.proofs]
    curves = {one.name: one.losses for one in findings.runs}
    return template.render(
        f=findings,
        proofs=proofs,
        totals=totals(proofs),
        counted=counted,
        curves=Markup(loss_curves(curves, findings.batches_per_epoch)),
        misread_share=findings.misread / len(findings.runs[0].predictions),
    )
