"""The chapter of a derivation document on schedules: what runs before, inside and after each loop."""

from __future__ import annotations

import sympy as sp

from symgru.derivation import Loop, Schedule, backward, forward, linearised, schedule
from symgru.documents.model import Formula, Group, Paragraph, Section
from symgru.documents.operations import operations
from symgru.documents.typeset import Typesetter
from symgru.equations import Cell, Contract, Mean, Pointwise, Shape, Statement
from symgru.lowering.notation import Notation


def aliases(loop: Loop) -> dict[str, str]:
    """In a reversed loop, what leaves a step is what the step before it in time receives from later ones."""
    return {str(leaving): f"{leaving}_carried" for _, leaving in loop.carry} if loop.reverse else {}


def direction(loop: Loop) -> str:
    """Which way time runs, in words."""
    return "from T − 1 down to 0" if loop.reverse else "from 0 to T − 1"


def schedules(cell: Cell, notation: Notation) -> Section:
    """The schedules of forward, backward and tangent pass."""
    ahead = forward(cell)
    passes = (("Forward", ahead), ("Backward", backward(ahead)), ("Tangent", linearised(ahead)))
    words: Paragraph = (
        "The statements of each pass over time, split by what depends on a carried value. What does not is "
        "computed before the loop for all steps at once; what no later step needs, after it. ",
        Formula("J[u ← v]", r"J[u \leftarrow v]"),
        " is the coefficient with which v enters u, an element of the local Jacobian: of cotangents in the "
        "backward pass, of tangents in the tangent pass. “fixed” is the part of a value that no carried "
        "value enters.",
    )
    groups = tuple(group for name, loop in passes for group in _phases(name, schedule(loop), notation))
    return Section("schedule", "Schedule", (words,), groups)


def _phases(name: str, scheduled: Schedule, notation: Notation) -> list[Group]:
    statements = (*scheduled.before, *scheduled.inside, *scheduled.after)
    written = notation.with_aliases(aliases(scheduled.loop))
    typesetter = Typesetter(statements, _shapes(scheduled, statements), written)
    groups = []
    for phase, part in (
        ("before", scheduled.before),
        ("inside", scheduled.inside),
        ("after", scheduled.after),
    ):
        if part:
            paragraphs: list[Paragraph] = [(f"{str(operations(part)).capitalize()}.",)]
            paragraphs += _traffic(phase, scheduled, typesetter)
            title = f"{name}, {phase} the loop"
            groups.append(Group(title, tuple(paragraphs), typesetter.equations(part)))
    return groups


def _traffic(phase: str, scheduled: Schedule, typesetter: Typesetter) -> list[Paragraph]:
    """What a phase reads and what it leaves for later."""
    if phase == "before":
        read = {symbol for s in scheduled.before for symbol in s.reads}
        sequences = [s for s in scheduled.loop.step.vectors if s in read]
        return [("Sequences read: ", *typesetter.symbols(sequences), ".")]
    if phase == "after":
        return []
    entering, leaving = zip(*scheduled.loop.carry, strict=True)
    return [
        (
            f"Time runs {direction(scheduled.loop)}. Carried: ",
            *typesetter.symbols(entering),
            " becomes ",
            *typesetter.symbols(leaving),
            ". Sequences read at every step: ",
            *typesetter.symbols(scheduled.sequences),
            ". Stored at every step: ",
            *typesetter.symbols(scheduled.stored),
            ".",
        )
    ]


def _shapes(scheduled: Schedule, statements: tuple[Statement, ...]) -> dict[sp.Symbol, Shape]:
    """Shapes of the step, and of the names that the schedule added: those of what they are made from."""
    shapes = dict(scheduled.loop.step.shapes)
    for statement in statements:
        if statement.target in shapes:
            continue
        if isinstance(statement, Mean):
            shapes[statement.target] = shapes[statement.source]
        elif isinstance(statement, Pointwise):
            axes = {shapes[symbol].axes for symbol in statement.reads}
            shapes[statement.target] = Shape(axes.pop(), per_step=True)
        elif isinstance(statement, Contract):
            term = statement.terms[0]
            rows, columns = shapes[term.matrix].axes
            shapes[statement.target] = Shape((columns if term.transposed else rows,), per_step=True)
    return shapes
