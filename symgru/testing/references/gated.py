"""Cells with one gate: minimal, light, update-gate, and minGRU, whose gate does not see the state."""

from __future__ import annotations

import torch

from symgru.testing.references.model import Tensors, per_gate, register


@register(
    "mgu",
    "Zhou et al. 2016, arXiv:1603.09420; chainer chainer/links/rnn/mgu.py MGUBase._call_mgu",
    per_gate("f n", W="HI", U="HH", b="H"),
)
def mgu(v: Tensors) -> Tensors:
    """Minimal gated unit as published: reset before, and the gate multiplies the candidate."""
    x, h = v["x"], v["h_prev"]
    f = torch.sigmoid(x @ v["W_f"].T + h @ v["U_f"].T + v["b_f"])
    n = torch.tanh(x @ v["W_n"].T + (f * h) @ v["U_n"].T + v["b_n"])
    return {"h_new": (1 - f) * h + f * n}


@register(
    "mgu_after",
    "google/flax flax/linen/recurrent.py MGUCell, commit 006da41",
    per_gate("f n", W="HI", U="HH", b="H") | {"c_n": "H"},
)
def mgu_after(v: Tensors) -> Tensors:
    """Minimal gated unit as Flax has it: reset after, and the gate multiplies the old state."""
    x, h = v["x"], v["h_prev"]
    f = torch.sigmoid(x @ v["W_f"].T + h @ v["U_f"].T + v["b_f"])
    n = torch.tanh(x @ v["W_n"].T + v["b_n"] + f * (h @ v["U_n"].T + v["c_n"]))
    return {"h_new": (1 - f) * n + f * h}


@register(
    "mingru",
    "Feng et al. 2024, arXiv:2410.01201v1, section 3.1; no biases, as lucidrains/minGRU-pytorch",
    per_gate("z n", W="HI"),
)
def mingru(v: Tensors) -> Tensors:
    """minGRU: neither gate nor candidate sees the state, and the candidate is linear."""
    z = torch.sigmoid(v["x"] @ v["W_z"].T)
    return {"h_new": (1 - z) * v["h_prev"] + z * (v["x"] @ v["W_n"].T)}


@register(
    "mingru_log",
    "Feng et al. 2024, arXiv:2410.01201v1, appendix B.3; lucidrains/minGRU-pytorch minGRU.py g",
    per_gate("z n", W="HI"),
)
def mingru_log(v: Tensors) -> Tensors:
    """minGRU with a positive candidate: a + 1/2 from zero on, σ(a) below."""
    z, a = torch.sigmoid(v["x"] @ v["W_z"].T), v["x"] @ v["W_n"].T
    n = torch.where(a >= 0, a + 0.5, torch.sigmoid(a))
    return {"h_new": (1 - z) * v["h_prev"] + z * n}


@register(
    "ligru",
    "Ravanelli et al. 2018, arXiv:1803.10225; speechbrain speechbrain/nnet/RNN.py LiGRU_Layer, without its"
    " batch norm, whose scale is part of W and whose shift is b",
    per_gate("z n", W="HI", U="HH", b="H"),
)
def ligru(v: Tensors) -> Tensors:
    """Light GRU: no reset gate, and relu."""
    x, h = v["x"], v["h_prev"]
    z = torch.sigmoid(x @ v["W_z"].T + h @ v["U_z"].T + v["b_z"])
    n = torch.relu(x @ v["W_n"].T + h @ v["U_n"].T + v["b_n"])
    return {"h_new": z * h + (1 - z) * n}


@register(
    "ugrnn",
    "Collins et al. 2016, arXiv:1611.09913, section 2; its g and c are z and n; tf.contrib.rnn.UGRNNCell"
    " without its forget_bias, a constant in b_z",
    per_gate("z n", W="HI", U="HH", b="H"),
)
def ugrnn(v: Tensors) -> Tensors:
    """Update gate RNN: a vanilla RNN behind one gate."""
    x, h = v["x"], v["h_prev"]
    n = torch.tanh(h @ v["U_n"].T + x @ v["W_n"].T + v["b_n"])
    z = torch.sigmoid(h @ v["U_z"].T + x @ v["W_z"].T + v["b_z"])
    return {"h_new": z * h + (1 - z) * n}


@register(
    "lightru",
    "Ye et al. 2024, Light Recurrent Unit, Electronics 13(16):3204;"
    " RecurrentLayers.jl src/cells/lightru_cell.jl, commit 01d46ac",
    {"W_n": "HI"} | per_gate("f", W="HI", U="HH", b="H"),
)
def lightru(v: Tensors) -> Tensors:
    """Light recurrent unit: the candidate sees the input alone and has no bias."""
    x, h = v["x"], v["h_prev"]
    n = torch.tanh(x @ v["W_n"].T)
    f = torch.sigmoid(x @ v["W_f"].T + h @ v["U_f"].T + v["b_f"])
    return {"h_new": (1 - f) * h + f * n}
