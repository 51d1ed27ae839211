"""A cell with its units in groups: every vector in parts, every matrix in blocks.

Where the units lie in groups a and b, U h is U_aa h_a + U_ab h_b in group a: a sum over all units is one over
the units of a and one over those of b (lemma `contraction in blocks`). So what holds for the groups holds for
the cell, whatever their sizes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Cell, Contract, Pointwise, Product, Program, ProgramError, Shape, Statement
from symgru.equations.gru import HIDDEN

Axes = Mapping[str, str]  # the letter of a group, the name of its axis


def part(symbol: sp.Symbol, letters: str) -> sp.Symbol:
    """The part of a vector in a group, or the block of a matrix between two: h_prev_a, U_n_ab."""
    return sp.Symbol(f"{symbol}_{letters}", real=True)


def in_groups(cell: Cell, axes: Axes) -> Loop:
    """The loop of a cell with its hidden units in groups.

    Args:
        cell: Pointwise statements and products with matrices, such as every placement of the GRU.
        axes: Letter and axis of every group; groups on one axis are of equal size.
    Raises:
        ProgramError: a statement is of another kind.
    """
    inputs: dict[sp.Symbol, Shape] = {}
    for symbol, shape in cell.step.inputs.items():
        for letters in _letters(shape, axes):
            inputs[part(symbol, letters) if letters else symbol] = _in_group(shape, letters, axes)
    statements = [new for s in cell.step for new in _split(s, cell.step, axes)]
    outputs = tuple(part(output, letter) for output in cell.step.outputs for letter in axes)
    carry = tuple((part(entering, g), part(leaving, g)) for entering, leaving in cell.carry for g in axes)
    return Loop(f"{cell.name}_groups", Program(inputs, tuple(statements), outputs), carry)


def _letters(shape: Shape, axes: Axes) -> list[str]:
    """The letters of all parts of a value, one for each hidden axis."""
    return ["".join(p) for p in product(*(list(axes) for axis in shape.axes if axis == HIDDEN))]


def _in_group(shape: Shape, letters: str, axes: Axes) -> Shape:
    remaining = iter(letters)
    return Shape(tuple(axes[next(remaining)] if a == HIDDEN else a for a in shape.axes), shape.per_step)


def _split(statement: Statement, program: Program, axes: Axes) -> Iterator[Statement]:
    if program.shapes[statement.target].axes != (HIDDEN,):
        yield statement
        return
    for letter in axes:
        match statement:
            case Pointwise():
                own = {s: part(s, letter) for s in statement.reads}
                yield Pointwise(part(statement.target, letter), statement.expression.xreplace(own))
            case Contract():
                terms = tuple(new for term in statement.terms for new in _blocks(term, letter, program, axes))
                yield Contract(part(statement.target, letter), terms)
            case _:
                raise ProgramError(f"'{statement}' cannot be written in groups of units")


def _blocks(term: Product, row: str, program: Program, axes: Axes) -> Iterator[Product]:
    if term.transposed:
        raise ProgramError(f"{term} cannot be written in groups of units")
    if HIDDEN not in program.shapes[term.vector].axes:
        yield Product(part(term.matrix, row), term.vector)
        return
    for column in axes:
        yield Product(part(term.matrix, row + column), part(term.vector, column))
