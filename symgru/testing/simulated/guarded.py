"""Tensors that are alone in their memory, so that what is read or written beside one belongs to none.

The simulator takes an access for right that falls into any tensor of the launch, and the system may place
two tensors side by side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

GUARD = 1 << 20  # bytes on each side; never touched, so they cost only addresses
_ALIGNMENT = 256  # of torch's own allocator on a GPU; Triton compiles other code for less than 16


def guarded(tensor: Tensor) -> Tensor:
    """A contiguous copy of a tensor with GUARD bytes on each side that no other tensor has."""
    size = tensor.numel() * tensor.element_size()
    if size == 0:
        return tensor
    memory = np.empty(size + 2 * GUARD + _ALIGNMENT, np.uint8)
    start = GUARD + -(memory.ctypes.data + GUARD) % _ALIGNMENT
    copy = torch.frombuffer(memory, dtype=tensor.dtype, count=tensor.numel(), offset=start)
    return copy.view(tensor.shape).copy_(tensor)


class GuardedMemory(TorchFunctionMode):
    """Within it, `torch.empty` and `torch.empty_like` give guarded tensors."""

    def __torch_function__(
        self, function: Any, types: Sequence[Any], args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """What the function gives, if it is one of the two in memory of its own."""
        made = function(*args, **(kwargs or {}))
        return guarded(made) if function in (torch.empty, torch.empty_like) else made
