"""Cells that look alike and are not the same function: witnesses, evaluated with rigorous intervals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sympy as sp

from symgru.equations import Polarity, Program, Reset, Shape, gru
from symgru.equations.gru import C_N
from symgru.proof.evaluation import DIGITS, Value, bounds, evaluate, intervals
from symgru.proof.witness import Interval, Refutation, Witness

SIZES: Mapping[str, int] = {"I": 2, "H": 2}


def placements_differ(left: Reset | str, right: Reset | str) -> Refutation:
    """Two placements of the reset gate give different states with the same weights.

    c_n, where a side has it, is zero, so that the placement alone makes the difference. That other weights do
    not help either is `symgru.proof.conversions`.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    left, right = Reset(left), Reset(right)
    return refute(
        f"{left.value}-is-not-{right.value}",
        gru(Polarity.KEEP, left).step,
        gru(Polarity.KEEP, right).step,
        (f"reset {left.value}", f"reset {right.value}"),
        f"The GRU with reset {left.value} and with reset {right.value}, with the same weights and c_n = 0, "
        "are different functions: one step suffices. Polarity keep is shown; keep-is-update carries it to "
        f"update. That other weights do not help either are the theorems no-{right.value}-is-{left.value} "
        f"and no-{left.value}-is-{right.value}.",
        rf"h^{{\mathrm{{{left.value}}}}}(\theta) \neq h^{{\mathrm{{{right.value}}}}}(\theta)",
    )


def polarities_differ() -> Refutation:
    """The two polarities give different states if the parameters are not mirrored.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    return refute(
        "keep-is-not-update-unmirrored",
        gru(Polarity.KEEP, Reset.AFTER).step,
        gru(Polarity.UPDATE, Reset.AFTER).step,
        ("polarity keep", "polarity update"),
        "The GRU with polarity keep and with polarity update, both with reset after and with the same "
        "weights, are different functions: loading weights across them needs the change of sign.",
        r"h^{\mathrm{keep}}(\theta) \neq h^{\mathrm{update}}(\theta)",
    )


def refute(
    name: str, left: Program, right: Program, titles: tuple[str, str], statement: str, latex: str
) -> Refutation:
    """Evaluate one step of both with the same fractions; c_n is zero.

    Raises:
        ProofError: the intervals of the outputs overlap in every unit.
    """
    values = fractions(dict(left.inputs) | dict(right.inputs), SIZES)
    if C_N in values:
        values[C_N] = [sp.S.Zero] * SIZES["H"]
    witness = Witness(
        sizes=SIZES,
        values={str(symbol): value for symbol, value in values.items()},
        left=enclose(left, values),
        right=enclose(right, values),
        digits=DIGITS,
    )
    return Refutation(name, statement, latex, *titles, witness, (left, right))


def fractions(shapes: Mapping[sp.Symbol, Shape], sizes: Mapping[str, int]) -> dict[sp.Symbol, Value]:
    """Distinct non-zero fractions of alternating sign for every element of every value."""
    values: dict[sp.Symbol, Value] = {}
    used = 0
    for symbol, shape in shapes.items():
        count = sp.prod(sizes[axis] for axis in shape.axes)
        row = [sp.Rational((-1) ** k * (2 * k + 5), 40) for k in range(used, used + int(count))]
        used += int(count)
        width = sizes[shape.axes[-1]]
        nested = [row[i : i + width] for i in range(0, len(row), width)]
        values[symbol] = nested if len(shape.axes) == 2 else nested[0]
    return values


def enclose(program: Program, values: Mapping[sp.Symbol, Value]) -> tuple[Interval, ...]:
    """Intervals that contain the first output of one step, one per unit."""
    arithmetic = intervals(DIGITS)
    inputs = {symbol: _numbers(values[symbol], arithmetic.number) for symbol in program.inputs}
    result = evaluate(program, inputs, arithmetic)[program.outputs[0]]
    return tuple(bounds(number) for number in result)


def _numbers(value: Any, number: Any) -> Any:
    return [_numbers(part, number) for part in value] if isinstance(value, list) else number(value)
