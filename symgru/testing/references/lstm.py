"""Vanilla RNN and LSTM, with and without peepholes."""

from __future__ import annotations

import torch

from symgru.testing.references.model import Tensors, per_gate, register

_TWO_STATES = (("h_prev", "h_new"), ("c_prev", "c_new"))


@register("rnn", "torch.nn.RNNCell, b_ih + b_hh = b_n", per_gate("n", W="HI", U="HH", b="H"))
def rnn(v: Tensors) -> Tensors:
    """Vanilla RNN (Elman 1990) with tanh."""
    return {"h_new": torch.tanh(v["x"] @ v["W_n"].T + v["h_prev"] @ v["U_n"].T + v["b_n"])}


@register(
    "lstm",
    "torch.nn.LSTMCell, b_ih + b_hh = b",
    per_gate("i f g o", W="HI", U="HH", b="H"),
    states=_TWO_STATES,
)
def lstm(v: Tensors) -> Tensors:
    """LSTM with forget gate (Gers et al. 2000), without peepholes."""
    x, h = v["x"], v["h_prev"]
    i = torch.sigmoid(x @ v["W_i"].T + h @ v["U_i"].T + v["b_i"])
    f = torch.sigmoid(x @ v["W_f"].T + h @ v["U_f"].T + v["b_f"])
    g = torch.tanh(x @ v["W_g"].T + h @ v["U_g"].T + v["b_g"])
    o = torch.sigmoid(x @ v["W_o"].T + h @ v["U_o"].T + v["b_o"])
    c = f * v["c_prev"] + i * g
    return {"h_new": o * torch.tanh(c), "c_new": c}


@register(
    "lstm_peephole",
    "Gers & Schmidhuber 2000, Recurrent nets that time and count; Graves 2013, arXiv:1308.0850, eq. 7-11",
    per_gate("i f g o", W="HI", U="HH", b="H") | per_gate("i f o", p="H"),
    states=_TWO_STATES,
)
def lstm_peephole(v: Tensors) -> Tensors:
    """LSTM whose gates see the cell: the old one in i and f, the new one in o."""
    x, h = v["x"], v["h_prev"]
    i = torch.sigmoid(x @ v["W_i"].T + h @ v["U_i"].T + v["p_i"] * v["c_prev"] + v["b_i"])
    f = torch.sigmoid(x @ v["W_f"].T + h @ v["U_f"].T + v["p_f"] * v["c_prev"] + v["b_f"])
    c = f * v["c_prev"] + i * torch.tanh(x @ v["W_g"].T + h @ v["U_g"].T + v["b_g"])
    o = torch.sigmoid(x @ v["W_o"].T + h @ v["U_o"].T + v["p_o"] * c + v["b_o"])
    return {"h_new": o * torch.tanh(c), "c_new": c}
