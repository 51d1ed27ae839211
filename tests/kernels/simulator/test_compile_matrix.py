"""Every loop kernel compiles for GPUs that are not there, and costs what its budget says. Not run on a GPU.

The fast form compiles two kernels for each target, the thorough form the whole matrix.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest
import triton
from symgru.kernels.simulator.static import Code, Static
from symgru.kernels.simulator.targets import TARGETS
from symgru.kernels.triton import budgets, matrix
from symgru.kernels.triton.budgets import Budgets, Figures, NoBudgetsError
from symgru.kernels.triton.compile import Kernel, compiled, figures

RECORDED = budgets.load()
KERNELS = {str(kernel): kernel for kernel in matrix.matrix()}


def complaints(kernel: Kernel) -> list[str]:
    """Everything that is wrong with what a kernel compiles to."""
    found = figures(kernel)
    drift = RECORDED.complaints(triton.__version__, kernel, Figures.of(found))
    return matrix.problems(kernel, found) + drift


def assert_as_recorded(kernels: list[Kernel]) -> None:
    if triton.__version__ not in RECORDED.releases:
        assert not [problem for kernel in kernels for problem in matrix.problems(kernel, figures(kernel))]
        pytest.skip(f"budgets.json has none for triton {triton.__version__}")
    wrong = [complaint for kernel in kernels for complaint in complaints(kernel)]
    assert not wrong, "\n".join(wrong)


def test_two_kernels_for_each_target() -> None:
    assert_as_recorded(list(matrix.fast()))


@pytest.mark.parametrize("precision", ["tf32", "tf32x3"])
def test_tf32_is_asked_for_and_given(precision: str) -> None:
    assert_as_recorded([Kernel("sm_90", "forward", "after", "float32", 64, precision)])


@pytest.mark.thorough
@pytest.mark.parametrize("target", TARGETS)
def test_the_matrix(target: str) -> None:
    assert_as_recorded(list(matrix.matrix((target,))))


@pytest.mark.thorough
@pytest.mark.parametrize("hidden", [1, 15, 16, 17, 31, 32])
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942", "gfx1201"])
def test_small_kernels_fit(target: str, hidden: int) -> None:
    """Hidden sizes that fill no tile, the other polarity and placement: no budgets, but no problems."""
    for storage in ("float16", "float32"):
        for pass_, reset in (("forward", "whole"), ("backward", "before"), ("tangent", "whole")):
            kernel = Kernel(target, pass_, reset, storage, hidden, polarity="update")
            found = figures(kernel)
            assert not matrix.problems(kernel, found)


# The file.


def test_a_budget_for_every_kernel_and_no_other() -> None:
    for release, lines in RECORDED.releases.items():
        assert set(lines) == set(KERNELS), release


def test_the_first_and_the_last_release_that_is_tested_have_budgets() -> None:
    constraints = Path(__file__).parents[3] / "constraints.txt"
    (line,) = re.findall(r"^triton>=(\S+),<=(\S+)$", constraints.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(RECORDED.releases) == set(line)


def test_the_fast_form_is_a_part_with_every_target_and_loop() -> None:
    found = list(matrix.fast())
    assert {str(kernel) for kernel in found} <= set(KERNELS)
    assert {kernel.target for kernel in found} == set(TARGETS)
    assert {(k.pass_, k.reset) for k in found} == {(k.pass_, k.reset) for k in KERNELS.values()}


def test_what_is_spilled_has_a_reason_that_says_so() -> None:
    for lines in RECORDED.releases.values():
        for kernel, budget in lines.items():
            reason = RECORDED.reasons[budget.reason]
            assert not budget.figures.spilled or "spill" in reason, f"{kernel}: {reason}"


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    budgets.save(RECORDED, tmp_path / "budgets.json")
    assert (tmp_path / "budgets.json").read_bytes() == budgets.FILE.read_bytes()


@pytest.mark.parametrize(
    "text",
    ["", "[]", '{"reasons": []}', '{"reasons": [], "releases": {"3.9.0": {"k": {"reason": 0}}}}'],
)
def test_what_is_no_budget_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "budgets.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"budgets\.json: expected budgets as"):
        budgets.load(file)


# Planted errors.

KERNEL = Kernel("sm_90", "forward", "after", "float16", 128)
LOOP = Code({"matrix": 24, "integer": 400, "barrier": 8}, {"HMMA.16816.F32": 24}, {"global load 16": 3})
GOOD = Static(
    kernel="ahead_one_product",
    target="sm_90",
    warps=16,
    registers=118,
    spilled=0,
    stack=0,
    shared_memory=110592,
    shared_memory_limit=232448,
    programs_at_once=132,
    code=LOOP,
    loops=(LOOP,),
)
FIRST = Budgets((), {}).accept("3.9.0", {KERNEL: Figures.of(GOOD)}, "first")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"shared_memory_limit": 101376}, "needs 110592 bytes of shared memory, the target has 101376"),
        ({"shared_memory": 200000}, "needs 200000 bytes of shared memory, launch.shared_memory promises"),
        ({"code": replace(LOOP, matrix={})}, "expected HMMA matrix instructions, got none"),
        ({"code": replace(LOOP, matrix={"HMMA.1": 2, "DMMA.884": 1})}, "expected HMMA matrix instructions"),
    ],
)
def test_a_kernel_that_does_not_fit_is_found(change: dict, complaint: str) -> None:
    assert not matrix.problems(KERNEL, GOOD)
    (found,) = matrix.problems(KERNEL, replace(GOOD, **change))
    assert complaint in found


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"registers": 120}, "registers 118 became 120 (last accepted: first)"),
        ({"spilled": 8}, "spilled 0 became 8"),
        ({"shared_memory": 1}, "shared memory 110592 became 1"),
        (
            {"loops": (replace(LOOP, matrix={"HMMA.1688.F32": 48}),)},
            "matrix 24 HMMA.16816.F32 became 48 HMMA",
        ),
        ({"loops": (replace(LOOP, widths={"global load 16": 4}),)}, "global bytes 48 became 64"),
    ],
)
def test_drift_is_found_until_it_is_accepted(change: dict, complaint: str) -> None:
    drifted = Figures.of(replace(GOOD, **change))
    assert not FIRST.complaints("3.9.0", KERNEL, Figures.of(GOOD))
    (found,) = FIRST.complaints("3.9.0", KERNEL, drifted)
    assert complaint in found
    accepted = FIRST.accept("3.9.0", {KERNEL: drifted}, "because")
    assert not accepted.complaints("3.9.0", KERNEL, drifted)
    assert accepted.reasons == ("first", "because")


def test_a_barrier_more_is_drift_and_the_same_figures_need_no_reason() -> None:
    more = replace(LOOP, instructions={**LOOP.instructions, "barrier": 9})
    found = FIRST.complaints("3.9.0", KERNEL, Figures.of(replace(GOOD, loops=(more,))))
    assert ["barriers 8 became 9" in found[0], "instructions 432 became 433" in found[1]] == [True, True]
    assert FIRST.accept("3.9.0", {KERNEL: Figures.of(GOOD)}, "no news") is FIRST


def test_what_has_no_budget_is_said() -> None:
    other = replace(KERNEL, hidden_size=64)
    assert FIRST.complaints("3.9.0", other, Figures.of(GOOD)) == [f"{other}: has no budget"]
    with pytest.raises(NoBudgetsError, match=r"budgets for triton 3\.9\.0, this is 4\.0\.0"):
        FIRST.complaints("4.0.0", KERNEL, Figures.of(GOOD))
    with pytest.raises(ValueError, match="expected a reason"):
        FIRST.accept("3.9.0", {KERNEL: Figures.of(GOOD)}, " ")
    with pytest.raises(ValueError, match="expected a loop over time"):
        Figures.of(replace(GOOD, loops=()))


def test_too_large_a_kernel_is_found() -> None:
    """The launch table refuses H = 256; compiled all the same, it exceeds every device."""
    kernel = Kernel("sm_90", "forward", "after", "float16", 256)
    assert any("the target has 232448" in c for c in matrix.problems(kernel, figures(kernel)))


def test_too_few_warps_spill() -> None:
    kernel = Kernel("sm_80", "forward", "after", "float32", 64)
    assert figures(kernel, replace(kernel.settings, num_warps=2)).spilled > 0


def test_refuses_the_interpreter_and_unknown_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expected a target of sm_80"):
        compiled(replace(KERNEL, target="sm_1"))
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(RuntimeError, match="unset TRITON_INTERPRET"):
        compiled(KERNEL)
