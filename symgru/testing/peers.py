"""Formulas of other systems, transcribed with their source, to be compared with what is derived."""

from __future__ import annotations

import sympy as sp

from symgru.equations import Pointwise


def pytorch_gru_cell_backward() -> tuple[Pointwise, ...]:
    """The pointwise gradient of PyTorch's fused GRU cell (keep, after), as its kernel computes it.

    The symbols are symgru's for what the kernel calls go, hx, ig, ng, rg, hn; `recurrent` is hn, which the
    forward kernel saved with its bias, U_n h + c_n. Sums and products stand as written, left to right.

    Source: pytorch/pytorch, aten/src/ATen/native/cuda/RNN.cu, kernel::gru_cell_backward, at commit
    02cea3d78375606e6f112a29e9354d8ad6674829.
    """
    go, hx, ig, ng, rg, hn = sp.symbols(
        "d_h_new h_prev update_gate candidate reset_gate recurrent", real=True
    )
    gig, ghx, gin, ghn, grg = sp.symbols(
        "d_update_preactivation d_h_prev d_candidate_preactivation d_candidate_from_h d_reset_preactivation",
        real=True,
    )
    return (
        Pointwise(gig, go * (hx - ng) * (1 - ig) * ig),
        Pointwise(ghx, go * ig),
        Pointwise(gin, go * (1 - ig) * (1 - ng * ng)),
        Pointwise(ghn, gin * rg),
        Pointwise(grg, gin * hn * (1 - rg) * rg),
    )
