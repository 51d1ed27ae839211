"""Every loop kernel compiles for GPUs that are not there, and what came out fits them. Not run on a GPU.

Compiled in a process of its own, since this one may have the interpreter in place of the compiler. Found
with triton 3.9.0 (ptxas 12.9 for sm_80 to sm_89, 13.4 from sm_90; for AMD the compiler in Triton's wheel), at
the largest hidden size that the launch table serves:

| target               | float64   | float32 ieee | float32 tf32 / tf32x3 | float16, bfloat16 |
|----------------------|-----------|--------------|-----------------------|-------------------|
| sm_80, 90, 100, 103  | DMMA, 64  | no MMA, 64   | HMMA, 64              | HMMA, 128         |
| sm_86, 89, 120       | no MMA, 32| no MMA, 64   | HMMA, 64 / not served | HMMA, 64          |
| gfx90a, 942, 950     | MFMA, 32  | MFMA, 64     |                       | MFMA, 64          |
| gfx1100, 1151, 1201  | no MMA, 16| no MMA, 32   |                       | WMMA, 32          |

- `tl.dot` takes float64 on every target: DMMA, MFMA, or plain fused multiply-adds.
- A tile of 16 rows never becomes wgmma (sm_90) or tcgen05 (sm_100): those want 64; mma.sync is used.
- float32 in ieee precision is fused multiply-adds on NVIDIA and matrix instructions on CDNA.
- Fused multiply-adds stay in the products with enable_fp_fusion=False; only the pointwise part rounds twice.
- NVIDIA kernels keep the three matrices in shared memory, AMD kernels in registers.
- Spills by warps, float32, H = 64, forward, sm_80: 440 bytes with 4 warps, none with 8.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from typing import Any

import pytest
from symgru.kernels.triton import compile as offline
from symgru.kernels.triton.launch import Settings, shared_memory

FAST = (
    ("sm_80", "after"),
    ("sm_90", "before"),
    ("sm_100", "after"),
    ("gfx942", "after"),
    ("gfx942", "before"),
    ("gfx1100", "after"),
)
HALF = ("float16", "bfloat16")
NO_DOUBLE_MMA = ("sm_86", "sm_89", "sm_120")


@dataclass(frozen=True)
class Budget:
    """Bytes a thread that kernels of a kind may spill, and why. A kernel of no kind here may spill none."""

    family: str
    storages: tuple[str, ...]
    passes: tuple[str, ...]
    spilled: int
    reason: str


BUDGETS = (
    Budget("cuda", HALF, ("tangent",), 96, "16 warps leave 128 registers; 8 sequences are requested ahead"),
    Budget(
        "cuda", ("float64",), ("tangent",), 192, "8 sequences of two registers an element, requested ahead"
    ),
    Budget(
        "cuda",
        ("float64", "float32", *HALF),
        offline.PASSES,
        40,  # the most, on sm_120 with a mask for lengths
        "ptxas rounds registers down by 8 at most",
    ),
    Budget("cdna", ("float32",), ("tangent",), 24, "triton 3.7.1 on gfx942; 3.9.0 on gfx950 with a mask"),
    Budget("rdna", HALF, ("tangent",), 288, "each WMMA operand lies twice in the registers of a wave"),
    Budget(
        "rdna", HALF, ("forward", "backward"), 160, "each WMMA operand lies twice in the registers of a wave"
    ),
)


def budget_of(kernel: offline.Kernel) -> int:
    """Bytes a thread that a kernel may spill."""
    for budget in BUDGETS:
        if (
            budget.family == kernel.family
            and kernel.storage in budget.storages
            and kernel.pass_ in budget.passes
        ):
            return budget.spilled
    return 0


def expected_instruction(kernel: offline.Kernel) -> str | None:
    """The matrix instruction that the products should become, None for plain fused multiply-adds."""
    if kernel.family == "cdna":
        return "MFMA"
    if kernel.family == "rdna":
        return "WMMA" if kernel.storage in HALF else None
    if kernel.storage == "float64":
        return None if kernel.target in NO_DOUBLE_MMA else "DMMA"
    return None if (kernel.storage, kernel.precision) == ("float32", "ieee") else "HMMA"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The compile command in a process without the interpreter, warnings as errors."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-W", "error", "-m", "symgru.kernels.triton.compile", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def reports(*arguments: str) -> list[offline.Report]:
    """What the compile command found."""
    done = run(*arguments, "--json")
    assert done.stdout, done.stderr
    return [_report(document) for document in json.loads(done.stdout)["reports"]]


def _report(document: dict[str, Any]) -> offline.Report:
    kernel, launch = offline.Kernel(**document.pop("kernel")), Settings(**document.pop("settings"))
    return offline.Report(kernel, launch, **document)


def complaints(report: offline.Report) -> list[str]:
    """Everything that is wrong with a compiled kernel."""
    found = offline.problems(report, budget_of(report.kernel))
    name = offline.describe(report.kernel)
    wanted, present = expected_instruction(report.kernel), set(report.matrix_instructions)
    if present != ({wanted} if wanted else set()):
        found.append(f"{name}: expected {wanted or 'no'} matrix instructions, got {present or 'none'}")
    storage = offline.DTYPES[report.kernel.storage][0]
    bound = shared_memory(storage, report.kernel.hidden_size, report.kernel.precision)
    if report.shared_memory > bound:
        found.append(f"{name}: needs {report.shared_memory} bytes, launch.shared_memory promises {bound}")
    return found


def assert_all_fit(found: list[offline.Report], number: int) -> None:
    """That many kernels were compiled, and nothing is wrong with any."""
    assert len(found) == number
    wrong = [complaint for report in found for complaint in complaints(report)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(("target", "reset"), FAST)
def test_kernels_fit_their_target(target: str, reset: str) -> None:
    """Every pass in float32 and float16 at the largest hidden size; the thorough form has all targets."""
    assert_all_fit(reports("--targets", target, "--resets", reset), 2 * 3)


def test_tf32_is_asked_for_and_given() -> None:
    for precision in ("tf32", "tf32x3"):
        arguments = ("--targets", "sm_90", "--dtypes", "float32", "--passes", "forward", "--resets", "after")
        assert_all_fit(reports(*arguments, "--precision", precision), 1)


@pytest.mark.thorough
@pytest.mark.parametrize("lengths", [False, True], ids=["", "lengths"])
@pytest.mark.parametrize("target", offline.SHARED_MEMORY_LIMITS)
def test_all_kernels_fit_all_targets(target: str, lengths: bool) -> None:
    arguments = ["--targets", target, "--dtypes", *offline.DTYPES, "--resets", "after", "before"]
    assert_all_fit(reports(*arguments, *(["--lengths"] if lengths else [])), 4 * 2 * 3)


@pytest.mark.thorough
@pytest.mark.parametrize("hidden", [1, 15, 16, 17, 31, 32])
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942", "gfx1201"])
def test_small_kernels_fit(target: str, hidden: int) -> None:
    arguments = ["--targets", target, "--resets", "whole", "before", "--polarity", "update"]
    assert_all_fit(reports(*arguments, "--hidden", str(hidden)), 2 * 2 * 3)


# Planted errors.

GOOD = offline.Report(
    offline.Kernel("sm_90", "forward", "after", "float16", 128),
    Settings(128, 16, 16),
    shared_memory=110592,
    shared_memory_limit=232448,
    registers=118,
    spilled=0,
    matrix_instructions={"HMMA": 24},
)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"shared_memory_limit": 101376}, "needs 110592 bytes of shared memory, the target has 101376"),
        ({"spilled": 440}, "spills 440 bytes a thread, the budget is 40"),
        ({"matrix_instructions": {}}, "expected HMMA matrix instructions, got none"),
        ({"matrix_instructions": {"HMMA": 24, "DMMA": 1}}, "expected HMMA matrix instructions"),
        ({"shared_memory": 200000}, "needs 200000 bytes, launch.shared_memory promises"),
    ],
)
def test_complains(change: dict[str, Any], complaint: str) -> None:
    assert not complaints(GOOD)
    found = complaints(replace(GOOD, **change))
    assert len(found) == 1
    assert complaint in found[0]


ONE_FORWARD = ("--passes", "forward", "--resets", "after")


def test_too_large_a_kernel_is_found() -> None:
    """The launch table refuses H = 256; compiled all the same, it exceeds every device."""
    done = run("--targets", "sm_90", "--dtypes", "float16", "--hidden", "256", *ONE_FORWARD, "--json")
    assert done.returncode == 1, done.stderr
    (document,) = json.loads(done.stdout)["reports"]
    assert any("the target has 232448" in complaint for complaint in complaints(_report(document)))


def test_too_few_warps_are_found() -> None:
    (report,) = reports("--targets", "sm_80", "--dtypes", "float32", "--warps", "2", *ONE_FORWARD)
    assert any("spills" in complaint for complaint in complaints(report))


def test_table_says_what_it_is() -> None:
    done = run("--targets", "gfx942", "--dtypes", "float16", "--hidden", "16", *ONE_FORWARD)
    assert done.returncode == 0, done.stderr
    title, header, *lines = done.stdout.splitlines()
    assert "compiled, not run on a GPU" in title
    assert "triton 3" in title
    assert header.split()[:3] == ["kernel", "warps", "shared"]
    assert len(lines) == 1
    assert lines[0].startswith("gfx942 gru_keep_after forward float16 H=16 ")


def test_refuses_the_interpreter_and_unknown_targets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(RuntimeError, match="unset TRITON_INTERPRET"):
        offline.compile_kernel(GOOD.kernel)
    assert "invalid choice: 'sm_1'" in run("--targets", "sm_1").stderr
