"""Points at which two steps differ under a reparametrisation, shown in rigorous intervals.

All relations between two cells are refuted at the same few points, so that the left side is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping
from functools import cached_property

import sympy as sp

from symgru.equations import Program, Shape
from symgru.equivalence.outcomes import Refuted, Reparametrisation
from symgru.equivalence.pairing import Pairing
from symgru.proof import Interval, Witness, evaluate, intervals
from symgru.proof.evaluation import DIGITS, Value, bounds
from symgru.proof.terms import masks

#: Points that are tried before two steps count as not told apart.
POINTS = 3

Values = Mapping[sp.Symbol, Value]


class Refuter:
    """Refutes relations between the two steps of a pairing, at points of its own."""

    def __init__(self, pairing: Pairing):
        self._points = tuple(Point(pairing, seed) for seed in range(POINTS))

    def refute(self, relation: Reparametrisation) -> Refuted | None:
        """A witness that the relation does not make the right step out of the left, if a point shows it."""
        for point in self._points:
            witness = point.witness(relation)
            if witness.gap > 0:
                return Refuted(relation, witness)
        return None


class Point:
    """Values of all inputs of the left step, and what belongs to them on the right.

    Args:
        pairing: The two steps.
        seed: Which point; the same values everywhere.
    """

    def __init__(self, pairing: Pairing, seed: int):
        self._pairing = pairing
        self._arithmetic = intervals(DIGITS)
        self._images: dict[tuple[sp.Expr, Shape], tuple[Value, Value]] = {}
        self.sizes = sizes(pairing)
        self.values = fractions(pairing.left.step, pairing.states, self.sizes, seed)

    @cached_property
    def _left(self) -> Mapping[sp.Symbol, Value]:
        return self._run(self._pairing.left.step, {})

    def _run(self, step: Program, images: Mapping[sp.Symbol, sp.Expr]) -> dict[sp.Symbol, Value]:
        inputs = {s: self._image(images.get(s, s), shape)[1] for s, shape in step.inputs.items()}
        return evaluate(step, inputs, self._arithmetic)

    def _image(self, image: sp.Expr, shape: Shape) -> tuple[Value, Value]:
        """The value of an expression of inputs of the left, exactly and as intervals."""
        if (image, shape) not in self._images:
            exact = _value(image, self.values, [self.sizes[axis] for axis in shape.axes])
            self._images[image, shape] = exact, _each(self._arithmetic.number, exact)
        return self._images[image, shape]

    def witness(self, relation: Reparametrisation) -> Witness:
        """The new states of both steps, those of the left as the relation has them for the right."""
        images = {**relation.parameters, **relation.states}
        after = self._run(self._pairing.right.step, images)
        left, right = list[Interval](), list[Interval]()
        for entering, leaving in self._pairing.left.carry:
            factor = self._arithmetic.number(relation.states[entering].xreplace({entering: sp.S.One}))
            left += [_interval(factor * unit) for unit in self._left[leaving]]
            right += [_interval(unit) for unit in after[leaving]]
        shapes = self._pairing.right.step.inputs
        primed = {f"{s}′": self._image(image, shapes[s])[0] for s, image in images.items()}
        values = {str(s): value for s, value in self.values.items()} | primed
        return Witness(self.sizes, values, tuple(left), tuple(right), DIGITS)


def _interval(number: object) -> Interval:
    found = bounds(number)
    return Interval(found.lower, found.upper)


def sizes(pairing: Pairing) -> dict[str, int]:
    """Numbers of units by axis: 2, 3, … in order of their names, so hidden units H = 2 and inputs I = 3."""
    programs = pairing.left.step, pairing.right.step
    axes = {axis for step in programs for shape in step.inputs.values() for axis in shape.axes}
    return {axis: size for size, axis in enumerate(sorted(axes), 2)}


def fractions(
    step: Program, states: Collection[sp.Symbol], sizes: Mapping[str, int], seed: int
) -> dict[sp.Symbol, Value]:
    """Fractions for every element of every input of a step.

    Parameters and states are between −1 and 1; what else varies over time is between 0 and 1, where attention
    and time that has passed are, too; a mask is 0 or 1 in all units.
    """
    chosen_by = masks(step)
    values: dict[sp.Symbol, Value] = {}
    state = 2 * seed + 1
    for symbol, shape in step.inputs.items():
        numbers = []
        for _ in range(math.prod(sizes[axis] for axis in shape.axes)):
            state = (1103515245 * state + 12345) % 2**31  # a linear congruence: the same points everywhere
            numbers.append(sp.Rational(1 + (state >> 16) % 95, 48) - 1)
        if shape.per_step and symbol not in states:
            numbers = [abs(number) for number in numbers]
        if symbol in chosen_by:
            numbers = [sp.Integer(state >> 20 & 1)] * len(numbers)
        width = sizes[shape.axes[-1]]
        rows: Value = [numbers[i : i + width] for i in range(0, len(numbers), width)]
        values[symbol] = rows if len(shape.axes) == 2 else rows[0]
    return values


def _value(image: sp.Expr, values: Values, lengths: list[int]) -> Value:
    reads = sorted(image.free_symbols, key=str)
    if reads:
        units = (values[symbol] for symbol in reads)
        return _each(lambda *unit: image.xreplace(dict(zip(reads, unit, strict=True))), *units)
    *rows, width = lengths
    return [[image] * width for _ in range(rows[0])] if rows else [image] * width


def _each(function: Callable[..., object], *values: Value) -> Value:
    if isinstance(values[0][0], list):
        return [_each(function, *rows) for rows in zip(*values, strict=True)]
    return [function(*units) for units in zip(*values, strict=True)]
