"""Triton source code of the pointwise parts of a scheduled loop.

The matrix products of a step split its pointwise statements into stages: stage 0 needs no product of
this step, stage k needs the products of stage k − 1. Each stage becomes one `@triton.jit` function on
tiles; loops, products and barriers are written by hand around them (`kernels/triton`).

Arguments come in three groups, each sorted by name: the sequences, the parameters, and what the loop
computes. So a loop that has its pointers as tuples hands over the first two groups by position, whatever they
are called and however many there are, and writes out the third by keyword.
"""

from __future__ import annotations

from collections.abc import Sequence

import sympy as sp

from symgru.derivation import Schedule
from symgru.equations import Contract, Pointwise, Statement
from symgru.lowering.names import check_triton_names
from symgru.lowering.printers import TritonPrinter
from symgru.lowering.torch_source import Function
from symgru.lowering.wrap import tuple_source, wrapped

_print = TritonPrinter().doprint


def triton_functions(name: str, schedule: Schedule) -> tuple[Function, ...]:
    """One function for every stage of the inside of the loop that has pointwise statements."""
    stages = _stages(schedule.inside)
    kept = {leaving for _, leaving in schedule.loop.carry} | set(schedule.stored)
    outside = (set(schedule.sequences), set(schedule.parameters))
    functions = []
    for number in range(max(stages.values()) + 1):
        own = [s for s in schedule.inside if stages[s.target] == number and isinstance(s, Pointwise)]
        if own:
            others = [s for s in schedule.inside if s not in own]
            wanted = {s for statement in others for s in statement.reads} | kept
            functions.append(_stage_function(f"{name}_stage_{number}", own, wanted, outside))
    return tuple(functions)


def _stages(statements: Sequence[Statement]) -> dict[sp.Symbol, int]:
    stages: dict[sp.Symbol, int] = {}
    for statement in statements:
        latest = max((stages.get(s, 0) for s in statement.reads), default=0)
        stages[statement.target] = latest + 1 if isinstance(statement, Contract) else latest
    return stages


def _stage_function(
    name: str,
    statements: Sequence[Pointwise],
    wanted: set[sp.Symbol],
    outside: tuple[set[sp.Symbol], set[sp.Symbol]],
) -> Function:
    defined = {s.target for s in statements}
    read = {s for statement in statements for s in statement.reads - defined}
    sequences, parameters = (read & group for group in outside)
    computed = read - sequences - parameters
    reads = tuple(str(s) for group in (sequences, parameters, computed) for s in sorted(group, key=str))
    writes = tuple(str(s.target) for s in statements if s.target in wanted)
    check_triton_names((*reads, *(s.target for s in statements)))
    source = [
        "@triton.jit",
        wrapped(f"def {name}(", reads, "):"),
        *(f"    {s.target} = {_print(s.expression)}" for s in statements),
        f"    return {writes[0]}" if len(writes) == 1 else f"    {tuple_source(writes, 4, 'return (')}",
    ]
    return Function(name, reads, writes, "\n".join(source) + "\n")
