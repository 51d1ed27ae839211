"""A cell from the user's own forward equations."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, count

import sympy as sp

from symgru.equations import (
    Cell,
    Contract,
    Mean,
    Pointwise,
    Product,
    Program,
    ProgramError,
    Shape,
    Statement,
    bias,
    matrix,
    vector,
)
from symgru.formulas.errors import FormulaError
from symgru.formulas.spellings import marked
from symgru.formulas.tree import Name, Node, walk
from symgru.formulas.values import SAMPLES, Value
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import Average, Contraction, TransposedContraction

#: States that a file need not declare.
DEFAULT_STATES = (("h_{t-1}", "h_t"), ("h_prev", "h_new"), ("h_prev", "h"), ("h0", "h"))


def usual_shape(name: Name) -> Shape | None:
    """The shape that a letter suggests: x input, h state, W input weight, U recurrent weight, b bias."""
    letter, index = name.base[:1], name.base[1:] + name.subscript
    if letter == "W":
        return matrix("H", "H" if re.fullmatch(r"h.+", index) else "I")
    shapes = {
        "U": matrix("H", "H"),
        "R": matrix("H", "H"),
        "x": vector("I"),
        "h": vector("H"),
        "b": bias("H"),
    }
    return shapes.get(letter)


class OwnCell:
    """Collects the statements of the user's cell, line by line.

    Args:
        states: Pairs (state entering the step, state leaving it) by name.
        given: Shapes that the user declares.
    Attributes:
        known: Symbol and shape of everything that is given or defined.
    """

    def __init__(self, states: Sequence[tuple[str, str]], given: Mapping[str, Shape]):
        self._states = tuple(states)
        self._given = given
        self._statements: list[Statement] = []
        self._inputs: dict[sp.Symbol, Shape] = {}
        self.known: dict[str, tuple[sp.Symbol, Shape]] = {}

    def supply(self, node: Node, defined: Mapping[str, object], header: Mapping[str, Node]) -> None:
        """Take the names of a formula that neither a line nor the header defines as inputs of the cell.

        Raises:
            FormulaError: the shape of one is neither declared nor usual.
        """
        for name in (part for part in walk(node) if isinstance(part, Name)):
            if name.key in self.known or name.key in defined:
                continue
            if name.key in header:
                rest = {key: meaning for key, meaning in header.items() if key != name.key}
                self.supply(header[name.key], defined, rest)
                continue
            if any(of.key in self.known or of.key in defined for of in marked(name)):
                raise FormulaError(
                    f"{name.key} is a derivative, but the cell is not complete", 0, name.column
                )
            shape = self._given.get(name.key) or usual_shape(name)
            if shape is None:
                raise FormulaError(
                    f"{name.key} is not defined before; if it is an input, declare it: 'given:' and "
                    f"'{name.key} = vector I' below it",
                    column=name.column,
                )
            self._inputs[self._symbol(name.key, shape)] = shape

    def _symbol(self, key: str, shape: Shape) -> sp.Symbol:
        symbol = self._fresh(re.sub(r"\W+", "_", key.replace("~", "_tilde")).strip("_"))
        self.known[key] = (symbol, shape)
        return symbol

    def _fresh(self, name: str) -> sp.Symbol:
        """A symbol that no statement has, of that name or with a number after it."""
        taken = {s.target for s in self._statements} | {symbol for symbol, _ in self.known.values()}
        first = f"{name}_" if keyword.iskeyword(name) else name
        symbols = (
            sp.Symbol(f"{first}{suffix}", real=True) for suffix in chain([""], map("_{}".format, count(2)))
        )
        return next(symbol for symbol in symbols if symbol not in taken)

    def define(self, key: str, value: Value) -> bool:
        """Add the statements of one line; False if the value is not one vector and only has a name."""
        axes = [*value.rows, *value.columns]
        if len(axes) != 2 or SAMPLES not in axes:
            return False
        (axis,) = (a for a in axes if a != SAMPLES)
        symbol = self._symbol(key, vector(axis))
        self._statements.append(Pointwise(symbol, self._expression(value.single, str(symbol))))
        return True

    def _expression(self, node: sp.Expr, hint: str, inside: bool = False) -> sp.Expr:
        """A pointwise expression; products, means and the functions inside get statements of their own."""
        if node.is_Atom:
            return node
        if isinstance(node, (Contraction, TransposedContraction)):
            weight, operand = node.args
            if not weight.is_Symbol:
                raise FormulaError(f"a product with {weight} cannot be part of a cell")
            source = self._vector(operand, f"{hint}_operand")
            product = Product(weight, source, isinstance(node, TransposedContraction))
            return self._named(f"{hint}_product", lambda target: Contract(target, (product,)))
        if isinstance(node, Average):
            source = self._vector(node.args[0], f"{hint}_operand")
            return self._named(f"{hint}_mean", lambda target: Mean(target, source))
        if node.is_Function:
            argument = self._vector(node.args[0], f"{hint}_preactivation")
            applied = (sp.tanh if isinstance(node, Tanh) else node.func)(argument)
            if inside:
                return self._named(f"{hint}_function", lambda target: Pointwise(target, applied))
            return applied
        return node.func(*(self._expression(a, hint, inside=True) for a in node.args))

    def _vector(self, node: sp.Expr, hint: str) -> sp.Symbol:
        if node.is_Symbol:
            return node
        expression = self._expression(node, hint, inside=True)
        return self._named(hint, lambda target: Pointwise(target, expression))

    def _named(self, hint: str, statement: Callable[[sp.Symbol], Statement]) -> sp.Symbol:
        target = self._fresh(hint)
        self._statements.append(statement(target))
        return target

    def finished(self) -> Cell | None:
        """The cell, once all states that leave the step are defined.

        Raises:
            FormulaError: the statements do not make a cell.
        """
        defined = {key for key, (symbol, _) in self.known.items() if symbol not in self._inputs}
        if self._states:
            states = self._states if all(leaving in defined for _, leaving in self._states) else ()
        else:
            usual = [pair for pair in DEFAULT_STATES if pair[0] in self.known and pair[1] in defined]
            states = tuple(usual[:1])
        if not states:
            return None
        unread = [entering for entering, _ in states if entering not in self.known]
        if unread:
            raise FormulaError(f"the state {', '.join(unread)} enters the step, but no line reads it")
        carry = tuple((self.known[entering][0], self.known[leaving][0]) for entering, leaving in states)
        outputs = tuple(leaving for _, leaving in carry)
        try:
            step = Program(self._inputs, tuple(self._statements), outputs)
            return Cell("own", "The user's own cell", step, carry, "the forward equations of the file")
        except ProgramError as error:
            raise FormulaError(f"these lines do not make a cell: {error}") from None
