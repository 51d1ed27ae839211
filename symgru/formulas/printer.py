"""Syntax trees as text again, plain or LaTeX: what is printed reads as the same tree."""

from __future__ import annotations

from fractions import Fraction

from symgru.formulas.parser import Style
from symgru.formulas.tree import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Equation,
    Multiply,
    Name,
    Node,
    Number,
    Power,
    Times,
    Total,
    Transposed,
)

_SUM, _PRODUCT, _CHAIN, _ATOM = range(4)

_PLAIN_MARKS = {"": "", "tilde": "~", "bar": "\u0304", "hat": "\u0302", "dot": "\u0307"}
_LATEX_TIMES = {
    Times.CIRCLED: r"\odot",
    Times.RING: r"\circ",
    Times.MATRIX: "@",
    Times.STAR: "*",
    Times.DOT: r"\cdot",
    Times.OVER: "/",
}
_GREEK = {
    "α": "alpha",
    "β": "beta",
    "γ": "gamma",
    "δ": "delta",
    "ε": "epsilon",
    "θ": "theta",
    "λ": "lambda",
    "ρ": "rho",
    "σ": "sigma",
    "τ": "tau",
    "φ": "phi",
    "ψ": "psi",
    "ω": "omega",
}


def to_text(node: Node | Equation, style: Style) -> str:
    """The formula in that style."""
    printer = _Latex() if style is Style.LATEX else _Plain()
    if isinstance(node, Equation):
        sides = " = ".join(printer.at(side, _SUM) for side in node.sides)
        return f"{printer.at(node.left, _SUM)} {'+=' if node.accumulates else '='} {sides}"
    return printer.at(node, _SUM)


class _Plain:
    """Plain text."""

    def at(self, node: Node, level: int) -> str:
        """The node, in brackets where it binds less than its place demands."""
        text, own = self._text(node)
        return f"({text})" if own < level else text

    def _text(self, node: Node) -> tuple[str, int]:
        match node:
            case Number():
                return self._number(node.value)
            case Name():
                return self._name(node), _ATOM
            case Derivative():
                return self._derivative(node), _ATOM
            case Apply():
                return self._applied(node), _ATOM
            case Total():
                return self._total(node), _PRODUCT
            case Transposed():
                return self._closed(node.operand) + self.transposed, _ATOM
            case Power():
                return self._closed(node.base) + self._exponent(node.exponent), _ATOM
            case Add():
                return self._sum(node), _SUM
            case Multiply():
                return self._product(node)
            case Blocks():
                return self._blocks(node), _ATOM

    transposed = "^T"

    def _closed(self, node: Node) -> str:
        """What a transpose or a power stands on."""
        return self.at(node, _ATOM)

    def _number(self, value: Fraction) -> tuple[str, int]:
        if value < 0:
            return f"-{self._number(-value)[0]}", _SUM
        if value.denominator == 1:
            return str(value.numerator), _ATOM
        text = f"{float(value):.15f}".rstrip("0")
        return (text, _ATOM) if Fraction(text) == value else (f"{value.numerator}/{value.denominator}", _SUM)

    def _name(self, name: Name) -> str:
        mark = _PLAIN_MARKS[name.accent]
        base = name.base + mark if name.accent == "tilde" else name.base[:1] + mark + name.base[1:]
        superscript = f"^{{{name.superscript}}}" if name.superscript else ""
        plain = name.subscript.replace("_", "").isalnum()
        subscript = f"_{name.subscript}" if plain else f"_{{{name.subscript}}}" if name.subscript else ""
        return base + subscript + superscript if plain else base + superscript + subscript

    def _derivative(self, node: Derivative) -> str:
        return f"dL/d{self._operand(node.of)}"

    def _operand(self, node: Node) -> str:
        return self.at(node, _SUM) if isinstance(node, Name) else f"({self.at(node, _SUM)})"

    def _applied(self, node: Apply) -> str:
        return f"{node.function}{chr(39) if node.primed else ''}({self.at(node.argument, _SUM)})"

    def _total(self, node: Total) -> str:
        return f"Σ {self.at(node.operand, _PRODUCT)}"

    def _exponent(self, exponent: int) -> str:
        return f"^{exponent}"

    def _sum(self, node: Add) -> str:
        (negative, first), *rest = node.terms
        text = ("-" if negative else "+" if not rest else "") + self.at(first, _PRODUCT)
        return text + "".join(f" {'-' if minus else '+'} {self.at(part, _PRODUCT)}" for minus, part in rest)

    def _product(self, node: Multiply) -> tuple[str, int]:
        chained = all(sign is Times.NOTHING for sign, _ in node.rest)
        parts = [node.first, *(part for _, part in node.rest)]
        texts = [self._factor(part, chained) for part in parts]
        texts = [
            f"({t})" if isinstance(p, Total) and p is not parts[-1] else t
            for p, t in zip(parts, texts, strict=True)
        ]
        signs = [self._times(sign) for sign, _ in node.rest]
        whole = texts[0] + "".join(f"{sign}{text}" for sign, text in zip(signs, texts[1:], strict=True))
        return whole, _CHAIN if chained else _PRODUCT

    def _factor(self, part: Node, chained: bool) -> str:
        if isinstance(part, Total):
            return f"({self.at(part, _SUM)})"
        return self.at(part, _ATOM if chained else _CHAIN)

    def _times(self, sign: Times) -> str:
        return " " if sign is Times.NOTHING else f" {sign.value} "

    def _blocks(self, node: Blocks) -> str:
        between = " " if node.loose else ", "
        level = _ATOM if node.loose or len(node.rows[0]) == 1 else _SUM
        return f"[{'; '.join(between.join(self.at(part, level) for part in row) for row in node.rows)}]"


class _Latex(_Plain):
    """LaTeX."""

    transposed = r"^{\top}"

    def _closed(self, node: Node) -> str:
        text = self.at(node, _ATOM)
        scripted = isinstance(node, (Transposed, Power)) or (isinstance(node, Name) and node.superscript)
        return f"{{{text}}}" if scripted else text

    def _name(self, name: Name) -> str:
        base = name.base.rstrip("'")
        primes = name.base[len(base) :]
        base = f"\\{_GREEK[base]}" if base in _GREEK else base
        if len(name.base) > 1 and not base.startswith("\\"):
            base = (
                f"\\{base}"
                if base in _GREEK.values() or base in ("partial", "ell")
                else f"\\mathrm{{{base}}}"
            )
        if name.accent:
            base = rf"\{name.accent}{{{base}}}"
        superscript = f"^{{{name.superscript}}}" if name.superscript else ""
        return base + primes + superscript + (f"_{{{name.subscript}}}" if name.subscript else "")

    def _derivative(self, node: Derivative) -> str:
        return rf"\partial L/\partial {self._operand(node.of)}"

    def _applied(self, node: Apply) -> str:
        name = {"sigmoid": r"\sigma", "tanh": r"\tanh", "exp": r"\exp"}.get(node.function, node.function)
        return f"{name}{chr(39) if node.primed else ''}({self.at(node.argument, _SUM)})"

    def _total(self, node: Total) -> str:
        return rf"\sum_{{t,b}} {self.at(node.operand, _PRODUCT)}"

    def _exponent(self, exponent: int) -> str:
        return f"^{{{exponent}}}"

    def _times(self, sign: Times) -> str:
        return " " if sign is Times.NOTHING else f" {_LATEX_TIMES[sign]} "
