"""Derivatives of any order of a cell over time: pipelines of loops, closed under both derivatives.

A pipeline runs loops one after the other; values go from one to the next by name. As the adjoint of a
statement is made of statements, the adjoint of a loop is a loop:

    pushforward   after every loop its tangent loop, in the same direction of time
    pullback      after all loops their backward loops, the last one first, in the other direction

Both read what the loops carried, as sequences (trajectories), and give pipelines again:

    states              x ↦ h                       the forward loop
    tangent_of          (x, ẋ) ↦ ḣ                  pushforward(states)
    gradient            (x, h̄) ↦ x̄                  pullback(states)
    hessian_vector      (x, h̄, ẋ) ↦ D x̄ ẋ           pushforward(gradient), h̄ fixed
    double_backward     (x, h̄, x̿) ↦ x̿ ∂x̄/∂(x, h̄)    pullback(gradient)

where x stands for all inputs, first states and parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, count

import sympy as sp

from symgru.derivation.caching import cached
from symgru.derivation.forward_mode import tangent
from symgru.derivation.loop import Loop, backward, forward, linearised
from symgru.derivation.pruning import restricted, without_zeros
from symgru.derivation.reverse_mode import cotangent
from symgru.derivation.schedule import Schedule, schedule
from symgru.derivation.simplify import simplified
from symgru.equations import Cell, Pointwise, Program

#: Values that are added up; none for zero.
Terms = tuple[sp.Symbol, ...]


@dataclass(frozen=True)
class Stage:
    """One loop of a pipeline, and the values that it reads and writes.

    Attributes:
        loop: What runs.
        reads: For each input of its step the values that are added up for it; of a carried one, those for the
            first step.
        writes: Values that are outputs of its step: sequences, or sums over the steps; by their local names.
        last: Values that leave the last step, by their local names.
    """

    loop: Loop
    reads: Mapping[sp.Symbol, Terms]
    writes: Mapping[sp.Symbol, sp.Symbol]
    last: Mapping[sp.Symbol, sp.Symbol]

    @cached_property
    def schedule(self) -> Schedule:
        """Its statements before, inside and after the loop."""
        return schedule(self.loop)

    @cached_property
    def simplified(self) -> Schedule:
        """The schedule in its cheapest form."""
        return simplified(self.schedule)


@dataclass(frozen=True)
class Pipeline:
    """Loops that run one after the other.

    Attributes:
        name: Identifier.
        inputs: Values from outside.
        stages: The loops in order.
        outputs: What each output is the sum of.
    """

    name: str
    inputs: Terms
    stages: tuple[Stage, ...]
    outputs: Mapping[sp.Symbol, Terms]

    @property
    def values(self) -> tuple[sp.Symbol, ...]:
        """The inputs and everything that a stage writes."""
        written = (v for stage in self.stages for v in (*stage.writes.values(), *stage.last.values()))
        return (*self.inputs, *written)


def states(cell: Cell) -> Pipeline:
    """The states of a cell over time, from its inputs, first states and parameters."""
    loop = forward(cell)
    stage = Stage(loop, {s: (s,) for s in loop.step.inputs}, {s: s for s in loop.step.outputs}, {})
    outputs = {leaving: (leaving,) for _, leaving in loop.carry}
    return Pipeline(f"{cell.name}_forward", tuple(loop.step.inputs), (stage,), outputs)


@cached
def gradient(cell: Cell) -> Pipeline:
    """Cotangents of the inputs, first states and parameters, from those of the states."""
    return pullback(states(cell), f"{cell.name}_gradient")


def tangent_of(cell: Cell) -> Pipeline:
    """Tangents of the states, from those of the inputs, first states and parameters."""
    return pushforward(states(cell), f"{cell.name}_tangent")


def hessian_vector(cell: Cell) -> Pipeline:
    """Forward over reverse: tangents of the gradients, with the cotangents of the states fixed.

    For a loss Σ⟨h̄, h⟩ that is its Hessian times the direction (tangents of inputs, first states, parameters).
    """
    first = gradient(cell)
    moving = [s for s in first.inputs if s in cell.step.inputs]
    return pushforward(first, f"{cell.name}_hessian_vector", moving)


def double_backward(cell: Cell) -> Pipeline:
    """Reverse over reverse: cotangents of all that the gradients depend on, from those of the gradients."""
    return pullback(gradient(cell), f"{cell.name}_double_backward")


def pushforward(pipeline: Pipeline, name: str = "", moving: Iterable[sp.Symbol] | None = None) -> Pipeline:
    """The pipeline of tangents.

    Inputs are those of the pipeline and their tangents, outputs the tangents of its outputs (of those that
    move).

    Args:
        pipeline: What is differentiated.
        name: Of the result.
        moving: Inputs that have a tangent; all (but masks) if None.
    """
    return _Tangents(pipeline).result(name or f"{pipeline.name}_tangent", moving)


def pullback(pipeline: Pipeline, name: str = "") -> Pipeline:
    """The pipeline of cotangents.

    Inputs are those of the pipeline and the cotangents of its outputs, outputs the cotangents of its inputs
    (of those that an output depends on; masks have none).

    Args:
        pipeline: What is differentiated.
        name: Of the result.
    """
    return _Cotangents(pipeline).result(name or f"{pipeline.name}_gradient")


class _Derivative:
    """What both derivatives have in common: a prefix that is new, and the recorded stages."""

    def __init__(self, pipeline: Pipeline, prefix: str):
        self.pipeline = pipeline
        self.prefix = prefix
        self._taken = set(pipeline.values)
        self._loops = {stage.loop.name for stage in pipeline.stages}
        self.recorded: list[Stage] = [self._recorded(stage) for stage in pipeline.stages]

    def _recorded(self, stage: Stage) -> Stage:
        """The stage with what it carries among its outputs."""
        step, writes = stage.loop.step, dict(stage.writes)
        copies = [Pointwise(trajectory(entering), entering) for entering, _ in stage.loop.carry]
        for copy in copies:
            if copy.target not in writes:
                writes[copy.target] = self.fresh(copy.target)
        copies = [copy for copy in copies if copy not in step.statements]
        outputs = tuple(dict.fromkeys((*step.outputs, *(c.target for c in copies))))
        step = Program(step.inputs, (*step.statements, *copies), outputs)
        return replace(stage, loop=replace(stage.loop, step=step), writes=writes)

    def fresh(self, wanted: sp.Symbol) -> sp.Symbol:
        """A value that no other has the name of."""
        names = chain([str(wanted)], (f"{wanted}_{i}" for i in count(2)))
        value = next(s for s in map(_symbol, names) if s not in self._taken)
        self._taken.add(value)
        return value

    def named(self, loop: Loop) -> Loop:
        """The loop under a name that no other has."""
        names = chain([loop.name], (f"{loop.name}_{i}" for i in count(2)))
        name = next(n for n in names if n not in self._loops)
        self._loops.add(name)
        return replace(loop, name=name)

    def primal(self, stage: Stage, symbol: sp.Symbol) -> Terms:
        """Where a derivative of the stage finds what an input of its step was at every step."""
        if symbol in stage.loop.carried:
            return (stage.writes[trajectory(symbol)],)
        return stage.reads[symbol]


class _Tangents(_Derivative):
    def __init__(self, pipeline: Pipeline):
        super().__init__(
            pipeline, _new_prefix(pipeline, ("tangent_" if i == 1 else f"tangent{i}_" for i in count(1)))
        )
        self._moving: dict[sp.Symbol, sp.Symbol] = {}

    def result(self, name: str, moving: Iterable[sp.Symbol] | None) -> Pipeline:
        for value in self.pipeline.inputs if moving is None else moving:
            self._moving[value] = self.fresh(tangent(value, self.prefix))
        given = tuple(self._moving.values())
        stages = [s for stage in self.recorded for s in (stage, self._tangent(stage))]
        outputs = {
            tangent(o, self.prefix): self._tangents(terms) for o, terms in self.pipeline.outputs.items()
        }
        outputs = {o: terms for o, terms in outputs.items() if terms}
        return _pruned(Pipeline(name, (*self.pipeline.inputs, *given), tuple(stages), outputs))

    def _tangents(self, terms: Terms) -> Terms:
        return tuple(self._moving[v] for v in terms if v in self._moving)

    def _tangent(self, stage: Stage) -> Stage:
        loop = self.named(linearised(stage.loop, self.prefix))
        directions = {tangent(s, self.prefix): terms for s, terms in stage.reads.items()}
        reads = {
            s: self._tangents(directions[s]) if s in directions else self.primal(stage, s)
            for s in loop.step.inputs
        }
        loop = without_zeros(loop, [s for s in reads if s in directions and not reads[s]])
        reads = {s: terms for s, terms in reads.items() if s in loop.step.inputs}
        writes = self._written(stage.writes, set(loop.step.outputs))
        last = self._written(stage.last, {leaving for _, leaving in loop.carry})
        return Stage(loop, reads, writes, last)

    def _written(
        self, primal: Mapping[sp.Symbol, sp.Symbol], present: set[sp.Symbol]
    ) -> dict[sp.Symbol, sp.Symbol]:
        written = {}
        for local, value in primal.items():
            moved = tangent(local, self.prefix)
            if moved in present:
                written[moved] = self._moving[value] = self.fresh(tangent(value, self.prefix))
        return written


class _Cotangents(_Derivative):
    def __init__(self, pipeline: Pipeline):
        super().__init__(pipeline, _new_prefix(pipeline, (f"{'d' * i}_" for i in count(1))))
        self._bars: dict[sp.Symbol, list[sp.Symbol]] = defaultdict(list)

    def result(self, name: str) -> Pipeline:
        given = []
        for output, terms in self.pipeline.outputs.items():
            given.append(self.fresh(cotangent(output, self.prefix)))
            for value in terms:
                self._bars[value].append(given[-1])
        stages = [*self.recorded, *(self._backward(stage) for stage in reversed(self.recorded))]
        bars = {
            cotangent(i, self.prefix): tuple(self._bars[i]) for i in self.pipeline.inputs if self._bars[i]
        }
        return _pruned(Pipeline(name, (*self.pipeline.inputs, *given), tuple(stages), bars))

    def _backward(self, stage: Stage) -> Stage:
        wanted = [local for local, value in stage.writes.items() if self._bars[value]]
        last = [local for local, value in stage.last.items() if self._bars[value]]
        loop = restricted(stage.loop, wanted, last)
        arriving = self._arriving(loop, stage)
        loop = self.named(backward(loop, self.prefix))
        reads = {s: arriving[s] if s in arriving else self.primal(stage, s) for s in loop.step.inputs}
        loop = without_zeros(loop, [s for s in reads if s in arriving and not reads[s]])
        reads = {s: terms for s, terms in reads.items() if s in loop.step.inputs}
        leaving = {leaving for _, leaving in loop.carry}
        first = {s: terms for s, terms in stage.reads.items() if s in stage.loop.carried}
        every = {s: terms for s, terms in stage.reads.items() if s not in first}
        return Stage(loop, reads, self._written(every, set(loop.step.outputs)), self._written(first, leaving))

    def _arriving(self, loop: Loop, stage: Stage) -> dict[sp.Symbol, Terms]:
        """For every cotangent that enters the backward step of a loop its contributions."""
        local = {cotangent(o, self.prefix): o for o in loop.step.outputs}
        every = {bar: self._contributions(stage.writes.get(o)) for bar, o in local.items()}
        for _, leaving in loop.carry:
            bar = cotangent(leaving, self.prefix)
            every[_symbol(f"{bar}_output")] = every.pop(bar)
            every[_symbol(f"{bar}_carried")] = self._contributions(stage.last.get(leaving))
        return every

    def _contributions(self, value: sp.Symbol | None) -> Terms:
        return tuple(self._bars[value]) if value in self._bars else ()

    def _written(
        self, read: Mapping[sp.Symbol, Terms], present: set[sp.Symbol]
    ) -> dict[sp.Symbol, sp.Symbol]:
        """Names for the cotangents of what was read, each a contribution to the values that were added up."""
        written = {}
        for local, terms in read.items():
            bar = cotangent(local, self.prefix)
            if terms and bar in present:
                written[bar] = self.fresh(cotangent(terms[0], self.prefix))
                for value in terms:
                    self._bars[value].append(written[bar])
        return written


def _pruned(pipeline: Pipeline) -> Pipeline:
    """The pipeline without what its outputs do not need."""
    needed = {value for terms in pipeline.outputs.values() for value in terms}
    stages: list[Stage] = []
    for stage in reversed(pipeline.stages):
        writes = {s: v for s, v in stage.writes.items() if v in needed}
        last = {s: v for s, v in stage.last.items() if v in needed}
        if writes or last:
            loop = restricted(stage.loop, writes, last)
            reads = {s: terms for s, terms in stage.reads.items() if s in loop.step.inputs}
            needed |= {value for terms in reads.values() for value in terms}
            stages.insert(0, Stage(loop, reads, writes, last))
    inputs = tuple(value for value in pipeline.inputs if value in needed)
    return replace(pipeline, inputs=inputs, stages=tuple(stages))


def _new_prefix(pipeline: Pipeline, candidates: Iterable[str]) -> str:
    """The first prefix that no name in the pipeline has."""
    names = {s.name for stage in pipeline.stages for s in stage.loop.step.shapes}
    names |= {str(value) for value in pipeline.values}
    return next(prefix for prefix in candidates if not any(name.startswith(prefix) for name in names))


def trajectory(entering: sp.Symbol) -> sp.Symbol:
    """The sequence of what entered each step."""
    return _symbol(f"{entering}_trajectory")


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)
