"""Launches of the kernels in kernels.py: inputs, what must come out, and how far it may be from that.

What must come out is computed in float64, from the inputs as they were rounded. How far it may be is a bound
from the rounding errors that the kernel makes (Higham, Accuracy and Stability of Numerical Algorithms), one
for each number; nothing in it was measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
import triton
from hypothesis import strategies as st
from torch import Tensor

from symgru.testing.simulated import kernels

#: Unit roundoff: half the distance from 1 to the next number. Integers are exact.
ROUNDOFF = {
    torch.float64: 2.0**-53,
    torch.float32: 2.0**-24,
    torch.float16: 2.0**-11,
    torch.bfloat16: 2.0**-8,
    torch.int8: 0.0,
    torch.int32: 0.0,
}
#: What the product of two float32 numbers may be off beside the rounding of its sum: TF32 keeps 10 bits, of
#: both factors, and cuts off the rest; the three products of tf32x3 leave out that of the two remainders.
OFF = {"ieee": 0.0, "tf32": 2 * 2.0**-10, "tf32x3": 4 * 2.0**-20}
FLOATS = (torch.float32, torch.float16, torch.bfloat16)
NUMBERS = (torch.float64, *FLOATS, torch.int8)


@dataclass(frozen=True)
class Expected:
    """What must come out, in float64, and the largest error allowed of each number."""

    value: Tensor
    bound: Tensor


@dataclass(frozen=True)
class Launch:
    """A call of a kernel that can be made: `arguments` holds the tensors too, which it overwrites."""

    kernel: Any
    grid: tuple[int, ...]
    arguments: Mapping[str, Any]
    expected: Mapping[str, Expected]
    warps: int
    stages: int

    def run(self) -> Any:
        """Launch the kernel on the active device of Triton; the compiled kernel."""
        return self.kernel[self.grid](**self.arguments, **self.options)

    def compile(self) -> Any:
        """The kernel compiled for the active device, not launched."""
        return self.kernel.warmup(**self.arguments, grid=self.grid, **self.options)

    @property
    def options(self) -> dict[str, Any]:
        """The compiler's options. Multiply-adds are not fused, which the bounds do not need."""
        return {"num_warps": self.warps, "num_stages": self.stages, "enable_fp_fusion": False}

    def assert_agrees(self) -> None:
        """Every result is within its bound; one that is not, or is NaN, is named with its place."""
        for name, expected in self.expected.items():
            result = self.arguments[name].double().reshape(expected.value.shape)
            wrong = ~((result - expected.value).abs() <= expected.bound)
            if wrong.any():
                place = tuple(wrong.nonzero()[0].tolist())
                got, value, bound = (x[place].item() for x in (result, expected.value, expected.bound))
                raise AssertionError(
                    f"{name}{list(place)} is {got!r}, must be {value!r} ± {bound:.1e}; "
                    f"{int(wrong.sum())} of {wrong.numel()} are wrong"
                )


@dataclass(frozen=True)
class Case:
    """A family of launches, a type, sizes, and the seed of the values: all that makes a launch.

    Where a tile is as large as a row, it has at least `least` numbers.
    """

    family: str
    dtype: torch.dtype
    sizes: tuple[int, ...]
    warps: int = 4
    stages: int = 2
    precision: str = "ieee"
    seed: int = 0
    least: int = 1

    def launch(self) -> Launch:
        """The launch, with fresh tensors."""
        return FAMILIES[self.family].make(self)

    def tile(self, n: int) -> int:
        """Size of the tile for a row of n."""
        return _power_of_two(max(n, self.least))

    def random(self, *shape: int, draw: int = 0) -> Tensor:
        """Numbers of the case's type, others for each draw: normal, or from −8 to 8 for integers."""
        generator = torch.Generator().manual_seed(8 * self.seed + draw)
        if self.dtype == torch.int8:
            return torch.randint(-8, 9, shape, generator=generator, dtype=torch.int8)
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(self.dtype)

    def made(
        self,
        kernel: Any,
        grid: tuple[int, ...],
        arguments: Mapping[str, Any],
        expected: Mapping[str, tuple[Tensor, Tensor]],
    ) -> Launch:
        """The launch from its parts; `expected` has a value and a bound for each result."""
        results = {name: Expected(*both) for name, both in expected.items()}
        return Launch(kernel, grid, arguments, results, self.warps, self.stages)


@dataclass(frozen=True)
class Family:
    """A kind of launch: its types, its sizes (least and most of each), and its maker."""

    make: Callable[[Case], Launch]
    dtypes: tuple[torch.dtype, ...]
    sizes: tuple[tuple[int, int], ...]
    products: bool = False  # has a precision of products and stages of a pipeline


def _triton(dtype: torch.dtype) -> Any:
    return getattr(triton.language, str(dtype).removeprefix("torch."))


def _empty(*shape: int, dtype: torch.dtype) -> Tensor:
    """Memory to write to; NaN, or a number that is in no result, where nothing is written."""
    return torch.full(shape, torch.nan if dtype.is_floating_point else -101, dtype=dtype)


def _power_of_two(n: int) -> int:
    """The least power of two that is not less."""
    return 1 << max(n - 1, 0).bit_length()


def _add(case: Case) -> Launch:
    (n,) = case.sizes
    x, y = case.random(n), case.random(n, draw=1)
    exact = x.double() + y.double()
    arguments: dict[str, Any] = {"x": x, "y": y, "out": _empty(n, dtype=case.dtype), "n": n, "BLOCK": 128}
    bound = exact.abs() * ROUNDOFF[case.dtype]
    return case.made(kernels.add, (triton.cdiv(n, 128),), arguments, {"out": (exact, bound)})


def _factors(case: Case, M: int, N: int, K: int) -> tuple[Tensor, Tensor, torch.dtype, Expected]:
    """Two matrices, the type in which their product is summed, and the product."""
    a, b = case.random(M, K), case.random(K, N, draw=1)
    sum_type = {torch.float64: torch.float64, torch.int8: torch.int32}.get(case.dtype, torch.float32)
    relative = 2 * (K + 2) * ROUNDOFF[sum_type] + OFF[case.precision]
    exact = a.double() @ b.double()
    return a, b, sum_type, Expected(exact, a.double().abs() @ b.double().abs() * relative)


def _matmul(case: Case) -> Launch:
    M, N, K, *tile = case.sizes
    a, b, sum_type, product = _factors(case, M, N, K)
    BM, BN, BK = tile or (32, 32, 32)
    out = _empty(M, N, dtype=sum_type)
    arguments: dict[str, Any] = {
        "a": a,
        "b": b,
        "out": out,
        "M": M,
        "N": N,
        "K": K,
        "BM": BM,
        "BN": BN,
        "BK": BK,
    }
    arguments |= {"PRECISION": case.precision, "SUM": _triton(sum_type)}
    grid = (triton.cdiv(M, BM), triton.cdiv(N, BN))
    return case.made(kernels.matmul, grid, arguments, {"out": (product.value, product.bound)})


def _split_k(case: Case) -> Launch:
    M, N, K, parts = case.sizes
    a, b, sum_type, product = _factors(case, M, N, K)
    out = torch.zeros(M, N, dtype=sum_type)
    arguments: dict[str, Any] = {"a": a, "b": b, "out": out, "M": M, "N": N, "K": K, "parts": parts}
    arguments |= {"BM": 16, "BN": 32, "BK": 32, "PRECISION": case.precision, "SUM": _triton(sum_type)}
    grid = (triton.cdiv(M, 16), triton.cdiv(N, 32), parts)
    return case.made(kernels.split_k, grid, arguments, {"out": (product.value, product.bound)})


def _softmax(case: Case) -> Launch:
    rows, columns = case.sizes
    x = case.random(rows, columns)
    exact = x.double().softmax(1)
    below = x.double().amax(1, keepdim=True) - x.double()
    # the approximate exponential and division are good to 2 units, and the argument is rounded
    relative = 2 * (columns + 8 + 4 * below) * ROUNDOFF[torch.float32] + ROUNDOFF[case.dtype]
    # float16 loses digits below its normal numbers
    bound = exact * relative + (2.0**-25 if case.dtype == torch.float16 else 2.0**-126)
    arguments: dict[str, Any] = {"x": x, "out": _empty(rows, columns, dtype=case.dtype), "columns": columns}
    arguments |= {"BLOCK": case.tile(columns)}
    return case.made(kernels.softmax, (rows,), arguments, {"out": (exact, bound)})


def _cumsum(case: Case) -> Launch:
    rows, columns, reverse = case.sizes
    x = case.random(rows, columns)
    sum_type = {torch.float64: torch.float64, torch.int8: torch.int32}.get(case.dtype, torch.float32)

    def sums(values: Tensor) -> Tensor:
        return values.flip(1).cumsum(1).flip(1) if reverse else values.cumsum(1)

    exact, bound = sums(x.double()), sums(x.double().abs()) * columns * ROUNDOFF[sum_type]
    arguments: dict[str, Any] = {
        "x": x,
        "out": _empty(rows, columns, dtype=sum_type),
        "rows": rows,
        "columns": columns,
    }
    arguments |= {"ROWS": 4, "COLUMNS": case.tile(columns), "REVERSE": bool(reverse)}
    return case.made(kernels.cumsum, (triton.cdiv(rows, 4),), arguments, {"out": (exact, bound)})


def _recurrence(case: Case) -> Launch:
    (n,) = case.sizes
    a, b = case.random(n).sigmoid(), case.random(n, draw=1)
    exact, size = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    state = sizes = 0.0
    for t in range(n):
        state = a[t].item() * state + b[t].item()
        sizes = a[t].item() * sizes + abs(b[t].item())
        exact[t], size[t] = state, sizes
    arguments: dict[str, Any] = {
        "a": a,
        "b": b,
        "out": _empty(n, dtype=case.dtype),
        "n": n,
        "BLOCK": case.tile(n),
    }
    # two roundings a level, and a product of factors that another level rounds
    bound = size * 4 * case.tile(n).bit_length() * ROUNDOFF[case.dtype]
    return case.made(kernels.recurrence, (1,), arguments, {"out": (exact, bound)})


def _reduce(case: Case) -> Launch:
    rows, columns, axis = case.sizes
    x = case.random(rows, columns)
    sum_type = torch.float64 if case.dtype == torch.float64 else torch.float32
    kept = columns if axis == 0 else rows
    outputs = {"total": sum_type, "largest": sum_type, "where": torch.int32}
    arguments: dict[str, Any] = {
        "x": x,
        **{name: _empty(kept, dtype=dtype) for name, dtype in outputs.items()},
    }
    arguments |= {"rows": rows, "columns": columns, "AXIS": axis}
    arguments |= {"ROWS": case.tile(rows), "COLUMNS": case.tile(columns)}
    exact = x.double()
    bound = exact.abs().sum(axis) * x.shape[axis] * ROUNDOFF[sum_type]
    largest = exact.amax(axis, keepdim=True)
    first = (exact == largest).int().argmax(axis).double()  # of equal maxima the first counts
    none = torch.zeros(kept, dtype=torch.float64)
    expected = {
        "total": (exact.sum(axis), bound),
        "largest": (largest.squeeze(axis), none),
        "where": (first, none),
    }
    return case.made(kernels.reduce, (1,), arguments, expected)


def _histogram(case: Case) -> Launch:
    n, bins = case.sizes
    x = torch.randint(bins, (n,), generator=torch.Generator().manual_seed(case.seed)).to(torch.int32)
    counts = torch.bincount(x.long(), minlength=bins).double()
    arguments: dict[str, Any] = {"x": x, "counts": torch.zeros(bins, dtype=torch.int32)}
    arguments |= {"largest": torch.zeros(1, dtype=torch.int32), "n": n, "BINS": bins, "BLOCK": 128}
    expected = {
        "counts": (counts, torch.zeros(bins)),
        "largest": (x.max().double().reshape(1), torch.zeros(1)),
    }
    return case.made(kernels.histogram, (triton.cdiv(n, 128),), arguments, expected)


def _locked(case: Case) -> Launch:
    programs, block = case.sizes
    n = programs * block - 3
    x = case.random(n)
    padded = torch.cat([x.double(), torch.zeros(3)]).reshape(programs, block)
    arguments: dict[str, Any] = {"x": x, "total": torch.zeros(block, dtype=case.dtype)}
    arguments |= {"lock": torch.zeros(1, dtype=torch.int32), "n": n, "BLOCK": block}
    bound = padded.abs().sum(0) * programs * ROUNDOFF[case.dtype]
    return case.made(kernels.locked, (programs,), arguments, {"total": (padded.sum(0), bound)})


def _diffuse(case: Case) -> Launch:
    n, steps = case.sizes
    state = _empty(steps + 1, n, dtype=case.dtype)
    state[0] = case.random(n)
    exact = [state[0].double()]
    for _ in range(steps):
        exact.append((exact[-1].roll(1) + exact[-1] + exact[-1].roll(-1)) / 3)
    arguments: dict[str, Any] = {"state": state, "counters": torch.zeros(steps, dtype=torch.int32)}
    arguments |= {"steps": steps, "n": n, "BLOCK": 128}
    value = torch.stack(exact)
    bound = torch.full_like(value, 4 * steps * ROUNDOFF[case.dtype] * exact[0].abs().max().item())
    return case.made(kernels.diffuse, (triton.cdiv(n, 128),), arguments, {"state": (value, bound)})


def _attention(case: Case) -> Launch:
    queries, keys, D = case.sizes
    q, k, v = (case.random(n, D, draw=draw) for draw, n in enumerate((queries, keys, keys)))
    scale = D**-0.5
    single = ROUNDOFF[torch.float32]
    score = q.double() @ k.double().T * scale
    weights = score.softmax(1)
    product = 2 * (D + 4) * single + OFF[case.precision]
    off = q.double().abs() @ k.double().abs().T * scale * product + 4 * single * score.abs()
    # errors of scores change weights by at most twice their largest; weights are rounded to the type of v
    relative = 2 * off.amax(1, keepdim=True) + 4 * (keys + 8) * single + 2 * ROUNDOFF[case.dtype]
    bound = weights @ v.double().abs() * (relative + OFF[case.precision]) * 2
    out = _empty(queries, D, dtype=torch.float32)
    arguments: dict[str, Any] = {
        "q": q,
        "k": k,
        "v": v,
        "out": out,
        "queries": queries,
        "keys": keys,
        "scale": scale,
    }
    arguments |= {"BM": 32, "BN": 32, "D": D, "PRECISION": case.precision}
    grid = (triton.cdiv(queries, 32),)
    return case.made(kernels.attention, grid, arguments, {"out": (weights @ v.double(), bound)})


FAMILIES = {
    "add": Family(_add, NUMBERS, ((1, 600),)),
    "matmul": Family(_matmul, NUMBERS, ((1, 70), (1, 70), (1, 150)), products=True),
    "split_k": Family(_split_k, NUMBERS, ((1, 40), (1, 40), (1, 150), (1, 3)), products=True),
    "softmax": Family(_softmax, FLOATS, ((1, 3), (1, 600))),
    "cumsum": Family(_cumsum, (torch.float64, torch.float32, torch.int8), ((1, 9), (1, 300), (0, 1))),
    "recurrence": Family(_recurrence, (torch.float64, torch.float32), ((1, 300),)),
    "reduce": Family(_reduce, NUMBERS, ((1, 40), (1, 70), (0, 1))),
    "histogram": Family(_histogram, (torch.int32,), ((1, 600), (1, 33))),
    # a tile as large as the most threads: of a smaller one, other threads load copies that they do not use
    # while its owners store, which is a race
    "locked": Family(_locked, (torch.float64, torch.float32), ((1, 5), (256, 256))),
    "diffuse": Family(_diffuse, (torch.float64, torch.float32), ((3, 600), (1, 4))),
    "attention": Family(_attention, FLOATS, ((1, 64), (1, 96), (32, 32)), products=True),
}


@st.composite
def cases(draw: st.DrawFn, families: tuple[str, ...] = tuple(FAMILIES)) -> Case:
    """A case of one of the families: its type, sizes, warps, and for products stages and precision."""
    name = draw(st.sampled_from(families))
    family = FAMILIES[name]
    dtype = draw(st.sampled_from(family.dtypes))
    sizes = tuple(draw(st.integers(*limits)) for limits in family.sizes)
    if family.products and draw(st.booleans()):  # rows of whole vectors, so that copies are asynchronous
        sizes = (*(-(-size // 16) * 16 for size in sizes[:3]), *sizes[3:])
    stages = draw(st.integers(1, 4)) if family.products else 2
    three = family.products and dtype == torch.float32
    precision = draw(st.sampled_from(sorted(OFF))) if three else "ieee"
    warps = draw(st.sampled_from([1, 2, 4, 8]))
    return Case(name, dtype, sizes, warps, stages, precision, draw(st.integers(0, 2**16)))
