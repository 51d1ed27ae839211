"""Pipelines of derivatives on NumPy arrays: loop by loop as written, or phase by phase as scheduled."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from symgru.derivation import Pipeline, Schedule, Stage, double_backward, hessian_vector
from symgru.equations import Cell, Program
from symgru.lowering.evaluate import evaluate_loop, run_statements, steps_and_batch

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]
Values = dict[str, Array]
Runner = Callable[[Stage, Point], Values]


def evaluate_scheduled(scheduled: Schedule, inputs: Point) -> Values:
    """Like `evaluate_loop`, phase by phase: for all steps at once before and after, step by step inside.

    Only what the schedule stores outlives a step, so a value that it forgot to store raises KeyError.

    Raises:
        LoweringError: the loop reads no sequence.
    """
    loop = scheduled.loop
    before = {name: value for name, value in inputs.items() if _symbol(name) not in loop.carried}
    length, batch = steps_and_batch(loop, inputs)
    run_statements(scheduled.before, before, (length, batch))
    carried = {str(entering): inputs[str(entering)] for entering in loop.carried}
    shared = {str(p): inputs[str(p)] for p in scheduled.parameters}
    rows: dict[str, list[Array]] = {str(s): [] for s in scheduled.stored}
    for t in reversed(range(length)) if loop.reverse else range(length):
        now = shared | carried | {str(s): before[str(s)][t] for s in scheduled.sequences}
        run_statements(scheduled.inside, now, (batch,))
        for name, row in rows.items():
            row.append(now[name])
        carried = {str(entering): now[str(leaving)] for entering, leaving in loop.carry}
    after = before | {name: np.stack(row[::-1] if loop.reverse else row) for name, row in rows.items()}
    run_statements(scheduled.after, after, (length, batch))
    sequences = [str(o) for o in loop.step.outputs if o not in loop.transient]
    lasts = {f"{leaving}_last": carried[str(entering)] for entering, leaving in loop.carry}
    return {name: after[name] for name in sequences} | lasts


def as_written(stage: Stage, inputs: Point) -> Values:
    """Run a loop statement by statement: the oracle."""
    return evaluate_loop(stage.loop, inputs)


def as_scheduled(stage: Stage, inputs: Point) -> Values:
    """Run a loop as it is scheduled."""
    return evaluate_scheduled(stage.schedule, inputs)


def as_emitted(stage: Stage, inputs: Point) -> Values:
    """Run a loop as it is scheduled, in its cheapest form."""
    return evaluate_scheduled(stage.simplified, inputs)


def evaluate_pipeline(pipeline: Pipeline, inputs: Point, run: Runner = as_written) -> Values:
    """The outputs of a pipeline.

    Args:
        pipeline: What to run.
        inputs: Its inputs by name: sequences [T, B, n], first states [B, n], parameters.
        run: Runs one loop: `as_written`, `as_scheduled` or `as_emitted`.
    Returns:
        The outputs by name; an input of the pipeline that nobody gave is an error (KeyError).
    Raises:
        LoweringError: a loop reads no sequence, so nothing says how many steps it has.
    """
    values = {str(s): inputs[str(s)] for s in pipeline.inputs}
    for stage in pipeline.stages:
        results = run(stage, _given(stage, values))
        values |= {str(v): results[str(local)] for local, v in stage.writes.items()}
        values |= {str(v): results[f"{local}_last"] for local, v in stage.last.items()}
    return {str(o): _total(terms, values) for o, terms in pipeline.outputs.items()}


def _given(stage: Stage, values: Values) -> Values:
    given = {str(s): _total(terms, values) for s, terms in stage.reads.items() if terms}
    sizes = _sizes(stage.loop.step, given)
    _, batch = steps_and_batch(stage.loop, given)
    for s in stage.loop.carried:
        if str(s) not in given:
            given[str(s)] = np.zeros((batch, *(sizes[axis] for axis in stage.loop.step.inputs[s].axes)))
    return given


def _sizes(step: Program, given: Values) -> dict[str, int]:
    """Lengths of the axes, from the values that have them; a mask may have length 1, to be broadcast."""
    found: dict[str, int] = {}
    for symbol, shape in step.inputs.items():
        if str(symbol) in given:
            lengths = given[str(symbol)].shape[-len(shape.axes) :]
            for axis, length in zip(shape.axes, lengths, strict=True):
                found[axis] = max(found.get(axis, 1), length)
    return found


def _total(terms: Iterable[sp.Symbol], values: Values) -> Array:
    return reduce(np.add, [values[str(v)] for v in terms])


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


class SecondOrder:
    """Second derivatives of the loop of a cell; all arguments and results under the names of their primals.

    Args:
        cell: Any cell.
        run: Runs one loop.
    """

    def __init__(self, cell: Cell, run: Runner = as_written):
        self.hessian_vector = hessian_vector(cell)
        self.double = double_backward(cell)
        self.run = run

    def hvp(self, point: Point, tangents: Point, cotangents: Point) -> Values:
        """Tangents of the gradients of Σ⟨cotangent, state⟩ for tangents of the inputs."""
        given = {**point} | _prefixed("tangent_", tangents) | _prefixed("d_", cotangents)
        return _stripped("tangent_d_", evaluate_pipeline(self.hessian_vector, given, self.run))

    def double_backward(self, point: Point, cotangents: Point, outer: Point) -> Values:
        """Cotangents of the inputs, and as d_`state` of the cotangents of the states.

        Args:
            point: Inputs, first states, parameters.
            cotangents: Of the states.
            outer: Cotangents of the gradients of all inputs, first states and parameters.
        """
        given = {**point} | _prefixed("d_", cotangents) | _prefixed("dd_d_", outer)
        return _stripped("dd_", evaluate_pipeline(self.double, given, self.run))


def _prefixed(prefix: str, values: Point) -> Values:
    return {f"{prefix}{name}": value for name, value in values.items()}


def _stripped(prefix: str, values: Point) -> Values:
    return {name.removeprefix(prefix): value for name, value in values.items()}
