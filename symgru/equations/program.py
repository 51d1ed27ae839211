"""Programs: straight-line vector code that is closed under differentiation.

A value is described by the scalar SymPy symbol of one unit. Values that vary over time and batch
are *vectors*; values shared by all steps are *parameters*: biases and matrices. There are five
kinds of statement, and the adjoint of each is made of the same five (`symgru.derivation.vjp`):

    pointwise  u  = f(v₁, v₂, …)            per unit
    contract   u  = Σₖ Wₖ vₖ  or  Wₖᵀ vₖ    over units
    mean       u  = (1/n) Σⱼ vⱼ             over units, the same number in every unit of u
    outer      W̄ = Σ over batch and time of  Σₖ uₖ vₖᵀ
    sum        b̄ = Σ over batch and time of  Σₖ uₖ

Index conventions: a vector has shape [T, B, n] (time-major), a bias [n], a matrix [rows, columns],
and `contract` multiplies from the left, u[t, b, i] = Σⱼ W[i, j] v[t, b, j].
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import TypeVar

import sympy as sp

from symgru.equations.functions import exp, relu, rsqrt, select, sigmoid, softplus, step, tanh

Axes = tuple[str, ...]
Renaming = Mapping[sp.Symbol, sp.Symbol]
T = TypeVar("T")

KNOWN_FUNCTIONS = (sigmoid, tanh, relu, step, softplus, exp, rsqrt, select)
KNOWN_NODES = (sp.Symbol, sp.Rational, sp.Add, sp.Mul, sp.Pow)


class ProgramError(ValueError):
    """A program that is not well formed; the message names the statement."""


@dataclass(frozen=True)
class Shape:
    """Index space of a value: named axes, and whether it also varies over time and batch."""

    axes: Axes
    per_step: bool

    def __str__(self) -> str:
        return f"[{', '.join(('T', 'B', *self.axes) if self.per_step else self.axes)}]"


def vector(axis: str) -> Shape:
    """Varies over time and batch: [T, B, axis]."""
    return Shape((axis,), per_step=True)


def bias(axis: str) -> Shape:
    """Shared by all steps: [axis]."""
    return Shape((axis,), per_step=False)


def matrix(rows: str, columns: str) -> Shape:
    """Shared by all steps: [rows, columns]."""
    return Shape((rows, columns), per_step=False)


@dataclass(frozen=True)
class Pointwise:
    """target = expression, unit by unit; biases are broadcast over time and batch."""

    target: sp.Symbol
    expression: sp.Expr

    @cached_property
    def reads(self) -> frozenset[sp.Symbol]:
        """The symbols on the right-hand side."""
        return frozenset(self.expression.free_symbols)

    def renamed(self, names: Renaming) -> Pointwise:
        """The statement with other symbols for those that it writes and reads."""
        return Pointwise(names[self.target], self.expression.xreplace(dict(names)))

    def __str__(self) -> str:
        return f"{self.target} = {self.expression}"


@dataclass(frozen=True)
class Product:
    """One term of a contraction: matrix · vector, or matrixᵀ · vector."""

    matrix: sp.Symbol
    vector: sp.Symbol
    transposed: bool = False

    def renamed(self, names: Renaming) -> Product:
        """The product with other symbols."""
        return Product(names[self.matrix], names[self.vector], self.transposed)

    def __str__(self) -> str:
        return f"{self.matrix}{'ᵀ' if self.transposed else ''} {self.vector}"


@dataclass(frozen=True)
class Contract:
    """target = Σ matrix · vector over the terms."""

    target: sp.Symbol
    terms: tuple[Product, ...]

    @cached_property
    def reads(self) -> frozenset[sp.Symbol]:
        """The symbols on the right-hand side."""
        return frozenset(s for term in self.terms for s in (term.matrix, term.vector))

    def renamed(self, names: Renaming) -> Contract:
        """The statement with other symbols for those that it writes and reads."""
        return Contract(names[self.target], tuple(t.renamed(names) for t in self.terms))

    def __str__(self) -> str:
        return f"{self.target} = {' + '.join(map(str, self.terms))}"


@dataclass(frozen=True)
class Mean:
    """target = the mean of source over its units, in every unit: a symmetric projection, so self-adjoint."""

    target: sp.Symbol
    source: sp.Symbol

    @cached_property
    def reads(self) -> frozenset[sp.Symbol]:
        """The symbols on the right-hand side."""
        return frozenset((self.source,))

    def renamed(self, names: Renaming) -> Mean:
        """The statement with other symbols for those that it writes and reads."""
        return Mean(names[self.target], names[self.source])

    def __str__(self) -> str:
        return f"{self.target} = mean {self.source}"


@dataclass(frozen=True)
class Outer:
    """target = Σ over time, batch and terms of left · rightᵀ."""

    target: sp.Symbol
    terms: tuple[tuple[sp.Symbol, sp.Symbol], ...]

    @cached_property
    def reads(self) -> frozenset[sp.Symbol]:
        """The symbols on the right-hand side."""
        return frozenset(s for term in self.terms for s in term)

    def renamed(self, names: Renaming) -> Outer:
        """The statement with other symbols for those that it writes and reads."""
        return Outer(names[self.target], tuple((names[u], names[v]) for u, v in self.terms))

    def __str__(self) -> str:
        return f"{self.target} = Σ {' + '.join(f'{left} {right}ᵀ' for left, right in self.terms)}"


@dataclass(frozen=True)
class Sum:
    """target = Σ over time, batch and terms of the term."""

    target: sp.Symbol
    terms: tuple[sp.Symbol, ...]

    @cached_property
    def reads(self) -> frozenset[sp.Symbol]:
        """The symbols on the right-hand side."""
        return frozenset(self.terms)

    def renamed(self, names: Renaming) -> Sum:
        """The statement with other symbols for those that it writes and reads."""
        return Sum(names[self.target], tuple(names[term] for term in self.terms))

    def __str__(self) -> str:
        return f"{self.target} = Σ {' + '.join(map(str, self.terms))}"


Statement = Pointwise | Contract | Mean | Outer | Sum

#: What a symbol may be called: names end up in source code, so they are identifiers and nothing else.
NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class Program:
    """Statements in order, the shapes of the inputs, and the outputs.

    Raises:
        ProgramError: a symbol is used before it is defined or defined twice, a name is no identifier or
            names two symbols, a sum over time and batch is read, shapes do not fit, an expression has a node
            that is not exact and defined everywhere, a mask is not an input or is read as a number, or an
            output is never written.
    """

    inputs: Mapping[sp.Symbol, Shape]
    statements: tuple[Statement, ...]
    outputs: tuple[sp.Symbol, ...]
    shapes: Mapping[sp.Symbol, Shape] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shapes, sums = dict(self.inputs), set[sp.Symbol]()
        _check_names((*self.inputs, *(s.target for s in self.statements)))
        for statement in self.statements:
            missing = sorted(s.name for s in statement.reads if s not in shapes)
            if missing:
                raise ProgramError(
                    f"'{statement}' reads {', '.join(missing)}, which nothing before it defines"
                )
            if statement.target in shapes:
                raise ProgramError(f"'{statement}' defines {statement.target} a second time")
            for symbol in sorted(statement.reads & sums, key=name_of):
                raise ProgramError(
                    f"'{statement}' reads {symbol}, a sum over time and batch, which no step knows"
                )
            if isinstance(statement, Outer | Sum):
                sums.add(statement.target)
            shapes[statement.target] = _target_shape(statement, shapes)
        _check_masks(self.inputs, self.statements)
        unwritten = [str(output) for output in self.outputs if output not in shapes]
        if unwritten:
            raise ProgramError(f"output {', '.join(unwritten)} is never written")
        object.__setattr__(self, "inputs", MappingProxyType(dict(self.inputs)))
        object.__setattr__(self, "shapes", MappingProxyType(shapes))

    # The order of inputs counts: derivatives have outputs in that order. The hash is computed once, because
    # derivatives and schedules are cached by the program that they are of.

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Program) and self._key == other._key

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _key(self) -> tuple[object, ...]:
        return tuple(self.inputs.items()), self.statements, self.outputs

    @cached_property
    def _hash(self) -> int:
        return hash(self._key)

    @property
    def vectors(self) -> tuple[sp.Symbol, ...]:
        """Inputs that vary over time and batch."""
        return tuple(s for s, shape in self.inputs.items() if shape.per_step)

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Inputs shared by all steps: matrices and biases."""
        return tuple(s for s, shape in self.inputs.items() if not shape.per_step)

    def definition(self, symbol: sp.Symbol) -> Statement | None:
        """The statement that writes the symbol, or None for an input."""
        return next((s for s in self.statements if s.target == symbol), None)

    def without_dead_statements(self) -> Program:
        """The same outputs from only the statements and inputs that they need."""
        live = set(self.outputs)
        kept: list[Statement] = []
        for statement in reversed(self.statements):
            if statement.target in live:
                kept.append(statement)
                live |= statement.reads
        inputs = {s: shape for s, shape in self.inputs.items() if s in live}
        if len(inputs) == len(self.inputs) and len(kept) == len(self.statements):
            return self
        return Program(inputs, tuple(reversed(kept)), self.outputs)

    def __iter__(self) -> Iterator[Statement]:
        return iter(self.statements)


def name_of(symbol: sp.Symbol) -> str:
    """The name, as a sort key; str asks SymPy's printer."""
    return str(symbol.name)


def _check_names(symbols: Iterable[sp.Symbol]) -> None:
    named: dict[str, sp.Symbol] = {}
    for symbol in symbols:
        name = symbol.name
        if not NAME.fullmatch(name) or keyword.iskeyword(name):
            raise ProgramError(f"{name!r} cannot be a name: expected letters, digits and _, and no keyword")
        if named.setdefault(name, symbol) != symbol:
            raise ProgramError(f"there are two symbols called {name}: with different assumptions")


def _target_shape(statement: Statement, shapes: Mapping[sp.Symbol, Shape]) -> Shape:
    match statement:
        case Pointwise():
            return _pointwise_shape(statement, shapes)
        case Contract():
            axes = {_product_axis(statement, term, shapes) for term in statement.terms}
            return vector(_single(axes, statement, "terms on different axes"))
        case Mean():
            return vector(_vector_axis(statement, statement.source, shapes))
        case Outer():
            pairs = {
                (_vector_axis(statement, left, shapes), _vector_axis(statement, right, shapes))
                for left, right in statement.terms
            }
            return matrix(*_single(pairs, statement, "terms of different shapes"))
        case Sum():
            axes = {_vector_axis(statement, term, shapes) for term in statement.terms}
            return bias(_single(axes, statement, "terms on different axes"))


def _pointwise_shape(statement: Pointwise, shapes: Mapping[sp.Symbol, Shape]) -> Shape:
    complaint = _unknown_node(statement.expression)
    if complaint:
        raise ProgramError(f"'{statement}' {complaint}")
    axes = set()
    for symbol in statement.reads:
        if len(shapes[symbol].axes) != 1:
            raise ProgramError(f"'{statement}' uses the matrix {symbol} {shapes[symbol]} unit by unit")
        axes |= set(shapes[symbol].axes)
    return vector(_single(axes, statement, "values on different axes"))


@lru_cache(maxsize=4096)  # derived programs repeat the statements of what they are derived from
def _unknown_node(expression: sp.Expr) -> str:
    """Exact numbers, sums, products, whole powers and the known functions: else a complaint."""
    for node in sp.preorder_traversal(expression):
        if isinstance(node, sp.Function) and not isinstance(node, KNOWN_FUNCTIONS):
            known = ", ".join(sorted(f.__name__ for f in KNOWN_FUNCTIONS))
            return f"uses the unknown function {node.func}; known are {known}"
        if not isinstance(node, (*KNOWN_NODES, *KNOWN_FUNCTIONS)):
            known = ", ".join(sorted(n.__name__ for n in KNOWN_NODES))
            return f"has {type(node).__name__}, which is not one of {known}"
        if isinstance(node, sp.Pow) and not (node.exp.is_Integer and node.exp >= 2):
            return f"has the power {node}, expected a whole exponent of 2 or more"
    return ""


@lru_cache(maxsize=4096)
def choices(expression: sp.Expr) -> frozenset[sp.Expr]:
    """What the expression chooses by."""
    return frozenset(node.args[0] for node in expression.atoms(select))


def _check_masks(inputs: Mapping[sp.Symbol, Shape], statements: Iterable[Statement]) -> None:
    """A mask is an input, true or false, and serves nothing but choices, so that it needs no derivative."""
    masks: set[sp.Expr] = set()
    for statement in statements:
        for mask in choices(statement.expression) if isinstance(statement, Pointwise) else ():
            if mask not in inputs:
                raise ProgramError(f"'{statement}' chooses by {mask}, expected a mask among the inputs")
            masks.add(mask)
    for statement in statements:
        suspects = masks & statement.reads
        if suspects and isinstance(statement, Pointwise):
            suspects &= _read_as_numbers(statement.expression)
        for mask in sorted(suspects, key=name_of):
            raise ProgramError(f"'{statement}' reads the mask {mask} as a number")


def _read_as_numbers(node: sp.Expr) -> frozenset[sp.Expr]:
    """The symbols of an expression, without those by which it chooses."""
    if node.is_Symbol:
        return frozenset((node,))
    parts = node.args[1:] if isinstance(node, select) else node.args
    return frozenset[sp.Expr]().union(*map(_read_as_numbers, parts))


def _product_axis(statement: Contract, term: Product, shapes: Mapping[sp.Symbol, Shape]) -> str:
    shape = shapes[term.matrix]
    if len(shape.axes) != 2:
        raise ProgramError(f"'{statement}' contracts with {term.matrix} {shape}, which is no matrix")
    rows, columns = reversed(shape.axes) if term.transposed else shape.axes
    axis = _vector_axis(statement, term.vector, shapes)
    if axis != columns:
        raise ProgramError(f"'{statement}': {term} has {columns} columns but a vector of {axis} units")
    return rows


def _vector_axis(statement: Statement, symbol: sp.Symbol, shapes: Mapping[sp.Symbol, Shape]) -> str:
    shape = shapes[symbol]
    if not shape.per_step:
        raise ProgramError(f"'{statement}' needs a vector, but {symbol} has shape {shape}")
    return shape.axes[0]


def _single(found: Iterable[T], statement: Statement, complaint: str) -> T:
    options = list(found)
    if len(options) != 1:
        raise ProgramError(f"'{statement}' has {complaint}: {sorted(map(str, options)) or 'none'}")
    return options[0]
