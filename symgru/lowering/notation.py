"""How symbols are written in documents: one table of letters, and rules for the names derived from them.

A name that the derivation makes is taken apart by the prefixes and suffixes that the derivation uses:
`d_` is a cotangent, `tangent_` a tangent, `_invariant` the part that no carried value enters, and
`u_per_v` the coefficient with which v enters u.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import sympy as sp

from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.reverse_mode import PREFIX as COTANGENT
from symgru.equations import Cell, Contract, Pointwise, select, sigmoid
from symgru.lowering.order import Role
from symgru.lowering.printers import LoweringError


@dataclass(frozen=True)
class Glyph:
    """A letter with its indices.

    Attributes:
        latex, text: The letter in each target.
        superscript: What tells symbols with one letter apart, e.g. the gate of a pre-activation.
        subscript: Time step, or the gate of a weight.
        role: Where it stands in a product.
        mark: COTANGENT, TANGENT or nothing.
        order: Place among symbols of the same role.
    """

    latex: str
    text: str
    superscript: tuple[str, ...] = ()
    subscript: str = ""
    role: Role = Role.STATE
    mark: str = ""
    order: int = 0


@dataclass(frozen=True)
class Coefficient:
    """The factor of `source` in the statement of `target`, two names."""

    target: str
    source: str
    number: str = ""
    role = Role.COEFFICIENT
    order = -1


@dataclass(frozen=True)
class Marked:
    """The cotangent or tangent of a value that has no letter of its own: `mark` and the name of the value."""

    mark: str
    name: str
    order = -1

    @property
    def role(self) -> Role:
        """That of what the mark makes of it."""
        return Role.COTANGENT if self.mark == COTANGENT else Role.TANGENT


def _vector(letter: str, subscript: str, *superscript: str, role: Role = Role.STATE) -> Glyph:
    return Glyph(letter, letter, superscript, subscript, role)


def _parameter(letter: str, subscript: str, role: Role) -> Glyph:
    return Glyph(rf"\mathbf{{{letter}}}" if role is Role.MATRIX else letter, letter, (), subscript, role)


def _gru_notation() -> dict[str, Glyph]:
    table = {
        "x": _vector("x", "t"),
        "valid": _vector("m", "t", role=Role.GATE),
        "h_prev": _vector("h", "t-1"),
        "reset_gate": _vector("r", "t", role=Role.GATE),
        "reset_preactivation": _vector("a", "t", "r"),
        "reset_state": _vector("s", "t"),
        "update_gate": _vector("z", "t", role=Role.GATE),
        "update_preactivation": _vector("a", "t", "z"),
        "candidate_preactivation": _vector("a", "t", "n"),
        "candidate": Glyph(r"\tilde{n}", "ñ", (), "t", Role.STATE),
        "h_new": _vector("h", "t"),
    }
    for letter, role in (("W", Role.MATRIX), ("U", Role.MATRIX), ("b", Role.BIAS), ("c", Role.BIAS)):
        table |= {f"{letter}_{gate}": _parameter(letter, gate, role) for gate in "rzn"}
    return {name: replace(glyph, order=place) for place, (name, glyph) in enumerate(table.items())}


#: Symbols of `symgru.equations.gru` and of its wrapper for lengths.
GRU_NOTATION: Mapping[str, Glyph] = _gru_notation()

# Suffixes of derived names, and what they become in the superscript.
_SUFFIXES = {
    "complement": "c",
    "proposed": "prop",
    "invariant": "fixed",
    "varying": "varying",
    "coefficient": "coef",
    "carried": "later",
    "output": "out",
    "total": "total",
    "per_step": "step",
    "mean": "mean",
    "restart": "restart",
    "resumed": "resumed",
}


@dataclass(frozen=True)
class Notation:
    """A table of letters, and names that are written like others.

    Attributes:
        table: Letter of each symbol of a cell.
        aliases: Name -> the name that it is written as.
    """

    table: Mapping[str, Glyph]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def with_aliases(self, aliases: Mapping[str, str]) -> Notation:
        """The same letters, and names that are written like others."""
        return Notation(self.table, {**self.aliases, **aliases})

    def of(self, name: str) -> Glyph | Coefficient | Marked:
        """How the symbol of that name is written.

        Raises:
            LoweringError: neither the name nor its stem is in the table.
        """
        name = self.aliases.get(name, name)
        glyph = self._glyph(name)
        if glyph is not None:
            return glyph
        coefficient = re.fullmatch(r"(.+?)_per_(?!step)(.+?)(?:_(\d+))?", name)
        if coefficient:
            target, source, number = coefficient[1], coefficient[2], coefficient[3] or ""
            whole = f"{source}_{number}"  # a value may have a number of its own
            own = whole.removeprefix(COTANGENT).removeprefix(TANGENT) in self.table
            return Coefficient(target, whole) if own else Coefficient(target, source, number)
        for mark in (COTANGENT, TANGENT):
            if name.startswith(mark):
                return Marked(mark, name.removeprefix(mark))
        raise LoweringError(f"no notation for the symbol {name}; known are {', '.join(self.table)}")

    def has(self, name: str) -> bool:
        """Whether the symbol has a letter of its own."""
        return self._glyph(self.aliases.get(name, name)) is not None

    def _glyph(self, name: str) -> Glyph | None:
        if name in self.table:
            return self.table[name]
        for mark, role in ((COTANGENT, Role.COTANGENT), (TANGENT, Role.TANGENT)):
            stem = self._glyph(name.removeprefix(mark)) if name.startswith(mark) else None
            if stem is not None:
                return replace(stem, mark=mark, role=Role.MATRIX if stem.role is Role.MATRIX else role)
        for suffix, superscript in _SUFFIXES.items():
            stem = self._glyph(name.removesuffix(f"_{suffix}")) if name.endswith(f"_{suffix}") else None
            if stem is not None:
                return replace(stem, superscript=(*stem.superscript, superscript))
        numbered = re.fullmatch(r"(.+)_(\d+)", name)
        stem = self._glyph(numbered[1]) if numbered else None
        return replace(stem, superscript=(*stem.superscript, numbered[2])) if numbered and stem else None


#: The notation of the GRU.
GRU = Notation(GRU_NOTATION)

_GATES = {"forget_gate": "f", "input_gate": "i", "output_gate": "o", "cell_gate": "g"}


def notation_of(cell: Cell) -> Notation:
    """Letters for the symbols of a cell: those of the GRU where it has the name, else the name's own.

    W_f is a matrix W with index f; h_prev and h_new of a state are h at t − 1 and t; forget_gate is f, and
    forget_gate_preactivation a with superscript f. A name without a letter, or with one that is taken, is
    written out.
    """
    named = [s for s in cell.step.shapes if not isinstance(cell.step.definition(s), Contract)]
    if all(GRU.has(str(s)) for s in named):
        return GRU
    taken: set[tuple[str, tuple[str, ...], str]] = set()
    table: dict[str, Glyph] = {}
    for place, symbol in enumerate(named):
        glyph = next(g for g in _candidates(cell, symbol) if _identity(g) not in taken)
        taken.add(_identity(glyph))
        table[str(symbol)] = replace(glyph, role=_role(cell, symbol), order=place)
    return Notation(table)


def _identity(glyph: Glyph) -> tuple[str, tuple[str, ...], str]:
    return glyph.text, glyph.superscript, glyph.subscript


def _candidates(cell: Cell, symbol: sp.Symbol) -> Iterator[Glyph]:
    """Ways to write a symbol, the shortest first; the last one is never taken, since names are not."""
    name, shape = str(symbol), cell.step.shapes[symbol]
    letter, _, index = name.partition("_")
    if not shape.per_step:
        role = Role.MATRIX if len(shape.axes) == 2 else Role.BIAS
        if len(letter) == 1:
            yield _parameter(letter, index, role)
        bold = "mathbf" if role is Role.MATRIX else "mathit"
        yield Glyph(_written_out(bold, name), name, (), "", role)
        return
    for entering, leaving in cell.carry:
        if symbol in (entering, leaving) and letter != name:
            yield _vector(letter, "t-1" if symbol == entering else "t")
    if name in GRU_NOTATION:
        yield GRU_NOTATION[name]
    if name in _GATES or len(name) == 1:
        yield _vector(_GATES.get(name, name), "t")
    if name.endswith("_preactivation"):
        gate = name.removesuffix("_preactivation")
        yield _vector("a", "t", _GATES.get(gate) or _letter(gate))
    yield Glyph(_written_out("mathit", name), name, (), "t")


def _written_out(font: str, name: str) -> str:
    """A whole name in LaTeX."""
    return rf"\{font}{{{name}}}".replace("_", r"\_")


def _letter(name: str) -> str:
    """The letter that the GRU has for a name, else the name with hyphens, for a superscript."""
    return GRU_NOTATION[name].text if name in GRU_NOTATION else name.replace("_", "-")


def _role(cell: Cell, symbol: sp.Symbol) -> Role:
    """Matrices, biases, gates (values of σ, and masks), and states for the rest."""
    shape, definition = cell.step.shapes[symbol], cell.step.definition(symbol)
    if not shape.per_step:
        return Role.MATRIX if len(shape.axes) == 2 else Role.BIAS
    if isinstance(definition, Pointwise) and isinstance(definition.expression, sigmoid):
        return Role.GATE
    choices = (n for s in cell.step if isinstance(s, Pointwise) for n in s.expression.atoms(select))
    return Role.GATE if any(node.args[0] == symbol for node in choices) else Role.STATE
