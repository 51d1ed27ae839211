import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from symgru.benchmark.accuracy import WRONG
from symgru.benchmark.machine import cores
from symgru.cli import main
from symgru.cli.bench import NAMES, table_names

TINY = ("--quick", "--seconds", "0", "--backend", "torch", "--shapes", "3,2,4,5")


def invoke(*arguments):
    return CliRunner().invoke(main, ["bench", "cpu", *arguments])


def test_a_tiny_run_prints_and_writes(tmp_path):
    path = tmp_path / "figures.json"
    result = invoke(*TINY, "--tables", "forward,training", "--json", str(path))
    assert result.exit_code == 0, result.output
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [table["name"] for table in content["tables"]] == ["forward", "training"]
    assert content["machine"]["backend of symgru"] == "torch"
    for word in ("processor", "load average", "3,2,4,5", "symgru", "torch.nn.GRU", "OpenVINO", "of floor"):
        assert word in result.stdout
    assert "forward: 100%" in result.stderr
    refused = invoke(*TINY, "--json", str(path))
    assert refused.exit_code == 1
    assert "exists; --force overwrites it" in refused.stderr


def test_markdown():
    result = invoke(*TINY, "--tables", "double-backward", "--markdown")
    assert result.exit_code == 0, result.output
    assert "\n## double-backward\n" in result.stdout
    assert "| 3,2,4,5 | 1 | symgru |" in result.stdout


def test_a_wrong_result_ends_in_exit_status_1(monkeypatch):
    for dtype in WRONG:
        monkeypatch.setitem(WRONG, dtype, 0.0)
    monkeypatch.setattr("symgru.benchmark.accuracy.less_exact_above", lambda dtype, peer: 0.0)
    result = invoke(*TINY, "--tables", "training")
    assert result.exit_code == 1
    assert "REFUSED: wrong result" in result.stdout
    assert "2 results were wrong and have no time" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--tables", "nonsense"), "not nonsense"),
        (("--tables", ","), "not none"),
        (("--shapes", "1,2,3"), "there are 3 numbers"),
        (("--threads", "0"), "expected numbers such as 1,2"),
        (("--threads", "x"), "expected numbers such as 1,2"),
        (("--threads", str(cores() + 1)), "usable cores"),
        (("--plot", "x.png"), "draws the table scaling"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_measured(arguments, complaint):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert complaint in " ".join(result.stderr.replace("│", " ").split())
    assert not Path("x.png").exists()


def test_an_unknown_backend_is_an_error_in_words():
    result = invoke(*TINY[:3], "--shapes", "3,2,4,5", "--backend", "abacus")
    assert result.exit_code == 1
    assert "backend must be" in result.stderr


def test_tables_come_in_one_order():
    assert table_names("training, forward") == ("forward", "training")
    assert table_names("all") == NAMES


def test_the_simulator_is_timed_and_drawn(tmp_path):
    """In a process of its own: here Triton is interpreted."""
    json_file, plot_file = tmp_path / "simulator.json", tmp_path / "simulator.svg"
    command = [sys.executable, "-m", "symgru.cli", "bench", "simulator", "--quick", "--seconds", "0"]
    command += ["--shape", "2,16,16", "--json", str(json_file), "--plot", str(plot_file)]
    environment = {**os.environ, "TRITON_INTERPRET": "0"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Not run on a GPU" in done.stdout
    assert "exponent" in done.stdout
    rows = json.loads(json_file.read_text(encoding="utf-8"))["rows"]
    assert [row["axis"] for row in rows] == ["launch", "steps", "steps", "threads", "threads"]
    assert all(0 < row["error"] < 0.01 and row["counters"]["mma"] > 0 for row in rows)
    assert plot_file.read_text(encoding="utf-8").count('<g id="axes_') == 2


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--shape", "2,16"), 2, "expected T,B,H such as 32,64,64"),
        (("--shape", "2,16,0"), 2, "expected T,B,H such as 32,64,64"),
        (("--target", "sm_1"), 1, "expected a target of sm_80"),
        ((), 1, "unset TRITON_INTERPRET"),
    ],
)
def test_what_cannot_be_simulated_is_refused(arguments, code, complaint):
    result = CliRunner().invoke(main, ["bench", "simulator", "--quick", *arguments])
    assert result.exit_code == code
    assert complaint in " ".join(result.stderr.replace("│", " ").split())
