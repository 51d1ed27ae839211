"""What is right: the values of a cell and their cotangents, from its derivation, each with a normal form.

In the normal form every value is written out down to the inputs of the step, to σ, tanh and the other
functions of the cell, which keep their names, and to the cotangents of the outputs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

import sympy as sp

from symgru.derivation import cotangent, vjp
from symgru.equations import (
    Cell,
    Pointwise,
    Program,
    ProgramError,
    Shape,
    Statement,
    select,
    vector,
)
from symgru.formulas.errors import FormulaError
from symgru.formulas.values import MAX_TERMS, expanded_size, ones, with_ones
from symgru.proof.terms import (
    LINEAR,
    Contraction,
    Normaliser,
    TransposedContraction,
    masks,
    term,
)
from symgru.proof.theorem import ProofError

Definitions = Mapping[sp.Symbol, sp.Expr]
K = TypeVar("K")


class Unfolder:
    """Normal forms by putting definitions in.

    Args:
        definitions: The term of every value that is computed.
        shapes: Of all values.
        normalise: Rewrites by lemmas; learns the names of the applications of functions.
    """

    def __init__(self, definitions: Definitions, shapes: Mapping[sp.Symbol, Shape], normalise: Normaliser):
        self.definitions = dict(definitions)
        self.shapes = dict(shapes)
        self._normalise = normalise
        self._forms: dict[sp.Symbol, sp.Expr] = {}

    def form(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term.

        Raises:
            ProofError: it has none within the limits.
        """
        return self._normalised(node.xreplace({s: self._form(s) for s in node.free_symbols}))

    def opaque(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term in which all values keep their names.

        Raises:
            ProofError: it has none within the limits.
        """
        return self._normalised(node)

    def _form(self, symbol: sp.Symbol) -> sp.Expr:
        if symbol not in self._forms:
            definition = self.definitions.get(symbol)
            value = symbol if definition is None else self.form(definition)
            if value.is_Function and type(value) not in LINEAR and not isinstance(value, select):
                self._normalise.named.setdefault(value, symbol)
                value = self._normalise.named[value]
            self._forms[symbol] = value
        return self._forms[symbol]

    def _normalised(self, node: sp.Expr) -> sp.Expr:
        if expanded_size(node) > MAX_TERMS:
            raise ProofError("the normal form is too long")
        return self._normalise(with_ones(node, self.axis))

    def axis(self, node: sp.Expr) -> str | None:
        """The axis of the units of a vector or bias; None for numbers."""
        if node.is_Symbol:
            shape = self.shapes.get(node)
            name = str(node)
            if shape is None:
                return name[5:-1] if node == ones(name[5:-1]) else None
            return shape.axes[0]
        if isinstance(node, (Contraction, TransposedContraction)):
            shape = self.shapes.get(node.args[0])
            return None if shape is None else shape.axes[isinstance(node, TransposedContraction)]
        return next((axis for a in node.args if (axis := self.axis(a)) is not None), None)


class Reference:
    """The values of one step of a cell and of its backward pass.

    The cotangent of a state that leaves the step is what the later step hands back plus what the output of
    this step contributes: d_h = d_h_carried + d_h_output.

    Args:
        cell: The cell.
        zero: Parameters that are left out of it.
    Attributes:
        shapes: Of all values by symbol.
        definitions: The term of every value that is computed, one statement each.
    """

    def __init__(self, cell: Cell, zero: Iterable[sp.Symbol] = ()):
        adjoint = vjp(cell.step)
        self.cell = cell
        self.shapes: dict[sp.Symbol, Shape] = {**cell.step.shapes, **adjoint.shapes}
        self.definitions = {s.target: term(s) for s in (*cell.step, *adjoint)}
        self.definitions |= dict.fromkeys(zero, sp.S.Zero)
        for _, leaving in cell.carry:
            self._split(cotangent(leaving))
        self._normalise = Normaliser(masks=masks(cell.step))
        self._unfolder = Unfolder(self.definitions, self.shapes, self._normalise)
        for statement in cell.step:
            self.form(statement.target)
        self._known: dict[sp.Expr, sp.Symbol] | None = None
        #: Applications of functions, σ(a) or tanh(a), and the values that have them.
        self.applications = {
            d: s for s, d in self.definitions.items() if d.is_Function and type(d) not in LINEAR
        }

    def _split(self, bar: sp.Symbol) -> None:
        carried, output = (sp.Symbol(f"{bar}_{part}", real=True) for part in ("carried", "output"))
        self.shapes[carried] = self.shapes[output] = self.shapes[bar]
        self.definitions[output] = bar - carried

    def symbol(self, name: str) -> sp.Symbol | None:
        """The value of that name, if there is one."""
        symbol = sp.Symbol(name, real=True)
        return symbol if symbol in self.shapes else None

    @property
    def inputs(self) -> tuple[sp.Symbol, ...]:
        """What the step and its backward pass are given: all values without a definition."""
        return tuple(s for s in self.shapes if s not in self.definitions)

    def form(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term, written out.

        Raises:
            ProofError: it has none within the limits.
        """
        return self._unfolder.form(node)

    def opaque(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term, in the values that it names.

        Raises:
            ProofError: it has none within the limits.
        """
        return sp.expand(self._unfolder.opaque(node).xreplace(self.applications))

    def declare(self, symbol: sp.Symbol, shape: Shape) -> None:
        """A further input."""
        self.shapes[symbol] = self._unfolder.shapes[symbol] = shape

    def find(self, node: sp.Expr) -> sp.Symbol | None:
        """A value of the cell, or a cotangent, that the term equals."""
        try:
            return self._all_forms().get(self.form(node))
        except ProofError:
            return None

    def _all_forms(self) -> dict[sp.Expr, sp.Symbol]:
        if self._known is None:
            self._known = {}
            for symbol in self.definitions:
                if len(self.shapes[symbol].axes) == 1:
                    self._known.setdefault(self.form(symbol), symbol)
        return self._known

    def cotangent(self, node: sp.Expr) -> sp.Symbol:
        """The cotangent of a value of the cell, or of an expression that a statement of the cell contains.

        Of a state that leaves the step and is read in it too, all of it, not only what comes from outside.

        Raises:
            FormulaError: the cell has no such value.
        """
        value = node if node.is_Symbol else self.find(node)
        bar = cotangent(node if value is None else value)
        whole = sp.Symbol(f"{bar}_total", real=True)
        if whole in self.shapes or bar in self.shapes:
            return whole if whole in self.shapes else bar
        source = self._folded(node) if value is None else value
        probed = _Probed.of(self.cell.step, source)
        unfolder = Unfolder(probed.definitions | self._zeros(), probed.shapes, self._normalise)
        self.shapes[bar] = self._unfolder.shapes[bar] = probed.shapes[probed.bar]
        self.definitions[bar] = self._unfolder.definitions[bar] = unfolder.form(probed.bar)
        return bar

    def _zeros(self) -> dict[sp.Symbol, sp.Expr]:
        return {s: d for s, d in self.definitions.items() if d == 0}

    def _folded(self, node: sp.Expr) -> sp.Expr:
        """The term with the names that the cell has for the products and functions in it."""
        if node.is_Atom:
            return node
        if node.is_Function:
            return self.find(node) or node
        return node.func(*(self._folded(a) for a in node.args))


class _Probed:
    """The backward pass of a program that adds an input, zero, to a value: both have one cotangent."""

    def __init__(self, program: Program, adjoint: Program, probe: sp.Symbol):
        self.bar = cotangent(probe)
        self.shapes = {**program.shapes, **adjoint.shapes}
        self.definitions = {s.target: term(s) for s in (*program, *adjoint)} | {probe: sp.S.Zero}

    @classmethod
    def of(cls, program: Program, source: sp.Expr) -> _Probed:
        """Probe a value, or a part of the pointwise statements.

        Raises:
            FormulaError: no statement contains it, or nothing depends on it.
        """
        value, probe = (sp.Symbol(name, real=True) for name in ("probed_value", "probe"))
        missing = FormulaError(
            f"{source} is not a value of the cell, so the loss has no derivative by it here"
        )
        if not source.free_symbols or not source.free_symbols <= program.shapes.keys():
            raise missing
        before, after = _split_after(program.statements, source.free_symbols, program.inputs)
        changed = [_with(statement, source, value) for statement in after]
        if changed == after:
            raise missing
        axis = next(iter(program.shapes[s] for s in source.free_symbols)).axes[0]
        inputs = {**program.inputs, probe: vector(axis)}
        try:
            whole = Program(inputs, (*before, Pointwise(value, source + probe), *changed), program.outputs)
            adjoint = vjp(whole)
        except ProgramError:
            raise missing from None
        if cotangent(probe) not in adjoint.shapes:
            raise missing
        return cls(whole, adjoint, probe)


def _split_after(
    statements: tuple[Statement, ...], symbols: Iterable[sp.Symbol], inputs: Iterable[sp.Symbol]
) -> tuple[list[Statement], list[Statement]]:
    """The statements up to the last that defines one of the symbols, and the others."""
    wanted = set(symbols) - set(inputs)
    last = max((i for i, s in enumerate(statements) if s.target in wanted), default=-1)
    return list(statements[: last + 1]), list(statements[last + 1 :])


class _Renaming(dict[K, K]):
    """Names that stay as they are unless they are in the table."""

    def __missing__(self, key: K) -> K:
        return key


def _with(statement: Statement, source: sp.Expr, value: sp.Symbol) -> Statement:
    """The statement with `value` where it reads `source`."""
    if source.is_Symbol:
        return statement.renamed(_Renaming({source: value}))
    if not isinstance(statement, Pointwise):
        return statement
    return Pointwise(statement.target, _replaced(statement.expression, source, value))


def _replaced(node: sp.Expr, source: sp.Expr, value: sp.Symbol) -> sp.Expr:
    if node == source:
        return value
    if node.is_Atom:
        return node
    if node.func == source.func and (node.is_Add or node.is_Mul) and set(source.args) <= set(node.args):
        rest = [a for a in node.args if a not in source.args]
        return node.func(value, *(_replaced(a, source, value) for a in rest))
    return node.func(*(_replaced(a, source, value) for a in node.args))
