"""The plans of the library as Python calls.

A plan is an emitted pass over time. It takes tensors by name, in the memory of the CPU, contiguous and of one
dtype, and fills those that are its results. Rows are examples at steps, [rows, n]: step t has rows offsets[t]
to offsets[t + 1], so a padded batch and a packed one are the same thing.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from .load import library

#: The types that the library knows, by their number there.
TYPES = {torch.float32: 0, torch.float64: 1}

_in_child = False


def _forked() -> None:
    global _in_child
    _in_child = True


os.register_at_fork(after_in_child=_forked)


class _Call(ctypes.Structure):
    """`Call` in plan.h."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("offsets", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("panels", ctypes.c_void_p),
        ("reverse", ctypes.c_int64),
        ("threads", ctypes.c_int64),
    )


@dataclass(frozen=True)
class Steps:
    """How many rows each step has.

    Attributes:
        count: T.
        batch: Rows of the longest step, B.
        rows: Of all steps.
        offsets: Address of T + 1 numbers, the first row of each step.
        keep: What the address points into.
    """

    count: int
    batch: int
    rows: int
    offsets: int
    keep: object


@lru_cache(maxsize=256)
def dense(steps: int, batch: int) -> Steps:
    """Every step has the same rows."""
    numbers = (ctypes.c_int64 * (steps + 1))(*range(0, steps * batch + 1, batch)) if batch else None
    if numbers is None:
        numbers = (ctypes.c_int64 * (steps + 1))()
    return Steps(steps, batch, steps * batch, ctypes.addressof(numbers), numbers)


def packed(batch_sizes: Sequence[int]) -> Steps:
    """The rows of each step of a PackedSequence: they never become more."""
    total, first = 0, [0]
    for size in batch_sizes:
        total += size
        first.append(total)
    numbers = (ctypes.c_int64 * len(first))(*first)
    return Steps(len(batch_sizes), batch_sizes[0], total, ctypes.addressof(numbers), numbers)


def threads() -> int:
    """As many as PyTorch uses; one in a forked child, where an OpenMP team of the parent would hang."""
    return 1 if _in_child else torch.get_num_threads()


class Plan:
    """One plan of the library.

    Attributes:
        name: Of the cell and the pass.
        axes: Names of its axes.
        arguments: Names of its tensors, with their kinds and axes.
        saved: How many values it keeps, or reads that were kept.
    """

    def __init__(self, library_: ctypes.CDLL, index: int):
        self._library, self._index = library_, index
        self._run = library_.symgru_run
        self.name: str = library_.symgru_name(index).decode()
        signature = json.loads(library_.symgru_signature(index))
        self.axes = tuple(signature["axes"])
        self.arguments = {name: (kind, tuple(axes)) for name, kind, axes in signature["arguments"]}
        self.saved: int = signature["saved"]
        self._names = tuple(self.arguments)
        self._pointers = ctypes.c_void_p * len(self._names)
        self._sizes = lru_cache(maxsize=256)(self._make_sizes)

    def _make_sizes(self, sizes: tuple[tuple[str, int], ...]) -> ctypes.Array[ctypes.c_int64]:
        known = dict(sizes)
        return (ctypes.c_int64 * len(self.axes))(*(known[axis] for axis in self.axes))

    def __call__(
        self,
        values: Mapping[str, Tensor | None],
        sizes: tuple[tuple[str, int], ...],
        steps: Steps,
        dtype: torch.dtype,
        reverse: bool = False,
        panels: Tensor | None = None,
    ) -> None:
        """Run it.

        Args:
            values: Tensors by name; one that is missing or None is zero (an input) or not wanted (a result).
            sizes: Name and length of every axis.
            steps: The rows of each step.
            dtype: Of all tensors.
            reverse: Whether the layer runs against time.
            panels: The matrices packed by `pack`; they are packed by this call if None.
        Raises:
            MemoryError: there is none for the scratch of the call.
        """
        get = values.get
        pointers = self._pointers(*[None if (v := get(n)) is None else v.data_ptr() for n in self._names])
        lengths = self._sizes(sizes)
        call = _Call(
            steps.count, steps.offsets, steps.batch, ctypes.addressof(lengths), ctypes.addressof(pointers),
            None if panels is None else panels.data_ptr(), reverse, threads(),
        )  # fmt: skip
        if self._run(self._index, TYPES[dtype], ctypes.byref(call)) != 0:
            raise MemoryError(f"{self.name}: no memory for a chunk of {steps.batch} rows and its matrices")

    def pack(
        self, values: Mapping[str, Tensor | None], sizes: tuple[tuple[str, int], ...], dtype: torch.dtype
    ) -> Tensor:
        """Its matrices as the calls read them, for many calls with the same weights."""
        pointers = self._pointers(
            *[None if (v := values.get(n)) is None else v.data_ptr() for n in self._names]
        )
        lengths = self._sizes(sizes)
        call = _Call(0, None, 0, ctypes.addressof(lengths), ctypes.addressof(pointers), None, 0, 1)
        size = self._library.symgru_packed_size(self._index, TYPES[dtype], ctypes.byref(call))
        panels = torch.empty(size, dtype=dtype)
        address = ctypes.c_void_p(panels.data_ptr())
        self._library.symgru_pack(self._index, TYPES[dtype], ctypes.byref(call), address)
        return panels


@cache
def plans(instruction_set: str | None = None) -> Mapping[str, Plan]:
    """All plans of the library, by name.

    Raises:
        NoLibraryError: there is no library, see `symgru.kernels.cpu.load`.
        ValueError: the processor has no such instruction set.
    """
    loaded = library(instruction_set)
    loaded.symgru_name.restype = loaded.symgru_signature.restype = ctypes.c_char_p
    loaded.symgru_packed_size.restype = ctypes.c_int64
    every = [Plan(loaded, index) for index in range(loaded.symgru_plans())]
    return {plan.name: plan for plan in every}
