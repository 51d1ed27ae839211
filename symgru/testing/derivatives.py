"""Two checks of a derivative that need no second implementation.

- Dot-product test: ⟨J v, w⟩ = ⟨v, Jᵀ w⟩ ties reverse mode to forward mode.
- Taylor test: |f(p + εv) − f(p)| falls like ε, |f(p + εv) − f(p) − εJv| like ε²; it ties forward mode to f.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Point = Mapping[str, Array]
DOT_PRODUCT_TOLERANCE = 1e-11
SLOPE_TOLERANCE = 0.1


def inner(left: Point, right: Point) -> float:
    """Σ over the names that both have of Σ left·right."""
    shared = left.keys() & right.keys()
    return math.fsum(float(np.sum(left[name] * right[name])) for name in sorted(shared))


def assert_dot_product(
    jvp: Callable[[Point], Point], vjp: Callable[[Point], Point], tangents: Point, cotangents: Point
) -> None:
    """⟨J v, w⟩ = ⟨v, Jᵀ w⟩ to 1e-11, relative to the size of the terms.

    Args:
        jvp: Tangents of the inputs, by name, to tangents of the outputs.
        vjp: Cotangents of the outputs to cotangents of the inputs.
        tangents, cotangents: v and w.
    Raises:
        AssertionError: the two numbers differ; the message has both.
    """
    left = inner(jvp(tangents), cotangents)
    right = inner(tangents, vjp(cotangents))
    scale = max(abs(left), abs(right), 1.0)
    error = abs(left - right) / scale
    assert error <= DOT_PRODUCT_TOLERANCE, (
        f"dot-product test: <Jv, w> = {left!r} but <v, JTw> = {right!r}, "
        f"relative difference {error:.2e} > {DOT_PRODUCT_TOLERANCE:.0e}"
    )


def taylor_slopes(
    function: Callable[[Point], Point], jvp: Callable[[Point], Point], point: Point, direction: Point
) -> tuple[float, float]:
    """Log-log slopes of the remainders of order 0 and 1, ε from 1e-3 to 1e-4; 1 and 2 if J is right."""
    base, derivative = function(point), jvp(direction)
    remainders = []
    for epsilon in (1e-3, 1e-4):
        moved = function({name: value + epsilon * direction.get(name, 0.0) for name, value in point.items()})
        zeroth = {name: moved[name] - base[name] for name in derivative_names(base, derivative)}
        first = {name: zeroth[name] - epsilon * derivative[name] for name in zeroth}
        remainders.append((_norm(zeroth), _norm(first)))
    (coarse0, coarse1), (fine0, fine1) = remainders
    return math.log10(coarse0 / fine0), math.log10(coarse1 / fine1)


def derivative_names(base: Point, derivative: Point) -> list[str]:
    """The outputs that have a tangent."""
    return sorted(base.keys() & derivative.keys())


def assert_taylor(
    function: Callable[[Point], Point], jvp: Callable[[Point], Point], point: Point, direction: Point
) -> None:
    """The remainders of order 0 and 1 fall with slopes 1 and 2.

    Raises:
        AssertionError: they do not; the message has both slopes.
    """
    zeroth, first = taylor_slopes(function, jvp, point, direction)
    assert abs(zeroth - 1) <= SLOPE_TOLERANCE, (
        f"Taylor test: remainder of order 0 has slope {zeroth:.3f}, not 1"
    )
    assert abs(first - 2) <= SLOPE_TOLERANCE, (
        f"Taylor test: remainder of order 1 has slope {first:.3f}, not 2"
    )


def _norm(point: Point) -> float:
    return math.sqrt(inner(point, point))
