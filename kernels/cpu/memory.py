"""Memory for large tensors that nobody outside sees: what the forward pass keeps, and values between passes.

The system hands out fresh memory a page at a time as it is first touched, and a page of 4 KiB then costs as
much time as 100,000 multiplications. So memory that is let go is kept for the next tensor of its size, up to
`MOST` in all, and comes in large pages where the system has them.
"""

from __future__ import annotations

import math
import mmap
import threading
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

#: Bytes from which on a tensor is worth it.
LEAST = 1 << 20
#: Sizes are multiples of a large page.
GRAIN = 1 << 21
#: Bytes that are kept while nobody uses them.
MOST = 256 << 20

_free: list[mmap.mmap] = []  # the one let go last is the last
_lock = (
    threading.Lock()
)  # nobody waits for it: a finaliser may run at any moment, in the thread that holds it


def scratch(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor on the CPU, not initialised; its memory is kept for another when it is gone."""
    count = math.prod(shape)
    size = count * dtype.itemsize
    if size < LEAST:
        return torch.empty(*shape, dtype=dtype)
    memory = _take(-(-size // GRAIN) * GRAIN)
    view = memoryview(memory)  # the tensor keeps it alive, and nothing else does
    weakref.finalize(view, _give_back, memory).atexit = False
    return torch.frombuffer(view, dtype=dtype, count=count).view(*shape)


def release() -> None:
    """Give memory that nobody uses back to the system."""
    with _alone() as alone:
        if alone:
            _free.clear()


def kept() -> int:
    """Bytes that are kept while nobody uses them."""
    return sum(map(len, _free))


@contextmanager
def _alone() -> Iterator[bool]:
    """Whether nobody else is at the list; if somebody is, do without."""
    alone = _lock.acquire(blocking=False)
    try:
        yield alone
    finally:
        if alone:
            _lock.release()


def _take(size: int) -> mmap.mmap:
    """Kept memory of the size, or of up to twice as much, or new."""
    with _alone() as alone:
        fitting = [m for m in _free if size <= len(m) <= 2 * size] if alone else []
        if fitting:
            best = min(reversed(fitting), key=len)  # of equal ones the last let go
            _free.remove(best)
            return best
    # private: a forked child has its own
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):
        memory.madvise(mmap.MADV_HUGEPAGE)
    return memory


def _give_back(memory: mmap.mmap) -> None:
    with _alone() as alone:
        if alone and len(memory) <= MOST:
            _free.append(memory)
            while kept() > MOST:
                _free.pop(0)
