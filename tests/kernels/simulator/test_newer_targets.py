"""Targets whose matrix products are fed by asynchronous instructions of their own: results and reports."""

import pytest
import torch
from symgru.kernels import simulator

from symgru.testing.simulated.cases import Case


def run(case, target, schedule="random", seed=1, **options):
    launch = case.launch()
    with simulator.device(target, schedule=schedule, seed=seed, **options):
        compiled = launch.run()
    launch.assert_agrees()
    return compiled.asm["llir"]


CDNA4 = [
    (torch.float16, (64, 64, 32), 2, ("load.async.lds", "ds.read.tr16")),
    (torch.bfloat16, (128, 128, 64), 3, ("load.async.lds", "ds.read.tr16")),
    (torch.int8, (64, 64, 64), 2, ("load.async.lds", "ds.read.tr8")),
    (torch.float32, (64, 64, 32), 2, ("load.async.lds",)),
]


@pytest.mark.parametrize(("dtype", "tile", "stages", "instructions"), CDNA4, ids=str)
@pytest.mark.parametrize("warps", [4, pytest.param(8, marks=pytest.mark.thorough)])
def test_copies_to_shared_memory_and_transposed_reads_of_cdna4(dtype, tile, stages, warps, instructions):
    llir = run(Case("matmul", dtype, (130, 140, 160, *tile), warps=warps, stages=stages), "gfx950")
    assert all(instruction in llir for instruction in instructions)


def test_a_mark_that_is_missing_is_reported():
    def without_marks(llir):
        return llir.replace("call void @llvm.amdgcn.asyncmark()", "call void @llvm.amdgcn.s.nop(i16 0)")

    case = Case("matmul", torch.float16, (64, 64, 256, 64, 64, 64), stages=3)
    with pytest.raises((simulator.DataRace, simulator.Uninitialised)):
        run(case, "gfx950", rewrite=without_marks)
