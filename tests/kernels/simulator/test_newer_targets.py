"""Targets whose matrix products are fed by asynchronous instructions of their own: results and reports."""

import re

import pytest
import torch
import triton
import triton.language as tl
from symgru.kernels import simulator

from symgru.testing.simulated.cases import Case


def run(case, target, schedule="random", seed=1, **options):
    launch = case.launch()
    with simulator.device(target, schedule=schedule, seed=seed, **options):
        compiled = launch.run()
    launch.assert_agrees()
    return compiled.asm["llir"]


#: What the tests of these instructions need: the compiler uses them.
uses_them = pytest.mark.skipif(triton.__version__ < "3.9", reason="older ones make other instructions here")
CDNA4 = [
    (torch.float16, (64, 64, 32), 2, ("load.async.lds", "ds.read.tr16")),
    (torch.bfloat16, (128, 128, 64), 3, ("load.async.lds", "ds.read.tr16")),
    (torch.int8, (64, 64, 64), 2, ("load.async.lds", "ds.read.tr8")),
    (torch.float32, (64, 64, 32), 2, ("load.async.lds",)),
]


@uses_them
@pytest.mark.parametrize(("dtype", "tile", "stages", "instructions"), CDNA4, ids=str)
@pytest.mark.parametrize("warps", [4, pytest.param(8, marks=pytest.mark.thorough)])
def test_copies_to_shared_memory_and_transposed_reads_of_cdna4(dtype, tile, stages, warps, instructions):
    llir = run(Case("matmul", dtype, (130, 140, 160, *tile), warps=warps, stages=stages), "gfx950")
    assert all(instruction in llir for instruction in instructions)


BLACKWELL = [
    (torch.float16, "ieee", (128, 64, 32), 4, 3),
    (torch.bfloat16, "ieee", (64, 64, 64), 8, 2),
    (torch.float32, "tf32", (64, 128, 32), 4, 2),
    pytest.param(torch.float32, "tf32x3", (128, 64, 32), 4, 2, marks=pytest.mark.thorough),
    pytest.param(torch.float32, "tf32x3", (64, 64, 32), 8, 2, marks=pytest.mark.thorough),
    pytest.param(torch.int8, "ieee", (64, 64, 64), 4, 2, marks=uses_them),
    pytest.param(torch.int8, "ieee", (128, 128, 64), 8, 3, marks=pytest.mark.thorough),
    pytest.param(torch.float16, "ieee", (128, 128, 64), 8, 1, marks=pytest.mark.thorough),
]


@pytest.mark.parametrize(("dtype", "precision", "tile", "warps", "stages"), BLACKWELL)
def test_products_in_tensor_memory(dtype, precision, tile, warps, stages):
    sizes = (130, 70, 160, *tile)
    case = Case("matmul", dtype, sizes, warps=warps, stages=stages, precision=precision)
    assert "tcgen05.mma" in run(case, "sm_100")


@triton.jit
def product_of_bytes(a, b, out, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row, column = tl.arange(0, BM)[:, None], tl.program_id(0) * BN + tl.arange(0, BN)[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        across = k + tl.arange(0, BK)
        total = tl.dot(
            tl.load(a + row * K + across[None, :]), tl.load(b + across[:, None] * N + column), total
        )
    tl.store(out + row * N + column, total)


@pytest.mark.parametrize(
    ("target", "instruction"), [("sm_100", "kind::f8f6f4"), ("gfx950", "mfma.scale.f32.32x32x64.f8f6f4")]
)
@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_products_of_8_bit_floats(target, instruction, dtype):
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(size, generator=generator).to(dtype) for size in ((128, 192), (192, 128)))
    out = torch.zeros(128, 128)
    with simulator.device(target, schedule="random", seed=1):
        compiled = product_of_bytes[(2,)](a, b, out, 128, 192, BM=128, BN=64, BK=64, num_stages=2)
    assert instruction in compiled.asm["llir"]
    torch.testing.assert_close(out.double(), a.double() @ b.double(), rtol=1e-6, atol=1e-5)


TENSOR = Case("matmul", torch.float16, (128, 64, 256, 128, 64, 32), stages=3)
#: Kind of error: pattern in the compiled text, what replaces it, and what is reported.
PLANTED = {
    "the products' end is not waited for": (r"^ .*mbarrier\.try_wait.*\n", "", (simulator.DataRace,)),
    "another phase is waited for": (
        r"(complete, \[\$0\], )\$1;",
        r"\g<1>3;",
        (simulator.DataRace, simulator.Livelock),
    ),
    "the products do not arrive": (r"^ .*tcgen05\.commit.*\n", "", (simulator.Livelock,)),
    "no fence between the proxies": (
        r"^ .*call void @llvm\.nvvm\.fence\.proxy.*\n",
        "",
        (simulator.DataRace,),
    ),
    "the mbarriers are not initialised": (r"^ .*mbarrier\.init.*\n", "", (simulator.Uninitialised,)),
    "more columns than allocated": (r"(tcgen05\.alloc.*\[\$1\], )64;", r"\g<1>32;", (simulator.OutOfBounds,)),
    "the sum is read before the products end": (
        r"^ .*mbarrier\.try_wait.*\n(?!(?:.*\n)*.*mbarrier\.try_wait)",
        "",
        (simulator.DataRace,),
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_planted_errors_of_tensor_memory(name):
    pattern, replacement, errors = PLANTED[name]

    def rewrite(llir):
        new, count = re.subn(pattern, replacement, llir, flags=re.MULTILINE)
        assert count
        return new

    with pytest.raises(errors):
        run(TENSOR, "sm_100", rewrite=rewrite)


@pytest.mark.parametrize("schedule", ["fifo", "random", "pct"])
def test_tensor_memory_under_any_schedule(schedule):
    run(TENSOR, "sm_100", schedule=schedule, seed=3)


@uses_them
def test_a_mark_that_is_missing_is_reported():
    def without_marks(llir):
        return llir.replace("call void @llvm.amdgcn.asyncmark()", "call void @llvm.amdgcn.s.nop(i16 0)")

    case = Case("matmul", torch.float16, (64, 64, 256, 64, 64, 64), stages=3)
    with pytest.raises((simulator.DataRace, simulator.Uninitialised)):
        run(case, "gfx950", rewrite=without_marks)
