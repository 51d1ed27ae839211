"""A derivation document as data: what every rendering shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Formula:
    """The same mathematics for a plain terminal and in LaTeX."""

    text: str
    latex: str


Inline = str | Formula
Paragraph = tuple[Inline, ...]


@dataclass(frozen=True)
class Equation:
    """A statement as shown.

    Attributes:
        kind: pointwise, contract, outer or sum.
        name: The target's name in the program.
        target, expression: Its two sides.
        shape: Index space of the target, e.g. [T, B, H].
    """

    kind: str
    name: str
    target: Formula
    expression: Formula
    shape: str


@dataclass(frozen=True)
class Group:
    """Equations under one heading; the heading may be empty."""

    title: str
    paragraphs: tuple[Paragraph, ...]
    equations: tuple[Equation, ...]


@dataclass(frozen=True)
class Section:
    """A chapter of the document; `key` names it in the JSON form."""

    key: str
    title: str
    paragraphs: tuple[Paragraph, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Symbol:
    """An entry of the table of symbols."""

    name: str
    formula: Formula
    shape: str
    role: str


@dataclass(frozen=True)
class Document:
    """The derivation of one cell.

    Attributes:
        title: Heading.
        cell: Name of the cell.
        polarity, reset: Which GRU, None for other cells.
        lengths: Whether it has a mask for lengths.
        source: Where its parts are published.
        version: Version of symgru that derived it.
        symbols: Inputs of the cell and what it computes, with shapes.
        sections: In reading order.
    """

    title: str
    cell: str
    polarity: str | None
    reset: str | None
    lengths: bool
    source: str
    version: str
    symbols: tuple[Symbol, ...]
    sections: tuple[Section, ...]

    def section(self, key: str) -> Section:
        """The section of that key.

        Raises:
            KeyError: there is none.
        """
        for section in self.sections:
            if section.key == key:
                return section
        raise KeyError(f"no section {key}; there are {', '.join(s.key for s in self.sections)}")
