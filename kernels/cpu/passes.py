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
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from operator import itemgetter
from struct import Struct

import torch
from torch import Tensor

from . import load, memory

#: The types that the library knows, by their number there. bfloat16 is computed and carried in float32, and
#: only plans that go forward take it.
TYPES = {torch.float32: 0, torch.float64: 1, torch.bfloat16: 2}

#: Name and length of every axis.
Sizes = tuple[tuple[str, int], ...]

_in_child = False


def _forked() -> None:
    global _in_child
    _in_child = True


os.register_at_fork(after_in_child=_forked)


class _Setting(ctypes.Structure):
    """`Setting` in plan.h."""

    _fields_ = (
        ("steps", ctypes.c_int64),
        ("offsets", ctypes.c_void_p),
        ("batch", ctypes.c_int64),
        ("sizes", ctypes.c_void_p),
        ("reverse", ctypes.c_int64),
        ("threads", ctypes.c_int64),
        ("resets", ctypes.c_void_p),
    )


@dataclass(frozen=True, eq=False)
class Steps:
    """How many rows each step has, and in which of them a sequence begins.

    Equal if it is the same object, so that many calls find what they share.

    Attributes:
        count: T.
        batch: Rows of the longest step, B.
        rows: Of all steps.
        offsets: Address of `first_rows`.
        first_rows: The first row of each step, and the number of rows: T + 1 numbers.
        resets: Truth values [rows]: where true, nothing is carried over the boundary before the step, neither
            forward in time (the state, also the first one of the layer, is zero) nor back. None: nowhere.
    Raises:
        ValueError: the resets are not contiguous truth values, one for each row, in the memory of the CPU.
    """

    count: int
    batch: int
    rows: int
    offsets: int
    first_rows: Sequence[int]
    resets: Tensor | None = None

    def __post_init__(self) -> None:
        r = self.resets
        if r is None or (
            r.dtype is torch.bool and r.is_cpu and r.shape == (self.rows,) and r.is_contiguous()
        ):
            return
        raise ValueError(
            f"resets must be {self.rows} contiguous truth values on the CPU, but are {r.dtype} of shape "
            f"{list(r.shape)} on {r.device}"
        )


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


def begun(steps: Steps, resets: Tensor | None) -> Steps:
    """The same rows; a sequence begins where `resets` is true, one truth value for each row.

    Raises:
        ValueError: see `Steps`.
    """
    return steps if resets is None else replace(steps, resets=resets.reshape(-1).contiguous())


def threads() -> int:
    """As many as PyTorch uses; one in a forked child, where an OpenMP team of the parent would hang."""
    return 1 if _in_child else torch.get_num_threads()


@dataclass(frozen=True)
class Packed:
    """The matrices of a plan as its tiles read them.

    Attributes:
        panels: The numbers.
        fingerprint: Of the matrices, see `Plan.pack`.
    """

    panels: Tensor
    fingerprint: int


def _setting(
    axes: tuple[str, ...], sizes: Sizes, steps: Steps | None, reverse: bool, team: int
) -> tuple[int, object]:
    """Address of what calls of one shape have in common, and what keeps it alive; nobody writes to it."""
    known = dict(sizes)
    lengths = (ctypes.c_int64 * len(axes))(*(known[axis] for axis in axes))
    count, offsets, batch = (0, None, 0) if steps is None else (steps.count, steps.offsets, steps.batch)
    resets = None if steps is None or steps.resets is None else steps.resets.data_ptr()
    setting = _Setting(count, offsets, batch, ctypes.addressof(lengths), reverse, team, resets)
    return ctypes.addressof(setting), (setting, lengths, steps)


_shared_setting = lru_cache(maxsize=256)(_setting)


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
        self.required = frozenset(
            name
            for name, (kind, _) in self.arguments.items()
            if kind in ("matrix", "saved", "mask") or (kind == "sequence" and name not in self.optional)
        )
        self._pointers = Struct(f"{len(self.arguments)}Q").pack

    def __call__(
        self,
        values: Mapping[str, Tensor | None],
        sizes: Sizes,
        steps: Steps,
        dtype: torch.dtype,
        reverse: bool = False,
        packed: Packed | None = None,
    ) -> None:
        """Run it.

        Args:
            values: Tensors by name; a bias or first state that is missing or None is zero, a gradient or last
                state so is not wanted.
            sizes: Name and length of every axis.
            steps: The rows of each step, and where sequences begin.
            dtype: Of all tensors.
            reverse: Whether the layer runs against time.
            packed: The matrices packed by `pack`; they are packed by this call if None.
        Raises:
            ValueError: a sequence or matrix is missing, or the matrices have changed since they were packed.
            MemoryError: there is none for the scratch of the call.
            TypeError: the plan does not take tensors of bfloat16.
        """
        if missing := sorted(name for name in self.required if values.get(name) is None):
            raise ValueError(f"{self.name} needs {', '.join(missing)}")
        pointers = [address(values.get(name)) for name in self.arguments]
        if not self.run(pointers, sizes, steps, dtype, reverse, packed):
            raise ValueError(f"{self.name}: the matrices have changed since they were packed")

    def run(
        self,
        pointers: Sequence[int],
        sizes: Sizes,
        steps: Steps,
        dtype: torch.dtype,
        reverse: bool = False,
        packed: Packed | None = None,
    ) -> bool:
        """The same with addresses of tensors, in the order of `arguments`; 0 where there is none.

        Returns:
            Whether it ran: not if the matrices have changed since they were packed.
        Raises:
            MemoryError, TypeError: see `__call__`.
        """
        of_call = _shared_setting if steps.resets is None else _setting
        setting, _kept = of_call(self.axes, sizes, steps, reverse, threads())
        panels, expected = (None, 0) if packed is None else (packed.panels.data_ptr(), packed.fingerprint)
        status = self._run(self._index, TYPES[dtype], setting, self._pointers(*pointers), panels, expected)
        if status == 2:
            raise self._no_bfloat16()
        if status == 1:
            raise MemoryError(f"{self.name}: no memory for a chunk of {steps.batch} rows and its matrices")
        return status == 0

    def pack(self, values: Mapping[str, Tensor | None], sizes: Sizes, dtype: torch.dtype) -> Packed:
        """Its matrices as the calls read them, for many calls with the same weights.

        The fingerprint is made of where they lie and of one element of every row, in another column each
        time; a call compares it.

        Raises:
            TypeError: the plan does not take tensors of bfloat16.
        """
        setting, _ = _shared_setting(self.axes, sizes, None, False, 1)
        pointers = self._pointers(*(address(values.get(name)) for name in self.arguments))
        which = self._index, TYPES[dtype], setting
        size = self._library.symgru_packed_size(*which)
        if size < 0:
            raise self._no_bfloat16()
        panels = torch.empty(size, dtype=dtype)
        fingerprint = self._library.symgru_fingerprint(
            *which, pointers
        )  # first: if they change now, it tells
        self._library.symgru_pack(*which, pointers, panels.data_ptr())
        return Packed(panels, fingerprint)

    def _no_bfloat16(self) -> TypeError:
        return TypeError(f"{self.name} takes float32 or float64, not bfloat16: it does not only go forward")


class InOrder:
    """A plan whose tensors come in the order of some names, which costs a call less than a mapping.

    Args:
        plan: The plan.
        names: Of the tensors; the plan need not have all of them.
    Raises:
        ValueError: one that the plan has to have is not among the names.
    """

    def __init__(self, plan: Plan, names: Sequence[str]):
        if missing := sorted(plan.required - set(names)):
            raise ValueError(f"{plan.name} needs {', '.join(missing)}")
        where = {name: index for index, name in enumerate(names)}
        self.plan = plan
        self._pick = itemgetter(*(where.get(name, len(names)) for name in plan.arguments))

    def __call__(
        self,
        tensors: Sequence[Tensor | None],
        sizes: Sizes,
        steps: Steps,
        dtype: torch.dtype,
        reverse: bool = False,
        packed: Packed | None = None,
    ) -> bool:
        """As `Plan.run`; None where there is no tensor, which is not checked."""
        pointers = [0 if tensor is None else tensor.data_ptr() for tensor in tensors]
        pointers.append(0)  # of what is not among the names
        return self.plan.run(self._pick(pointers), sizes, steps, dtype, reverse, packed)


def address(tensor: Tensor | None) -> int:
    """Where the elements of a contiguous tensor lie; 0 if there is none."""
    return 0 if tensor is None else tensor.data_ptr()


def plans_of(library_: ctypes.CDLL) -> list[Plan]:
    """The plans of a loaded library, in its order."""
    number, pointer = ctypes.c_int, ctypes.c_void_p
    which = (number, number, pointer)
    for name, result, arguments in (
        ("plans", number, ()),
        ("name", ctypes.c_char_p, (number,)),
        ("signature", ctypes.c_char_p, (number,)),
        ("run", number, (*which, ctypes.c_char_p, pointer, ctypes.c_uint64)),
        ("packed_size", ctypes.c_int64, which),
        ("pack", None, (*which, ctypes.c_char_p, pointer)),
        ("fingerprint", ctypes.c_uint64, (*which, ctypes.c_char_p)),
        ("release", None, ()),
    ):
        function = getattr(library_, f"symgru_{name}")
        function.restype, function.argtypes = result, arguments
    return [Plan(library_, index) for index in range(library_.symgru_plans())]


def release() -> None:
    """Give memory that no call uses back to the system: the library's and that of `memory.scratch`."""
    memory.release()
    for loaded in load.loaded():
        loaded.symgru_release()


@cache
def plans(instruction_set: str | None = None) -> Mapping[str, Plan]:
    """All plans of the library, by name.

    Raises:
        NoLibraryError: there is no library, see `symgru.kernels.cpu.load`.
        ValueError: the processor has no such instruction set.
    """
    return {plan.name: plan for plan in plans_of(load.library(instruction_set))}
