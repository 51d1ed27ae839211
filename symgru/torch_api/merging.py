"""The two biases of torch.nn.GRU, merged as far as the reset placement allows."""

from __future__ import annotations

import torch
from torch import Tensor


def merged_biases(group: tuple[Tensor, ...], reset: str) -> tuple[Tensor, Tensor | None]:
    """The biases that the reset placement can tell apart: [3H], and [H] for the recurrent candidate bias.

    Args:
        group: weight_ih, weight_hh and, if there are any, bias_ih and bias_hh.
        reset: Where the reset gate acts.
    """
    rows = group[0].shape[0]
    if len(group) == 2:
        zeros = group[0].new_zeros(rows)
        return zeros, zeros[: rows // 3] if reset == "after" else None
    bias_ih, bias_hh = group[2:]
    if reset != "after":
        return bias_ih + bias_hh, None
    gates = 2 * rows // 3
    return torch.cat((bias_ih[:gates] + bias_hh[:gates], bias_ih[gates:])), bias_hh[gates:]
