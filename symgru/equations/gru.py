"""The gated recurrent unit in every polarity and reset placement, one function per equation.

Notation, for one unit: x input, h_prev and h_new hidden state before and after the step, r reset gate,
z update gate, n candidate; W input weights [H, I], U recurrent weights [H, H], b biases [H], c the bias
of the recurrent part of the candidate [H].
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

import sympy as sp

from symgru.equations.cell import Cell
from symgru.equations.functions import sigmoid
from symgru.equations.program import (
    Contract,
    Pointwise,
    Product,
    Program,
    Shape,
    Statement,
    bias,
    matrix,
    vector,
)

INPUT, HIDDEN = "I", "H"


class Polarity(str, Enum):
    """What the update gate multiplies.

    KEEP: the old state, h' = z⊙h + (1−z)⊙n. Cho et al. 2014, arXiv:1406.1078v3, eq. 7; torch.nn.GRU.
    UPDATE: the candidate, h' = (1−z)⊙h + z⊙n. Chung et al. 2014, arXiv:1412.3555, eq. 5.
    """

    KEEP = "keep"
    UPDATE = "update"

    @property
    def source(self) -> str:
        """Where the state update is published."""
        published = {
            "keep": "Cho et al. 2014, arXiv:1406.1078v3, eq. 7",
            "update": "Chung et al. 2014, arXiv:1412.3555, eq. 5",
        }
        return f"state update: {published[self.value]}"


class Reset(str, Enum):
    """Where the reset gate acts in the candidate.

    BEFORE: on the state, n = tanh(Wx + b + U(r⊙h)). Cho et al. 2014, arXiv:1406.1078v3, eq. 8.
    AFTER: on the recurrent product, n = tanh(Wx + b + r⊙(Uh + c)). arXiv:1406.1078v1; torch.nn.GRU, cuDNN.
    WHOLE: on all of it, n = tanh(r⊙(Wx + Uh + b)). DreamerV3 (danijar/dreamerv3), without its normalisation.
    """

    BEFORE = "before"
    AFTER = "after"
    WHOLE = "whole"

    @property
    def source(self) -> str:
        """Where the candidate is published."""
        published = {
            "before": "Cho et al. 2014, arXiv:1406.1078v3, eq. 8",
            "after": "Cho et al. 2014, arXiv:1406.1078v1; its recurrent bias: torch.nn.GRU and cuDNN",
            "whole": "danijar/dreamerv3, without its normalisation",
        }
        return f"candidate: {published[self.value]}"


def _symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


X, H_PREV, H_NEW = map(_symbol, ("x", "h_prev", "h_new"))
RESET_GATE, UPDATE_GATE, CANDIDATE = map(_symbol, ("reset_gate", "update_gate", "candidate"))
W_R, W_Z, W_N = map(_symbol, ("W_r", "W_z", "W_n"))
U_R, U_Z, U_N = map(_symbol, ("U_r", "U_z", "U_n"))
B_R, B_Z, B_N, C_N = map(_symbol, ("b_r", "b_z", "b_n", "c_n"))


def gate(name: str, weight: sp.Symbol, recurrent: sp.Symbol, offset: sp.Symbol) -> Iterator[Statement]:
    """A gate, σ(W x + b + U h).  Source: Cho et al. 2014, arXiv:1406.1078v3, eq. 5 and 6."""
    from_x, from_h, preactivation = (
        _symbol(f"{name}_{part}") for part in ("from_x", "from_h", "preactivation")
    )
    yield Contract(from_x, (Product(weight, X),))
    yield Contract(from_h, (Product(recurrent, H_PREV),))
    yield Pointwise(preactivation, from_x + offset + from_h)
    yield Pointwise(_symbol(f"{name}_gate"), sigmoid(preactivation))


def candidate(reset: Reset) -> Iterator[Statement]:
    """The candidate state n, for each placement of the reset gate. Sources: see `Reset`."""
    from_x, from_h, preactivation = (
        _symbol(f"candidate_{part}") for part in ("from_x", "from_h", "preactivation")
    )
    yield Contract(from_x, (Product(W_N, X),))
    if reset is Reset.BEFORE:
        reset_state = _symbol("reset_state")
        yield Pointwise(reset_state, RESET_GATE * H_PREV)
        yield Contract(from_h, (Product(U_N, reset_state),))
        yield Pointwise(preactivation, from_x + B_N + from_h)
    elif reset is Reset.AFTER:
        yield Contract(from_h, (Product(U_N, H_PREV),))
        yield Pointwise(preactivation, from_x + B_N + RESET_GATE * (from_h + C_N))
    else:
        yield Contract(from_h, (Product(U_N, H_PREV),))
        yield Pointwise(preactivation, RESET_GATE * (from_x + B_N + from_h))
    yield Pointwise(CANDIDATE, sp.tanh(preactivation))


def state_update(polarity: Polarity) -> Statement:
    """The new state, a convex combination of old state and candidate. Sources: see `Polarity`."""
    if polarity is Polarity.KEEP:
        return Pointwise(H_NEW, UPDATE_GATE * H_PREV + (1 - UPDATE_GATE) * CANDIDATE)
    return Pointwise(H_NEW, (1 - UPDATE_GATE) * H_PREV + UPDATE_GATE * CANDIDATE)


def parameter_shapes(reset: Reset) -> dict[sp.Symbol, Shape]:
    """Weights and every bias that the placement can tell apart.

    Under `after` the recurrent candidate bias c is multiplied by the reset gate and b_n is not; under
    `before` and `whole` the two occur only as their sum, and in the gates they always do.
    """
    shapes = {weight: matrix(HIDDEN, INPUT) for weight in (W_R, W_Z, W_N)}
    shapes |= {weight: matrix(HIDDEN, HIDDEN) for weight in (U_R, U_Z, U_N)}
    shapes |= {offset: bias(HIDDEN) for offset in (B_R, B_Z, B_N)}
    if reset is Reset.AFTER:
        shapes[C_N] = bias(HIDDEN)
    return shapes


def gru(polarity: Polarity | str = Polarity.KEEP, reset: Reset | str = Reset.AFTER) -> Cell:
    """The GRU as published: reset gate, update gate, candidate, new state.

    Raises:
        ValueError: polarity is not keep or update, or reset is not before, after or whole.
    """
    polarity, reset = Polarity(polarity), Reset(reset)
    inputs = {X: vector(INPUT), H_PREV: vector(HIDDEN), **parameter_shapes(reset)}
    statements = (
        *gate("reset", W_R, U_R, B_R),
        *gate("update", W_Z, U_Z, B_Z),
        *candidate(reset),
        state_update(polarity),
    )
    return Cell(
        name=f"gru_{polarity.value}_{reset.value}",
        title=f"GRU, polarity {polarity.value}, reset {reset.value}",
        step=Program(inputs, statements, (H_NEW,)),
        carry=((H_PREV, H_NEW),),
        source=f"gates: Cho et al. 2014, arXiv:1406.1078v3, eq. 5 and 6; {reset.source}; {polarity.source}",
    )
