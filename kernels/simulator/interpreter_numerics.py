"""bfloat16 and TF32 in Triton's interpreter as GPUs compute them.

The interpreter keeps a bfloat16 as its bits, in uint16, and computes with those as with integers; conversions
to it round half up or cut off. Here an operation on bfloat16 is done in float32 and its result is rounded to
nearest even, once. A product in TF32 reads float32 operands without their last 13 bits, as the matrix units
do; TF32x3 splits each operand into two such parts. A subclass of the interpreter's builder does all this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import triton.language as tl
from triton._C.libtriton import ir
from triton.runtime.interpreter import InterpreterBuilder, TensorHandle

TF32 = np.uint32(0xFFFFE000)


def widen(bits: np.ndarray) -> np.ndarray:
    """The float32 of a bfloat16's bits: exact."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def narrow(values: np.ndarray) -> np.ndarray:
    """The bits of the nearest bfloat16, the even one of two; NaN stays NaN."""
    single = _odd(values) if values.dtype == np.float64 else values.astype(np.float32)
    bits = np.ascontiguousarray(single).view(np.uint32).reshape(single.shape)
    rounded = (bits + np.uint32(0x7FFF) + (bits >> np.uint32(16) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(single), np.uint16(0x7FC0), rounded.astype(np.uint16))


def _odd(values: np.ndarray) -> np.ndarray:
    """float32 rounded to odd, so that a second rounding gives what a single one would have given."""
    with np.errstate(over="ignore"):
        nearest = np.ascontiguousarray(values.astype(np.float32))
    bits = nearest.view(np.uint32).reshape(nearest.shape)
    towards_zero = bits - (np.abs(nearest.astype(np.float64)) > np.abs(values))
    exact = (nearest == values) | np.isnan(values)
    return np.where(exact, bits, towards_zero | 1).astype(np.uint32).view(np.float32)


def cut(values: np.ndarray) -> np.ndarray:
    """What a matrix unit reads of a float32 that is given to it as TF32."""
    return (np.ascontiguousarray(values).view(np.uint32) & TF32).view(np.float32).reshape(values.shape)


def split(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A float32 as two TF32 numbers, the first rounded to nearest; the sum has 21 of its 24 bits or more."""
    bits = np.ascontiguousarray(values).view(np.uint32) + np.uint32(0x1000)
    large = (bits & TF32).view(np.float32).reshape(values.shape)
    return large, cut(values - large)


def _is_bfloat(handle: TensorHandle) -> bool:
    return bool(handle.dtype.scalar == tl.bfloat16)


def _single(handle: TensorHandle) -> TensorHandle:
    return TensorHandle(widen(handle.data), tl.float32) if _is_bfloat(handle) else handle


def _back(handle: TensorHandle, wanted: bool = True) -> TensorHandle:
    """A result as bfloat16; what a comparison gives stays."""
    if wanted and handle.data.dtype in (np.float32, np.float64):
        return TensorHandle(narrow(handle.data), tl.bfloat16)
    return handle


class NumericsBuilder(InterpreterBuilder):
    """The interpreter's operations, with bfloat16 and TF32 as on a GPU."""

    def binary_op(self, lhs: TensorHandle, rhs: TensorHandle, op: Callable[..., Any]) -> TensorHandle:
        """Sums, products, comparisons, minima."""
        wanted = _is_bfloat(lhs) or _is_bfloat(rhs)
        return _back(super().binary_op(_single(lhs), _single(rhs), op), wanted)

    def unary_op(self, arg: TensorHandle, op: Callable[..., Any]) -> TensorHandle:
        """Functions of one number."""
        return _back(super().unary_op(_single(arg), op), _is_bfloat(arg))

    def ternary_op(
        self, lhs: TensorHandle, rhs: TensorHandle, other: TensorHandle, op: Callable[..., Any]
    ) -> TensorHandle:
        """Selections, which move bits alone, and clamping."""
        if op is np.where or not _is_bfloat(other):
            return super().ternary_op(lhs, rhs, other, op)
        return _back(super().ternary_op(_single(lhs), _single(rhs), _single(other), op))

    def create_fma(self, x: TensorHandle, y: TensorHandle, z: TensorHandle) -> TensorHandle:
        """x y + z, rounded once: the product of two bfloat16 is exact in float64."""
        if not _is_bfloat(z):
            return super().create_fma(x, y, z)
        exact = [widen(handle.data).astype(np.float64) for handle in (x, y, z)]
        return TensorHandle(narrow(exact[0] * exact[1] + exact[2]), tl.bfloat16)

    def create_rsqrt(self, arg: TensorHandle) -> TensorHandle:
        """1 / sqrt(x)."""
        return _back(super().create_rsqrt(_single(arg)), _is_bfloat(arg))

    def create_idiv(self, lhs: TensorHandle, rhs: TensorHandle) -> TensorHandle:
        """Division of integers alone: a bfloat16 here would be its bits."""
        if _is_bfloat(lhs):
            raise TypeError("expected integers, got bfloat16")
        return super().create_idiv(lhs, rhs)

    def cast_impl(self, src: TensorHandle, dst_type: Any) -> TensorHandle:
        """To and from bfloat16 by way of float32."""
        if dst_type.scalar != tl.bfloat16:
            return super().cast_impl(_single(src), dst_type)
        if _is_bfloat(src):
            return src
        values = src.data if src.data.dtype == np.float64 else src.data.astype(np.float32)
        return TensorHandle(narrow(values), tl.bfloat16)

    def create_fp_to_fp(self, src: TensorHandle, dst_type: Any, rounding_mode: Any) -> TensorHandle:
        """The same where the kernel names the rounding."""
        if tl.bfloat16 not in (src.dtype.scalar, dst_type.scalar) or rounding_mode == ir.ROUNDING_MODE.RTZ:
            return super().create_fp_to_fp(src, dst_type, rounding_mode)
        if tl.float32 in (src.dtype.scalar, dst_type.scalar):
            return self.cast_impl(src, dst_type)
        return super().create_fp_to_fp(src, dst_type, rounding_mode)

    def create_dot(
        self, a: TensorHandle, b: TensorHandle, d: TensorHandle, input_precision: Any, imprecise: Any
    ) -> TensorHandle:
        """a b + d; operands of float32 in the precision asked for."""
        precision = str(input_precision).rsplit(".", 1)[-1]
        if a.dtype.scalar != tl.float32 or not precision.startswith("TF32"):
            return super().create_dot(_single(a), _single(b), d, input_precision, imprecise)
        if precision == "TF32":
            return TensorHandle(d.data + np.matmul(cut(a.data), cut(b.data)), d.dtype.scalar)
        (large_a, small_a), (large_b, small_b) = split(a.data), split(b.data)
        small = np.matmul(small_a, large_b) + np.matmul(large_a, small_b)
        return TensorHandle(d.data + small + np.matmul(large_a, large_b), d.dtype.scalar)

    def create_atomic_rmw(self, *arguments: Any) -> TensorHandle:
        """Additions to bfloat16 in memory, one after another."""
        operation, ptr, value, mask, *_ = arguments
        if not _is_bfloat(value) or operation != ir.ATOMIC_OP.FADD:
            return super().create_atomic_rmw(*arguments)
        before = np.zeros_like(value.data)
        for index in np.ndindex(value.data.shape):
            if mask.data[index]:
                place = TensorHandle(ptr.data[index].reshape(1), ptr.dtype)
                one = TensorHandle(np.ones(1, bool), tl.int1)
                old = InterpreterBuilder.create_load(self, place, *[None] * (_LOAD_ARGUMENTS - 1), False)
                before[index] = old.data[0]
                added = self.binary_op(old, TensorHandle(value.data[index].reshape(1), tl.bfloat16), np.add)
                InterpreterBuilder.create_masked_store(self, place, added, one, *[None] * _STORE_ARGUMENTS)
        return TensorHandle(before, tl.bfloat16)


#: How many arguments about caches Triton passes has changed: what follows the pointer, and the mask.
_LOAD_ARGUMENTS = InterpreterBuilder.create_load.__code__.co_argcount - 2
_STORE_ARGUMENTS = InterpreterBuilder.create_masked_store.__code__.co_argcount - 4
