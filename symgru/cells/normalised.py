"""GRUs with layer normalisation: of DreamerV3, and of Haste."""

from __future__ import annotations

import sympy as sp

from symgru.cells.parts import HIDDEN, INPUT, mix
from symgru.equations import Cell, CellBuilder, Polarity, sigmoid, tanh


def dreamer_gru(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """The GRU of DreamerV3: one layer norm over all gates, and a reset gate that acts on the whole candidate.

        a_k = W_k x + U_k h                              k = r, n, z
        l_k = LN(a_r, a_n, a_z)_k ⊙ gain_k + b_k         mean and variance over all 3H, ε = 1/1000
        r = σ(l_r),   n = tanh(r ⊙ l_n),   z = σ(l_z − 1)
        h′ = (1 − z) ⊙ h + z ⊙ n

    Source: danijar/dreamerv3, first release (ec526b9), dreamerv3/nets.py, RSSM._gru.
    """
    cell = CellBuilder("dreamer_gru", "GRU of DreamerV3", "danijar/dreamerv3 at ec526b9, nets.py, RSSM._gru")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_r, W_n, W_z = cell.weights("W_r W_n W_z", HIDDEN, INPUT)
    U_r, U_n, U_z = cell.weights("U_r U_n U_z", HIDDEN, HIDDEN)
    gain_r, gain_n, gain_z = cell.biases("gain_r gain_n gain_z", HIDDEN)
    b_r, b_n, b_z = cell.biases("b_r b_n b_z", HIDDEN)
    products = [W_r @ x + U_r @ h, W_n @ x + U_n @ h, W_z @ x + U_z @ h]
    l_r, l_n, l_z = cell.layer_norm("normalised", products, sp.Rational(1, 1000))
    r = cell.let("reset_gate", sigmoid(l_r * gain_r + b_r))
    n = cell.let("candidate", tanh(r * (l_n * gain_n + b_n)))
    z = cell.let("update_gate", sigmoid(l_z * gain_z + b_z - 1))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def haste_layernorm_gru(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """The layer-norm GRU of Haste: input and recurrent products are normalised apart, all gates as one.

        X_k = LN(W_z x, W_r x, W_n x)_k ⊙ gain_W_k + b_k        k = z, r, n; over all 3H, ε = 1/100000
        R_k = LN(U_z h, U_r h, U_n h)_k ⊙ gain_U_k + c_k
        z = σ(X_z + R_z),   r = σ(X_r + R_r),   n = tanh(X_n + r ⊙ R_n)
        h′ = z ⊙ h + (1 − z) ⊙ n

    Source: lmnt-com/haste (440d57f), frameworks/pytorch/layer_norm_gru.py.
    """
    cell = CellBuilder(
        "haste_layernorm_gru", "Layer-norm GRU of Haste", "lmnt-com/haste at 440d57f, layer_norm_gru.py"
    )
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W = cell.weights("W_z W_r W_n", HIDDEN, INPUT)
    U = cell.weights("U_z U_r U_n", HIDDEN, HIDDEN)
    gain_W = cell.biases("gain_W_z gain_W_r gain_W_n", HIDDEN)
    gain_U = cell.biases("gain_U_z gain_U_r gain_U_n", HIDDEN)
    b, c = cell.biases("b_z b_r b_n", HIDDEN), cell.biases("c_z c_r c_n", HIDDEN)
    epsilon = sp.Rational(1, 100_000)
    from_x = cell.layer_norm("input_normalised", [W_k @ x for W_k in W], epsilon)
    from_h = cell.layer_norm("state_normalised", [U_k @ h for U_k in U], epsilon)
    X_z, X_r, X_n = (v * gain + shift for v, gain, shift in zip(from_x, gain_W, b, strict=True))
    R_z, R_r, R_n = (v * gain + shift for v, gain, shift in zip(from_h, gain_U, c, strict=True))
    z = cell.let("update_gate", sigmoid(X_z + R_z))
    r = cell.let("reset_gate", sigmoid(X_r + R_r))
    n = cell.let("candidate", tanh(X_n + r * R_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()
