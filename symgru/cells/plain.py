"""What GRUs are compared with: the plain recurrent network, and the LSTM."""

from __future__ import annotations

from symgru.cells.parts import HIDDEN, INPUT
from symgru.equations import Cell, CellBuilder, sigmoid, tanh


def rnn() -> Cell:
    """Plain recurrent network, without gates.

        h′ = tanh(W_n x + U_n h + b_n)

    Source: Elman 1990, Cognitive Science 14(2); torch.nn.RNN.
    """
    cell = CellBuilder("rnn", "Plain recurrent network", "Elman 1990, Cognitive Science 14(2); torch.nn.RNN")
    x, h = cell.input("x", INPUT), cell.state("h", HIDDEN)
    W_n, U_n = cell.weight("W_n", HIDDEN, INPUT), cell.weight("U_n", HIDDEN, HIDDEN)
    b_n = cell.bias("b_n", HIDDEN)
    cell.update(h, tanh(W_n @ x + U_n @ h + b_n))
    return cell.build()


def lstm() -> Cell:
    """Long short-term memory with a forget gate.

        i = σ(W_i x + U_i h + b_i),   f = σ(W_f x + U_f h + b_f),   o = σ(W_o x + U_o h + b_o)
        g = tanh(W_g x + U_g h + b_g)
        c′ = f ⊙ c + i ⊙ g,   h′ = o ⊙ tanh(c′)

    Source: Gers, Schmidhuber and Cummins 2000, Neural Computation 12(10); torch.nn.LSTM.
    """
    cell = CellBuilder("lstm", "LSTM", "Gers et al. 2000, Neural Computation 12(10); torch.nn.LSTM")
    x, h, c = cell.input("x", INPUT), cell.state("h", HIDDEN), cell.state("c", HIDDEN)
    W_i, W_f, W_g, W_o = cell.weights("W_i W_f W_g W_o", HIDDEN, INPUT)
    U_i, U_f, U_g, U_o = cell.weights("U_i U_f U_g U_o", HIDDEN, HIDDEN)
    b_i, b_f, b_g, b_o = cell.biases("b_i b_f b_g b_o", HIDDEN)
    i = cell.let("input_gate", sigmoid(W_i @ x + U_i @ h + b_i))
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + b_f))
    g = cell.let("cell_candidate", tanh(W_g @ x + U_g @ h + b_g))
    o = cell.let("output_gate", sigmoid(W_o @ x + U_o @ h + b_o))
    c_new = cell.update(c, f * c + i * g)
    cell.update(h, o * tanh(c_new))
    return cell.build()


def lstm_peephole() -> Cell:
    """LSTM whose gates also see the cell state, unit by unit.

        i = σ(W_i x + U_i h + p_i ⊙ c + b_i),   f = σ(W_f x + U_f h + p_f ⊙ c + b_f)
        g = tanh(W_g x + U_g h + b_g),   c′ = f ⊙ c + i ⊙ g
        o = σ(W_o x + U_o h + p_o ⊙ c′ + b_o),   h′ = o ⊙ tanh(c′)

    Source: Gers and Schmidhuber 2000, IJCNN; Graves 2013, arXiv:1308.0850, eq. 7-11.
    """
    cell = CellBuilder("lstm_peephole", "Peephole LSTM", "Graves 2013, arXiv:1308.0850, eq. 7-11")
    x, h, c = cell.input("x", INPUT), cell.state("h", HIDDEN), cell.state("c", HIDDEN)
    W_i, W_f, W_g, W_o = cell.weights("W_i W_f W_g W_o", HIDDEN, INPUT)
    U_i, U_f, U_g, U_o = cell.weights("U_i U_f U_g U_o", HIDDEN, HIDDEN)
    b_i, b_f, b_g, b_o = cell.biases("b_i b_f b_g b_o", HIDDEN)
    p_i, p_f, p_o = cell.biases("p_i p_f p_o", HIDDEN)
    i = cell.let("input_gate", sigmoid(W_i @ x + U_i @ h + p_i * c + b_i))
    f = cell.let("forget_gate", sigmoid(W_f @ x + U_f @ h + p_f * c + b_f))
    g = cell.let("cell_candidate", tanh(W_g @ x + U_g @ h + b_g))
    c_new = cell.update(c, f * c + i * g)
    o = cell.let("output_gate", sigmoid(W_o @ x + U_o @ h + p_o * c_new + b_o))
    cell.update(h, o * tanh(c_new))
    return cell.build()
