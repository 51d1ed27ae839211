"""Double backward from kept values: the pipeline of loops with the gates of the forward pass at hand.

`orders.double_backward` differentiates a backward pass that computes the gates again, so each of its loops
goes through the cell once more: products and weight gradients twice. Here the backward pass reads the
pre-activations (and the products that it needs) as sequences. Their cotangents are sequences too, which the
last loop takes through the cell:

    backward           (h̄)              the gradients, and what the cotangent of the state was at every step
    its backward       (x̿, …)           cotangents of h̄, of the pre-activations, of the states
    backward           (those)          cotangents of the inputs, first states and parameters

No loop computes a gate: what the forward pass keeps (`saving`) takes the place of the functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from symgru.derivation.loop import Loop
from symgru.derivation.orders import Pipeline, Stage, pullback, trajectory
from symgru.derivation.saving import Saved, given, saving
from symgru.equations import Cell, Pointwise, Program


@dataclass(frozen=True)
class DoubleBackward:
    """A pipeline for double backward that reads kept values.

    Attributes:
        pipeline: Its first two loops are forward and backward, with all their results; where they have run
            already, these are at hand.
        saved: What the forward loop keeps.
        states: For the trajectories among the values of the pipeline the carried value that enters a step,
            and the one that leaves the step before.
    """

    pipeline: Pipeline
    saved: tuple[Saved, ...]
    states: Mapping[sp.Symbol, tuple[sp.Symbol, sp.Symbol]]


def double_backward_from(cell: Cell, outer: Iterable[str] | None = None) -> DoubleBackward:
    """Cotangents of all that the gradients of a cell depend on, from those of the gradients.

    Args:
        cell: What is differentiated; it carries its states from step to step.
        outer: The inputs, first states and parameters whose gradients have a cotangent; all if None.
    """
    kept = saving(cell)
    names = [v for each in kept.saved for v in each.members]
    every = _reading(pullback(_states(cell, kept.forward)), _cut(kept.forward, names))
    wanted = None if outer is None else {f"d_{name}" for name in outer}
    outputs = {o: terms for o, terms in every.outputs.items() if wanted is None or str(o) in wanted}
    first = replace(every, outputs=outputs)
    second = pullback(first, f"{cell.name}_double_backward")
    ahead, back, *rest = second.stages
    keeping = Stage(kept.forward, ahead.reads, {s: s for s in kept.forward.step.outputs}, {})
    later = (_with_kept(s, kept.forward, names) for s in (_whole(back, every.stages[1]), *rest))
    stages = (_whole(ahead, keeping), *later)
    states = {trajectory(entering): (entering, leaving) for entering, leaving in kept.forward.carry}
    return DoubleBackward(replace(second, stages=stages), kept.saved, states)


def _states(cell: Cell, loop: Loop) -> Pipeline:
    """The forward loop; results are the states and the last one, so both have cotangents."""
    states = tuple(leaving for _, leaving in loop.carry)
    loop = replace(loop, step=replace(loop.step, outputs=states))
    last = {s: _symbol(f"{s}_last") for s in states}
    stage = Stage(loop, {s: (s,) for s in loop.step.inputs}, {s: s for s in states}, last)
    outputs = {s: (s,) for s in (*states, *last.values())}
    return Pipeline(f"{cell.name}_forward", tuple(loop.step.inputs), (stage,), outputs)


def _cut(loop: Loop, kept: Iterable[sp.Symbol]) -> list[sp.Symbol]:
    """Where the backward loop is cut off: the arguments of kept functions, and kept products."""
    cut: dict[sp.Symbol, None] = {}
    computed = {s.target: s for s in loop.step}
    for value in kept:
        statement = computed[value]
        inner = statement.reads if isinstance(statement, Pointwise) else frozenset()
        cut[next(iter(inner)) if len(inner) == 1 and inner <= computed.keys() else value] = None
    return list(cut)


def _reading(pipeline: Pipeline, cut: list[sp.Symbol]) -> Pipeline:
    """The gradient pipeline in which the backward loop reads some values that the forward one hands on."""
    ahead, back = pipeline.stages
    step = ahead.loop.step
    step = replace(step, outputs=(*step.outputs, *(s for s in cut if s not in step.outputs)))
    ahead = replace(
        ahead, loop=replace(ahead.loop, step=step), writes={**ahead.writes, **{s: s for s in cut}}
    )
    return replace(pipeline, stages=(ahead, _read(back, given(back.loop, cut))))


def _whole(recording: Stage, stage: Stage) -> Stage:
    """A stage that records what it carries, with all its results."""
    step, more = stage.loop.step, recording.loop.step
    copies = tuple(s for s in more if s not in step.statements)
    outputs = tuple(dict.fromkeys((*step.outputs, *more.outputs)))
    loop = replace(stage.loop, step=Program(step.inputs, (*step.statements, *copies), outputs))
    writes, last = {**stage.writes, **recording.writes}, {**stage.last, **recording.last}
    return Stage(loop, stage.reads, writes, last)


def _with_kept(stage: Stage, ahead: Loop, kept: list[sp.Symbol]) -> Stage:
    """The stage in which kept values are read wherever the forward loop would compute them."""
    return _read(stage, given(stage.loop, kept, ahead.step))


def _read(stage: Stage, loop: Loop) -> Stage:
    reads = {s: stage.reads.get(s, (s,)) for s in loop.step.inputs}
    return replace(stage, loop=loop, reads=reads)


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)
