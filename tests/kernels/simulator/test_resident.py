"""The resident GRU loops as they are compiled for a GPU, on a simulated one, by the interpreter's checks.

Every cell and pass, every setting that `kernels/triton/launch.py` can choose, shapes and lengths that
Hypothesis chooses, schedules by seed. The outputs count as unwritten until the kernel writes them.
"""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from symgru.kernels import simulator

from symgru.testing.resident import (
    CELLS,
    LOOP_ERRORS,
    PASSES,
    STAGE_ERRORS,
    Case,
    assert_agrees,
    mutant,
    planted_loop,
)
from symgru.testing.simulated import resident
from symgru.testing.simulated.resident import CPU, Run, every_setting, runs, spread

FAST_TARGETS = ("sm_80", "sm_90", "gfx942", "gfx1201", "sm_120", "gfx1100")
#: Planted in source; compiled anew for each, so the fast form has one of each kind.
FAST_STAGES = {("keep_after_lengths", "forward"), ("update_before", "backward"), ("update_before", "tangent")}


def name(run: Run) -> str:
    case, precision = run.case, f"-{run.case.precision}" if run.case.storage is torch.float32 else ""
    dtype = str(case.storage).removeprefix("torch.")
    return f"{run.target}-{case.cell}-{case.pass_}-{dtype}{precision}-{case.H}-{run.schedule}"


@pytest.mark.parametrize("run", [*spread(FAST_TARGETS)], ids=name)
def test_every_cell(run: Run) -> None:
    run.check()


@settings(max_examples=max(10, settings().max_examples // 3))
@given(run=runs(("sm_80", "sm_90", "gfx942", "gfx1201")))
def test_any_shape_and_schedule(run: Run) -> None:
    run.check()


@pytest.mark.thorough
@pytest.mark.parametrize("run", [*every_setting()], ids=name)
def test_every_setting(run: Run) -> None:
    for schedule in resident.SCHEDULES:
        Run(run.target, run.case, schedule, run.seed).check()


@pytest.mark.thorough
@given(run=runs())
def test_any_shape_and_schedule_on_any_target(run: Run) -> None:
    run.check()


def test_the_spread_has_all_cells_passes_and_targets() -> None:
    found = list(spread(FAST_TARGETS))
    assert {run.case.cell for run in found} == set(CELLS)
    assert {run.case.pass_ for run in found} == set(PASSES)
    assert {run.target for run in found} == set(FAST_TARGETS)
    assert {run.schedule for run in found} == set(resident.SCHEDULES)
    assert len({run.case.storage for run in found}) == 4


# Planted errors.


def slow_but(fast: Callable[[tuple], bool], errors: tuple) -> list:
    """The errors as parameters, all but the fast ones marked `thorough`."""
    marks = ([] if fast(error) else [pytest.mark.thorough] for error in errors)
    return [pytest.param(*error, marks=mark) for error, mark in zip(errors, marks, strict=True)]


@pytest.mark.parametrize(
    ("cell", "pass_", "right", "wrong"), slow_but(lambda e: e[:2] in FAST_STAGES, STAGE_ERRORS)
)
def test_wrong_stage_is_found(cell: str, pass_: str, right: str, wrong: str, tmp_path: Path) -> None:
    case = Case(cell, pass_)
    stages = mutant(case.emitted()[1], right, wrong, tmp_path)
    with simulator.device("sm_80"), pytest.raises(AssertionError, match="against the oracle"):
        assert_agrees(case, CPU, stages)


@pytest.mark.parametrize(
    ("module", "cell", "pass_", "right", "wrong"),
    slow_but(lambda e: "TRANSPOSED" in e[3] or "T - 2 - i" in e[3], LOOP_ERRORS),
)
def test_wrong_loop_is_found(module, cell, pass_, right, wrong, tmp_path) -> None:
    run = Run("sm_80", Case(cell, pass_))
    with (
        planted_loop(module, run.case, right, wrong, tmp_path),
        pytest.raises((AssertionError, simulator.DataRace), match=r"against the oracle|states"),
    ):
        run.check()


BARRIER = re.compile(r"^.*call void @llvm\.nvvm\.barrier\S*\(.*\n", re.MULTILINE)


def test_missing_barriers_are_reported() -> None:
    """One at a time, before and inside the loop over time, in the code compiled for sm_80.

    All but one, which guards nothing: each thread then overwrites what it alone has read.
    """
    run = Run("sm_80", Case("keep_after", "forward", H=32, B=16, storage=torch.float16))
    text = run.check().launches[0].binary.asm["llir"]
    barriers = list(BARRIER.finditer(text))
    assert len(barriers) > 5
    unreported = []
    for barrier in barriers:
        without = text[: barrier.start()] + text[barrier.end() :]
        try:
            run.check(rewrite=lambda _, without=without: without)
        except (simulator.DataRace, simulator.Uninitialised):
            continue
        unreported.append(barrier[0])
    assert len(unreported) <= 1


def test_what_is_not_served_is_refused_in_words() -> None:
    with pytest.raises(ValueError, match="float32 products in ieee precision there, not in tf32"):
        Run("gfx1100", Case("keep_after", "forward", storage=torch.float32, precision="tf32")).check()
    with pytest.raises(ValueError, match="goes to hidden size 16; this one is 17"):
        Run("gfx1201", Case("keep_after", "forward", H=17)).check()
