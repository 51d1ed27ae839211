"""Evaluate the witness of a refutation again, in interval arithmetic, from the programs in the file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import sympy as sp

from symgru.certificates.document import ReadRefutation
from symgru.certificates.reading import CertificateError
from symgru.equations import Program
from symgru.proof import Arithmetic, evaluate, intervals
from symgru.proof.evaluation import bounds
from symgru.proof.witness import Interval, Witness

DIGITS, SIZE = (10, 500), 16
MAGNITUDE, EXPONENT = 60, 10_000


def check_witness(claim: ReadRefutation) -> None:
    """Check that the two programs differ at the witness, by what the file says.

    Raises:
        CertificateError: they are not told apart, or the file has other intervals.
    """
    path, data = f"{claim.path}.witness", claim.witness
    if not DIGITS[0] <= data["digits"] <= DIGITS[1]:
        raise CertificateError(f"{path}.digits", f"expected {DIGITS[0]} to {DIGITS[1]}, got {data['digits']}")
    if any(not 1 <= size <= SIZE for size in data["sizes"].values()):
        raise CertificateError(f"{path}.sizes", f"expected sizes from 1 to {SIZE}")
    sides = (claim.values, _related(claim))
    for program, values in zip(claim.programs, sides, strict=True):
        _check_sizes(path, program, values, data["sizes"])
    left, right = (
        _enclose(path, program, values, data["digits"])
        for program, values in zip(claim.programs, sides, strict=True)
    )
    if len(left) != len(right):
        raise CertificateError(path, "the outputs have different numbers of units")
    witness = Witness(data["sizes"], {}, left, right, data["digits"])
    if not witness.gap > 0:
        raise CertificateError(path, "the outputs are not told apart")
    found = witness.to_json()
    for name in ("left", "right", "gap"):
        if data[name] != found[name]:
            raise CertificateError(f"{path}.{name}", "is not what the programs in the file give")
    if unknown := set(claim.values) - {s for program in claim.programs for s in program.inputs}:
        raise CertificateError(f"{path}.values", f"{next(iter(unknown))} is an input of neither program")


def _related(claim: ReadRefutation) -> dict[sp.Symbol, Any]:
    """The values of the right side."""
    values = dict(claim.values)
    for symbol, image in claim.relation.items():
        path = f"{claim.path}.relation.{symbol}"
        if symbol not in claim.programs[1].inputs:
            raise CertificateError(path, "the second program does not take it")
        if not image.free_symbols or not image.free_symbols <= claim.values.keys():
            raise CertificateError(path, f"expected an expression of values of the witness, got {image}")
        values[symbol] = _element(path, image, {s: claim.values[s] for s in image.free_symbols})
    return values


def _element(path: str, image: sp.Expr, values: Mapping[sp.Symbol, Any]) -> Any:
    """The image element by element."""
    sizes = {len(value) if isinstance(value, list) else 0 for value in values.values()}
    if len(sizes) != 1:
        raise CertificateError(path, "is made of values of different sizes")
    if (size := sizes.pop()) > 0:
        return [_element(path, image, {s: value[i] for s, value in values.items()}) for i in range(size)]
    number = image.xreplace(dict(values))
    if not number.is_Rational:
        raise CertificateError(path, f"is {number} at the witness, expected a fraction")
    return number


def _check_sizes(
    path: str, program: Program, values: Mapping[sp.Symbol, Any], sizes: Mapping[str, int]
) -> None:
    for symbol, shape in program.inputs.items():
        expected = [sizes.get(axis) for axis in shape.axes]
        if symbol not in values or _sizes(values[symbol]) != expected:
            raise CertificateError(f"{path}.values", f"expected {symbol} with sizes {expected}")


def _sizes(value: Any) -> list[int] | None:
    """Sizes of a nested list, None if it is ragged."""
    if not isinstance(value, list):
        return []
    inner = [_sizes(part) for part in value]
    if not inner or inner[0] is None or any(part != inner[0] for part in inner):
        return None
    return [len(value), *inner[0]]


def _enclose(
    path: str, program: Program, values: Mapping[sp.Symbol, Any], digits: int
) -> tuple[Interval, ...]:
    """Intervals of the first output, one per unit."""
    if not program.outputs or len(program.shapes[program.outputs[0]].axes) != 1:
        raise CertificateError(path, "expected a first output that is a vector")
    arithmetic = _moderate(path, intervals(digits))
    inputs = {symbol: _converted(values[symbol], arithmetic.number) for symbol in program.inputs}
    try:
        result = evaluate(program, inputs, arithmetic)[program.outputs[0]]
    except CertificateError:
        raise
    except (NotImplementedError, ValueError, ZeroDivisionError) as error:
        raise CertificateError(path, f"cannot be evaluated: {error}") from None
    return tuple(bounds(_checked(path, number)) for number in result)


def _moderate(path: str, arithmetic: Arithmetic) -> Arithmetic:
    """The arithmetic with functions that refuse numbers too large to be written down."""

    def checked(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        return lambda number: function(_checked(path, number))

    functions = {name: checked(function) for name, function in arithmetic.functions.items()}
    return replace(arithmetic, functions=functions)


def _checked(path: str, number: Any) -> Any:
    for _, mantissa, exponent, bits in number._mpi_:
        infinite = mantissa == 0 and exponent != 0
        if infinite or abs(exponent) > EXPONENT or exponent + bits > MAGNITUDE:
            raise CertificateError(path, f"a number is above 2**{MAGNITUDE}, or none")
    return number


def _converted(value: Any, number: Any) -> Any:
    return [_converted(part, number) for part in value] if isinstance(value, list) else number(value)
