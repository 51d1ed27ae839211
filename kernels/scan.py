"""The plain executor of a pass: a Python loop over time in tensor operations.

Works for any device and dtype and under every functional transform, and it is what the fused loops are
compared with.
"""

from __future__ import annotations

import torch
from torch import Tensor

from .passes import Pass


def last(name: str) -> str:
    """The name under which an executor leaves the last value of a carried name."""
    return f"{name}_last"


def scan(pass_: Pass, values: dict[str, Tensor]) -> None:
    """Run `inside` for every step.

    Reads from `values` the sequences [T, B, n], the parameters, and the first carried values [B, n] under the
    names that enter a step. Adds the stored sequences [T, B, n], and the last carried values [B, n] under
    `last(name that leaves a step)`.
    """
    steps = list(zip(*(values[name].unbind(0) for name in pass_.sequences), strict=True))
    parameters = [values[name] for name in pass_.parameters]
    carried = [values[entering] for entering, _ in pass_.carry]
    stored = []
    for step in reversed(steps) if pass_.reverse else steps:
        results = dict(zip(pass_.inside.writes, pass_.inside.run(*carried, *step, *parameters), strict=True))
        stored.append([results[name] for name in pass_.stored])
        carried = [results[leaving] for _, leaving in pass_.carry]
    if pass_.reverse:
        stored.reverse()
    for name, rows in zip(pass_.stored, zip(*stored, strict=True), strict=True):
        values[name] = torch.stack(rows)
    for (_, leaving), value in zip(pass_.carry, carried, strict=True):
        values[last(leaving)] = value
