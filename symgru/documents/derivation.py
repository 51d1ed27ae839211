"""The derivation document of a GRU: from the equations of one step to the schedule of its kernels.

Every formula of the cell and every derived one is printed from a program or a schedule; what stands here is
the order and the words between.
"""

from __future__ import annotations

import sympy as sp

import symgru
from symgru.derivation import (
    Loop,
    Schedule,
    backward,
    cotangent,
    forward,
    jvp,
    linearised,
    schedule,
    tangent,
    vjp,
)
from symgru.documents.compact import added, compacted, in_gates
from symgru.documents.model import Document, Formula, Group, Paragraph, Section, Symbol
from symgru.documents.operations import operations
from symgru.documents.sources import meaning, paragraph
from symgru.documents.typeset import Typesetter
from symgru.equations import (
    VALID,
    Cell,
    Contract,
    Mean,
    Pointwise,
    Polarity,
    Program,
    Reset,
    Shape,
    Statement,
    gru,
    program,
    select,
    with_lengths,
)
from symgru.equations.gru import RESET_GATE, UPDATE_GATE


def derivation(
    polarity: Polarity | str = Polarity.KEEP, reset: Reset | str = Reset.AFTER, lengths: bool = False
) -> Document:
    """The derivation document of one GRU.

    Args:
        polarity, reset: Which GRU.
        lengths: Whether for sequences of different lengths, with a mask.
    Raises:
        ValueError: polarity is not keep or update, or reset is not before, after or whole.
    """
    polarity, reset = Polarity(polarity), Reset(reset)
    cell = gru(polarity, reset)
    if lengths:
        cell = with_lengths(cell)
    return Document(
        title=f"Derivation of the {cell.title}",
        cell=cell.name,
        polarity=polarity.value,
        reset=reset.value,
        lengths=lengths,
        source=cell.source,
        version=symgru.__version__,
        symbols=_symbols(cell),
        sections=(
            _conventions(polarity, reset, cell),
            _step(cell),
            _complementary(cell),
            _gradient(cell),
            _through_time(cell),
            _schedules(cell),
            _tangent(cell),
        ),
    )


def _symbols(cell: Cell) -> tuple[Symbol, ...]:
    typesetter = Typesetter.of(cell.step)
    computed = [s.target for s in cell.step if not isinstance(s, Contract)]
    rows = [
        (symbol, "parameter" if symbol in cell.step.parameters else "input") for symbol in cell.step.inputs
    ]
    rows += [(symbol, "output" if symbol in cell.step.outputs else "computed") for symbol in computed]
    return tuple(
        Symbol(str(symbol), typesetter.symbol(symbol), str(cell.step.shapes[symbol]), role)
        for symbol, role in rows
    )


def _conventions(polarity: Polarity, reset: Reset, cell: Cell) -> Section:
    of_step, of_gradient, of_tangent = (Typesetter.of(p) for p in (cell.step, vjp(cell.step), jvp(cell.step)))
    output = cell.step.outputs[0]
    paragraphs: tuple[Paragraph, ...] = (
        (
            f"Polarity {polarity.value}: the update gate multiplies {meaning(polarity)}, ",
            _reading(cell, UPDATE_GATE, of_step),
            ".",
        ),
        (
            f"Reset {reset.value}: the reset gate acts {meaning(reset)}, ",
            _reading(cell, RESET_GATE, of_step),
            ".",
        ),
        *_mask(cell, of_step),
        (f"{paragraph(program, 'Index conventions')} T steps, B sequences, I inputs, H hidden units.",),
        (
            "A contraction is written where it is read. ",
            of_gradient.symbol(cotangent(output)),
            " is the cotangent of ",
            of_step.symbol(output),
            ", the derivative of the loss L by it, and ",
            of_tangent.symbol(tangent(output)),
            " its tangent, the derivative along the given direction of all inputs. ",
            Formula("⊙", r"\odot"),
            " multiplies unit by unit.",
        ),
    )
    return Section("conventions", "Conventions", paragraphs, ())


def _reading(cell: Cell, symbol: sp.Symbol, typesetter: Typesetter) -> Formula:
    """The equation in which a value is read."""
    (equation,) = typesetter.equations(s for s in cell.step if symbol in s.reads)
    target, value = equation.target, equation.expression
    return Formula(f"{target.text} = {value.text}", f"{target.latex} = {value.latex}")


def _mask(cell: Cell, typesetter: Typesetter) -> tuple[Paragraph, ...]:
    """What the mask of sequences of different lengths means, if the cell has one."""
    if VALID not in cell.step.inputs:
        return ()
    words = (
        "Sequences of different lengths: ",
        typesetter.symbol(VALID),
        " is a mask, true where step t belongs to the sequence; beyond the end the state is kept. "
        f"{paragraph(select, 'select(condition')}",
    )
    return (words,)


def _step(cell: Cell) -> Section:
    equations = Typesetter.of(cell.step).equations(cell.step)
    sources: Paragraph = (f"{cell.source[:1].upper()}{cell.source[1:]}.",)
    return Section("forward", "One step", (sources,), (Group("", (), equations),))


def _complementary(cell: Cell) -> Section:
    step = forward(cell).step
    typesetter = Typesetter.of(step)
    changed = [s for s in step if s not in set(cell.step)]
    complements = [s.target for s in added(step, cell.step)]
    words: Paragraph = (
        "The kernels compute the complement of a gate from its pre-activation. The two are equal in exact "
        "arithmetic; in float32 the difference 1 − σ(a) is 0 from about a = 17, and this form is not. "
        "Here: ",
        *typesetter.symbols(complements),
        ". All other equations stay as they are.",
    )
    groups = (Group("", (), typesetter.equations(changed)),)
    return Section("complementary", "One step, as computed", (words,), groups)


def _gradient(cell: Cell) -> Section:
    whole = vjp(cell.step)
    program = compacted(in_gates(whole), keep=(s.target for s in cell.step))
    typesetter = Typesetter.of(program)
    words: Paragraph = (
        "Reverse mode: given ",
        typesetter.symbol(cotangent(cell.step.outputs[0])),
        ", the adjoint of each equation above in reverse order.",
    )
    groups = _by_role(program, added(program, cell.step), typesetter)
    return Section("gradient", "Gradient of one step", (words,), groups)


def _by_role(
    program: Program, statements: tuple[Statement, ...], typesetter: Typesetter
) -> tuple[Group, ...]:
    """Local values, then what the previous step and layer receive, then the parameters."""
    outputs = set(program.outputs)
    local = [s for s in statements if s.target not in outputs]
    vectors = [s for s in statements if s.target in outputs and program.shapes[s.target].per_step]
    parameters = [s for s in statements if s.target in outputs and not program.shapes[s.target].per_step]
    groups = (("Inside the step", local), ("Inputs of the step", vectors), ("Parameters", parameters))
    return tuple(Group(title, (), typesetter.equations(part)) for title, part in groups if part)


def _aliases(loop: Loop) -> dict[str, str]:
    """In a reversed loop, what leaves a step is what the step before it in time receives from later ones."""
    return {str(leaving): f"{leaving}_carried" for _, leaving in loop.carry} if loop.reverse else {}


def _through_time(cell: Cell) -> Section:
    ahead = forward(cell)
    loop = backward(ahead)
    program = compacted(loop.step, keep=(*(s.target for s in ahead.step), *_cotangents_of_states(loop)))
    typesetter = Typesetter.of(program, _aliases(loop))
    (arriving, leaving), *_ = loop.carry
    words: Paragraph = (
        f"Time runs {_direction(loop)}. The state reaches the loss through the output of its own step, ",
        typesetter.symbol(_read_with(program, arriving)),
        ", and through all later steps, ",
        typesetter.symbol(arriving),
        ". The latter is what step t + 1 hands back: ",
        typesetter.symbol(leaving),
        " of one step is ",
        typesetter.symbol(arriving),
        " of the next that is computed. It starts as the cotangent of the final state and ends as that of "
        "the initial state.",
    )
    groups = _by_role(program, added(program, ahead.step), typesetter)
    return Section("through_time", "Backpropagation through time", (words,), groups)


def _cotangents_of_states(loop: Loop) -> list[sp.Symbol]:
    return [s.target for s in loop.step if s.reads & loop.carried]


def _read_with(program: Program, carried: sp.Symbol) -> sp.Symbol:
    """The output's contribution, which the first statement of the loop adds to the carried one."""
    statement = next(s for s in program if carried in s.reads)
    (other,) = statement.reads - {carried}
    return other


def _direction(loop: Loop) -> str:
    return "from T − 1 down to 0" if loop.reverse else "from 0 to T − 1"


def _schedules(cell: Cell) -> Section:
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
    groups = tuple(group for name, loop in passes for group in _phases(name, schedule(loop)))
    return Section("schedule", "Schedule", (words,), groups)


def _phases(name: str, scheduled: Schedule) -> list[Group]:
    statements = (*scheduled.before, *scheduled.inside, *scheduled.after)
    typesetter = Typesetter(statements, _shapes(scheduled, statements), _aliases(scheduled.loop))
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
            f"Time runs {_direction(scheduled.loop)}. Carried: ",
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


def _tangent(cell: Cell) -> Section:
    whole = in_gates(jvp(cell.step))
    typesetter = Typesetter.of(whole)
    words: Paragraph = (
        "Forward mode: the derivative of one step along given directions of its inputs and parameters. "
        "Over time it runs with the loop and carries ",
        typesetter.symbol(tangent(cell.carry[0][1])),
        ".",
    )
    groups = (Group("", (), typesetter.equations(added(whole, cell.step))),)
    return Section("tangent", "Tangent of one step", (words,), groups)
