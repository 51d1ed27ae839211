"""The runtime's collectives of a warp, called from numpy arrays with one row for each lane."""

from __future__ import annotations

import ctypes
import math
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from symgru.kernels import simulator
from symgru.kernels.simulator.formats import (
    BF16,
    E4M3,
    E4M3FNUZ,
    E5M2,
    E5M2FNUZ,
    F16,
    F32,
    F64,
    S8,
    S32,
    S32_SATURATED,
    TF32,
    U8,
)

RUNTIME = Path(simulator.__path__[0]) / "runtime"
SOURCES = ("numerics.c", "product.c", "lanes.c", "operands.c", "matrix.c", "amd_lanes.c", "amd_matrix.c")
HARNESS = Path(__file__).with_suffix(".c")
FLAGS = ("-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-Wl,-Bsymbolic")


@cache
def library() -> ctypes.CDLL:
    """The runtime's collectives and the harness, compiled."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "warp.so"
        files = [str(RUNTIME / name) for name in SOURCES]
        command = ["cc", *FLAGS, f"-I{RUNTIME}", "-o", str(path), str(HARNESS), *files, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        loaded = ctypes.CDLL(str(path))
    loaded.run_warp.restype = ctypes.c_char_p
    return loaded


def address(array: np.ndarray, index: int = 0) -> int:
    """Address of the row `index` of a contiguous array."""
    assert array.flags.c_contiguous
    return array.ctypes.data + index * array.strides[0]


def run(
    name: str,
    *arguments: Any,
    lanes: int = 32,
    warp: int = 0,
    shared: int | None = None,
    announced: np.ndarray | None = None,
    active: int | None = None,
) -> np.ndarray:
    """Call ``name`` in every lane; the lanes' results as unsigned 64-bit words.

    An argument is a number, or an array: of one value for each lane, or, if it has two dimensions, of a row
    for each lane, whose address is passed. ``announced`` receives the accesses and their bytes;
    ``active`` has a bit for each lane that takes part, all if it is None.

    Raises:
        RuntimeError: the instruction is not known to the runtime.
    """
    table = np.zeros((lanes, 16), np.uint64)
    for column, argument in enumerate(arguments):
        if isinstance(argument, np.ndarray) and argument.ndim == 2:
            assert len(argument) == lanes
            table[:, column] = [address(argument, lane) for lane in range(lanes)]
        else:
            table[:, column] = np.asarray(argument).astype(np.int64).view(np.uint64)
    results, seen = np.zeros(lanes, np.uint64), np.zeros(2, np.uint64)
    failure = library().run_warp(
        getattr(library(), name),
        lanes,
        warp,
        ctypes.c_void_p(table.ctypes.data),
        ctypes.c_void_p(results.ctypes.data),
        ctypes.c_void_p(0 if shared is None else shared),
        ctypes.c_uint64((1 << lanes) - 1 if active is None else active),
        ctypes.c_void_p(seen.ctypes.data),
    )
    if failure:
        raise RuntimeError(failure.decode())
    if announced is not None:
        announced[:] = seen
    return results


def run32(name: str, *arguments: Any, **options: Any) -> np.ndarray:
    """``run`` of a function that returns 32 bits."""
    return run(name, *arguments, **options).astype(np.uint32)


def enumeration() -> dict[str, int]:
    """SimFormat of the header: that Python and C agree is a test."""
    text = (RUNTIME / "sim_lanes.h").read_text()
    block = re.search(r"enum SimFormat \{(.*?)\}", text, re.DOTALL)
    assert block
    found = {name: int(value) for name, value in re.findall(r"SIM_(\w+) = (\d+)", block[1])}
    assert found
    return found


needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


# ---- elements of matrices

_NUMPY = {F16: np.float16, TF32: np.float32, F32: np.float32, F64: np.float64, S8: np.int8, U8: np.uint8}
_NUMPY |= {S32: np.int32, S32_SATURATED: np.int32}
_TORCH = {
    BF16: torch.bfloat16,
    E4M3: torch.float8_e4m3fn,
    E5M2: torch.float8_e5m2,
    E4M3FNUZ: torch.float8_e4m3fnuz,
    E5M2FNUZ: torch.float8_e5m2fnuz,
}


def pack(values: np.ndarray, code: int) -> np.ndarray:
    """The bytes of numbers that have been rounded to a format, in rows."""
    if code in _NUMPY:
        return np.ascontiguousarray(values.astype(_NUMPY[code])).view(np.uint8)
    rounded = torch.from_numpy(np.ascontiguousarray(values)).to(torch.float32).to(_TORCH[code])
    return np.ascontiguousarray(rounded.view(torch.uint8).numpy())


def unpack(data: np.ndarray, code: int) -> np.ndarray:
    """The numbers in rows of bytes, as float64 (exact)."""
    if code in _NUMPY:
        return np.ascontiguousarray(data).view(_NUMPY[code]).astype(np.float64)
    numbers = torch.from_numpy(np.ascontiguousarray(data)).view(_TORCH[code])
    return np.asarray(numbers.to(torch.float64).numpy())


def random(shape: tuple[int, ...], code: int, rng: np.random.Generator) -> np.ndarray:
    """Random numbers that the format has, as float64; integers over its whole range."""
    if code in (S8, U8):
        low = -128 if code == S8 else 0
        return rng.integers(low, low + 256, shape).astype(np.float64)
    if code in (S32, S32_SATURATED):
        return rng.integers(-(2**30), 2**30, shape).astype(np.float64)
    values = rng.standard_normal(shape)
    if code == TF32:
        return (
            (values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000))
            .view(np.float32)
            .astype(np.float64)
        )
    return unpack(pack(values, code), code)


def product(a: np.ndarray, b: np.ndarray, c: np.ndarray, code: int) -> np.ndarray:
    """a b + c, exact and rounded once to the accumulator's format; in float64 as numpy sums."""
    if code == F64:
        return np.asarray(a @ b + c)
    exact = np.array(
        [[math.fsum([c[i, j], *(a[i] * b[:, j])]) for j in range(b.shape[1])] for i in range(len(a))]
    )
    if code == S32_SATURATED:
        return np.asarray(np.clip(exact, -(2**31), 2**31 - 1))
    if code == S32:
        return np.asarray((exact.astype(np.int64) + 2**31) % 2**32 - 2.0**31)
    return unpack(pack(exact, code), code)


def assert_same(got: Any, expected: Any, code: int) -> None:
    """Equal numbers; in float64, where the order of summing shows, up to some fifty roundings (1e-14)."""
    if code == F64:
        np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-14)
    else:
        np.testing.assert_array_equal(got, expected)
