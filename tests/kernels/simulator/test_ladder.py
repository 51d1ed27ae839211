"""The rungs of the ladder find what is planted, and say what they did not do."""

from dataclasses import replace
from pathlib import Path

import pytest
import triton
from hypothesis import strategies as st
from symgru.kernels import simulator
from symgru.kernels.triton import budgets, matrix
from symgru.kernels.triton.budgets import Budget, Budgets

from symgru.testing.ladder import rungs
from symgru.testing.ladder.outcome import NOT_ON_A_GPU, RUNGS, Request
from symgru.testing.ladder.rungs import RUNNERS, Tally
from symgru.testing.resident import LOOP_ERRORS, Case, planted_loop

ONE = Request(("gfx942",))


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Budgets:
    """The budgets of the fast kernels of gfx942 as they compile here, in a file of the test's."""
    monkeypatch.setattr(budgets, "FILE", tmp_path / "budgets.json")
    budgets.save(Budgets((), {}), budgets.FILE)
    assert rungs.compile_matrix(replace(ONE, accept="first")).verdict == "passed"
    return budgets.load(budgets.FILE)


def test_every_rung_has_its_runner() -> None:
    assert list(RUNNERS) == list(RUNGS)


def test_drift_fails_until_it_is_accepted_with_a_reason(recorded: Budgets) -> None:
    kernels = [str(kernel) for kernel in matrix.fast(ONE.targets)]
    assert set(recorded.releases[triton.__version__]) == set(kernels)
    assert rungs.compile_matrix(ONE).verdict == "passed"

    lines = dict(recorded.releases[triton.__version__])
    old = lines[kernels[0]].figures
    lines[kernels[0]] = Budget(replace(old, barriers=old.barriers + 1), 0)
    budgets.save(replace(recorded, releases={triton.__version__: lines}), budgets.FILE)
    drifted = rungs.compile_matrix(ONE)
    assert drifted.verdict == "failed"
    assert drifted.failures == [
        f"{kernels[0]}: barriers {old.barriers + 1} became {old.barriers} (last accepted: first)"
    ]

    accepted = rungs.compile_matrix(replace(ONE, accept="one barrier less"))
    assert accepted.verdict == "passed"
    assert any("accepted the figures of 1 kernels" in note for note in accepted.notes)
    after = budgets.load(budgets.FILE)
    assert after.reasons == ("first", "one barrier less")
    assert [b.reason for _, b in sorted(after.releases[triton.__version__].items())].count(1) == 1
    assert any("nothing to accept" in n for n in rungs.compile_matrix(replace(ONE, accept="again")).notes)


def test_another_release_of_triton_is_said(recorded: Budgets, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(triton, "__version__", "3.8.7")
    found = rungs.compile_matrix(ONE)
    assert found.verdict == "passed"
    assert any("no budget was compared" in note and "this is 3.8.7" in note for note in found.notes)


def test_a_kernel_that_does_not_fit_is_not_accepted(
    recorded: Budgets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "expected_instruction", lambda kernel: "HMMA")
    before = budgets.FILE.read_bytes()
    found = rungs.compile_matrix(replace(ONE, accept="never mind"))
    assert found.verdict == "failed"
    assert "expected HMMA matrix instructions" in found.failures[0]
    assert budgets.FILE.read_bytes() == before


def test_a_difference_from_the_oracle_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rungs, "EMITTED", -1.0)
    monkeypatch.setattr(rungs, "SEEDS", 1)
    found = rungs.oracle(Request())
    assert found.verdict == "failed"
    assert len(found.failures) == found.checks == 12
    assert all("differs from the oracle" in failure for failure in found.failures)


@pytest.mark.thorough
def test_a_wrong_loop_fails_on_simulated_gpus(tmp_path: Path) -> None:
    module, cell, pass_, right, wrong = LOOP_ERRORS[0]
    with planted_loop(module, Case(cell, pass_), right, wrong, tmp_path):
        found = rungs.on_simulated_gpus(Request(("sm_80",)))
    assert found.verdict == "failed"
    assert all("against the oracle" in failure for failure in found.failures)


def test_failures_are_kept_and_other_errors_are_not_hidden() -> None:
    def fail(error: Exception) -> None:
        raise error

    tally = Tally()
    tally.check("good", lambda: None)
    tally.check("wrong", lambda: fail(AssertionError("too far")))
    tally.check("race", lambda: fail(simulator.DataRace("two accesses")))
    tally.examples(st.integers(0, 100), lambda n: fail(AssertionError("large")) if n > 7 else None, 100)
    found = tally.outcome("c")
    assert found.verdict == "failed"
    assert list(found.failures) == ["wrong: too far", "race: two accesses", "8: large"]
    with pytest.raises(TypeError):
        tally.check("an error of the ladder", lambda: fail(TypeError()))
    with pytest.raises(RuntimeError, match="made no check"):
        Tally().outcome("a")


def test_of_two_errors_that_are_drawn_one_is_told() -> None:
    def wrong(n: int) -> None:
        assert n < 3, "large"
        if n % 2:
            raise simulator.DataRace("odd")

    tally = Tally()
    tally.examples(st.integers(0, 50), wrong, 100)
    assert len(tally.failures) == 1


def test_without_a_gpu_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found = rungs.on_a_gpu(Request())
    assert found.verdict == NOT_ON_A_GPU == "not run on a GPU"


def test_the_model_says_how_far_to_trust_it() -> None:
    found = rungs.static_model(Request(("sm_80", "gfx942")))
    assert found.verdict == "advice"
    assert "compared with no GPU: differences under a factor of 1.2 mean nothing" in found.notes[0]
    assert "cycles (" in found.notes[1]
    assert found.notes[-1] == "AMD is not modelled"
