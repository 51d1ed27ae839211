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

from symgru.derivation.caching import cached
from symgru.derivation.complement import with_complements
from symgru.derivation.forward_mode import PREFIX as TANGENT
from symgru.derivation.forward_mode import jvp, tangent
from symgru.derivation.reverse_mode import PREFIX as COTANGENT
from symgru.derivation.reverse_mode import cotangent, vjp
from symgru.equations import Cell, Pointwise, Program

Carry = tuple[tuple[sp.Symbol, sp.Symbol], ...]


@dataclass(frozen=True)
class Loop:
    """A step in a loop over time.

    Attributes:
        name: Identifier of the loop.
        step: What is done at every step.
        carry: Pairs (carried value entering the step, value leaving it).
        reverse: Time runs from the last step to the first.
        transient: Outputs of the step that nobody wants as a sequence: they leave it for the next step alone.
    """

    name: str
    step: Program
    carry: Carry
    reverse: bool = False
    transient: frozenset[sp.Symbol] = frozenset()

    @property
    def carried(self) -> frozenset[sp.Symbol]:
        """The values that enter a step from the one before."""
        return frozenset(entering for entering, _ in self.carry)

    @property
    def sequences(self) -> tuple[sp.Symbol, ...]:
        """The vectors that enter a step from outside."""
        return tuple(s for s in self.step.vectors if s not in self.carried)


@cached
def forward(cell: Cell) -> Loop:
    """The loop of a cell over time, with complementary gates in place of 1 − σ."""
    return Loop(f"{cell.name}_forward", with_complements(cell.step), cell.carry)


@cached
def backward(loop: Loop, prefix: str = COTANGENT) -> Loop:
    """Backpropagation through time: the reversed loop that carries the cotangent of the state.

    The cotangent of a state is what the later step hands back plus what the output at this step
    contributes: d_h[t] = d_h_carried[t] + d_h_output[t]. The cotangent of a state that enters a step is
    wanted as a sequence by nobody: the last one carried is that of the first state.

    Args:
        loop: The loop that is differentiated.
        prefix: Of the names of cotangents; another one for every further derivative.
    """
    step = vjp(loop.step, prefix)
    inputs = dict(step.inputs)
    arriving, carry = [], []
    for entering, leaving in loop.carry:
        bar, back = cotangent(leaving, prefix), cotangent(entering, prefix)
        if bar not in inputs:  # the new state is a constant
            continue
        carried, output = (sp.Symbol(f"{bar}_{part}", real=True) for part in ("carried", "output"))
        parts = (carried, output) if back in step.outputs else (output,)  # a state that nothing reads
        inputs |= dict.fromkeys(parts, inputs.pop(bar))
        arriving.append(Pointwise(bar, sp.Add(*parts)))
        carry += [(carried, back)] if carried in parts else []
    whole = Program(inputs, (*arriving, *step.statements), step.outputs)
    transient = frozenset(leaving for _, leaving in carry)
    return Loop(_renamed(loop, "backward"), whole, tuple(carry), not loop.reverse, transient)


@cached
def linearised(loop: Loop, prefix: str = TANGENT) -> Loop:
    """The tangent of the loop: runs in the same direction and carries the tangent of the state.

    Args:
        loop: The loop that is differentiated.
        prefix: Of the names of tangents; another one for every further derivative.
    """
    step = _with_sequence(jvp(loop.step, prefix), loop, prefix)
    carry = tuple((tangent(entering, prefix), tangent(leaving, prefix)) for entering, leaving in loop.carry)
    transient = frozenset(tangent(symbol, prefix) for symbol in loop.transient)
    return Loop(_renamed(loop, "tangent"), step, carry, loop.reverse, transient)


def _with_sequence(step: Program, loop: Loop, prefix: str) -> Program:
    """The tangent step, with a sequence of the loop among its inputs if it reads none, as that of h′ = h + b.

    Else nothing would tell how many steps there are.
    """
    moving = {tangent(symbol, prefix) for symbol in loop.carried}
    if not loop.sequences or any(symbol not in moving for symbol in step.vectors):
        return step
    sequence = loop.sequences[0]
    return Program({sequence: loop.step.inputs[sequence]} | dict(step.inputs), step.statements, step.outputs)


def _renamed(loop: Loop, derivative: str) -> str:
    return f"{loop.name.removesuffix('_forward')}_{derivative}"
