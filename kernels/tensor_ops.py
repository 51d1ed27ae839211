"""The few tensor operations that emitted torch code is made of, beside pointwise ones.

Vectors are [..., n], the leading axes time and batch; matrices are [rows, columns].
"""

from __future__ import annotations

import torch


def product(vector: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """W v for every leading index: [..., columns] -> [..., rows]."""
    return torch.nn.functional.linear(vector, matrix)


def product_transposed(vector: torch.Tensor, matrix: torch.Tensor) -> torch.Tensor:
    """Wᵀ v for every leading index: [..., rows] -> [..., columns]."""
    return vector @ matrix


def outer(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Σ u vᵀ over all leading indices: [..., rows], [..., columns] -> [rows, columns]."""
    return left.flatten(0, -2).mT @ right.flatten(0, -2)


def total(vector: torch.Tensor) -> torch.Tensor:
    """Σ u over all leading indices: [..., n] -> [n]."""
    return vector.flatten(0, -2).sum(0)


def rows(stack: torch.Tensor, start: int, stop: int, blocks: int) -> torch.Tensor:
    """Blocks start to stop of a tensor that holds `blocks` blocks of equal height."""
    size = stack.shape[0] // blocks
    return stack[start * size : stop * size]
