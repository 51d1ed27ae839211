"""Mutants of compiled code: which there are, and that they are reported."""

import pytest
import torch
from symgru.kernels import simulator

from symgru.testing.simulated import mutation
from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.mutants import RULES, mutants

DIFFUSE = Case("diffuse", torch.float32, (500, 2))
MATMUL = Case("matmul", torch.float16, (64, 64, 96, 64, 64, 32), stages=3)


def compiled(case, target):
    with simulator.device(target):
        return case.launch().compile().asm["llir"]


def count(llir):
    found = list(mutants(llir))
    return {kind: sum(m.kind == kind for m in found) for kind in RULES}


def test_every_barrier_wait_mask_and_order_of_nvidia_is_found():
    llir = compiled(DIFFUSE, "sm_80")
    numbers = count(llir)
    assert numbers["barrier"] == 4
    assert llir.count("call void @llvm.nvvm.barrier") in (4, 5)  # two are neighbours in what Triton 3.9 makes
    assert numbers["mask"] == llir.count(',b"(')
    assert (numbers["order"], numbers["scope"]) == (2, 2)
    copies = count(compiled(MATMUL, "sm_80"))
    assert copies["wait"] >= 1
    assert copies["mask"] > copies["wait"]


def test_every_barrier_fence_and_order_of_amd_is_found():
    for target, barrier in (("gfx942", "s.barrier()"), ("gfx1201", "s.barrier.signal")):
        llir = compiled(DIFFUSE, target)
        numbers = count(llir)
        assert numbers["barrier"] == 4
        assert llir.count(f"call void @llvm.amdgcn.{barrier}") in (4, 5)
        assert numbers["fence"] == llir.count("\n  fence ")
        assert (numbers["order"], numbers["scope"]) == (2, 2)
        assert numbers["mask"] >= 3


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942", "gfx1201"])
@pytest.mark.parametrize("case", [DIFFUSE, MATMUL], ids=lambda case: case.family)
def test_mutants_differ_and_say_where(target, case):
    llir = compiled(case, target)
    texts = [mutant.apply(llir) for mutant in mutants(llir)]
    assert len({llir, *texts}) == len(texts) + 1
    assert all("kernels.py:" in mutant.place for mutant in mutants(llir))


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_weakened_grid_barrier_is_reported(target):
    for mutant in mutants(compiled(DIFFUSE, target)):
        if mutant.kind in ("order", "scope"):
            assert mutation.outcome(target, [DIFFUSE.launch], mutant).report


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_every_barrier_of_a_warp_that_is_missing_is_reported(target):
    case = Case("split_k", torch.float32, (16, 32, 40, 1), warps=1)
    llir = compiled(case, target)
    lines = llir.split("\n")
    found = [m for m in mutants(llir) if "bar.warp.sync" in lines[m.lines[0][0]]]
    assert len(found) == llir.count("call void @llvm.nvvm.bar.warp.sync") > 0
    for mutant in found:
        assert "DataRace" in str(mutation.outcome(target, [case.launch], mutant).report)


def test_figures_are_printed(capsys):
    assert mutation.main(["sm_80", "--only", "add"]) == 0
    figures = capsys.readouterr().out
    assert "reported 3 of 3 errors, 100.0%, of 3 mutants; 0 survivors not explained" in figures


def test_figures_count_errors_only():
    figures = mutation.Figures(10, 7, 2) + mutation.Figures(2, 1, 0, 1)
    assert str(figures) == "reported 8 of 10 errors, 80.0%, of 12 mutants; 1 survivors not explained"


def test_a_kernel_that_is_wrong_itself_has_no_figures():
    class Wrong:
        def __init__(self):
            self.launch = DIFFUSE.launch()

        def run(self):
            self.launch.run()
            self.launch.arguments["state"][1, 0] += 1

        def compile(self):
            return self.launch.compile()

        def assert_agrees(self):
            self.launch.assert_agrees()

    with pytest.raises(AssertionError):
        mutation.outcomes("sm_80", [Wrong])
