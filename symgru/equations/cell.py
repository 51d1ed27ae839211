"""A recurrent cell: one step of a network as a program, and the state that it carries."""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symgru.equations.program import NAME, Program, ProgramError


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
        ProgramError: a carried state is not an input or not an output of the step, or the name or title could
            not stand in source code.
    """

    name: str
    title: str
    step: Program
    carry: tuple[tuple[sp.Symbol, sp.Symbol], ...]
    source: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise ProgramError(f"a cell cannot be called {self.name!r}: expected letters, digits and _")
        if not self.title.isprintable() or set(self.title) & set('"\\'):
            raise ProgramError(f"cell {self.name}: expected a title on one line, no quotes, no backslashes")
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
