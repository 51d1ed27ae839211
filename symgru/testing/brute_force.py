"""Derivatives by brute force: loops with every entry of every vector and matrix a scalar symbol.

Neither reverse mode nor a matrix rule has a part in it. SymPy differentiates scalar expressions by its own
rules (σ is 1/(1 + exp(−a)) here), and both sides are numbers of 30 digits. In two ways:

- `written_out`: each state as one expression of all inputs, differentiated as a whole.
- `in_scalars`: one expression for each scalar that occurs; the chain rule adds up its partial derivatives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add, mul
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from symgru.derivation import Loop, Stage, gradient, hessian_vector, tangent_of
from symgru.equations import Cell, Program
from symgru.proof.evaluation import SYMBOLIC, Arithmetic, evaluate
from symgru.testing.loops import Sizes, masks
from symgru.testing.second_order import evaluate_pipeline

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]
DIGITS = 30
STEP = sp.Symbol("epsilon")

_mp = mpmath.MPContext()
_mp.dps = DIGITS


class Exp(sp.Function):  # type: ignore[misc]  # SymPy has no types; its functions are made to be subclassed
    """exp, without SymPy's search for a simpler form, which takes most of the time on long arguments."""

    nargs = 1

    def fdiff(self, argindex: int = 1) -> sp.Expr:
        """exp′ = exp."""
        return self


#: Everything smooth is made of exp and powers; at the kink of relu there is no derivative.
PLAIN = Arithmetic(
    SYMBOLIC.number,
    {
        **SYMBOLIC.functions,
        "exp": Exp,
        "sigmoid": lambda a: 1 / (1 + Exp(-a)),
        "tanh": lambda a: 1 - 2 / (1 + Exp(2 * a)),
        "rsqrt": lambda a: a ** -sp.Rational(1, 2),
    },
)

NUMERIC = Arithmetic(
    lambda number: _mp.mpf(int(number.p)) / int(number.q),
    {
        "sigmoid": lambda a: 1 / (1 + _mp.exp(-a)),
        "tanh": _mp.tanh,
        "relu": lambda a: max(a, _mp.zero),
        "step": lambda a: _mp.one if a > 0 else _mp.zero,
        "softplus": lambda a: _mp.log(1 + _mp.exp(a)),
        "exp": _mp.exp,
        "rsqrt": lambda a: 1 / _mp.sqrt(a),
    },
)


def draw_exact(cell: Cell, sizes: Sizes, seed: int) -> dict[str, Array]:
    """Inputs of one example as fractions that are not zero and mostly distinct; masks are 0 or 1."""
    rng, chosen = np.random.default_rng(seed), masks(cell)
    values = {}
    for symbol, shape in cell.step.inputs.items():
        units = tuple(sizes.axes[axis] for axis in shape.axes)
        first = any(symbol == entering for entering, _ in cell.carry)
        leading = () if not shape.per_step else (1,) if first else (sizes.steps, 1)
        drawn = (
            rng.integers(0, 2, (*leading, *units))
            if symbol in chosen
            else _fractions(rng, (*leading, *units))
        )
        values[str(symbol)] = np.vectorize(sp.Rational, otypes=[object])(drawn)
    return values


def _fractions(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    numerators = rng.integers(1, 120, shape) * rng.choice((-1, 1), shape)
    return np.asarray(np.vectorize(lambda n: sp.Rational(int(n), 100), otypes=[object])(numerators))


def run_exactly(stage: Stage, given: Mapping[str, Array]) -> dict[str, Array]:
    """One loop for one example in numbers of 30 digits; a runner of `evaluate_pipeline`."""
    return _run(stage.loop, given, NUMERIC)


@dataclass(frozen=True)
class Found:
    """Derivatives of the loss Σ⟨h̄, h⟩ for every entry of every input, in the shape of that input.

    Attributes:
        gradient: By the entry.
        product: The same, differentiated along the direction: Hessian times direction.
        directional: The loss, differentiated along the direction.
    """

    gradient: Point
    product: Point
    directional: Any


@dataclass(frozen=True)
class Problem:
    """A cell at one point.

    Attributes:
        cell: What runs, for one example.
        point: Of `draw_exact`.
        direction: Shaped like the point.
        cotangents: h̄ of each state, [T, 1, n].
    """

    cell: Cell
    point: Point
    direction: Point
    cotangents: Point

    @classmethod
    def draw(cls, cell: Cell, steps: int, seed: int) -> Problem:
        """Two units on every axis."""
        sizes = Sizes(steps, 1, {axis: 2 for shape in cell.step.inputs.values() for axis in shape.axes})
        rng = np.random.default_rng(seed + 2)
        cotangents = {str(leaving): _fractions(rng, (steps, 1, 2)) for _, leaving in cell.carry}
        return cls(cell, draw_exact(cell, sizes, seed), draw_exact(cell, sizes, seed + 1), cotangents)

    @property
    def moving(self) -> list[str]:
        """The inputs that can be differentiated by, so no masks."""
        constant = {str(mask) for mask in masks(self.cell)}
        return [name for name in self.point if name not in constant]

    def symbols(self) -> dict[str, Array]:
        """A symbol for every entry, but the numbers of the masks."""
        return {**self.point} | {name: _symbols(name, self.point[name].shape) for name in self.moving}

    def derived(self) -> Found:
        """By the derivatives of symgru."""
        point = _numeric(self.point) | _numeric({f"d_{n}": c for n, c in self.cotangents.items()})
        along = _numeric({f"tangent_{name}": self.direction[name] for name in self.moving})
        gradients = evaluate_pipeline(gradient(self.cell), point, run_exactly)
        products = evaluate_pipeline(hessian_vector(self.cell), point | along, run_exactly)
        tangents = evaluate_pipeline(tangent_of(self.cell), point | along, run_exactly)
        return Found(
            {name: gradients[f"d_{name}"] for name in self.moving},
            {name: products[f"tangent_d_{name}"] for name in self.moving},
            sum((point[f"d_{n}"] * tangents[f"tangent_{n}"]).sum() for n in self.cotangents),
        )


def written_out(problem: Problem) -> Found:
    """Each state as one expression of all inputs; few steps and small cells, as these get long."""
    symbols = problem.symbols()
    at = _known(problem, symbols)
    states = _run(Loop("written_out", problem.cell.step, problem.cell.carry), symbols, PLAIN)
    loss = sp.Add(*(c * h for n, bar in problem.cotangents.items() for c, h in _entries(bar, states[n])))
    moved = {s: s + STEP * v for n in problem.moving for s, v in _entries(symbols[n], problem.direction[n])}
    along = sp.diff(loss.xreplace(moved), STEP).xreplace({STEP: sp.S.Zero})

    def by_every_entry(expression: sp.Expr) -> Point:
        derivative = np.vectorize(lambda s: _value(sp.diff(expression, s), at), otypes=[object])
        return {name: derivative(symbols[name]) for name in problem.moving}

    return Found(by_every_entry(loss), by_every_entry(along), _value(along, at))


@dataclass(frozen=True)
class _Scalar:
    """A value, its gradient by all entries, its derivative along the direction, and that of the gradient."""

    value: Any
    gradient: Array
    along: Any
    product: Array


def in_scalars(problem: Problem) -> Found:
    """Scalar by scalar in the order in which the loop computes them."""
    symbols = problem.symbols()
    every = [entry for name in problem.moving for entry in _entries(symbols[name], problem.direction[name])]
    at, none = _known(problem, symbols), np.full(len(every), _mp.zero)
    scalars: dict[sp.Symbol, _Scalar] = {}
    for i, (symbol, speed) in enumerate(every):
        unit = none.copy()
        unit[i] = _mp.one
        scalars[symbol] = _Scalar(at[symbol], unit, NUMERIC.number(speed), none)
    states = _run(Loop("in_scalars", problem.cell.step, problem.cell.carry), symbols, PLAIN, _Naming(scalars))
    loss = [
        (NUMERIC.number(c), scalars[h])
        for n, bar in problem.cotangents.items()
        for c, h in _entries(bar, states[n])
    ]
    return Found(
        _shaped(sum(c * h.gradient for c, h in loss), problem),
        _shaped(sum(c * h.product for c, h in loss), problem),
        sum(c * h.along for c, h in loss),
    )


class _Naming:
    """Gives a unit of a value a symbol of its own, and differentiates what it is."""

    def __init__(self, scalars: dict[sp.Symbol, _Scalar]):
        self._scalars = scalars

    def __call__(self, expression: sp.Expr) -> sp.Symbol:
        reads = sorted(expression.free_symbols, key=str)
        read = [self._scalars[s] for s in reads]
        at = {s: scalar.value for s, scalar in zip(reads, read, strict=True)}
        first = [sp.diff(expression, s) for s in reads]
        slopes = [_value(slope, at) for slope in first]
        product = sum(slope * v.product for slope, v in zip(slopes, read, strict=True))
        for slope, v in zip(first, read, strict=True):
            product += (
                sum(_value(sp.diff(slope, s), at) * w.along for s, w in zip(reads, read, strict=True))
                * v.gradient
            )
        symbol = sp.Symbol(f"scalar[{len(self._scalars)}]")
        self._scalars[symbol] = _Scalar(
            _value(expression, at),
            sum(slope * v.gradient for slope, v in zip(slopes, read, strict=True)),
            sum(slope * v.along for slope, v in zip(slopes, read, strict=True)),
            product,
        )
        return symbol


def assert_same(found: Found, expected: Found) -> int:
    """Equal to 25 digits after the point; returns how many numbers were compared.

    Raises:
        AssertionError: naming the derivative, the input and both values.
    """
    _assert_near("derivative along the direction", found.directional, expected.directional)
    compared = 1
    for what in ("gradient", "product"):
        for name, values in getattr(expected, what).items():
            for one, other in _entries(getattr(found, what)[name], values):
                _assert_near(f"{what} by an entry of {name}", one, other)
                compared += 1
    return compared


def _assert_near(what: str, found: Any, expected: Any) -> None:
    text = f"{what} is {_mp.nstr(found, 20)}, expected {_mp.nstr(expected, 20)}"
    assert abs(found - expected) < _mp.mpf(10) ** -25, text


def _run(
    loop: Loop, given: Point, arithmetic: Arithmetic, name: Callable[[Any], Any] | None = None
) -> dict[str, Array]:
    """The outputs of a loop, [T, 1, n] or summed over the steps, and what leaves the last step, [1, n].

    Args:
        name: Applied to every unit of every value as soon as it is computed.
    """
    step = loop.step
    sequences = loop.sequences
    values = {p: given[str(p)].tolist() for p in step.parameters}
    values |= {s: given[str(s)][0].tolist() for s in loop.carried}
    rows: list[dict[sp.Symbol, Any]] = []
    times = range(len(given[str(sequences[0])]))
    for t in reversed(times) if loop.reverse else times:
        known = values | {s: given[str(s)][t, 0].tolist() for s in sequences}
        known = evaluate(step, known, arithmetic) if name is None else _named(step, known, arithmetic, name)
        rows.append(known)
        values |= {entering: known[leaving] for entering, leaving in loop.carry}
    if loop.reverse:
        rows.reverse()
    results = {}
    for output in step.outputs:
        column = np.array([row[output] for row in rows], dtype=object)
        results[str(output)] = column[:, None] if step.shapes[output].per_step else column.sum(0)
    last = {f"{leaving}_last": np.array([values[entering]], dtype=object) for entering, leaving in loop.carry}
    return results | last


def _named(
    step: Program, known: dict[sp.Symbol, Any], arithmetic: Arithmetic, name: Callable[[Any], Any]
) -> dict[sp.Symbol, Any]:
    for statement in step:
        alone = Program({s: step.shapes[s] for s in statement.reads}, (statement,), ())
        units = evaluate(alone, known, arithmetic)[statement.target]
        known = {**known, statement.target: [name(unit) for unit in units]}
    return known


def _value(expression: sp.Expr, at: Mapping[sp.Symbol, Any]) -> Any:
    """A number of 30 digits. Equal parts of an expression are evaluated once."""
    known: dict[sp.Expr, Any] = dict(at)

    def visit(node: sp.Expr) -> Any:
        if node not in known:
            known[node] = _combine(node, [visit(a) for a in node.args])
        return known[node]

    return visit(expression)


def _combine(node: sp.Expr, arguments: list[Any]) -> Any:
    if node.is_Rational:
        return NUMERIC.number(node)
    if node.is_Add or node.is_Mul:
        return reduce(add if node.is_Add else mul, arguments)
    if node.is_Pow:
        return arguments[0] ** arguments[1]
    return NUMERIC.functions[node.func.__name__.lower()](*arguments)


def _known(problem: Problem, symbols: Mapping[str, Array]) -> dict[sp.Symbol, Any]:
    """The value of every symbol."""
    pairs = (pair for n in problem.moving for pair in _entries(symbols[n], problem.point[n]))
    return {symbol: NUMERIC.number(number) for symbol, number in pairs}


def _entries(one: Array, other: Array) -> Iterator[tuple[Any, Any]]:
    return zip(one.flat, other.flat, strict=True)


def _shaped(flat: Array, problem: Problem) -> Point:
    """The entries of all inputs in a row as the inputs."""
    sizes = [problem.point[name].size for name in problem.moving]
    parts = np.split(flat, np.cumsum(sizes)[:-1])
    return {
        name: part.reshape(problem.point[name].shape)
        for name, part in zip(problem.moving, parts, strict=True)
    }


def _symbols(name: str, shape: tuple[int, ...]) -> Array:
    indices = np.arange(int(np.prod(shape))).reshape(shape)
    return np.asarray(np.vectorize(lambda i: sp.Symbol(f"{name}[{i}]"), otypes=[object])(indices))


def _numeric(values: Point) -> dict[str, Array]:
    return {name: np.vectorize(NUMERIC.number, otypes=[object])(value) for name, value in values.items()}
