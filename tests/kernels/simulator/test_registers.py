"""Registers of asynchronous products: which instructions of a text the runtime is told of."""

import pytest
import torch
from symgru.kernels import simulator
from symgru.kernels.simulator.registers import Registers

from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.planted import PLANTED

PRODUCT = (
    'asm sideeffect "wgmma.mma_async.sync.aligned.m64n8k16.f32.f16.f16 {$0,$1}, {$4}, $5, p;", '
    '"=f,=f,0,1,r,l"(float %x, float %y, i32 %fragment, i64 %b)'
)
WAIT = 'asm sideeffect "wgmma.wait_group.sync.aligned 0;", "=f,=f,0,1"'
BODY = f"""
  %fragment = load i32, ptr %p
  br label %loop
loop:
  %x = phi float [ 0.0, %0 ], [ %waited0, %loop ]
  %y = phi float [ 0.0, %0 ], [ %waited1, %loop ]
  %given = tail call {{ float, float }} {PRODUCT} #2, !dbg !34
  %given0 = extractvalue {{ float, float }} %given, 0
  %given1 = extractvalue {{ float, float }} %given, 1
  %waited = tail call {{ float, float }} {WAIT}(float %given0, float %given1) #2
  %waited0 = extractvalue {{ float, float }} %waited, 0
  %waited1 = extractvalue {{ float, float }} %waited, 1
  %sum = fadd float %waited0, %waited1
  %twice = fadd float %waited1, %sum
""".splitlines()


def calls(lines):
    registers = Registers(lines)
    told = {}
    for line in lines:
        name = line.split(" = ")[0].strip()
        before = [*registers.before(line, lambda words: "7")]
        told[name] = before, [*registers.after(line, lambda words: "7")]
        if line.endswith(":"):
            registers.label()
    return told


def test_products_and_what_reads_them():
    told = calls(BODY)
    written = "%written.given"
    assert told["%fragment"] == ([], ["%written.fragment = call i32 @sim_product_now()"])
    assert told["%x"] == ([], [f"%written.x = phi i32 [ 0, %0 ], [ {written}, %loop ]"])
    before, after = told["%given"]
    assert before == [
        "call void @sim_product_takes(i32 %written.x, i32 1, i32 7)",
        "call void @sim_product_takes(i32 %written.y, i32 1, i32 7)",
        "call void @sim_product_takes(i32 %written.fragment, i32 0, i32 7)",
    ]
    assert after == [f"{written} = call i32 @sim_product_issued(i32 7)"]
    assert told["%given0"] == told["%waited"] == told["%waited0"] == ([], [])
    assert told["%sum"] == ([f"call void @sim_product_read(i32 {written}, i32 7)"], [])
    assert told["%twice"] == ([], [])  # told before, in the same block


def test_a_function_without_products_is_left_alone():
    assert not Registers([line for line in BODY if "mma_async" not in line])
    assert Registers(BODY)


TYPES = [
    (torch.float16, "ieee"),
    (torch.bfloat16, "ieee"),
    (torch.float32, "ieee"),
    (torch.float32, "tf32"),
    (torch.float32, "tf32x3"),
    (torch.float64, "ieee"),
    (torch.int8, "ieee"),
]
QUICK = [(torch.float16, "ieee", 3, 8), (torch.float32, "tf32x3", 2, 4)]
PIPELINES = [
    pytest.param(*case, marks=[] if case in QUICK else [pytest.mark.thorough])
    for case in [(*type_, stages, warps) for type_ in TYPES for stages in (1, 2, 3, 4) for warps in (4, 8)]
]


@pytest.mark.parametrize(("dtype", "precision", "stages", "warps"), PIPELINES)
def test_pipelined_products_are_not_accused(dtype, precision, stages, warps):
    sizes = (130, 70, 160, 16 * warps, 64, 32)
    launch = Case("matmul", dtype, sizes, warps=warps, stages=stages, precision=precision).launch()
    with simulator.device("sm_90", schedule="random", seed=1):
        launch.run()
    launch.assert_agrees()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("product without a fence of its registers", "after the last wgmma.fence"),
        ("product whose registers are read too early", "still being written: no wgmma"),
        ("product without a fence between the proxies", "no fence.proxy.async between"),
    ],
)
def test_the_report_says_what_is_missing(name, words):
    with pytest.raises(simulator.DataRace, match=words) as raised:
        PLANTED[name].run("sm_90", right=False, schedule="fifo")
    assert "kernels.py:" in raised.value.parties[0].place


def test_calls_are_in_the_order_of_the_operands():
    """The same text every time: the machine code is found by it, and a failure is seen again."""
    product = 'call { i32 } asm sideeffect "wgmma.mma_async", "=r,0,l"(i32 0, i64 %d)'
    places = [f"%p{i}" for i in range(8)]
    lines = [f"  {place} = {product}" for place in places]
    lines += [f"  {place}x = extractvalue {{ i32 }} {place}, 0" for place in places]
    reader = f"  call void @use({', '.join(f'i32 {place}x' for place in places)})"
    told = list(Registers([*lines, reader]).before(reader, lambda words: "1"))
    assert told == [f"call void @sim_product_read(i32 %written.p{i}, i32 1)" for i in range(8)]
