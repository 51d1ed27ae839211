"""GRUs with further inputs: attention (AUGRU), a context (peephole GRU), gaps in the data (GRU-D)."""

from __future__ import annotations

from symgru.cells.parts import HIDDEN, INPUT, mix
from symgru.equations import Cell, CellBuilder, Polarity, exp, relu, sigmoid, tanh


def augru_paper(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """GRU with attentional update gate, as published: without attention the state is copied.

        r = σ(W_r x + U_r h + b_r),   z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + r ⊙ (U_n h) + b_n)
        v = a ⊙ z,   h′ = (1 − v) ⊙ h + v ⊙ n

    The attention a, one number a step, is an input `attention` [T, B, H] of equal entries.

    Source: Zhou et al. 2018, arXiv:1809.03672, eq. 2-5 and 15-16.
    """
    cell = CellBuilder(
        "augru_paper", "AUGRU as published", "Zhou et al. 2018, arXiv:1809.03672, eq. 2-5 and 15"
    )
    x, attention, h = cell.input("x", INPUT), cell.input("attention", HIDDEN), cell.state("h", HIDDEN)
    W_r, W_z, W_n = cell.weights("W_r W_z W_n", HIDDEN, INPUT)
    U_r, U_z, U_n = cell.weights("U_r U_z U_n", HIDDEN, HIDDEN)
    b_r, b_z, b_n = cell.biases("b_r b_z b_n", HIDDEN)
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + b_r))
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", tanh(W_n @ x + r * (U_n @ h) + b_n))
    v = cell.let("attentional_gate", attention * z)
    cell.update(h, mix(polarity, v, h, n))
    return cell.build()


def augru_code(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """GRU with attentional update gate, as its authors' code and oneDNN have it: without attention a GRU.

        r = σ(W_r x + U_r h + b_r),   z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + U_n (r ⊙ h) + b_n)
        v = (1 − a) ⊙ z,   h′ = v ⊙ h + (1 − v) ⊙ n

    Source: DIEN, script/utils.py, VecAttGRUCell; oneDNN augru; OpenVINO AUGRUCell.
    """
    cell = CellBuilder(
        "augru_code", "AUGRU of DIEN's code and oneDNN", "DIEN, script/utils.py, VecAttGRUCell"
    )
    x, attention, h = cell.input("x", INPUT), cell.input("attention", HIDDEN), cell.state("h", HIDDEN)
    W_r, W_z, W_n = cell.weights("W_r W_z W_n", HIDDEN, INPUT)
    U_r, U_z, U_n = cell.weights("U_r U_z U_n", HIDDEN, HIDDEN)
    b_r, b_z, b_n = cell.biases("b_r b_z b_n", HIDDEN)
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + b_r))
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ (r * h) + b_n))
    v = cell.let("attentional_gate", (1 - attention) * z)
    cell.update(h, mix(polarity, v, h, n))
    return cell.build()


def peephole_gru(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """GRU whose gates and candidate also see a context p, outside the reset gate.

        r = σ(W_r x + U_r h + P_r p + b_r),   z = σ(W_z x + U_z h + P_z p + b_z)
        n = tanh(W_n x + r ⊙ (U_n h + c_n) + P_n p + b_n)
        h′ = z ⊙ h + (1 − z) ⊙ n

    The context is an input [T, B, H]; its nine biases are merged as far as they only occur as sums.

    Source: Maluuba/gensen, models.py, ConditionalGRU.
    """
    cell = CellBuilder("peephole_gru", "Peephole GRU", "Maluuba/gensen, models.py, ConditionalGRU")
    x, context, h = cell.input("x", INPUT), cell.input("context", HIDDEN), cell.state("h", HIDDEN)
    W_r, W_z, W_n = cell.weights("W_r W_z W_n", HIDDEN, INPUT)
    U_r, U_z, U_n = cell.weights("U_r U_z U_n", HIDDEN, HIDDEN)
    P_r, P_z, P_n = cell.weights("P_r P_z P_n", HIDDEN, HIDDEN)
    b_r, b_z, b_n, c_n = cell.biases("b_r b_z b_n c_n", HIDDEN)
    r = cell.let("reset_gate", sigmoid(W_r @ x + U_r @ h + P_r @ context + b_r))
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + P_z @ context + b_z))
    n = cell.let("candidate", tanh(W_n @ x + r * (U_n @ h + c_n) + P_n @ context + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def gru_d(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """GRU-D, for inputs with gaps: what is missing decays to its mean, the state decays with the gap.

        γ_x = exp(−relu(w_γ ⊙ δ + b_γ)),   γ_h = exp(−relu(W_γ δ + b_γ′))
        x̂ = m ⊙ x + (1 − m) ⊙ (γ_x ⊙ x_last + (1 − γ_x) ⊙ x_mean),   ĥ = γ_h ⊙ h
        r = σ(W_r x̂ + U_r ĥ + V_r m + b_r),   z = σ(W_z x̂ + U_z ĥ + V_z m + b_z)
        n = tanh(W_n x̂ + U_n (r ⊙ ĥ) + V_n m + b_n)
        h′ = (1 − z) ⊙ ĥ + z ⊙ n

    Inputs [T, B, I]: x, `observed` m (1 or 0), `delta` δ the time since the last observation, and x_last the
    last observed value.

    Source: Che et al. 2018, arXiv:1606.01865v2, section GRU-D.
    """
    cell = CellBuilder("gru_d", "GRU-D", "Che et al. 2018, arXiv:1606.01865v2, section GRU-D")
    x, m, delta, x_last = (cell.input(name, INPUT) for name in ("x", "observed", "delta", "x_last"))
    h = cell.state("h", HIDDEN)
    w_gamma_x, b_gamma_x, x_mean = cell.biases("w_gamma_x b_gamma_x x_mean", INPUT)
    W_gamma_h, b_gamma_h = cell.weight("W_gamma_h", HIDDEN, INPUT), cell.bias("b_gamma_h", HIDDEN)
    W_r, W_z, W_n, V_r, V_z, V_n = cell.weights("W_r W_z W_n V_r V_z V_n", HIDDEN, INPUT)
    U_r, U_z, U_n = cell.weights("U_r U_z U_n", HIDDEN, HIDDEN)
    b_r, b_z, b_n = cell.biases("b_r b_z b_n", HIDDEN)
    gamma_x = cell.let("input_decay", exp(-relu(w_gamma_x * delta + b_gamma_x)))
    gamma_h = cell.let("state_decay", exp(-relu(W_gamma_h @ delta + b_gamma_h)))
    x_hat = cell.let("imputed_input", m * x + (1 - m) * (gamma_x * x_last + (1 - gamma_x) * x_mean))
    h_hat = cell.let("decayed_state", gamma_h * h)
    r = cell.let("reset_gate", sigmoid(W_r @ x_hat + U_r @ h_hat + V_r @ m + b_r))
    z = cell.let("update_gate", sigmoid(W_z @ x_hat + U_z @ h_hat + V_z @ m + b_z))
    n = cell.let("candidate", tanh(W_n @ x_hat + U_n @ (r * h_hat) + V_n @ m + b_n))
    cell.update(h, mix(polarity, z, h_hat, n))
    return cell.build()
