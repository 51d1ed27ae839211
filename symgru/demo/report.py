"""The page of the demo: one HTML file that loads nothing."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from latex2mathml.converter import convert
from markupsafe import Markup

from symgru.demo.figures import loss_curves
from symgru.documents import Formula

if TYPE_CHECKING:
    from symgru.demo.run import Findings

TEMPLATE = "report.html.jinja"

Json = dict[str, Any]


# A line over a product, as latex2mathml writes it: an accent, which browsers do not stretch over the product.
_OVERLINE = re.compile(r'<mover>((?:(?!<mover>).)*?)<mo accent="true">&#x02015;</mo></mover>')


@cache
def mathml(latex: str) -> Markup:
    """A formula as MathML, which browsers draw without help; a line over a product is a border."""
    return Markup(_OVERLINE.sub(r'<mrow class="over">\1</mrow>', convert(latex)))


def inline(part: str | Formula) -> str:
    """A part of a paragraph; the template escapes what is not MathML."""
    return part if isinstance(part, str) else mathml(part.latex)


def cases(proof: Json) -> list[tuple[str, list[Json]]]:
    """The steps of a theorem by case; neighbouring steps that hold for one reason share a line."""
    grouped: list[tuple[str, list[Json]]] = []
    for step in proof["steps"]:
        if not grouped or grouped[-1][0] != step["case"]:
            grouped.append((step["case"], []))
        lines = grouped[-1][1]
        reason = {"justification": step["justification"], "lemmas": step["lemmas"]}
        if lines and reason.items() <= lines[-1].items():
            lines[-1]["claims"].append(step["claim"])
        else:
            lines.append({"claims": [step["claim"]], **reason})
    return grouped


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
    curves = {one.name: one.losses for one in findings.runs}
    return template.render(
        f=findings,
        proofs=[proof.to_json() for proof in findings.proofs],
        curves=Markup(loss_curves(curves, findings.batches_per_epoch)),
        misread_share=findings.misread / len(findings.runs[0].predictions),
    )
