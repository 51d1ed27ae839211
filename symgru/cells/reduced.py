"""GRUs with smaller gates: GRU1-3 of Dey and Salem, and MUT1-3 of Jozefowicz et al."""

from __future__ import annotations

import sympy as sp

from symgru.cells.parts import HIDDEN, INPUT, mix
from symgru.equations import Cell, CellBuilder, Polarity, sigmoid, tanh

_DEY = "Dey and Salem 2017, arXiv:1701.05923"
_MUT = "Jozefowicz, Zaremba and Sutskever 2015, ICML (PMLR 37), section 3.2"


def gru1(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """GRU1: the gates read the state and a bias, not the input.

        r = σ(U_r h + b_r),   z = σ(U_z h + b_z)
        n = tanh(W_n x + U_n (r ⊙ h) + b_n)
        h′ = (1 − z) ⊙ h + z ⊙ n

    Source: Dey and Salem 2017, arXiv:1701.05923, variant 1.
    """
    cell = CellBuilder("gru1", "GRU1, gates of state and bias", f"{_DEY}, variant 1")
    U_r, U_z = cell.weights("U_r U_z", HIDDEN, HIDDEN)
    b_r, b_z = cell.biases("b_r b_z", HIDDEN)
    h = cell.state("h", HIDDEN)
    return _with_candidate(cell, polarity, h, U_r @ h + b_r, U_z @ h + b_z)


def gru2(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """GRU2: the gates read the state alone.

        r = σ(U_r h),   z = σ(U_z h)
        n = tanh(W_n x + U_n (r ⊙ h) + b_n)
        h′ = (1 − z) ⊙ h + z ⊙ n

    Source: Dey and Salem 2017, arXiv:1701.05923, variant 2.
    """
    cell = CellBuilder("gru2", "GRU2, gates of the state", f"{_DEY}, variant 2")
    U_r, U_z = cell.weights("U_r U_z", HIDDEN, HIDDEN)
    h = cell.state("h", HIDDEN)
    return _with_candidate(cell, polarity, h, U_r @ h, U_z @ h)


def gru3(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """GRU3: the gates are learned numbers, the same at every step.

        r = σ(b_r),   z = σ(b_z)
        n = tanh(W_n x + U_n (r ⊙ h) + b_n)
        h′ = (1 − z) ⊙ h + z ⊙ n

    Source: Dey and Salem 2017, arXiv:1701.05923, variant 3.
    """
    cell = CellBuilder("gru3", "GRU3, gates of biases", f"{_DEY}, variant 3")
    b_r, b_z = cell.biases("b_r b_z", HIDDEN)
    return _with_candidate(cell, polarity, cell.state("h", HIDDEN), b_r, b_z)


def _with_candidate(
    cell: CellBuilder, polarity: Polarity | str, h: sp.Symbol, reset: sp.Expr, update: sp.Expr
) -> Cell:
    """Gates of these arguments, and the candidate of the GRU."""
    x = cell.input("x", INPUT)
    W_n, U_n, b_n = (
        cell.weight("W_n", HIDDEN, INPUT),
        cell.weight("U_n", HIDDEN, HIDDEN),
        cell.bias("b_n", HIDDEN),
    )
    r, z = cell.let("reset_gate", sigmoid(reset)), cell.let("update_gate", sigmoid(update))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ (r * h) + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def mut1(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """MUT1: tanh(x) enters the candidate as it is, so input and state have one size.

        z = σ(W_z x + b_z),   r = σ(W_r x + U_r h + b_r)
        n = tanh(U_n (r ⊙ h) + tanh(x) + b_n)
        h′ = z ⊙ n + (1 − z) ⊙ h

    Source: Jozefowicz, Zaremba and Sutskever 2015, ICML (PMLR 37), section 3.2.
    """
    cell = CellBuilder("mut1", "MUT1", _MUT)
    x, h = cell.input("x", HIDDEN), cell.state("h", HIDDEN)
    W_z, W_r, U_r, U_n = cell.weights("W_z W_r U_r U_n", HIDDEN, HIDDEN)
    b_z, b_r, b_n = cell.biases("b_z b_r b_n", HIDDEN)
    z = cell.let("update_gate", sigmoid(W_z @ x + b_z))
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + b_r))
    n = cell.let("candidate", tanh(U_n @ (r * h) + tanh(x) + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def mut2(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """MUT2: x enters the reset gate as it is, so input and state have one size.

        z = σ(W_z x + U_z h + b_z),   r = σ(x + U_r h + b_r)
        n = tanh(U_n (r ⊙ h) + W_n x + b_n)
        h′ = z ⊙ n + (1 − z) ⊙ h

    Source: Jozefowicz, Zaremba and Sutskever 2015, ICML (PMLR 37), section 3.2.
    """
    cell = CellBuilder("mut2", "MUT2", _MUT)
    x, h = cell.input("x", HIDDEN), cell.state("h", HIDDEN)
    W_z, W_n, U_z, U_r, U_n = cell.weights("W_z W_n U_z U_r U_n", HIDDEN, HIDDEN)
    b_z, b_r, b_n = cell.biases("b_z b_r b_n", HIDDEN)
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    r = cell.let("reset_gate", sigmoid(x + U_r @ h + b_r))
    n = cell.let("candidate", tanh(U_n @ (r * h) + W_n @ x + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def mut3(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """MUT3: the update gate reads tanh(h).

        z = σ(W_z x + U_z tanh(h) + b_z),   r = σ(W_r x + U_r h + b_r)
        n = tanh(U_n (r ⊙ h) + W_n x + b_n)
        h′ = z ⊙ n + (1 − z) ⊙ h

    Source: Jozefowicz, Zaremba and Sutskever 2015, ICML (PMLR 37), section 3.2.
    """
    cell = CellBuilder("mut3", "MUT3", _MUT)
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_z, W_r, W_n = cell.weights("W_z W_r W_n", HIDDEN, INPUT)
    U_z, U_r, U_n = cell.weights("U_z U_r U_n", HIDDEN, HIDDEN)
    b_z, b_r, b_n = cell.biases("b_z b_r b_n", HIDDEN)
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ tanh(h) + b_z))
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + b_r))
    n = cell.let("candidate", tanh(U_n @ (r * h) + W_n @ x + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()
