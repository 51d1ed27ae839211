"""A recurrent cell: one step of a network as a program, and the state that it carries."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symgru.equations.functions import select
from symgru.equations.program import Pointwise, Program, ProgramError, vector


@dataclass(frozen=True)
class Cell:
    """One time step and its carried states.

    Attributes:
        name: Identifier, used in file names.
        title: One line for documents.
        step: The equations of one step.
        carry: Pairs (state entering the step, state leaving it).
        source: Where the equations are published.
    Raises:
        ProgramError: a carried state is not an input or not an output of the step.
    """

    name: str
    title: str
    step: Program
    carry: tuple[tuple[sp.Symbol, sp.Symbol], ...]
    source: str

    def __post_init__(self) -> None:
        for entering, leaving in self.carry:
            if entering not in self.step.inputs:
                raise ProgramError(f"cell {self.name}: state {entering} never enters the step")
            if leaving not in self.step.outputs:
                raise ProgramError(f"cell {self.name}: state {leaving} is never written")
            if self.step.shapes[entering] != self.step.shapes[leaving]:
                raise ProgramError(
                    f"cell {self.name}: state {entering} {self.step.shapes[entering]} becomes "
                    f"{leaving} {self.step.shapes[leaving]}"
                )


VALID = sp.Symbol("valid", real=True)


def with_lengths(cell: Cell) -> Cell:
    """The cell for sequences of different lengths: where `valid` is false the state is kept.

        h_t = h̃_t where step t belongs to the sequence, else h_{t-1}

    `valid` [T, B, H] is a mask that broadcasts over the units.
    """
    inputs = dict(cell.step.inputs)
    statements = list(cell.step.statements)
    for entering, leaving in cell.carry:
        axis = cell.step.shapes[entering].axes[0]
        inputs[VALID] = vector(axis)
        proposed = sp.Symbol(f"{leaving}_proposed", real=True)
        position = next(i for i, s in enumerate(statements) if s.target == leaving)
        definition = statements[position]
        if not isinstance(definition, Pointwise):
            raise ProgramError(f"cell {cell.name}: state {leaving} is not written by a pointwise statement")
        statements[position : position + 1] = [
            Pointwise(proposed, definition.expression),
            Pointwise(leaving, select(VALID, proposed, entering)),
        ]
    step = Program(inputs, tuple(statements), cell.step.outputs)
    return Cell(f"{cell.name}_lengths", f"{cell.title}, with lengths", step, cell.carry, cell.source)
