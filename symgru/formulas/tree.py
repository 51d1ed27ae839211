"""The syntax tree of an equation, the same for plain text and LaTeX.

A node has the column of its first character, which takes no part in comparisons.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from fractions import Fraction


class Times(Enum):
    """How two factors are written next to each other; what the product is depends on their shapes too.

    POINTWISE (⊙, ∘) multiplies unit by unit, MATRIX (@) is a matrix product, and the others (a star, a
    centred dot, nothing) are whichever of the two the shapes allow. OVER is a fraction.
    """

    CIRCLED = "⊙"
    RING = "∘"
    MATRIX = "@"
    STAR = "*"
    DOT = "·"
    NOTHING = ""
    OVER = "/"

    @property
    def pointwise(self) -> bool:
        """Whether it is pointwise whatever the shapes are."""
        return self in (Times.CIRCLED, Times.RING)


@dataclass(frozen=True)
class Number:
    """A decimal number, exact."""

    value: Fraction
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Name:
    """A name as the user writes it: a letter or identifier with accent, subscript and superscript."""

    base: str
    subscript: str = ""
    superscript: str = ""
    accent: str = ""
    column: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """What two spellings of one name have in common, e.g. `h~_{t-1}`, `W_xr`, `a^r_t`."""
        accent = {"": "", "tilde": "~"}.get(self.accent, f"%{self.accent}")
        scripts = (("^", self.superscript), ("_", self.subscript))
        return self.base + accent + "".join(mark + _braced(s) for mark, s in scripts if s)


def _braced(script: str) -> str:
    return script if script.replace("_", "").isalnum() else f"{{{script}}}"


@dataclass(frozen=True)
class Derivative:
    """The derivative of the loss by a value, its cotangent: ∂L/∂value."""

    of: Node
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Apply:
    """A function of one argument; primed, its derivative."""

    function: str
    argument: Node
    primed: bool = False
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Total:
    """The sum over time and batch."""

    operand: Node
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Transposed:
    """The transpose."""

    operand: Node
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Power:
    """A whole power, unit by unit."""

    base: Node
    exponent: int
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Add:
    """A sum: pairs (whether it is subtracted, term). A single term is a change of sign."""

    terms: tuple[tuple[bool, Node], ...]
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Multiply:
    """A product, from the left: a first factor, then pairs (how it is joined, factor)."""

    first: Node
    rest: tuple[tuple[Times, Node], ...]
    column: int = field(default=0, compare=False)


@dataclass(frozen=True)
class Blocks:
    """Values side by side, [a, b], and rows of them, [a, b; c, d].

    `loose` says that nothing but space separates the values, [a b], which may also mean their product.
    """

    rows: tuple[tuple[Node, ...], ...]
    loose: bool = False
    column: int = field(default=0, compare=False)


Node = Number | Name | Derivative | Apply | Total | Transposed | Power | Add | Multiply | Blocks


@dataclass(frozen=True)
class Equation:
    """left = sides[0] = sides[1] = …; `accumulates` for +=."""

    left: Node
    sides: tuple[Node, ...]
    accumulates: bool = False


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a node, in the order in which they are written."""
    match node:
        case Number() | Name():
            return ()
        case Derivative():
            return (node.of,)
        case Apply():
            return (node.argument,)
        case Total() | Transposed():
            return (node.operand,)
        case Power():
            return (node.base,)
        case Add():
            return tuple(part for _, part in node.terms)
        case Multiply():
            return (node.first, *(part for _, part in node.rest))
        case Blocks():
            return tuple(part for row in node.rows for part in row)


def walk(node: Node) -> Iterator[Node]:
    """The node and all its parts."""
    yield node
    for part in children(node):
        yield from walk(part)
