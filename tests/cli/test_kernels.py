"""`symgru kernels`: its options, its errors, and a run of each command; rungs have processes of their own."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from symgru.cli import kernels, main
from symgru.testing.ladder import running
from symgru.testing.ladder.outcome import NOT_ON_A_GPU, RUNGS, Outcome, Request


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["kernels", *arguments])


def test_names_are_those_of_the_simulator_and_the_loops() -> None:
    from symgru.kernels.simulator import TARGETS
    from symgru.kernels.triton.compile import DTYPES, PASSES

    assert set(kernels.TARGETS) == set(TARGETS)
    assert set(kernels.DTYPES) == set(DTYPES)
    assert kernels.PASSES == PASSES


# report


def test_report_has_figures_and_counters_of_launch_and_step() -> None:
    shape = ("--target", "sm_90", "--pass", "forward", "--dtype", "float16", "--sizes", "4,3,16")
    text = invoke("report", *shape)
    assert text.exit_code == 0, text.output
    title, *lines = text.stdout.splitlines()
    assert "T=4 B=3 H=16 float16" in title
    assert title.endswith(NOT_ON_A_GPU)
    assert lines[2].split()[:3] == ["forward", "keep_after", "sm_90"]
    assert "HMMA" in lines[2]
    assert "differences under a factor of 1.2 mean nothing" in lines[3]
    document = json.loads(invoke("report", *shape, "--json").stdout)
    (launch,) = document["launches"]
    assert [document["steps"], launch["notice"]] == [4, NOT_ON_A_GPU]
    counters, step = launch["counters"], launch["counters per step"]
    assert counters["mma"] == 4 * step["mma"] > 0
    assert counters["global_store_bytes"] > 0
    assert launch["modelled cycles"]["total"] > 0
    assert launch["static"]["registers"] > 0


def test_report_says_what_is_not_served() -> None:
    result = invoke("report", "--target", "gfx1201", "--dtype", "float64", "--sizes", "2,2,17")
    assert result.exit_code == 1
    assert "goes to hidden size 16; this one is 17" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("sizes", ["1,2", "0,1,2", "a,b,c", "1,2,3,4"])
def test_report_refuses_what_are_no_sizes(sizes: str) -> None:
    result = invoke("report", "--sizes", sizes)
    assert result.exit_code == 2
    assert "expected T,B,H such as 8,16,32" in result.stderr


# verify


def test_verify_runs_a_rung_and_says_where_it_did_not_run(tmp_path: Path) -> None:
    file = tmp_path / "outcomes.json"
    result = invoke("verify", "--rung", "a", "--rung", "f", "--json", str(file))
    assert result.exit_code == 0, result.output
    assert "(a) emitted passes against the float64 oracle: passed, 36 checks" in result.stdout
    found = {outcome["rung"]: outcome for outcome in json.loads(file.read_text(encoding="utf-8"))}
    assert found["a"]["checks"] == 36
    import torch

    if not torch.cuda.is_available():
        assert f"(f) compiled loops on a GPU: {NOT_ON_A_GPU}" in result.stdout
        assert found["f"]["verdict"] == NOT_ON_A_GPU
    again = invoke("verify", "--rung", "a", "--json", str(file))
    assert again.exit_code == 1
    assert "exists; --force overwrites it" in again.stderr


def outcomes_of(monkeypatch: pytest.MonkeyPatch, *found: Outcome) -> list[Request]:
    """Rungs find these; the requests come back."""
    asked: list[Request] = []
    by_letter = {outcome.rung: outcome for outcome in found}

    def run(rung: str, request: Request) -> Outcome:
        asked.append(request)
        return by_letter.get(rung, Outcome(rung, "passed", 1))

    monkeypatch.setattr(running, "run", run)
    return asked


def test_a_failed_rung_ends_in_exit_status_1_and_the_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    outcomes_of(monkeypatch, Outcome("c", "failed", 3, ["Run: DataRace: two\nlines"]))
    result = invoke("verify")
    assert result.exit_code == 1
    assert [line[:3] for line in result.stdout.splitlines() if line[0] == "("] == [f"({r})" for r in RUNGS]
    assert "    FAILED Run: DataRace: two\n    lines\n" in result.stdout


def test_options_reach_the_rungs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = outcomes_of(monkeypatch)
    assert invoke("verify", "--thorough", "--target", "sm_80", "--rung", "d").exit_code == 0
    assert invoke("verify", "--accept", "a new loop").exit_code == 0
    assert asked == [Request(("sm_80",), thorough=True), Request(accept="a new loop")]


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--rung", "x"), "the rungs are a, b, c, d, e, f; not x"),
        (("--accept", " "), "expected the reason why"),
        (("--accept", "because", "--rung", "c"), "goes with rung d alone"),
        (("--target", "sm_1"), "'sm_1' is not one of 'sm_80'"),
    ],
)
def test_verify_refuses_what_it_does_not_know(arguments: tuple[str, ...], complaint: str) -> None:
    result = invoke("verify", *arguments)
    assert result.exit_code == 2
    assert complaint in result.stderr


# What is missing.


@pytest.mark.parametrize(
    ("module", "extra"), [("triton", "simulator"), ("llvmlite", "simulator"), ("hypothesis", "test")]
)
@pytest.mark.parametrize("name", ["report", "verify"])
def test_missing_dependencies_are_named(
    module: str, extra: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_spec(wanted: str) -> object:
        return None if wanted == module else object()

    monkeypatch.setattr("symgru.cli.extras.find_spec", find_spec)
    result = invoke(name)
    assert result.exit_code == 1
    assert f"symgru kernels {name} needs {module}, which is not installed" in result.stderr
    assert f"symgru[{extra}]" in result.stderr


def test_a_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    result = invoke("verify")
    assert result.exit_code == 1
    assert "symgru kernels verify: " in result.stderr
    assert "compiler" in result.stderr


# A rung in its process.


def test_a_rung_that_crashes_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RUNGS, "z", ("no such rung", None))
    found = running.run("z", Request())
    assert found.verdict == "failed"
    assert "exit status 2" in found.failures[0]
    assert "invalid choice: 'z'" in found.failures[0]


def test_outcomes_in_words() -> None:
    found = Outcome("d", "passed", 7, notes=["triton 3.9.0"])
    assert found.text == "(d) compile matrix against its budgets: passed, 7 checks\n    triton 3.9.0"
    assert replace(found, verdict="failed", failures=["x"]).text.splitlines()[1] == "    FAILED x"
