"""Equations in LaTeX, which is also the mathematics of Markdown."""

from __future__ import annotations

from types import MappingProxyType

from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.reverse_mode import PREFIX as COTANGENT
from symgru.lowering.mathematics import MathPrinter
from symgru.lowering.notation import Glyph


class LatexPrinter(MathPrinter):
    r"""LaTeX: \bar v is the cotangent of v, \dot v its tangent.

    No command is a backslash and a mark (`\,`, `\;`, `\\`): Markdown takes those for escapes.
    """

    times, dot, minus, top = r"\odot", r"\cdot", "-", r"^{\top}"
    functions = MappingProxyType(
        {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp"}
        | {name: rf"\operatorname{{{name}}}" for name in ("relu", "step", "softplus", "rsqrt", "select")}
    )

    def _glyph(self, glyph: Glyph) -> str:
        accent = {COTANGENT: r"\bar", TANGENT: r"\dot"}.get(glyph.mark)
        letter = f"{accent}{{{glyph.latex}}}" if accent else glyph.latex
        superscript = ",".join(s if len(s) == 1 else rf"\mathrm{{{s}}}" for s in glyph.superscript)
        indices = (
            f"^{{{superscript}}}" if superscript else "",
            f"_{{{glyph.subscript}}}" if glyph.subscript else "",
        )
        return letter + "".join(indices)

    def _marked(self, mark: str, operand: str) -> str:
        if mark == COTANGENT:
            return rf"\overline{{{operand}}}"
        return rf"\overset{{\cdot}}{{({operand})}}"

    def _coefficient(self, target: str, source: str, number: str) -> str:
        index = f"_{{{number}}}" if number else ""
        return rf"J{index}[{target} \leftarrow {source}]"

    def _power(self, base: str, exponent: int) -> str:
        return f"{base}^{{{exponent}}}"

    def _fraction(self, numerator: int, denominator: int) -> str:
        return rf"\tfrac{{{numerator}}}{{{denominator}}}"

    def _parenthesised(self, content: str) -> str:
        return f"({content})"

    def _mean(self, content: str) -> str:
        return rf"\operatorname{{mean}} {content}"

    def _accumulated(self, content: str) -> str:
        return rf"\sum_{{t,b}} {content}"
