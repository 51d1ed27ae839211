"""The few tensor operations that emitted torch code is made of, beside pointwise ones.

Vectors are [..., n], the leading axes time and batch; matrices are [rows, columns].

Half precision: a matrix product runs in the dtype of the stored tensor and its result is float32, so all
that is pointwise, the carried state included, is float32.
"""

from __future__ import annotations

import torch
from torch import Tensor


def compute_dtype(storage: torch.dtype) -> torch.dtype:
    """The dtype of pointwise work and carried state: float32 for half precision, else the storage dtype."""
    return torch.float32 if storage in (torch.float16, torch.bfloat16) else storage


def product(vector: Tensor, matrix: Tensor) -> Tensor:
    """W v for every leading index: [..., columns] -> [..., rows]."""
    return (vector.to(matrix.dtype) @ matrix.mT).to(compute_dtype(matrix.dtype))


def product_transposed(vector: Tensor, matrix: Tensor) -> Tensor:
    """Wᵀ v for every leading index: [..., rows] -> [..., columns]."""
    return (vector.to(matrix.dtype) @ matrix).to(compute_dtype(matrix.dtype))


def outer(left: Tensor, right: Tensor) -> Tensor:
    """Σ u vᵀ over all leading indices: [..., rows], [..., columns] -> [rows, columns]."""
    result = _flat(left.to(right.dtype)).t() @ _flat(right)
    return result.to(compute_dtype(right.dtype))


def total(vector: Tensor) -> Tensor:
    """Σ u over all leading indices: [..., n] -> [n]."""
    return _flat(vector).sum(0)


def mean(vector: Tensor) -> Tensor:
    """The mean over units, in every unit: [..., n] -> [..., n]."""
    return vector.mean(-1, keepdim=True).expand_as(vector)


def step(vector: Tensor) -> Tensor:
    """1 where the value is positive, else 0; no gradient."""
    return (vector > 0).to(vector.dtype)


def softplus(vector: Tensor) -> Tensor:
    """log(1 + exp(a)) without overflow; torch's own is a from a = 20."""
    return torch.logaddexp(vector, torch.zeros_like(vector))


def choice(mask: Tensor, chosen: float, otherwise: float, like: Tensor) -> Tensor:
    """One of two numbers for every element of a mask, in the dtype in which `like` is computed with.

    torch.where of two Python numbers is in torch's default dtype, and rounds 1/3 to float32.
    """
    numbers = like.new_tensor((chosen, otherwise), dtype=compute_dtype(like.dtype))
    return torch.where(mask, numbers[0], numbers[1])


def rows(stack: Tensor, start: int, stop: int, blocks: int) -> Tensor:
    """Blocks start to stop of a tensor that holds `blocks` blocks of equal height."""
    size = stack.shape[0] // blocks
    return stack[start * size : stop * size]


def _flat(vector: Tensor) -> Tensor:
    return vector.reshape(-1, vector.shape[-1])  # not flatten: batched gradients have no rule for it


def per_step(value: Tensor, like: Tensor) -> Tensor:
    """The same value at every step and for every example: [n] -> [..., n] with the leading axes of `like`."""
    return value.expand(*like.shape[:-1], value.shape[-1])
