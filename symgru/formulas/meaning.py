"""What the names and formulas of a user mean: values with shapes, in terms of the cell."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import sympy as sp

from symgru.equations import Shape, reflect_sigmoid, sigmoid
from symgru.equations.program import KNOWN_FUNCTIONS
from symgru.formulas import values
from symgru.formulas.errors import FormulaError, ShapeError
from symgru.formulas.reference import Reference
from symgru.formulas.spellings import DIFFERENTIALS, SPELLINGS, STEPS, identifier, marked, variants
from symgru.formulas.tree import (
    Add,
    Apply,
    Blocks,
    Derivative,
    Multiply,
    Name,
    Node,
    Number,
    Power,
    Times,
    Total,
    Transposed,
)
from symgru.formulas.values import ONE, SAMPLES, TransposedMatrix, Value
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import Average

FUNCTIONS = {f.__name__: f for f in KNOWN_FUNCTIONS if f.__name__ not in ("select", "step")} | {"tanh": Tanh}


class UnsetError(FormulaError):
    """A name whose line gave it no value."""


@dataclass(frozen=True)
class Line:
    """What a line of the user says of a name.

    Attributes:
        number: Of the line.
        right: What the name should be; None if that is not known.
        written: What it is as the user writes it; None if that has no value.
        faults: Numbers of the wrong lines that make `written` differ from `right`.
    """

    number: int
    right: Value | None
    written: Value | None
    faults: frozenset[int] = frozenset()


@dataclass
class Scope:
    """The names that a formula can use.

    Attributes:
        vectors_are_rows: Whether users multiply from the right, x W.
        primes_of_outputs: Whether f'(v) is f' at the a with f(a) = v.
        names: What the header says names mean.
        new: Names without a meaning of their own.
        reference: The cell; None while the user is still defining it.
        inputs: Names that the user declares, or has defined on the way to his own cell.
        lines: Names that lines of the user define or state.
        joined: How often each sign meant a pointwise or a matrix product.
        spoken: The names by which lines have called values of the cell.
    """

    vectors_are_rows: bool = False
    primes_of_outputs: bool = False
    names: Mapping[str, Node] = field(default_factory=dict)
    new: frozenset[str] = frozenset()
    reference: Reference | None = None
    inputs: dict[str, tuple[sp.Symbol, Shape]] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    joined: Counter[tuple[Times, bool]] = field(default_factory=Counter)
    spoken: dict[sp.Symbol, Node] = field(default_factory=dict)
    _resolving: list[str] = field(default_factory=list)

    def meaning(self, node: Node) -> Value | None:
        """What the left side of an equation stands for by itself, whatever the lines say; None if unknown."""
        match node:
            case Name():
                return self._name(node)
            case Derivative():
                return self.cotangent(Formula(self, use_lines=True).value(node.of), node)
        return None

    def of_symbol(self, symbol: sp.Symbol, shape: Shape) -> Value:
        """A value of the cell in the user's convention."""
        if len(shape.axes) == 2:
            rows, columns = shape.axes
            if self.vectors_are_rows:
                return values.block(columns, rows, TransposedMatrix(symbol))
            return values.block(rows, columns, symbol)
        other = SAMPLES if shape.per_step else ONE
        pair = (other, shape.axes[0]) if self.vectors_are_rows else (shape.axes[0], other)
        return values.block(*pair, symbol)

    def cotangent(self, value: Value, node: Node) -> Value:
        """The derivative of the loss by a value, of the same shape."""
        if self.reference is None:
            raise FormulaError("a derivative before the cell is complete", column=node.column)
        try:
            return value.map(self._cotangent)
        except FormulaError as error:
            raise error.at(0, node.column) from None

    def _cotangent(self, term: sp.Expr) -> sp.Expr:
        assert self.reference is not None
        if isinstance(term, TransposedMatrix):
            return TransposedMatrix(self.reference.cotangent(term.args[0]))
        return self.reference.cotangent(term)

    def _name(self, name: Name) -> Value | None:
        """By the header, by the inputs and values of the cell, by the literature, then as a cotangent."""
        if name.key in self.names and name.key not in self._resolving:
            return self._by_header(name)
        if name.key in self.new:
            return None
        direct = self._direct(name.key)
        if direct is not None or self.reference is None:
            return direct
        for marked_name in marked(name):
            value = self.lines_value(marked_name) or self._name(marked_name)
            if value is not None and not value.is_number:
                return self.cotangent(value, name)
        return None

    def _by_header(self, name: Name) -> Value:
        """A single name there is a value of the cell, if it has that one; so names can be exchanged.

        In its own meaning a name is that of the cell too: W = [U, W].
        """
        node = self.names[name.key]
        if isinstance(node, Name) and self.reference is not None:
            symbol = self.reference.symbol(node.key)
            if symbol is not None:
                return self.of_symbol(symbol, self.reference.shapes[symbol])
        self._resolving.append(name.key)
        try:
            return Formula(self, use_lines=False).value(node)
        except FormulaError as error:
            message = f"the header's meaning of {name.key}: {error.message}"
            raise FormulaError(message, column=name.column) from None
        finally:
            self._resolving.pop()

    def signals(self, name: Name) -> dict[str, Value]:
        """What an error signal δ_z of a gate z = σ(a) may be, in words: the derivative by z, or by a."""
        if self.reference is None or name.base not in ("delta", "δ") or name.key in {*self.new, *self.names}:
            return {}
        written = name.subscript if name.subscript not in STEPS else name.superscript
        gate = identifier(written, Name("")) if written else None
        value = None if gate is None else self.lines_value(gate) or self._name(gate)
        if gate is None or value is None or len(value.rows) != 1 or len(value.columns) != 1:
            return {}
        arguments = {v: application.args[0] for application, v in self.reference.applications.items()}
        argument = arguments.get(value.single)
        if argument is None:
            return {}
        by_argument = f"dL/da with {gate.key} = f(a)"
        return {
            f"dL/d{gate.key}": self.cotangent(value, name),
            by_argument: self.cotangent(value.map(lambda _: argument), name),
        }

    def call(self, value: Value, name: Node, names: dict[sp.Symbol, Node] | None = None) -> None:
        """Remember a name as that of a value of the cell, in `spoken` or in the given names."""
        if self.reference is None or len(value.rows) != 1 or len(value.columns) != 1:
            return
        term = value.single
        symbol = term.args[0] if isinstance(term, TransposedMatrix) else term
        shape = self.reference.shapes.get(symbol)
        if shape is not None and self.of_symbol(symbol, shape) == value:
            (self.spoken if names is None else names).setdefault(symbol, name)

    def lines_value(self, name: Name) -> Value | None:
        """What a name should be by the lines before."""
        line = self.lines.get(name.key)
        return None if line is None else line.right

    def _direct(self, key: str) -> Value | None:
        if self.reference is None:
            return self.of_symbol(*self.inputs[key]) if key in self.inputs else None
        for variant in variants(key):
            if variant in self.inputs:
                return self.of_symbol(*self.inputs[variant])
        for value in (key, *SPELLINGS.get(key, ())):
            symbol = self.reference.symbol(value)
            if symbol is not None:
                return self.of_symbol(symbol, self.reference.shapes[symbol])
        return None


class Formula:
    """Works out the value of a formula.

    Args:
        scope: The names.
        use_lines: Whether names mean what lines of the user say, before what they mean by themselves.
        written: Whether they have the value that the user gives them or the one they should have.
    Attributes:
        faults: The wrong lines whose values the formula has used.
    """

    def __init__(self, scope: Scope, use_lines: bool, written: bool = False):
        self._scope, self._use_lines, self._written = scope, use_lines, written
        self.faults: set[int] = set()

    def value(self, node: Node) -> Value:
        """The value of a node.

        Raises:
            ShapeError: the shapes of its parts cannot fit.
            FormulaError: a name is not known, or an operation has no meaning here.
        """
        try:
            return self._value(node)
        except FormulaError as error:
            raise error.at(0, node.column) from None

    def _value(self, node: Node) -> Value:
        match node:
            case Number():
                return values.number(sp.Rational(node.value.numerator, node.value.denominator))
            case Name():
                return self._name(node)
            case Derivative():
                return self._derivative(node)
            case Apply():
                return self._applied(node)
            case Total():
                return values.total(self.value(node.operand))
            case Transposed():
                return values.transpose(self.value(node.operand))
            case Power():
                return self._power(node)
            case Add():
                return self._sum(node)
            case Multiply():
                return self._product(node)
            case Blocks():
                return self._blocks(node)

    def _name(self, name: Name) -> Value:
        line = self._scope.lines.get(name.key) if self._use_lines else None
        if line is not None:
            value = line.written if self._written else line.right
            if self._written:
                self.faults |= line.faults
            if value is None:
                raise UnsetError(f"{name.key} has no value, see line {line.number}", column=name.column)
            return value
        found = self._scope.meaning(name)
        if found is None:
            where = "no line before defines it, and neither the header nor the cell has it"
            raise FormulaError(f"the name {name.key} is not known: {where}", column=name.column)
        if self._use_lines:
            self._scope.call(found, name)
        return found

    def _derivative(self, node: Derivative) -> Value:
        stated = self._scope.lines.get(derivative_key(node)) if self._use_lines else None
        if stated is not None and self._written:
            self.faults |= stated.faults
            if stated.written is None:
                raise UnsetError(f"this derivative has no value, see line {stated.number}", 0, node.column)
            return stated.written
        value = self._scope.cotangent(Formula(self._scope, self._use_lines).value(node.of), node)
        if self._use_lines:
            self._scope.call(value, node)
        return value

    def _applied(self, node: Apply) -> Value:
        value = self.value(node.argument)
        if node.function == "diag":
            return values.diagonal(value)
        if value.is_matrix:
            raise ShapeError(f"{node.function} of {value}")
        if node.function == "mean":
            return value.map(Average)
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise FormulaError(f"the function {node.function} is not known")
        return value.map(lambda term: self._primed(function, term) if node.primed else function(term))

    def _primed(self, function: type[sp.Function], term: sp.Expr) -> sp.Expr:
        """The derivative of a function at the term, or where the function has that value."""
        a = sp.Symbol("a", real=True)
        plain = sp.tanh if function is Tanh else function
        derivative = sp.diff(plain(a), a)
        if self._scope.primes_of_outputs:
            derivative = reflect_sigmoid(derivative) if function is sigmoid else derivative
            derivative = derivative.xreplace({plain(a): term})
            if a in derivative.free_symbols:
                raise FormulaError(f"the derivative of {function.__name__} is not a function of its value")
            return derivative
        return derivative.xreplace({a: term}).replace(sp.tanh, Tanh)

    def _power(self, node: Power) -> Value:
        base = self.value(node.base)
        if base.is_matrix:
            raise ShapeError(f"a power of {base}")
        return base.map(lambda term: term**node.exponent)

    def _sum(self, node: Add) -> Value:
        (negative, first), *rest = node.terms
        whole = self.value(first)
        if negative:
            whole = values.multiply(values.number(sp.S.NegativeOne), whole)
        for subtracted, part in rest:
            whole = values.add(whole, self.value(part), subtracted)
        return whole

    def _product(self, node: Multiply) -> Value:
        factors = [self.value(node.first), *(self.value(part) for _, part in node.rest)]
        signs = [sign for sign, _ in node.rest]
        try:
            return self._from_the_left(factors, signs)
        except ShapeError:
            if any(sign is not Times.NOTHING for sign in signs) or len(factors) < 3:
                raise
            whole = factors[-1]  # r U h: nothing between factors says which product is first
            for factor in reversed(factors[:-1]):
                whole = values.product(factor, whole)
            return whole

    def _from_the_left(self, factors: list[Value], signs: list[Times]) -> Value:
        whole = factors[0]
        for sign, factor in zip(signs, factors[1:], strict=True):
            whole = self._joined(sign, whole, factor)
        return whole

    def _joined(self, sign: Times, left: Value, right: Value) -> Value:
        if sign is Times.OVER:
            return values.divide(left, right)
        if self._use_lines and not (left.is_number or right.is_number):
            contracted = left.is_matrix or right.is_matrix or left.columns == right.rows
            self._scope.joined[sign, contracted] += 1
        if sign.pointwise:
            return values.multiply(left, right)
        return values.matrix_product(left, right) if sign is Times.MATRIX else values.product(left, right)

    def _blocks(self, node: Blocks) -> Value:
        rows = [[self.value(part) for part in row] for row in node.rows]
        one_row = len(rows) == 1
        vectors = one_row and not any(v.is_matrix for v in rows[0])
        try:
            # A list of column vectors is one longer column: [x, h] means the same in both conventions.
            if vectors and all(SAMPLES in v.columns or ONE in v.columns for v in rows[0]):
                return values.beside([[v] for v in rows[0]])
            return values.beside(rows)
        except ShapeError:
            if not node.loose:
                raise
            return self._from_the_left(rows[0], [Times.NOTHING] * (len(rows[0]) - 1))


def derivative_key(node: Derivative) -> str:
    """Under which key lines state a derivative."""
    return f"dL/d({node.of.key})" if isinstance(node.of, Name) else f"dL/d{node.of}"


def with_differentials(node: Node, scope: Scope) -> Node:
    """`δ W` and `d h` as derivatives, where δ and d are not names of their own."""
    match node:
        case Multiply(first=Name() as mark, rest=((Times.NOTHING, second), *rest)) if _is_mark(mark, scope):
            derivative = _derivative(with_differentials(second, scope), mark.column)
            others = tuple((sign, with_differentials(part, scope)) for sign, part in rest)
            return Multiply(derivative, others, node.column) if others else derivative
        case Multiply():
            rest_ = tuple((sign, with_differentials(part, scope)) for sign, part in node.rest)
            return Multiply(with_differentials(node.first, scope), rest_, node.column)
        case Add():
            return Add(tuple((s, with_differentials(part, scope)) for s, part in node.terms), node.column)
        case Total() | Transposed():
            return type(node)(with_differentials(node.operand, scope), node.column)
        case Blocks():
            rows = tuple(tuple(with_differentials(part, scope) for part in row) for row in node.rows)
            return Blocks(rows, node.loose, node.column)
        case Apply():
            return Apply(node.function, with_differentials(node.argument, scope), node.primed, node.column)
    return node


def _derivative(node: Node, column: int) -> Node:
    """δ Wᵀ is the transpose of δ W."""
    if isinstance(node, Transposed):
        return Transposed(_derivative(node.operand, column), column)
    return Derivative(node, column)


def _is_mark(name: Name, scope: Scope) -> bool:
    return name.key in DIFFERENTIALS and name.key not in scope.lines and scope.meaning(name) is None
