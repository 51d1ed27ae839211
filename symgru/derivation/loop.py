"""The time loop and its derivatives: backpropagation through time, and its forward-mode twin.

A loop runs one step program for t = 0 … T−1, or T−1 … 0 when reversed, and hands every carried value
that leaves a step to the next one. Its other vector inputs and its vector outputs are sequences; outer and
sum statements accumulate over the steps.

Both derivatives take the states of the forward loop as sequences, so nothing but them has to be saved,
and both are linear in what they carry.
"""

from __future__ import annotations

from dataclasses import dataclass

import sympy as sp

from symgru.derivation.complement import with_complements
from symgru.derivation.forward_mode import jvp, tangent
from symgru.derivation.reverse_mode import cotangent, vjp
from symgru.equations import Cell, Pointwise, Program

Carry = tuple[tuple[sp.Symbol, sp.Symbol], ...]


@dataclass(frozen=True)
class Loop:
    """A step, the pairs (carried value entering it, value leaving it), and the direction of time."""

    name: str
    step: Program
    carry: Carry
    reverse: bool = False

    @property
    def carried(self) -> frozenset[sp.Symbol]:
        """The values that enter a step from the one before."""
        return frozenset(entering for entering, _ in self.carry)


def forward(cell: Cell) -> Loop:
    """The loop of a cell over time, with complementary gates in place of 1 − σ."""
    return Loop(f"{cell.name}_forward", with_complements(cell.step), cell.carry)


def backward(loop: Loop) -> Loop:
    """Backpropagation through time: the reversed loop that carries the cotangent of the state.

    The cotangent of a state is what the later step hands back plus what the output at this step
    contributes: d_h[t] = d_h_carried[t] + d_h_output[t].
    """
    step = vjp(loop.step)
    inputs = dict(step.inputs)
    arriving, carry = [], []
    for entering, leaving in loop.carry:
        bar = cotangent(leaving)
        carried, output = (sp.Symbol(f"{bar}_{part}", real=True) for part in ("carried", "output"))
        inputs |= dict.fromkeys((carried, output), inputs.pop(bar))
        arriving.append(Pointwise(bar, carried + output))
        carry.append((carried, cotangent(entering)))
    whole = Program(inputs, (*arriving, *step.statements), step.outputs)
    return Loop(_renamed(loop, "backward"), whole, tuple(carry), not loop.reverse)


def linearised(loop: Loop) -> Loop:
    """The tangent of the loop: runs in the same direction and carries the tangent of the state."""
    step = jvp(loop.step)
    carry = tuple((tangent(entering), tangent(leaving)) for entering, leaving in loop.carry)
    return Loop(_renamed(loop, "tangent"), step, carry, loop.reverse)


def _renamed(loop: Loop, derivative: str) -> str:
    return f"{loop.name.removesuffix('_forward')}_{derivative}"
