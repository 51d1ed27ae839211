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


def scan(
    pass_: Pass, values: dict[str, Tensor], steps: int | None = None, resets: Tensor | None = None
) -> None:
    """Run `inside` for every step.

    Reads from `values` the sequences [T, B, n], the parameters, and the first carried values [B, n] under the
    names that enter a step. Adds the stored sequences [T, B, n], and the last carried values [B, n] under
    `last(name that leaves a step)`.

    Args:
        pass_, values: As above.
        steps: How many; needed only if `inside` reads no sequence, which would tell.
        resets: Truth values [T, B, 1]: where true, nothing is carried over the boundary before the step: what
            enters the step is zero, or, where time runs backwards, what leaves it.
    Raises:
        ValueError: nothing tells how many steps, or there is none.
    """
    rows = _rows(pass_, values, steps)
    parameters = [values[name] for name in pass_.parameters]
    carried = [values[entering] for entering, _ in pass_.carry]
    stored = []
    for t in reversed(range(len(rows))) if pass_.reverse else range(len(rows)):
        if resets is not None and not pass_.reverse:
            carried = [value.masked_fill(resets[t], 0) for value in carried]
        row = rows[t]
        results = dict(zip(pass_.inside.writes, pass_.inside.run(*carried, *row, *parameters), strict=True))
        stored.append([results[name] for name in pass_.stored])
        carried = [results[leaving] for _, leaving in pass_.carry]
        if resets is not None and pass_.reverse:
            carried = [value.masked_fill(resets[t], 0) for value in carried]
    if pass_.reverse:
        stored.reverse()
    for name, column in zip(pass_.stored, zip(*stored, strict=True), strict=True):
        values[name] = torch.stack(column)
    for (_, leaving), value in zip(pass_.carry, carried, strict=True):
        values[last(leaving)] = value


def _rows(pass_: Pass, values: dict[str, Tensor], steps: int | None) -> list[tuple[Tensor, ...]]:
    """What `inside` reads of the sequences, step by step."""
    if pass_.sequences:
        rows = list(zip(*(values[name].unbind(0) for name in pass_.sequences), strict=True))
    elif steps is not None:
        rows = [()] * steps
    else:
        raise ValueError("a pass that reads no sequence inside: expected the number of steps, got none")
    if not rows:
        raise ValueError("expected one step or more, got 0")
    return rows
