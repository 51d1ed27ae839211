"""One gate: MGU in both published readings, minGRU, UGRNN, light recurrent units."""

from __future__ import annotations

from symgru.cells.parts import HIDDEN, INPUT, mix
from symgru.equations import Cell, CellBuilder, Polarity, relu, sigmoid, tanh


def mgu(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """Minimal gated unit: the forget gate also resets.

        f = σ(W_f x + U_f h + b_f)
        n = tanh(W_n x + U_n (f ⊙ h) + b_n)
        h′ = (1 − f) ⊙ h + f ⊙ n

    Under the polarity `keep`, h′ = f ⊙ h + (1 − f) ⊙ n as pytorch-kaldi has it, it is another model.

    Source: Zhou, Wu, Zhang and Zhou 2016, arXiv:1603.09420, eq. 7.
    """
    cell = CellBuilder("mgu", "Minimal gated unit", "Zhou et al. 2016, arXiv:1603.09420, eq. 7")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_f, W_n = cell.weights("W_f W_n", HIDDEN, INPUT)
    U_f, U_n = cell.weights("U_f U_n", HIDDEN, HIDDEN)
    b_f, b_n = cell.biases("b_f b_n", HIDDEN)
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ (f * h) + b_n))
    cell.update(h, mix(polarity, f, h, n))
    return cell.build()


def mgu_after(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """Minimal gated unit as Flax has it: the gate acts after the recurrent product, and keeps.

        f = σ(W_f x + U_f h + b_f)
        n = tanh(W_n x + b_n + f ⊙ (U_n h + c_n))
        h′ = f ⊙ h + (1 − f) ⊙ n

    Source: google/flax, flax/linen/recurrent.py, MGUCell with reset_gate=True.
    """
    cell = CellBuilder("mgu_after", "Minimal gated unit of Flax", "google/flax, linen MGUCell")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_f, W_n = cell.weights("W_f W_n", HIDDEN, INPUT)
    U_f, U_n = cell.weights("U_f U_n", HIDDEN, HIDDEN)
    b_f, b_n, c_n = cell.biases("b_f b_n c_n", HIDDEN)
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    n = cell.let("candidate", tanh(W_n @ x + b_n + f * (U_n @ h + c_n)))
    cell.update(h, mix(polarity, f, h, n))
    return cell.build()


def mingru(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """minGRU: neither gate nor candidate reads the state, so the recurrence is a linear scan.

        z = σ(W_z x)
        h′ = (1 − z) ⊙ h + z ⊙ W_n x

    Source: Feng et al. 2024, arXiv:2410.01201, section 3.1; without biases as in lucidrains/minGRU-pytorch.
    """
    cell = CellBuilder("mingru", "minGRU", "Feng et al. 2024, arXiv:2410.01201, section 3.1")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_z, W_n = cell.weights("W_z W_n", HIDDEN, INPUT)
    z = cell.let("update_gate", sigmoid(W_z @ x))
    n = cell.let("candidate", W_n @ x)
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def mingru_log(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """minGRU with a positive candidate, as its scan in the logarithm needs it.

        z = σ(W_z x)
        h′ = (1 − z) ⊙ h + z ⊙ g(W_n x),   g(a) = a + 1/2 for a ≥ 0, σ(a) for a < 0

    In one expression g(a) = relu(a) + σ(a − relu(a)). At the kink its derivative here is 1/4, that of σ.

    Source: Feng et al. 2024, arXiv:2410.01201, appendix B.3.
    """
    cell = CellBuilder(
        "mingru_log", "minGRU, positive candidate", "Feng et al. 2024, arXiv:2410.01201, appendix B.3"
    )
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_z, W_n = cell.weights("W_z W_n", HIDDEN, INPUT)
    z = cell.let("update_gate", sigmoid(W_z @ x))
    a = cell.let("candidate_preactivation", W_n @ x)
    p = cell.let("candidate_positive", relu(a))
    n = cell.let("candidate", p + sigmoid(a - p))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def ligru(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """Light GRU: no reset gate, and a rectified candidate.

        z = σ(W_z x + U_z h + b_z)
        n = relu(W_n x + U_n h + b_n)
        h′ = z ⊙ h + (1 − z) ⊙ n

    The published batch normalisation of W x is, once trained, a scale in W and the bias.

    Source: Ravanelli et al. 2018, arXiv:1803.10225, eq. 7-9.
    """
    cell = CellBuilder("ligru", "Light GRU", "Ravanelli et al. 2018, arXiv:1803.10225, eq. 7-9")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_z, W_n = cell.weights("W_z W_n", HIDDEN, INPUT)
    U_z, U_n = cell.weights("U_z U_n", HIDDEN, HIDDEN)
    b_z, b_n = cell.biases("b_z b_n", HIDDEN)
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", relu(W_n @ x + U_n @ h + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def ugrnn(polarity: Polarity | str = Polarity.KEEP) -> Cell:
    """Update gate RNN: a plain recurrent network with one gate.

        z = σ(W_z x + U_z h + b_z)
        n = tanh(W_n x + U_n h + b_n)
        h′ = z ⊙ h + (1 − z) ⊙ n

    Source: Collins, Sohl-Dickstein and Sussillo 2016, arXiv:1611.09913, section 2.
    """
    cell = CellBuilder("ugrnn", "Update gate RNN", "Collins et al. 2016, arXiv:1611.09913, section 2")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_z, W_n = cell.weights("W_z W_n", HIDDEN, INPUT)
    U_z, U_n = cell.weights("U_z U_n", HIDDEN, HIDDEN)
    b_z, b_n = cell.biases("b_z b_n", HIDDEN)
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ h + b_n))
    cell.update(h, mix(polarity, z, h, n))
    return cell.build()


def lightru(polarity: Polarity | str = Polarity.UPDATE) -> Cell:
    """Light recurrent unit: the candidate reads the input alone.

        f = σ(W_f x + U_f h + b_f)
        n = tanh(W_n x)
        h′ = (1 − f) ⊙ h + f ⊙ n

    Source: Ye et al. 2024, Light Recurrent Unit, Electronics 13(16):3204.
    """
    cell = CellBuilder("lightru", "Light recurrent unit", "Ye et al. 2024, Electronics 13(16):3204")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_f, W_n = cell.weights("W_f W_n", HIDDEN, INPUT)
    U_f, b_f = cell.weight("U_f", HIDDEN, HIDDEN), cell.bias("b_f", HIDDEN)
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    n = cell.let("candidate", tanh(W_n @ x))
    cell.update(h, mix(polarity, f, h, n))
    return cell.build()
