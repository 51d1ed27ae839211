"""Packed weights that many calls without gradients share.

A plan reads its matrices in the order of its tiles. Packing costs as much as some steps, so for inference the
packed matrices are kept as long as the weights live, and packed anew when these have changed: when their
version is another one, or when a sample of their elements is. The sample, one element of every row and, where
there are as many rows, of every column, is for what changes weights behind autograd's back, such as
`weight.data.mul_(0.9)`.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from symgru.kernels.cpu.passes import Plan, fingerprint


@dataclass(frozen=True)
class _Packed:
    """Panels, and the state of the weights that they were made from."""

    state: tuple[int, int, int]
    panels: Tensor
    weight_ih: weakref.ref[Tensor]
    weight_hh: weakref.ref[Tensor]

    def made_from(self, weight_ih: Tensor, weight_hh: Tensor, state: tuple[int, int, int]) -> bool:
        """Whether the numbers in the key are still those of the same tensors, and these unchanged."""
        return self.state == state and self.weight_ih() is weight_ih and self.weight_hh() is weight_hh


_kept: dict[tuple[str, torch.dtype, int, int], _Packed] = {}


def panels_of(
    plan: Plan, values: Mapping[str, Tensor | None], sizes: tuple[tuple[str, int], ...], dtype: torch.dtype
) -> Tensor | None:
    """The packed matrices of a plan; None where nothing tells whether its weights have changed."""
    weight_ih, weight_hh = values["weight_ih"], values["weight_hh"]
    assert weight_ih is not None
    assert weight_hh is not None
    if weight_ih.is_inference() or weight_hh.is_inference():
        return None
    key = (plan.name, dtype, id(weight_ih), id(weight_hh))
    state = (weight_ih._version, weight_hh._version, fingerprint(weight_ih, weight_hh))
    kept = _kept.get(key)
    if kept is not None and kept.made_from(weight_ih, weight_hh, state):
        return kept.panels
    packed: Tensor = plan.pack(values, sizes, dtype)

    def dead(_: object) -> None:
        _kept.pop(key, None)

    _kept[key] = _Packed(state, packed, weakref.ref(weight_ih, dead), weakref.ref(weight_hh, dead))
    return packed


def forget() -> None:
    """Let go of all packed matrices."""
    _kept.clear()
