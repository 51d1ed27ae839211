"""Mutants of compiled code: which there are, and that they are reported."""

import re
from dataclasses import replace

import pytest
import torch
from symgru.kernels import simulator

from symgru.testing.simulated import explained, figures, kernels, mutation
from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.guarded import GUARD, GuardedMemory, guarded
from symgru.testing.simulated.mutants import RULES, Mutant, mutants
from symgru.testing.simulated.subjects import SUBJECTS

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
        neighbours = llir.count(f"call void @llvm.amdgcn.{barrier}") - 4
        assert neighbours in (0, 1)  # each with its fences
        assert numbers["fence"] == llir.count("\n  fence ") - 2 * neighbours
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
            assert mutation.report_of(target, [DIFFUSE.launch], mutant)


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_every_barrier_of_a_warp_that_is_missing_is_reported(target):
    case = Case("split_k", torch.float32, (16, 32, 40, 1), warps=1)
    llir = compiled(case, target)
    lines = llir.split("\n")
    found = [m for m in mutants(llir) if "bar.warp.sync" in lines[m.lines[0][0]]]
    assert len(found) == llir.count("call void @llvm.nvvm.bar.warp.sync") > 0
    for mutant in found:
        assert "DataRace" in str(mutation.report_of(target, [case.launch], mutant))


def test_figures_are_printed(capsys):
    assert mutation.main(["sm_80", "--kernels", "^add$"]) == 0
    printed = capsys.readouterr()
    assert "| sm_80 | mask | 3 | 0 | 3 | 0 | 100.0% | 100.0% |" in printed.out
    assert "| sm_80 | other kernels | 3 | 0 | 3 | 0 | 100.0% | 100.0% |" in printed.out
    assert "sm_80 3/3 add: mask: mask always true at kernels.py:" in printed.err


@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_a_sample_of_our_kernels(target, capsys):
    arguments = [target, "--kernels", "^gru keep_after forward", "--sample", "12", "--seed", "5"]
    assert mutation.main(arguments) == 0, capsys.readouterr().out
    assert f"| {target} | our kernels | 12 |" in capsys.readouterr().out


def test_a_survivor_without_an_explanation_is_a_failure(monkeypatch, capsys):
    """The maximum of histogram, which all threads have."""
    assert mutation.main(["sm_80", "--kernels", "^histogram$"]) == 0
    assert re.search(r"- Equivalent \(sm_80 [12]\): the mask by which one thread", capsys.readouterr().out)
    monkeypatch.setattr(explained, "EXPLANATIONS", ())
    assert mutation.main(["sm_80", "--kernels", "^histogram$"]) == 1
    assert (
        "- NOT EXPLAINED: sm_80, histogram: mask: mask always true at kernels.py" in capsys.readouterr().out
    )


def test_what_has_run_does_not_run_again(monkeypatch, tmp_path, capsys):
    file = tmp_path / "reports.jsonl"
    arguments = ["sm_80", "--kernels", "^add$", "--json", str(file)]
    assert mutation.main([*arguments, "--sample", "2"]) == 0
    with file.open("a") as cut_off:
        cut_off.write('{"target": "sm_80", "ker')
    run = []
    monkeypatch.setattr(mutation, "report_of", lambda *mutant: run.append(mutant) or "reported")
    assert mutation.main(arguments) == 0
    assert len(run) == 1
    assert mutation.main(arguments) == 0
    assert len(run) == 1
    assert "| sm_80 | all | 3 | 0 | 3 |" in capsys.readouterr().out


def test_no_kernel_of_a_name_is_refused(capsys):
    with pytest.raises(SystemExit):
        mutation.main(["sm_80", "--kernels", "no such"])
    assert "expected --kernels to fit one of gru keep_after forward float32" in capsys.readouterr().err


def outcome(kind, report, kernel="add", target="sm_80"):
    return figures.Outcome(target, kernel, Mutant(kind, "changed", "nowhere", ()), report)


def test_figures_count_errors_only(monkeypatch):
    harmless = explained.Explanation(("sm_80",), "add", "^fence", (), "fences", "no reason", equivalent=True)
    missed = replace(harmless, mutant="^wait", equivalent=False)
    monkeypatch.setattr(explained, "EXPLANATIONS", (harmless, missed))
    found = [outcome("mask", "seen"), outcome("fence", None), outcome("wait", None), outcome("mask", "seen")]
    assert figures.Figures.of(found).cells() == ("4", "1", "2", "1", "66.7%", "50.0%")
    assert figures.good(found, whole=False)
    assert not figures.good(found, whole=True), "fewer than 95 % of the errors"
    assert not figures.good([*found, outcome("mask", None)], whole=False), "not explained"
    assert figures.good([outcome("mask", "seen"), outcome("fence", None)], whole=True)


def test_every_explanation_names_lines_that_there_are():
    for explanation in explained.EXPLANATIONS:
        for line in explanation.lines:
            assert line.places()
    with pytest.raises(ValueError, match=r"expected 'no such' in a line of add in kernels\.py"):
        explained.Line(kernels.add, "no such").places()


def test_an_explanation_that_nothing_needs_is_found(monkeypatch):
    reason = explained.Explanation(("sm_80", "sm_90"), "add", "^fence", (), "fences", "none", equivalent=True)
    monkeypatch.setattr(explained, "EXPLANATIONS", (reason,))
    both = [outcome("fence", None), outcome("fence", None, target="sm_90")]
    assert figures.stale(both) == []
    assert figures.stale(both[:1]) == []  # sm_90 has not run
    assert figures.stale([both[0], outcome("mask", "seen", target="sm_90")]) == ["sm_90: fences"]


@pytest.mark.thorough
@pytest.mark.parametrize("target", ["sm_80", "gfx942"])
def test_every_mutant(target):
    known = mutation.Known.of(None)
    found = list(mutation.outcomes([target], tuple(SUBJECTS), None, 0, known))
    assert figures.good(found, whole=True), figures.tables(found)
    assert figures.stale(found) == []


def test_a_kernel_that_is_wrong_itself_has_no_figures():
    class Wrong:
        def __init__(self):
            self.launch = DIFFUSE.launch()

        def run(self):
            self.launch.run()
            self.launch.arguments["state"][1, 0] += 1

        def assert_agrees(self):
            self.launch.assert_agrees()

    with pytest.raises(AssertionError):
        mutation.code_of("sm_80", [Wrong])
    with pytest.raises(ValueError, match="got 2 codes"):
        mutation.code_of("sm_80", [DIFFUSE.launch, Case("add", torch.float32, (300,)).launch])


def test_guarded_tensors_are_alone():
    for dtype in (torch.bool, torch.bfloat16, torch.float64):
        tensor = torch.ones(3, 5).to(dtype)
        copy = guarded(tensor)
        assert torch.equal(copy, tensor)
        assert copy.untyped_storage().nbytes() == tensor.untyped_storage().nbytes()
        assert copy.data_ptr() % 256 == 0
    with GuardedMemory():
        a, b = torch.empty(3), torch.empty_like(torch.ones(3))
    assert abs(a.data_ptr() - b.data_ptr()) > GUARD
