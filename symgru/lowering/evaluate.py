"""Programs and loops on NumPy arrays: the oracle.

It walks the statements one by one, one time step after another. It knows nothing of schedules, layouts or
emitted code, so agreement with those is evidence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import reduce
from typing import Any

import numpy as np
import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Contract, Mean, Outer, Pointwise, Program, Statement, Sum
from symgru.lowering.printers import LoweringError

Array = np.ndarray[Any, np.dtype[Any]]
Values = dict[str, Array]


def _sigmoid(a: Array) -> Array:
    return np.exp(-np.logaddexp(0, -a))  # exact to rounding on both sides, no overflow


def _relu(a: Array) -> Array:
    return np.maximum(a, 0)


def _step(a: Array) -> Array:
    return np.heaviside(a, 0.0)


def _softplus(a: Array) -> Array:
    return np.logaddexp(0, a)


def _rsqrt(a: Array) -> Array:
    return 1 / np.sqrt(a)


FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "sigmoid": _sigmoid,
    "tanh": np.tanh,
    "relu": _relu,
    "step": _step,
    "softplus": _softplus,
    "exp": np.exp,
    "rsqrt": _rsqrt,
    "select": np.where,
}


def evaluate_expression(expression: sp.Expr, values: Mapping[str, Array]) -> Array:
    """The value of a scalar expression, elementwise.

    Raises:
        LoweringError: a node that has no meaning here; the message names it.
    """
    if expression.is_Symbol:
        return values[expression.name]
    if expression.is_Rational:
        return np.asarray(int(expression.p) / int(expression.q))
    arguments = [evaluate_expression(a, values) for a in expression.args]
    if expression.is_Add:
        return reduce(np.add, arguments)
    if expression.is_Mul:
        return reduce(np.multiply, arguments)
    if expression.is_Pow and expression.exp.is_Integer:
        return np.power(arguments[0], int(expression.exp))
    name = type(expression).__name__
    if name not in FUNCTIONS:
        raise LoweringError(f"NumPy has no code for {name}: {expression}")
    return FUNCTIONS[name](*arguments)


def evaluate_statement(statement: Statement, values: Mapping[str, Array]) -> Array:
    """The value of a statement on vectors [..., n]; sums run over all leading axes."""
    match statement:
        case Pointwise():
            return evaluate_expression(statement.expression, values)
        case Contract():
            terms = [
                values[str(t.vector)] @ (values[str(t.matrix)] if t.transposed else values[str(t.matrix)].T)
                for t in statement.terms
            ]
            return reduce(np.add, terms)
        case Mean():
            source = values[str(statement.source)]
            return np.broadcast_to(source.mean(-1, keepdims=True), source.shape)
        case Outer():
            pairs = [(_rows(values[str(left)]), _rows(values[str(right)])) for left, right in statement.terms]
            return reduce(np.add, [left.T @ right for left, right in pairs])
        case Sum():
            return reduce(np.add, [_rows(values[str(term)]).sum(0) for term in statement.terms])


def _rows(vector: Array) -> Array:
    return vector.reshape(-1, vector.shape[-1])


def evaluate(program: Program, inputs: Mapping[str, Array]) -> Values:
    """Every value of a program, for given inputs (vectors [..., n], biases [n], matrices [rows, columns])."""
    values = dict(inputs)
    leading = next((values[str(s)].shape[:-1] for s in program.vectors), ())
    run_statements(program, values, leading)
    return values


def run_statements(statements: Iterable[Statement], values: Values, leading: tuple[int, ...]) -> None:
    """Add to the values those of the statements in order; `leading` are the first axes of a vector."""
    for statement in statements:
        value = evaluate_statement(statement, values)
        if isinstance(statement, Pointwise) and value.ndim == 1:  # of biases alone: the same at every step
            value = np.broadcast_to(value, (*leading, *value.shape))
        values[str(statement.target)] = value


def evaluate_loop(loop: Loop, inputs: Mapping[str, Array]) -> Values:
    """The outputs of a loop.

    Args:
        loop: What to run.
        inputs: Sequences [T, B, n], parameters, and the first carried values [B, n], by name.
    Returns:
        Vector outputs as sequences [T, B, n]; outer and sum outputs added up over the steps; and the last
        carried values [B, n], named as they leave a step with "_last" appended.
    Raises:
        LoweringError: the loop reads no sequence.
    """
    step = loop.step
    length, _ = steps_and_batch(loop, inputs)
    sequences = list(map(str, loop.sequences))
    values = {str(p): inputs[str(p)] for p in step.parameters}
    values |= {str(entering): inputs[str(entering)] for entering in loop.carried}
    rows: dict[str, list[Array]] = {str(output): [] for output in step.outputs}
    for t in reversed(range(length)) if loop.reverse else range(length):
        results = evaluate(step, values | {name: inputs[name][t] for name in sequences})
        for name, row in rows.items():
            row.append(results[name])
        values |= {str(entering): results[str(leaving)] for entering, leaving in loop.carry}
    outputs = {
        str(output): _collect(step, output, rows[str(output)], loop.reverse) for output in step.outputs
    }
    return outputs | {f"{leaving}_last": values[str(entering)] for entering, leaving in loop.carry}


def steps_and_batch(loop: Loop, inputs: Mapping[str, Array]) -> tuple[int, int]:
    """T and B of the sequences that a loop reads.

    Raises:
        LoweringError: it reads none.
    """
    if not loop.sequences:
        raise LoweringError(f"{loop.name} reads no sequence, so nothing says how many steps it has")
    steps, batch = inputs[str(loop.sequences[0])].shape[:2]
    return steps, batch


def _collect(step: Program, output: sp.Symbol, rows: list[Array], reverse: bool) -> Array:
    if not step.shapes[output].per_step:
        return reduce(np.add, rows)
    return np.stack(rows[::-1] if reverse else rows)
