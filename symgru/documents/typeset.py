"""Statements, symbols and shapes as the formulas of a document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sympy as sp

from symgru.documents.model import Equation, Formula, Inline, Paragraph
from symgru.equations import Program, Shape, Statement
from symgru.lowering.latex import LatexPrinter
from symgru.lowering.notation import Notation
from symgru.lowering.unicode_text import TextPrinter


class Typesetter:
    """Writes the parts of one program in every target.

    Args:
        statements: All of the program; contractions are written where they are read.
        shapes: Index space of every symbol.
        notation: Letters.
    """

    def __init__(
        self,
        statements: Iterable[Statement],
        shapes: Mapping[sp.Symbol, Shape],
        notation: Notation,
    ) -> None:
        statements = tuple(statements)
        self._text = TextPrinter(statements, notation)
        self._latex = LatexPrinter(statements, notation)
        self._shapes = shapes

    @classmethod
    def of(cls, program: Program, notation: Notation) -> Typesetter:
        """For all of a program."""
        return cls(program.statements, program.shapes, notation)

    def symbol(self, symbol: sp.Symbol) -> Formula:
        """A symbol, or the product that stands for it."""
        return Formula(self._text.symbol(symbol), self._latex.symbol(symbol))

    def expression(self, expression: sp.Expr) -> Formula:
        """An expression of one unit."""
        return Formula(self._text.expression(expression), self._latex.expression(expression))

    def symbols(self, symbols: Iterable[sp.Symbol]) -> Paragraph:
        """Symbols with commas between them; a dash if there are none."""
        parts: list[Inline] = []
        for symbol in symbols:
            parts += [", ", self.symbol(symbol)] if parts else [self.symbol(symbol)]
        return tuple(parts) or ("–",)

    def equations(self, statements: Iterable[Statement]) -> tuple[Equation, ...]:
        """The statements that have an equation of their own."""
        return tuple(self._equation(s) for s in statements if not self._text.is_inlined(s))

    def _equation(self, statement: Statement) -> Equation:
        (text, text_value), (latex, latex_value) = (p.equation(statement) for p in (self._text, self._latex))
        return Equation(
            kind=type(statement).__name__.lower(),
            name=str(statement.target),
            target=Formula(text, latex),
            expression=Formula(text_value, latex_value),
            shape=str(self._shapes[statement.target]),
        )
