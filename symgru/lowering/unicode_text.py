"""Equations as Unicode text."""

from __future__ import annotations

from types import MappingProxyType

from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.reverse_mode import PREFIX as COTANGENT
from symgru.lowering.mathematics import MathPrinter
from symgru.lowering.notation import Glyph


class TextPrinter(MathPrinter):
    """Unicode for a plain terminal: ∂L/∂v is the cotangent of v, Dv its tangent. No combining characters."""

    times, dot, minus, top = "⊙", "·", "−", "ᵀ"
    functions = MappingProxyType(
        {"sigmoid": "σ"}
        | {name: name for name in ("tanh", "relu", "step", "softplus", "exp", "rsqrt", "select")}
    )
    _superscripts = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
    _subscripts = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")

    def _glyph(self, glyph: Glyph) -> str:
        superscript = ",".join(glyph.superscript)
        letter = glyph.text + (f"^{_braced(superscript)}" if superscript else "")
        subscript = f"_{_braced(glyph.subscript.replace('-', '−'))}" if glyph.subscript else ""
        return self._prefix(glyph.mark) + letter + subscript

    def _marked(self, mark: str, operand: str) -> str:
        return f"{self._prefix(mark)}({operand})"

    def _coefficient(self, target: str, source: str, number: str) -> str:
        return f"J{number.translate(self._subscripts)}[{target} ← {source}]"

    def _power(self, base: str, exponent: int) -> str:
        return base + str(exponent).translate(self._superscripts)

    def _fraction(self, numerator: int, denominator: int) -> str:
        return f"{numerator}/{denominator}"

    def _parenthesised(self, content: str) -> str:
        return f"({content})"

    def _mean(self, content: str) -> str:
        return f"mean {content}"

    def _accumulated(self, content: str) -> str:
        return f"Σ_{{t,b}} {content}"

    def _prefix(self, mark: str) -> str:
        return {COTANGENT: "∂L/∂", TANGENT: "D"}.get(mark, "")


def _braced(index: str) -> str:
    return index if len(index) == 1 else f"{{{index}}}"
