"""The derivation document of a cell: from the equations of one step to the schedule of its kernels.

Every formula of the cell and every derived one is printed from a program or a schedule; what stands here is
the order and the words between.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import sympy as sp

import symgru
from symgru.derivation import Loop, backward, cotangent, forward, jvp, tangent, vjp
from symgru.documents.compact import added, compacted, in_gates
from symgru.documents.model import Document, Formula, Group, Paragraph, Section, Symbol
from symgru.documents.schedules import aliases, direction, schedules
from symgru.documents.sources import meaning, paragraph
from symgru.documents.typeset import Typesetter
from symgru.equations import (
    VALID,
    Cell,
    Contract,
    Polarity,
    Program,
    Reset,
    Statement,
    gru,
    program,
    select,
    with_lengths,
)
from symgru.equations.gru import RESET_GATE, UPDATE_GATE
from symgru.lowering.notation import Notation, notation_of


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
    document = derivation_of(cell, _convention(polarity, reset, cell))
    return replace(document, polarity=polarity.value, reset=reset.value)


def derivation_of(cell: Cell, convention: tuple[Paragraph, ...] = ()) -> Document:
    """The derivation document of any cell.

    Args:
        cell: What is derived.
        convention: Paragraphs to open it with.
    """
    notation = notation_of(cell)
    return Document(
        title=f"Derivation of the {cell.title}",
        cell=cell.name,
        polarity=None,
        reset=None,
        lengths=VALID in cell.step.inputs,
        source=cell.source,
        version=symgru.__version__,
        symbols=_symbols(cell, notation),
        sections=(
            Section("conventions", "Conventions", (*convention, *_conventions(cell, notation)), ()),
            _step(cell, notation),
            *_complementary(cell, notation),
            _gradient(cell, notation),
            _through_time(cell, notation),
            schedules(cell, notation),
            _tangent(cell, notation),
        ),
    )


def _symbols(cell: Cell, notation: Notation) -> tuple[Symbol, ...]:
    typesetter = Typesetter.of(cell.step, notation)
    computed = [s.target for s in cell.step if not isinstance(s, Contract)]
    rows = [
        (symbol, "parameter" if symbol in cell.step.parameters else "input") for symbol in cell.step.inputs
    ]
    rows += [(symbol, "output" if symbol in cell.step.outputs else "computed") for symbol in computed]
    return tuple(
        Symbol(str(symbol), typesetter.symbol(symbol), str(cell.step.shapes[symbol]), role)
        for symbol, role in rows
    )


def _convention(polarity: Polarity, reset: Reset, cell: Cell) -> tuple[Paragraph, ...]:
    """What polarity and reset placement mean, and where the equations show it."""
    typesetter = Typesetter.of(cell.step, notation_of(cell))
    return (
        (
            f"Polarity {polarity.value}: the update gate multiplies {meaning(polarity)}, ",
            _reading(cell, UPDATE_GATE, typesetter),
            ".",
        ),
        (
            f"Reset {reset.value}: the reset gate acts {meaning(reset)}, ",
            _reading(cell, RESET_GATE, typesetter),
            ".",
        ),
    )


def _conventions(cell: Cell, notation: Notation) -> tuple[Paragraph, ...]:
    of_step, of_gradient, of_tangent = (
        Typesetter.of(p, notation) for p in (cell.step, vjp(cell.step), jvp(cell.step))
    )
    output = cell.step.outputs[0]
    sizes = "".join(f", {axis} {_AXES[axis]}" for axis in _axes(cell) if axis in _AXES)
    return (
        *_mask(cell, of_step),
        (f"{paragraph(program, 'Index conventions')} T steps, B sequences{sizes}.",),
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


_AXES = {"I": "inputs", "H": "hidden units"}


def _axes(cell: Cell) -> tuple[str, ...]:
    return tuple(sorted({a for shape in cell.step.inputs.values() for a in shape.axes}, reverse=True))


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


def _step(cell: Cell, notation: Notation) -> Section:
    equations = Typesetter.of(cell.step, notation).equations(cell.step)
    sources: Paragraph = (f"{cell.source[:1].upper()}{cell.source[1:]}.",)
    paragraphs = (sources,) if cell.source else ()
    return Section("forward", "One step", paragraphs, (Group("", (), equations),))


def _complementary(cell: Cell, notation: Notation) -> tuple[Section, ...]:
    """The gates as computed, if any is used as 1 − σ."""
    step = forward(cell).step
    typesetter = Typesetter.of(step, notation)
    changed = [s for s in step if s not in set(cell.step)]
    complements = [s.target for s in added(step, cell.step)]
    if not complements:
        return ()
    words: Paragraph = (
        "The kernels compute the complement of a gate from its pre-activation. The two are equal in exact "
        "arithmetic; in float32 the difference 1 − σ(a) is 0 from about a = 17, and this form is not. "
        "Here: ",
        *typesetter.symbols(complements),
        ". All other equations stay as they are.",
    )
    groups = (Group("", (), typesetter.equations(changed)),)
    return (Section("complementary", "One step, as computed", (words,), groups),)


def _gradient(cell: Cell, notation: Notation) -> Section:
    whole = vjp(cell.step)
    program = compacted(in_gates(whole), keep=(s.target for s in cell.step))
    typesetter = Typesetter.of(program, notation)
    words: Paragraph = (
        "Reverse mode: given ",
        *typesetter.symbols(map(cotangent, cell.step.outputs)),
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


def _through_time(cell: Cell, notation: Notation) -> Section:
    ahead = forward(cell)
    loop = backward(ahead)
    program = compacted(loop.step, keep=(*(s.target for s in ahead.step), *_cotangents_of_states(loop)))
    typesetter = Typesetter.of(program, notation.with_aliases(aliases(loop)))
    (arriving, leaving), *others = loop.carry
    words: Paragraph = (
        f"Time runs {direction(loop)}. The state reaches the loss through the output of its own step, ",
        typesetter.symbol(_read_with(program, arriving)),
        ", and through all later steps, ",
        typesetter.symbol(arriving),
        ". The latter is what step t + 1 hands back: ",
        typesetter.symbol(leaving),
        " of one step is ",
        typesetter.symbol(arriving),
        " of the next that is computed. It starts as the cotangent of the final state and ends as that of "
        "the initial state.",
        *_likewise(others, typesetter),
    )
    groups = _by_role(program, added(program, ahead.step), typesetter)
    return Section("through_time", "Backpropagation through time", (words,), groups)


def _likewise(others: Iterable[tuple[sp.Symbol, sp.Symbol]], typesetter: Typesetter) -> Paragraph:
    """The same is said of the other states by naming what they hand back."""
    return tuple(
        part
        for arriving, leaving in others
        for part in (
            " Likewise ",
            typesetter.symbol(leaving),
            " becomes ",
            typesetter.symbol(arriving),
            ".",
        )
    )


def _cotangents_of_states(loop: Loop) -> list[sp.Symbol]:
    return [s.target for s in loop.step if s.reads & loop.carried]


def _read_with(program: Program, carried: sp.Symbol) -> sp.Symbol:
    """The output's contribution, which the first statement of the loop adds to the carried one."""
    statement = next(s for s in program if carried in s.reads)
    (other,) = statement.reads - {carried}
    return other


def _tangent(cell: Cell, notation: Notation) -> Section:
    whole = in_gates(jvp(cell.step))
    typesetter = Typesetter.of(whole, notation)
    words: Paragraph = (
        "Forward mode: the derivative of one step along given directions of its inputs and parameters. "
        "Over time it runs with the loop and carries ",
        *typesetter.symbols(tangent(leaving) for _, leaving in cell.carry),
        ".",
    )
    groups = (Group("", (), typesetter.equations(added(whole, cell.step))),)
    return Section("tangent", "Tangent of one step", (words,), groups)
