"""Whole kernels, compiled for each target, give here what float64 gives."""

import re
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import triton
import triton.language as tl
from symgru.kernels import scan as plain
from symgru.kernels import simulator
from symgru.kernels.simulator import machine, runtime
from symgru.kernels.simulator.errors import SimulatorError
from symgru.kernels.simulator.kernel import Kernel
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.language.extra import libdevice

from symgru.testing.simulated.cases import OFF, ROUNDOFF
from symgru.testing.tolerances import TOLERANCES, assert_close, relative_error

TARGETS = {
    **{f"sm_{n}": GPUTarget("cuda", n, 32) for n in (80, 86, 89, 90, 120)},
    **{name: GPUTarget("hip", name, 64) for name in ("gfx90a", "gfx942")},
    **{name: GPUTarget("hip", name, 32) for name in ("gfx1100", "gfx1201")},
}


@triton.jit
def add_kernel(x, y, out, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + i, tl.load(x + i, mask=i < n) + tl.load(y + i, mask=i < n), mask=i < n)


@triton.jit
def softmax_kernel(x, out, columns, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    row = tl.program_id(0) * columns
    values = tl.load(x + row + i, mask=i < columns, other=-float("inf")).to(tl.float32)
    e = tl.exp(values - tl.max(values, 0))
    tl.store(out + row + i, (e / tl.sum(e, 0)).to(out.dtype.element_ty), mask=i < columns)


@triton.jit
def product_kernel(a, b, out, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, P: tl.constexpr):
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    columns = tl.program_id(1) * BN + tl.arange(0, BN)
    k = tl.arange(0, BK)
    from_a = a + rows[:, None] * K + k[None, :]
    from_b = b + k[:, None] * N + columns[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for _ in range(0, K, BK):
        total = tl.dot(tl.load(from_a), tl.load(from_b), total, input_precision=P)
        from_a += BK
        from_b += BK * N
    tl.store(out + rows[:, None] * N + columns[None, :], total)


@triton.jit
def gru_kernel(gi, w, h0, out, T, B: tl.constexpr, H: tl.constexpr):
    batch, unit = tl.arange(0, B), tl.arange(0, H)
    square = unit[:, None] * H + unit[None, :]
    wr, wz, wn = tl.load(w + square), tl.load(w + H * H + square), tl.load(w + 2 * H * H + square)
    tile = batch[:, None] * H + unit[None, :]
    gates = batch[:, None] * (3 * H) + unit[None, :]
    h = tl.load(h0 + tile).to(tl.float32)
    for t in range(T):
        g = gi + t * (B * 3 * H) + gates
        inner = h.to(w.dtype.element_ty)
        r = tl.sigmoid(tl.load(g) + tl.dot(inner, wr))
        z = tl.sigmoid(tl.load(g + H) + tl.dot(inner, wz))
        n = 2 * tl.sigmoid(2 * (tl.load(g + 2 * H) + r * tl.dot(inner, wn))) - 1
        h = n + z * (h - n)
        tl.store(out + t * (B * H) + tile, h.to(out.dtype.element_ty))


NAMES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16"}


class Run:
    """A kernel compiled for a target, with its arguments."""

    def __init__(self, function: Any, target: str, values: dict[str, Any], constants: dict[str, Any]) -> None:
        """Compile."""
        order = {name: i for i, name in enumerate(function.arg_names)}
        types = {n: f"*{NAMES[v.dtype]}" if torch.is_tensor(v) else "i32" for n, v in values.items()}
        signature = {n: types.get(n, "constexpr") for n in function.arg_names}
        aligned = {(order[n],): [["tt.divisibility", 16]] for n, v in values.items() if torch.is_tensor(v)}
        source = ASTSource(function, signature, {(order[n],): v for n, v in constants.items()}, aligned)
        self.compiled = triton.compile(
            source, target=TARGETS[target], options={"num_warps": 4, "num_stages": 3}
        )
        self.kernel = Kernel(self.compiled)
        self.values = values  # their memory, as long as this
        self.arguments = [(n, types[n], v.data_ptr() if torch.is_tensor(v) else v) for n, v in values.items()]
        self.buffers = [
            runtime.Buffer(v.data_ptr(), v.numel() * v.element_size(), n)
            for n, v in values.items()
            if torch.is_tensor(v)
        ]

    def __call__(self, *grid: int, **options: Any) -> dict[str, int]:
        """Launch, with every check."""
        scratch = [("global_scratch", "*i8", 0), ("profile_scratch", "*i8", 0)]
        return self.kernel.launch(grid, [*self.arguments, *scratch], self.buffers, **options)


def addition(target: str) -> Run:
    x, y, out = torch.randn(300), torch.randn(300), torch.zeros(300)
    run = Run(add_kernel, target, {"x": x, "y": y, "out": out, "n": 300}, {"BLOCK": 128})
    run(3)
    assert torch.equal(out, x + y)
    return run


def product(target: str, dtype: torch.dtype, precision: str = "ieee") -> dict[str, int]:
    """A product that goes through shared memory, in three stages."""
    a, b, out = torch.randn(64, 96).to(dtype), torch.randn(96, 64).to(dtype), torch.zeros(64, 64)
    values = {"a": a, "b": b, "out": out, "M": 64, "N": 64, "K": 96}
    run = Run(product_kernel, target, values, {"BM": 64, "BN": 64, "BK": 32, "P": precision})
    counters = run(1, 1)
    error = (out.double() - a.double() @ b.double()).abs()
    size = a.double().abs() @ b.double().abs()
    summed = 2 * (96 + 2) * ROUNDOFF[torch.float32] * size  # K roundings of a sum, each at most of this size
    assert (error <= summed + OFF[precision] * size).all()
    assert precision != "tf32" or (error > summed).any(), "as good as products of whole float32 numbers"
    return counters


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_addition(target: str) -> None:
    torch.manual_seed(0)
    addition(target)


@pytest.mark.parametrize("target", ["sm_80", "sm_120", "gfx90a", "gfx1201"])
def test_softmax(target: str) -> None:
    torch.manual_seed(0)
    x, out = torch.randn(2, 200), torch.zeros(2, 200)
    Run(softmax_kernel, target, {"x": x, "out": out, "columns": 200}, {"BLOCK": 256})(2)
    exact, below = x.double().softmax(1), x.double().amax(1, keepdim=True) - x.double()
    # as for the same kernel in symgru/testing/simulated/cases.py
    bound = exact * 2 * (200 + 8 + 4 * below) * ROUNDOFF[torch.float32]
    assert ((out.double() - exact).abs() <= bound).all()


@pytest.mark.parametrize("target", TARGETS)
def test_product_float16(target: str) -> None:
    torch.manual_seed(0)
    counters = product(target, torch.float16)
    family = (
        "wgmma" if target == "sm_90" else "mma" if target in {"sm_80", "sm_86", "sm_89", "sm_120"} else ""
    )
    family = family or ("mfma" if target.startswith("gfx9") else "wmma")
    assert counters[family] > 0


@pytest.mark.parametrize(
    ("target", "dtype", "precision"),
    [
        ("sm_80", torch.float32, "tf32"),
        ("sm_90", torch.float32, "tf32"),
        ("sm_89", torch.bfloat16, "ieee"),
        ("gfx942", torch.bfloat16, "ieee"),
        ("gfx1100", torch.bfloat16, "ieee"),
        ("gfx90a", torch.float32, "ieee"),
    ],
    ids=str,
)
def test_product_other_formats(target: str, dtype: torch.dtype, precision: str) -> None:
    torch.manual_seed(0)
    product(target, dtype, precision)


@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_fused_gru(target: str) -> None:
    torch.manual_seed(0)
    T, B, H = 3, 32, 32
    gi, h0 = torch.randn(T, B, 3 * H), torch.randn(B, H)
    w, out = (torch.randn(3, H, H) / 6).half(), torch.zeros(T, B, H)
    run = Run(gru_kernel, target, {"gi": gi, "w": w, "h0": h0, "out": out, "T": T}, {"B": B, "H": H})
    for seed in range(2):
        run(1, schedule=runtime.random(seed))
        h = h0.double()
        for t in range(T):
            r, z, n = gi[t].double().split(H, 1)
            r, z = torch.sigmoid(r + h @ w[0].double()), torch.sigmoid(z + h @ w[1].double())
            n = torch.tanh(n + r * (h @ w[2].double()))
            h = n + z * (h - n)
            assert relative_error(out[t], h) <= TOLERANCES[torch.float16].cap


def test_every_access_is_announced() -> None:
    """Just before it is done; a translation without an announcement is found by this very test."""
    run = addition("gfx942")

    def silent(source: str) -> list[str]:
        lines = source[source.index("@simulated_kernel(") : source.index("@simulated_entry(")].splitlines()
        return [
            line
            for before, line in pairwise(lines)
            if re.search(r"^\s+(?:%\S+ = load|store) ", line) and "@sim_access(" not in before
        ]

    source = run.kernel.module.text
    assert "load" in source
    assert silent(source) == []
    planted = re.sub(r"\n[^\n]*call void @sim_access[^\n]*", "", source, count=1)
    assert len(silent(planted)) == 1


def test_source_lines_reach_the_report() -> None:
    """A launch that leaves its buffer names the line of this file that did it."""
    torch.manual_seed(0)
    run = addition("sm_80")
    run.buffers[0] = runtime.Buffer(run.buffers[0].start, 100, "x")
    with pytest.raises(SimulatorError, match=r"test_translated_kernels\.py:\d+ \(ld\.global"):
        run(3)


def test_machine_code_is_kept() -> None:
    """The same text is compiled once in a process."""
    first, second = addition("sm_80").kernel, addition("sm_80").kernel
    assert first._executable() is second._executable()


def test_machine_code_of_few_modules_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was dropped is compiled again, and what is in use stays."""
    monkeypatch.setattr(machine, "KEPT", 1)
    monkeypatch.setattr(machine, "_known", {})
    used = addition("sm_80")
    code = used.kernel._executable()
    for target in ("gfx942", "sm_90", "gfx1201"):
        addition(target)
        assert len(machine._known) == 1
    used(3)
    assert used.kernel._executable() is code
    assert addition("sm_80").kernel._executable() is not code


def test_kernel_takes_what_triton_gives() -> None:
    """Only `asm` and `metadata` are needed of a compiled kernel."""
    run = addition("sm_80")
    stub = SimpleNamespace(asm={"llir": run.compiled.asm["llir"]}, metadata=run.compiled.metadata)
    assert Kernel(stub).module == run.kernel.module


@triton.jit
def library_kernel(x, out, WHICH: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.arange(0, BLOCK)
    v = tl.load(x + i)
    if WHICH == "sine":
        v = libdevice.sin(100000 * v)
    elif WHICH == "power":
        v = libdevice.pow(tl.abs(v), 1.5)
    elif WHICH == "logarithm":
        v = libdevice.log1p(tl.abs(v))
    elif WHICH == "half":
        v = (v.to(tl.float64) * 0.1).to(tl.float16).to(tl.float32)
    elif WHICH == "bfloat":
        v = (v.to(tl.bfloat16) * v.to(tl.bfloat16) + v.to(tl.bfloat16)).to(tl.float32)
    tl.store(out + i, v)


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
@pytest.mark.parametrize("which", ["sine", "power", "logarithm", "half", "bfloat"])
def test_library_functions(target: str, which: str) -> None:
    """Their tables, arrays of a thread, carries, questions to the compiler; roundings to 16 bits, once."""
    torch.manual_seed(0)
    x, out = torch.randn(256), torch.zeros(256)
    Run(library_kernel, target, {"x": x, "out": out}, {"WHICH": which, "BLOCK": 256})(1)
    v = x.double()
    expected = {
        "sine": (100000 * x).double().sin(),
        "power": v.abs() ** 1.5,
        "logarithm": v.abs().log1p(),
        "half": (v * 0.1).half().double(),
        "bfloat": (x.bfloat16() * x.bfloat16() + x.bfloat16()).double(),
    }[which]
    # 4 units in the last place: the largest error of powf in the CUDA C++ Programming Guide, of sinf it is 2,
    # of log1pf 1. The roundings to 16 bits are exact.
    bound = 0.0 if which in {"half", "bfloat"} else 8 * ROUNDOFF[torch.float32]
    assert ((out.double() - expected).abs() <= bound * expected.abs()).all()


@pytest.mark.parametrize("which", ["forward", "backward"])
@pytest.mark.parametrize(
    ("target", "storage"), [("sm_90", torch.float16), ("gfx942", torch.float32)], ids=str
)
def test_our_own_loop(target: str, storage: torch.dtype, which: str) -> None:
    """The resident loop of this package, launched as on a GPU, against the plain loop in float64."""
    emitted = import_module("symgru.kernels.generated.torch_gru_keep_after")
    stages = import_module("symgru.kernels.generated.triton_gru_keep_after")
    resident = import_module("symgru.kernels.triton.scan")
    pass_ = getattr(emitted, which.upper())
    torch.manual_seed(0)
    G, T, B, H = 2, 3, 5, 16
    values = {name: torch.randn(G, T, B, H) / 2 for name in pass_.sequences}
    values |= {name: torch.randn(G, H) for name in pass_.parameters}
    values |= {pass_.carry[0][0]: torch.randn(G, B, H)}
    values["weight_hh"] = (torch.randn(G, 3 * H, H) / 4).to(storage)
    given = dict(values)
    with simulator.device(target):
        resident.scan(pass_, stages, values)
    added = set(values) - set(given)
    assert added
    for group in range(G):
        expected = {name: value[group].double() for name, value in given.items()}
        plain.scan(pass_, expected)
        for name in added:
            assert_close(name, values[name][group].to(storage), expected[name])
