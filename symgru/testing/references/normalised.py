"""Cells with layer normalisation over all gates at once."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import layer_norm

from symgru.testing.references.model import Tensors, per_gate, register


def _stacked(v: Tensors, kind: str, gates: str) -> Tensor:
    return torch.cat([v[f"{kind}_{gate}"] for gate in gates])


@register(
    "dreamer_gru",
    "danijar/dreamerv3 dreamerv3/nets.py RSSM._gru, Linear and Norm('layer'), commit ec526b9",
    per_gate("r n z", W="HI", U="HH", gain="H", b="H"),
)
def dreamer_gru(v: Tensors) -> Tensors:
    """GRU of DreamerV3: one norm over the 3H arguments, reset on the whole, update gate shifted by 1."""
    kernel = torch.cat([_stacked(v, "U", "rnz"), _stacked(v, "W", "rnz")], 1)
    a = torch.cat([v["h_prev"], v["x"]], -1) @ kernel.T
    a = (a - a.mean(-1, keepdim=True)) * torch.rsqrt(a.var(-1, correction=0, keepdim=True) + 1e-3)
    reset, cand, update = (a * _stacked(v, "gain", "rnz") + _stacked(v, "b", "rnz")).chunk(3, -1)
    reset = torch.sigmoid(reset)
    cand = torch.tanh(reset * cand)
    update = torch.sigmoid(update - 1)
    return {"h_new": update * cand + (1 - update) * v["h_prev"]}


@register(
    "haste_layernorm_gru",
    "lmnt-com/haste frameworks/pytorch/layer_norm_gru.py LayerNormGRUScript, commit 440d57f",
    per_gate("z r n", W="HI", U="HH", b="H", c="H", gain_W="H", gain_U="H"),
)
def haste_layernorm_gru(v: Tensors) -> Tensors:
    """Layer-norm GRU of Haste: a norm over the 3H of W x, another over the 3H of U h, biases after them."""
    h = v["h_prev"]
    width = (3 * h.shape[-1],)
    wx = layer_norm(v["x"] @ _stacked(v, "W", "zrn").T, width, _stacked(v, "gain_W", "zrn"), eps=1e-5)
    uh = layer_norm(h @ _stacked(v, "U", "zrn").T, width, _stacked(v, "gain_U", "zrn"), eps=1e-5)
    x_z, x_r, x_n = (wx + _stacked(v, "b", "zrn")).chunk(3, -1)
    h_z, h_r, h_n = (uh + _stacked(v, "c", "zrn")).chunk(3, -1)
    z = torch.sigmoid(x_z + h_z)
    r = torch.sigmoid(x_r + h_r)
    n = torch.tanh(x_n + r * h_n)
    return {"h_new": z * h + (1 - z) * n}
