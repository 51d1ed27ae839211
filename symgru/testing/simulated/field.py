"""Launches of the kernels in field_kernels.py on the device that is entered, compared with float64.

Bounds are relative to the largest number, or to 1: the unit roundoff of the type that sums, times what a
number goes through; 0 where nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.tools.tensor_descriptor import TensorDescriptor

from symgru.kernels.simulator.driver import current
from symgru.testing.simulated import field_kernels as kernels
from symgru.testing.simulated.cases import ROUNDOFF

SINGLE, HALF = ROUNDOFF[torch.float32], ROUNDOFF[torch.float16]
#: Every launch, by the kernel's name.
FIELD: dict[str, Callable[[], None]] = {}


def _field(launch: Callable[[], None]) -> Callable[[], None]:
    FIELD[launch.__name__.strip("_")] = launch
    return launch


def agree(result: Tensor, exact: Tensor, bound: float = 0.0) -> None:
    """AssertionError unless every number is as near to the exact one as the bound says."""
    error = (result.double() - exact.double()).abs().max().item()
    allowed = bound * max(1.0, exact.double().abs().max().item())
    assert error <= allowed, f"error {error:.2e}, allowed {allowed:.2e}"


@_field
def _softmax() -> None:
    rows, columns = 37, 381
    x, out = torch.randn(rows, columns), torch.empty(rows, columns)
    options = {"BLOCK": 512, "STAGES": 2, "num_warps": 8}
    driver = triton.runtime.driver.active
    limits = driver.utils.get_device_properties(driver.get_current_device())
    compiled = kernels.softmax.warmup(out, x, columns, rows, columns, **options, grid=(1,))
    compiled._init_handles()
    at_once = limits["max_num_regs"] // (compiled.n_regs * limits["warpSize"] * 8)
    kernels.softmax[(min(limits["multiprocessor_count"] * at_once, 5),)](
        out, x, columns, rows, columns, **options
    )
    agree(out, x.double().softmax(1), 2 * columns * SINGLE)


@_field
def _grouped_matmul() -> None:
    M, N, K = 70, 72, 72
    a, b = torch.randn(M, K).half(), torch.randn(K, N).half()
    c = torch.empty(M, N, dtype=torch.float16)
    configs = [
        triton.Config({"BM": 64, "BN": 64, "BK": 32, "GROUP": 8}, num_stages=4),
        triton.Config({"BM": 32, "BN": 64, "BK": 64, "GROUP": 2}, num_stages=3, num_warps=2),
    ]
    tuned = triton.autotune(configs, key=["M", "N", "K"])(kernels.grouped_matmul)

    def grid(meta: dict[str, int]) -> tuple[int]:
        return (triton.cdiv(M, meta["BM"]) * triton.cdiv(N, meta["BN"]),)

    tuned[grid](a, b, c, M, N, K, K, N, N)
    agree(c, torch.nn.functional.leaky_relu(a.double() @ b.double(), 0.01), 2 * HALF)


@_field
def _persistent_matmul() -> None:
    M, N, K, dtype = 100, 128, 64, torch.bfloat16
    a, b, c = torch.randn(M, K).to(dtype), torch.randn(K, N).to(dtype), torch.empty(M, N, dtype=dtype)
    kernels.persistent_matmul[(3,)](a, b, c, M, N, K, 64, 64, 32, 3, num_stages=3)
    agree(c, a.double() @ b.double(), 2 * ROUNDOFF[dtype])


@_field
def _group_of_matmuls() -> None:
    sizes = torch.tensor([(64, 64, 64), (32, 64, 96), (96, 32, 32)], dtype=torch.int32)
    triples = [
        (torch.randn(m, k).half(), torch.randn(k, n).half(), torch.empty(m, n, dtype=torch.float16))
        for m, n, k in sizes.tolist()
    ]
    for g, triple in enumerate(triples):
        for name, tensor in zip("abc", triple, strict=True):
            current().register(f"{name}[{g}]", tensor)
    addresses = torch.tensor([[tensor.data_ptr() for tensor in triple] for triple in triples])
    kernels.group_of_matmuls[(3,)](addresses, sizes, len(triples), 3, 32)
    for a, b, c in triples:
        agree(c, a.double() @ b.double(), 2 * HALF)


@_field
def _stream_k() -> None:
    M, N, K, programs, steps = 64, 64, 100, 3, 4
    a, b = torch.randn(M, K).half(), torch.randn(K, N).half()
    c, ready = torch.full((M, N), torch.nan), torch.zeros(4, dtype=torch.int32)
    share = -(-4 * steps // programs)
    kernels.stream_k[(programs,)](a, b, c, ready, K, share, M, N, 32, 32)
    agree(c, a.double() @ b.double(), 2 * K * SINGLE)


def philox(seed: int, place: int) -> float:
    """The number in [0, 1) that `tl.rand` gives: Philox 4x32 of ten rounds (Salmon et al., SC11)."""
    mask, words, keys = 2**32 - 1, [place, 0, 0, 0], [seed & (2**32 - 1), seed >> 32]
    for _ in range(10):
        first, second = 0xD2511F53 * words[0], 0xCD9E8D57 * words[2]
        words = [
            second >> 32 ^ words[1] ^ keys[0],
            second & mask,
            first >> 32 ^ words[3] ^ keys[1],
            first & mask,
        ]
        keys = [keys[0] + 0x9E3779B9 & mask, keys[1] + 0xBB67AE85 & mask]
    signed = words[0] - 2**32 if words[0] >> 31 else words[0]
    return (-signed - 1 if signed < 0 else signed) * 4.6566127342e-10


@_field
def _dropout() -> None:
    n, seed = 1000, 123
    x, out = torch.randn(n), torch.empty(n)
    kernels.dropout[(2,)](x, out, n, 0.5, seed, BLOCK=512)
    kept = torch.tensor([philox(seed, i) > 0.5 for i in range(n)])
    agree(out, torch.where(kept, 2 * x, 0))


@_field
def _functions() -> None:
    n = 200
    x, out = torch.randn(n), torch.empty(9, n)
    kernels.functions[(1,)](x, out, n, BLOCK=256)
    v = x.double()
    away = (v * v + 0.25).float().double()
    exact = (
        v.tanh(), (v.abs() + 0.5) ** v, v.expm1(), v.abs().log1p(), v.erf(), torch.fmod(v, away),
        torch.atan2(v, 2 - v), v.clamp(-0.5, 0.5), v.floor() + v.ceil() + (7 * x).round().double(),
    )  # fmt: skip
    for result, value in zip(out, exact, strict=True):
        agree(result, value, 16 * SINGLE)


@_field
def _descriptors() -> None:
    x, out = torch.randn(50, 64), torch.empty(50, 64)
    kernels.descriptors[(2,)](
        TensorDescriptor.from_tensor(x, [32, 32]), TensorDescriptor.from_tensor(out, [32, 32]), 64, 32
    )
    agree(out, 2 * x)


@_field
def _made_descriptors() -> None:
    x, out = torch.randn(50, 64), torch.empty(50, 64)
    kernels.made_descriptors[(2,)](x, out, 50, 64, 32)
    agree(out, 2 * x)


@_field
def _order() -> None:
    rows, n, top = 4, 64, 8
    x = torch.randint(16, (rows, n), dtype=torch.int32)
    ascending, picked, largest = torch.empty_like(x), torch.empty_like(x), torch.empty(rows, top).int()
    bins = torch.empty(16, dtype=torch.int32)
    kernels.order[(1,)](x, ascending, largest, bins, picked, rows, n, top)
    agree(ascending, x.sort(1).values)
    agree(largest, x.topk(top, 1).values)
    agree(bins, torch.bincount(x.flatten(), minlength=16))
    agree(picked, x.flip(1))


@_field
def _scans() -> None:
    M, N = 64, 16
    x = torch.rand(M, N) + 0.5
    sums, products = torch.empty(M, N), torch.empty(M, N)
    kernels.scans[(1,)](x, sums, products, M, N)
    agree(sums, x.double().logcumsumexp(0), 8 * M.bit_length() * SINGLE)
    agree(products, x.double().flip(1).cumprod(1).flip(1), 2 * N * SINGLE)


@_field
def _int4_matmul() -> None:
    M, N, K, G = 32, 32, 128, 32
    a, q, scales = torch.randn(M, K).half(), torch.randint(-8, 8, (K, N)), torch.rand(K // G, N)
    packed, c = (q[0::2] & 15 | (q[1::2] & 15) << 4).to(torch.uint8).view(torch.int8), torch.empty(M, N)
    kernels.int4_matmul[(1,)](a, packed, scales, c, M, N, K, G)
    agree(c, a.double() @ (q.double() * scales.double().repeat_interleave(G, 0)), 4 * K * SINGLE)


@_field
def _scaled_product() -> None:
    M, N, K = 64, 64, 64
    a, b = (torch.randn(64, 64).to(torch.float8_e5m2) for _ in range(2))
    a_scales, b_scales = (torch.randint(120, 130, (64, K // 32), dtype=torch.uint8) for _ in range(2))
    c = torch.empty(M, N)
    kernels.scaled_product[(1,)](a.view(torch.uint8), a_scales, b.view(torch.uint8), b_scales, c, M, N, K)
    powers = [2.0 ** (s.double() - 127).repeat_interleave(32, 1) for s in (a_scales, b_scales)]
    agree(c, (a.double() * powers[0]) @ (b.double() * powers[1].T), 4 * K * SINGLE)


def _types() -> list[tuple[tl.dtype, torch.dtype]]:
    """Types to which Triton converts on the device that is entered."""
    found = [(tl.float8e5, torch.float8_e5m2), (tl.bfloat16, torch.bfloat16), (tl.float16, torch.float16)]
    name = current().target.name
    if name in ("sm_89", "sm_90", "sm_120", "gfx1201"):
        found.append((tl.float8e4nv, torch.float8_e4m3fn))
    if name == "gfx942":
        found += [(tl.float8e4b8, torch.float8_e4m3fnuz), (tl.float8e5b16, torch.float8_e5m2fnuz)]
    return found


@_field
def _casts() -> None:
    x, out = torch.cat([10 * torch.randn(508), torch.tensor([0.0, 1e-9, 200.0, -3.0])]), torch.empty(512)
    for ours, theirs in _types():
        kernels.casts[(1,)](x, out, 512, ours)
        agree(out, x.to(theirs))


@_field
def _segment_sums() -> None:
    n, D = 100, 16
    for dtype in (torch.float32, torch.float64):
        x, segment = torch.randn(n, D).to(dtype), torch.randint(5, (n,))
        sums, largest = torch.zeros(5, D, dtype=dtype), torch.full((5,), -100.0, dtype=dtype)
        kernels.segment_sums[(4,)](x, segment, sums, largest, n, D, 32)
        agree(sums, torch.zeros(5, D).double().index_add(0, segment, x.double()), n * ROUNDOFF[dtype])
        lists = [x[segment == s].max() for s in range(5)]
        agree(largest, torch.stack(lists))


@_field
def _strided() -> None:
    rows, n = 20, 100
    x, out, steps = torch.randn(rows * 300), torch.empty(rows, n), torch.empty(rows, dtype=torch.int32)
    shift = 2**40 + 7  # an argument of 64 bits, after an odd number of 32
    kernels.strided[(rows,)](x, steps, out, 0.5, 300, n, shift, BLOCK=128)
    agree(out, 0.5 * x.view(rows, 300)[:, 7 : 7 + n])

    def collatz(number: int) -> int:
        return 0 if number == 1 else 1 + collatz(3 * number + 1 if number % 2 else number // 2)

    assert steps.tolist() == [collatz(row + 1) for row in range(rows)]


@_field
def _rotate() -> None:
    x, y = (torch.randint(2**31 - 1, (512,), dtype=torch.int32) for _ in range(2))
    out, wide = torch.empty_like(x), torch.empty_like(x)
    kernels.rotate[(1,)](x, y, out, wide, 512)
    exact = (y.long() << 5 | x.long() >> 27) & 0xFFFFFFFF
    agree(out.long() & 0xFFFFFFFF, exact)
    agree(wide, x & 255)


def told(limit: int) -> None:
    """Print the numbers from 0 to 31, all of which must be under the limit."""
    x = torch.arange(32, dtype=torch.int32)
    kernels.told[(1,)](x, limit, 32, num_warps=1, debug=True)
    agree(x, torch.arange(1, 33))


@_field
def _told() -> None:
    told(32)
