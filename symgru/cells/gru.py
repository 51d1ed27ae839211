"""The GRU of `symgru.equations.gru` with other numbers of biases."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from symgru.equations import Cell, Pointwise, Polarity, Program, Reset, Shape, Statement, bias, gru

#: Biases for each placement of the reset gate, in multiples of H; the first is what `gru` has.
BIAS_COUNTS: dict[Reset, tuple[int, ...]] = {
    Reset.BEFORE: (3, 0, 6),
    Reset.AFTER: (4, 0, 3, 6),
    Reset.WHOLE: (3, 0, 6),
}


def gru_with_biases(polarity: Polarity | str, reset: Reset | str, count: int) -> Cell:
    """The GRU with `count` biases a unit.

    0   none
    3   b_r, b_z, b_n: one a gate, outside the recurrent products (after: c_n = 0)
    4   and c_n, inside the reset gate; only `after` can tell it from b_n
    6   and c_r, c_z, c_n: every recurrent product has its own, U h + c

    Raises:
        ValueError: the GRU of this placement has no such number of biases, or there is no such GRU.
    Source: 3 Flux.jl, Haiku; 4 oneDNN (lbr_gru), OpenVINO, MLX; 6 torch.nn.GRU, cuDNN, Keras (reset_after).
    """
    cell, counts = gru(polarity, reset), BIAS_COUNTS[Reset(reset)]
    if count not in counts:
        raise ValueError(f"reset {Reset(reset).value} has {counts} biases a unit, got {count}")
    if count == counts[0]:
        return cell
    b, c = ({gate: sp.Symbol(f"{letter}_{gate}", real=True) for gate in "rzn"} for letter in "bc")
    if count == 6:
        missing = [gate for gate in "rzn" if c[gate] not in cell.step.inputs]
        step = _rewritten(cell.step, {b[gate]: b[gate] + c[gate] for gate in missing})
    else:
        removed = [*c.values(), *(b.values() if count == 0 else ())]
        step = _rewritten(cell.step, dict.fromkeys(removed, sp.S.Zero))
    title = f"{cell.title}, {count} biases a unit" if count else f"{cell.title}, no biases"
    return replace(cell, name=f"{cell.name}_{count}h", title=title, step=step)


def _rewritten(program: Program, biases: dict[sp.Symbol, sp.Expr]) -> Program:
    """The program with an expression of biases in place of each bias."""
    statements: tuple[Statement, ...] = tuple(
        Pointwise(s.target, s.expression.xreplace(biases)) if isinstance(s, Pointwise) else s for s in program
    )
    shapes: dict[sp.Symbol, Shape] = {s: shape for s, shape in program.inputs.items() if s not in biases}
    for expression in biases.values():
        shapes |= {symbol: bias("H") for symbol in sorted(expression.free_symbols, key=str)}
    return Program(shapes, statements, program.outputs)
