"""Packed weights that many calls without gradients share.

A plan reads its matrices in the order of its tiles. Packing costs as much as some steps, so for inference the
packed matrices are kept as long as the weights live, and packed anew when these have changed: when their
version is another one, or when a sample of their elements is. The sample, one element of every row and, where
there are as many rows, of every column, is for what changes weights behind autograd's back, such as
`weight.data.mul_(0.9)`; the library takes it as it runs.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from symgru.kernels.cpu.passes import Packed, Plan, Sizes


@dataclass(frozen=True)
class _Kept:
    """Packed matrices, and the weights that they were made from."""

    packed: Packed
    versions: tuple[int, int]
    weight_ih: weakref.ref[Tensor]
    weight_hh: weakref.ref[Tensor]


_kept: dict[tuple[str, int, int], _Kept] = {}


def kept_panels(plan: str, weight_ih: Tensor, weight_hh: Tensor) -> Packed | None:
    """What was kept for a plan and these very tensors, if their versions are still the same."""
    kept = _kept.get((plan, id(weight_ih), id(weight_hh)))
    if kept is None or kept.weight_ih() is not weight_ih or kept.weight_hh() is not weight_hh:
        return None
    return kept.packed if kept.versions == (weight_ih._version, weight_hh._version) else None


def keep_panels(
    plan: Plan, weight_ih: Tensor, weight_hh: Tensor, values: Mapping[str, Tensor | None], sizes: Sizes
) -> Packed | None:
    """The matrices packed from `values`, and kept; None where nothing tells whether weights have changed."""
    if weight_ih.is_inference() or weight_hh.is_inference():
        return None
    key, versions = (plan.name, id(weight_ih), id(weight_hh)), (weight_ih._version, weight_hh._version)

    def dead(_: object) -> None:
        _kept.pop(key, None)

    packed = plan.pack(values, sizes, weight_ih.dtype)
    _kept[key] = _Kept(packed, versions, weakref.ref(weight_ih, dead), weakref.ref(weight_hh, dead))
    return packed


def forget() -> None:
    """Let go of all packed matrices."""
    _kept.clear()
