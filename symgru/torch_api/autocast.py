"""What autocast makes of the tensors of a call: what it makes of those of torch.nn.GRU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def without_autocast(x: Tensor) -> Iterator[None]:
    """Run as if outside of autocast: dtypes have been settled by `cast`."""
    if target_dtype(x) is None:
        yield
    else:
        with torch.autocast(x.device.type, enabled=False):
            yield


def target_dtype(x: Tensor) -> torch.dtype | None:
    """The dtype of the autocast region that x is in, or None outside of one."""
    if x.is_cpu and not torch.is_autocast_enabled("cpu"):
        return None  # at once: every call of a small layer pays for what it is asked
    kind = x.device.type
    if not torch.amp.is_autocast_available(kind) or not torch.is_autocast_enabled(kind):
        return None
    return torch.get_autocast_dtype(kind)


def cast(x: Tensor, reference: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
    """The tensors as an autocast region wants them; outside of one as they are.

    On a GPU torch runs nn.GRU in the dtype of the region; on a CPU its results have the dtype of its weights,
    so there only half-precision tensors are cast, to that. float64 is never cast.

    Args:
        x: The input.
        reference: A weight.
        others: The initial state and all weights.
    """
    dtype = target_dtype(x)
    if dtype is None:
        return (x, *others)
    if x.device.type == "cuda":
        return tuple(t if t.dtype is torch.float64 else t.to(dtype) for t in (x, *others))
    half = (torch.float16, torch.bfloat16)
    return tuple(t.to(reference.dtype) if t.dtype in half else t for t in (x, *others))
