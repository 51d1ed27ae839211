"""Are two values equal? By proof if the normal forms agree, and by numbers in any case."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import product
from typing import Any

import sympy as sp

from symgru.formulas.evaluation import FLOATS, Numbers, Sizes, enclosing
from symgru.formulas.reference import Reference
from symgru.formulas.values import Value, expanded_size
from symgru.proof.evaluation import bounds
from symgru.proof.text import decimal
from symgru.proof.theorem import ProofError

POINTS = 5
#: Far above the rounding of two formulas in float64, far below what a slip changes at fractions of size 1.
#: What differs by less is not called right, but equal at all points tried.
TOLERANCE = 1e-9
#: From so many terms on a common denominator takes too long.
_MAX_RATIONAL = 300
#: From here on numbers are written with an exponent.
LARGE = 10**12


class Verdict(Enum):
    """What is known of two values."""

    PROVED = "equal, proved"
    AGREE = "equal at all points tried, not proved"
    DIFFERENT = "different"


@dataclass(frozen=True)
class Witness:
    """Inputs at which two values differ, in rigorous intervals.

    Attributes:
        sizes: Samples, and units of each axis.
        inputs: Name of each input that matters and its fractions.
        read: Name of each further value that the two sides read, with decimals.
        place: Of the element that differs, from 1; empty if there is one.
        user, right: That element on both sides, with decimals that are all correct.
    """

    sizes: dict[str, int]
    inputs: dict[str, Any]
    read: dict[str, Any]
    place: tuple[int, ...]
    user: str
    right: str


def compare(reference: Reference, first: Value, second: Value) -> Verdict:
    """Whether two values of one shape are equal: by numbers, and if those agree, whether there is a proof.

    Raises:
        NoValueError: a value cannot be computed.
    """
    if not all(_agree(reference, first, second, seed) for seed in range(POINTS)):
        return Verdict.DIFFERENT
    proved = all(proves(reference, a, b) for a, b in _pairs(first, second))
    return Verdict.PROVED if proved else Verdict.AGREE


def proves(reference: Reference, first: sp.Expr, second: sp.Expr) -> bool:
    """Whether the normal forms of two terms are the same."""
    try:
        if reference.opaque(first - second) == 0:
            return True
        difference = reference.form(first - second)
    except ProofError:
        return _cancels(reference, first - second)
    quotients = any(power.exp.is_negative for power in difference.atoms(sp.Pow))
    if quotients and expanded_size(difference) < _MAX_RATIONAL:
        difference = sp.expand(sp.fraction(sp.together(difference))[0])
    return bool(difference == 0)


def _cancels(reference: Reference, difference: sp.Expr) -> bool:
    """Whether a difference vanishes while definitions are put in one by one, the last value first.

    For cells whose normal form is too long: formulas with the same parts cancel long before it is reached.
    """
    place = {symbol: i for i, symbol in enumerate(reference.definitions)}
    for _ in place:
        computed = difference.free_symbols & place.keys()
        if not computed:
            return False
        last = max(computed, key=place.__getitem__)
        try:
            difference = reference.opaque(difference.xreplace({last: reference.definitions[last]}))
        except ProofError:
            return False
        if difference == 0:
            return True
    return False


def _pairs(first: Value, second: Value) -> Iterator[tuple[sp.Expr, sp.Expr]]:
    for (_, _, a), (_, _, b) in zip(first.blocks, second.blocks, strict=True):
        yield a, b


def _agree(reference: Reference, first: Value, second: Value, seed: int) -> bool:
    units = {axis: 2 + i for i, axis in enumerate(_axes(reference))}
    numbers = Numbers(reference.definitions, reference.shapes, Sizes(2, units), seed, FLOATS)
    pairs = zip(_flat(numbers.of(first)), _flat(numbers.of(second)), strict=True)
    return all(abs(a - b) <= TOLERANCE * max(1.0, abs(a), abs(b)) for a, b in pairs)


def _axes(reference: Reference) -> list[str]:
    return sorted({axis for shape in reference.shapes.values() for axis in shape.axes})


def _flat(rows: Any) -> list[Any]:
    return [element for row in rows for element in row]


def witness(reference: Reference, user: Value, right: Value, digits: int = 10) -> Witness | None:
    """Inputs that tell two values apart, with as few units as possible; None if none is found.

    Raises:
        NoValueError: a value cannot be computed.
    """
    for sizes, seed in product(_small_sizes(_axes(reference)), range(3)):
        numbers = Numbers(reference.definitions, reference.shapes, sizes, seed, enclosing())
        left, correct = numbers.of(user), numbers.of(right)
        for i, (a_row, b_row) in enumerate(zip(left, correct, strict=True), 1):
            for j, (a, b) in enumerate(zip(a_row, b_row, strict=True), 1):
                if _apart(a, b):
                    place = () if len(left) == len(left[0]) == 1 else (i, j)
                    inputs, read = _shown(numbers, reference, user, right, digits)
                    counts = {"samples": sizes.samples, **sizes.units}
                    return Witness(counts, inputs, read, place, _decimals(a, digits), _decimals(b, digits))
    return None


def _small_sizes(axes: list[str]) -> Iterator[Sizes]:
    """One of everything; then two, so that transposes and sums over units show; then different sizes."""
    yield Sizes(1, dict.fromkeys(axes, 1))
    yield Sizes(1, dict.fromkeys(axes, 2))
    yield Sizes(2, {axis: 2 + i for i, axis in enumerate(axes)})


def _apart(first: Any, second: Any) -> bool:
    a, b = bounds(first), bounds(second)
    gap = sp.Rational(1, 10**7)
    return bool(a.lower - b.upper > gap or b.lower - a.upper > gap)


def _decimals(number: Any, digits: int) -> str:
    """Rounded to the nearest; the interval is far narrower than the last digit."""
    value = bounds(number).lower
    if abs(value) >= LARGE:
        return str(value.evalf(digits))
    return decimal(value + sp.Rational(1, 2 * 10**digits), digits)


def _shown(
    numbers: Numbers, reference: Reference, user: Value, right: Value, digits: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Inputs of the evaluation; and of the values that the two sides read, those that are computed."""
    symbols = {s for _, _, term in user.blocks for s in term.free_symbols}
    symbols -= {s for _, _, term in right.blocks for s in term.free_symbols}
    inputs = {
        str(s): [[str(n) for n in row] for row in numbers.inputs[s]]
        for s in reference.shapes
        if s in numbers.inputs
    }
    read = {}
    for symbol in sorted(symbols & reference.definitions.keys(), key=str):
        read[str(symbol)] = [[_decimals(n, digits) for n in row] for row in numbers.symbol(symbol)]
    return inputs, read
