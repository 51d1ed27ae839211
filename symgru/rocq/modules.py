"""A loop as a module of Gallina: the record of its inputs, one definition a statement, and the loop.

    Record inputs := Inputs { x : batch examples size_I; …; W_r : matrix size_H size_I; … }.
    Definition reset_from_x (v : inputs) : batch examples size_H := fun e i => sum (fun j => …).
    Definition at_step (x : nat -> batch examples size_I) … : nat -> inputs := …

`at_step … t` are the inputs of step t, counted in the order of the loop: what it carries is the first value
at step 0, and afterwards what left the step before.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Program
from symgru.proof.terms import masks
from symgru.rocq.names import identifier
from symgru.rocq.terms import RocqError, definition, sizes, type_of


def module(name: str, loop: Loop) -> Iterator[str]:
    """The lines of the module.

    Raises:
        RocqError: a statement without a counterpart, or a loop whose step has no vector among its inputs.
    """
    if not loop.step.vectors:
        raise RocqError(f"the loop {loop.name} has no vector among its inputs, so it has no examples")
    yield f"Module {name}."
    yield "Section Sizes."
    yield f"Context {{{' '.join(sizes(loop.step.shapes))} : nat}}."
    yield from _inputs(loop.step)
    yield "Section Step."
    yield "Context (v : inputs)."
    yield from _statements(loop.step)
    yield "End Step."
    yield from _loop(loop)
    yield "End Sizes."
    yield f"End {name}."


def input_types(program: Program) -> dict[sp.Symbol, str]:
    """The type of each input at one step."""
    chosen_by = masks(program)
    return {symbol: type_of(shape, symbol in chosen_by) for symbol, shape in program.inputs.items()}


def argument_types(loop: Loop) -> dict[sp.Symbol, str]:
    """The type of each argument of the loop: a sequence over the steps, a first value, or a parameter."""
    return {
        symbol: f"nat -> {kind}" if loop.step.inputs[symbol].per_step and symbol not in loop.carried else kind
        for symbol, kind in input_types(loop.step).items()
    }


def binders(loop: Loop, prime: str = "") -> str:
    """The arguments of the loop with their types, those in a row that have the same type together."""
    runs = groupby(argument_types(loop).items(), key=lambda argument: argument[1])
    names = ((" ".join(f"{identifier(str(s))}{prime}" for s, _ in run), kind) for kind, run in runs)
    return " ".join(f"({run} : {kind})" for run, kind in names)


def _inputs(program: Program) -> Iterator[str]:
    yield "Record inputs : Type := Inputs {"
    yield ";\n".join(f"  {identifier(str(s))} : {kind}" for s, kind in input_types(program).items())
    yield "}."


def _statements(program: Program) -> Iterator[str]:
    def value(symbol: sp.Symbol) -> str:
        name = identifier(str(symbol))
        return f"{name} v" if symbol in program.inputs else name

    for statement in program:
        shape = program.shapes[statement.target]
        text = definition(statement, program.shapes, value)
        yield f"Definition {identifier(str(statement.target))} : {type_of(shape)} :="
        yield f"  {text}."


def _loop(loop: Loop) -> Iterator[str]:
    """Time runs backwards in a reversed loop: its step t reads the sequences at steps − 1 − t."""
    moment = "(steps - S t)%nat" if loop.reverse else "t"
    leaving = dict(loop.carry)
    arguments = []
    for symbol, shape in loop.step.inputs.items():
        name = identifier(str(symbol))
        if symbol in leaving:
            left = f"{identifier(str(leaving[symbol]))} (at_step before)"
            arguments.append(f"(match t with O => {name} | S before => {left} end)")
        else:
            arguments.append(f"({name} {moment})" if shape.per_step else name)
    steps = "(steps : nat) " if loop.reverse else ""
    yield f"Definition at_step {steps}{binders(loop)} : nat -> inputs :="
    yield f"  fix at_step (t : nat) : inputs := Inputs {' '.join(arguments)}."
