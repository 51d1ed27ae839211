"""The error beside each time, and the refusal to time what is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from symgru.testing.tolerances import FACTOR, TOLERANCES

#: Rounding reaches this where the terms of a gradient cancel and a tensor is small as a whole (H = 1, or one
#: sequence); a wrong sign, order or missing term gives more than a hundredth.
WRONG = {torch.float32: 1e-4, torch.bfloat16: TOLERANCES[torch.bfloat16].cap}


def error(found: Sequence[Tensor], truth: Sequence[Tensor]) -> float:
    """The largest error of any output or gradient, each relative to the largest number of its true value.

    Infinite where a shape or the number of tensors is another, or a result is not finite.
    """
    if [tuple(f.shape) for f in found] != [tuple(t.shape) for t in truth]:
        return math.inf
    return max((_relative(f, t) for f, t in zip(found, truth, strict=True)), default=0.0)


def _relative(found: Tensor, truth: Tensor) -> float:
    if truth.numel() == 0:
        return 0.0
    scale = float(truth.abs().max()) or 1.0
    worst = float((found.detach().double() - truth).abs().max()) / scale
    return worst if math.isfinite(worst) else math.inf


def allowed(dtype: torch.dtype, peer: float | None = None) -> float:
    """The error above which a result is wrong and has no speed; how exact it is, the tests judge.

    Args:
        peer: The error of torch.nn.GRU in the same dtype, if known: what it loses, another may lose too.
    """
    return max(WRONG[dtype], less_exact_above(dtype, peer or 0.0))


def less_exact_above(dtype: torch.dtype, peer: float) -> float:
    """The error that the tests would allow beside that of torch.nn.GRU."""
    return FACTOR * peer + TOLERANCES[dtype].floor
