"""The plans of the library as Python calls.

A plan is an emitted pass over time. It takes tensors by name, in the memory of the CPU, contiguous and of one
dtype, and fills those that are its results. Rows are examples at steps, [rows, n]: step t has rows offsets[t]
to offsets[t + 1], so a padded batch and a packed one are the same thing.
"""

from __future__ import annotations

import ctypes
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from .load import library

#: The types that the library knows, by their number there. bfloat16 is computed and carried in float32, and
#: only plans that go forward take it.
TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}

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
        offsets: Address of `first_rows`.
        first_rows: The first row of each step, and the number of rows: T + 1 numbers.
    """

    count: int
    batch: int
    rows: int
    offsets: int
    first_rows: Sequence[int]


@lru_cache(maxsize=256)
def dense(steps: int, batch: int) -> Steps:
    """Every step has the same rows."""
    numbers = (ctypes.c_int64 * (steps + 1))(*(t * batch for t in range(steps + 1)))
    return Steps(steps, batch, steps * batch, ctypes.addressof(numbers), numbers)


@lru_cache(maxsize=64)
def packed(batch_sizes: tuple[int, ...]) -> Steps:
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
        optional: Which of its sequences are results that may be absent; sums over rows and last values may.
    """

    def __init__(self, library_: ctypes.CDLL, index: int):
        self._library, self._index = library_, index
        self._run = library_.symgru_run
        self.name: str = library_.symgru_name(index).decode()
        signature = json.loads(library_.symgru_signature(index))
        self.axes = tuple(signature["axes"])
        self.arguments = {name: (kind, tuple(axes)) for name, kind, axes in signature["arguments"]}
        self.saved: int = signature["saved"]
        self.optional: frozenset[str] = frozenset(signature["optional"])
        self._names = tuple(self.arguments)
        self._required = tuple(
            name
            for name, (kind, _) in self.arguments.items()
            if kind in ("matrix", "saved", "mask") or (kind == "sequence" and name not in self.optional)
        )
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
            values: Tensors by name; a bias or first state that is missing or None is zero, a gradient or last
                state so is not wanted.
            sizes: Name and length of every axis.
            steps: The rows of each step.
            dtype: Of all tensors.
            reverse: Whether the layer runs against time.
            panels: The matrices packed by `pack`; they are packed by this call if None.
        Raises:
            ValueError: a sequence or matrix is missing.
            MemoryError: there is none for the scratch of the call.
            TypeError: the plan does not take tensors of bfloat16.
        """
        get = values.get
        if missing := [name for name in self._required if get(name) is None]:
            raise ValueError(f"{self.name} needs {', '.join(missing)}")
        pointers = self._pointers(*[None if (v := get(n)) is None else v.data_ptr() for n in self._names])
        lengths = self._sizes(sizes)
        call = _Call(
            steps.count, steps.offsets, steps.batch, ctypes.addressof(lengths), ctypes.addressof(pointers),
            None if panels is None else panels.data_ptr(), reverse, threads(),
        )  # fmt: skip
        status = self._run(self._index, TYPES[dtype], ctypes.byref(call))
        if status == 2:
            raise self._no_bfloat16()
        if status != 0:
            raise MemoryError(f"{self.name}: no memory for a chunk of {steps.batch} rows and its matrices")

    def pack(
        self, values: Mapping[str, Tensor | None], sizes: tuple[tuple[str, int], ...], dtype: torch.dtype
    ) -> Tensor:
        """Its matrices as the calls read them, for many calls with the same weights.

        Raises:
            TypeError: the plan does not take tensors of bfloat16.
        """
        pointers = self._pointers(
            *[None if (v := values.get(n)) is None else v.data_ptr() for n in self._names]
        )
        lengths = self._sizes(sizes)
        call = _Call(0, None, 0, ctypes.addressof(lengths), ctypes.addressof(pointers), None, 0, 1)
        size = self._library.symgru_packed_size(self._index, TYPES[dtype], ctypes.byref(call))
        if size < 0:
            raise self._no_bfloat16()
        panels = torch.empty(size, dtype=dtype)
        address = ctypes.c_void_p(panels.data_ptr())
        self._library.symgru_pack(self._index, TYPES[dtype], ctypes.byref(call), address)
        return panels

    def _no_bfloat16(self) -> TypeError:
        return TypeError(f"{self.name} takes float32 or float64, not bfloat16: it does not only go forward")


def fingerprint(left: Tensor, right: Tensor) -> int:
    """Of two contiguous matrices: where they lie, and one element of every row, in another column each time.

    Raises:
        KeyError: the library does not know their dtype.
    """
    return _fingerprint()(left.data_ptr(), *left.shape, right.data_ptr(), *right.shape, TYPES[left.dtype])


@cache
def _fingerprint() -> Callable[..., int]:
    function = library().symgru_fingerprint
    matrix = (ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    function.restype, function.argtypes = ctypes.c_uint64, (*matrix, *matrix, ctypes.c_int)
    return function


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
