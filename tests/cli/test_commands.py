import json
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
import torch
from click.testing import CliRunner

import symgru
import symgru.proof
from symgru.cli import COMMANDS, main
from symgru.cli.demo import REPORT, report_path
from symgru.cli.extras import require
from symgru.cli.output import unused, write
from symgru.documents import FORMATS, derivation


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_help_names_every_command():
    result = invoke("--help")
    assert result.exit_code == 0
    for command in COMMANDS:
        assert f"\n  {command} " in result.stdout
        assert invoke(command, "--help").exit_code == 0


def test_version():
    assert invoke("--version").stdout.strip().endswith(f" {symgru.__version__}")


def test_an_unknown_command_is_refused():
    result = invoke("nonsense")
    assert result.exit_code == 2
    assert "No such command 'nonsense'" in result.stderr


# derive


@pytest.mark.parametrize("form", sorted(FORMATS))
@pytest.mark.parametrize(("polarity", "reset"), [("keep", "after"), ("update", "before")])
def test_derive_prints_the_document(polarity, reset, form):
    result = invoke("derive", "--polarity", polarity, "--reset", reset, "--format", form)
    assert result.exit_code == 0
    assert result.stdout == FORMATS[form](derivation(polarity, reset))


def test_derive_for_sequences_of_different_lengths():
    result = invoke("derive", "--lengths", "--reset", "before")
    assert result.exit_code == 0
    assert result.stdout == FORMATS["text"](derivation("keep", "before", lengths=True))
    assert "reset before, with lengths" in result.stdout


def test_derive_writes_a_file_and_overwrites_none(tmp_path):
    path = tmp_path / "gru.md"
    command = ("derive", "--format", "markdown", "--output", str(path))
    first = invoke(*command)
    assert (first.exit_code, first.stdout) == (0, "")
    assert path.read_text(encoding="utf-8") == FORMATS["markdown"](derivation())
    path.write_text("mine", encoding="utf-8")
    refused = invoke(*command)
    assert refused.exit_code == 1
    assert f"{path} exists; --force overwrites it" in refused.stderr
    assert path.read_text(encoding="utf-8") == "mine"
    assert invoke(*command, "--force").exit_code == 0
    assert path.read_text(encoding="utf-8") != "mine"


@pytest.mark.parametrize(
    ("output", "complaint"),
    [("", "is a folder, expected the name of a file"), ("nowhere/gru.md", "nowhere does not exist")],
)
def test_derive_says_why_it_cannot_write(output, complaint, tmp_path):
    result = invoke("derive", "--output", str(tmp_path / output))
    assert result.exit_code == 1
    assert complaint in result.stderr


def test_a_file_that_appears_meanwhile_is_not_overwritten(tmp_path):
    path = tmp_path / "late"
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(click.ClickException, match="exists"):
        write(path, "theirs", force=False)
    assert path.read_text(encoding="utf-8") == "mine"


def test_derive_refuses_an_unknown_polarity():
    result = invoke("derive", "--polarity", "sideways")
    assert result.exit_code == 2
    assert "'sideways' is not one of 'keep', 'update'" in result.stderr


def test_a_closed_pipe_is_no_traceback():
    code = (
        "import subprocess, sys\n"
        "p = subprocess.Popen([sys.executable, '-m', 'symgru.cli', 'derive'], stdout=subprocess.PIPE,"
        " stderr=subprocess.PIPE)\n"
        "p.stdout.close()\n"
        "print(p.stderr.read().decode(), p.wait())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "1"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["derive"], ["derive", "--format", "json"], ["backends"]])
def test_a_full_disk_is_a_sentence(arguments, unbuffered):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "symgru.cli", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
        )
    assert result.returncode == 1
    assert result.stderr == "Error: standard output cannot be written: No space left on device\n"


# prove


@pytest.fixture
def few(monkeypatch):
    """The proofs are made once and then only printed."""
    wanted = ("keep-is-update-after", "diagonal-recurrence", "before-is-not-after")
    claims = [pair for pair in symgru.proof.all_theorems() if pair[0] in wanted]
    monkeypatch.setattr(symgru.proof, "all_theorems", lambda: claims)
    return {name: prove() for name, prove in claims}


def test_prove_prints_a_line_for_each_theorem_and_its_claims(few):
    result = invoke("prove")
    assert (result.exit_code, result.stderr) == (0, "")
    *blocks, totals = result.stdout.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == [theorem.to_line() for theorem in few.values()]
    assert "  1. reset_from_x′ = reset_from_x, and 3 more for the same reason\n" in result.stdout
    assert "  Case polarity keep; polarity update\n" in result.stdout, "cases with the same claims share them"
    assert totals.startswith("2 theorems proved, 1 equality refuted; ")


def test_the_overview_has_no_calculations(few):
    reasons = {s.justification for t in few.values() for s in getattr(t, "steps", ()) if s.lemmas}
    assert len(reasons) > 2
    overview, full = invoke("prove").stdout, invoke("prove", "--steps").stdout
    assert not [reason for reason in reasons if reason in overview]
    assert not [reason for reason in reasons if reason not in full]
    assert len(overview) < len(full) / 2


def test_prove_prints_all_proofs_in_full_if_asked_for(few):
    assert invoke("prove", "--steps").stdout == "\n\n".join(t.to_text() for t in few.values()) + "\n"


def test_prove_prints_named_theorems_in_full(few):
    result = invoke("prove", "before-is-not-after", "keep-is-update-after")
    named = [few[name].to_text() for name in few if name != "diagonal-recurrence"]
    assert result.stdout == "\n\n".join(named) + "\n"
    data = json.loads(invoke("prove", "--json", "before-is-not-after").stdout)
    assert [theorem["name"] for theorem in data["theorems"]] == ["before-is-not-after"]


def test_prove_names_what_there_is(few):
    result = invoke("prove", "nonsense")
    assert result.exit_code == 2
    assert "no claim is called nonsense; there are" in result.stderr
    assert all(f"\n  {name}\n" in result.stderr for name in few)


def test_prove_prints_json(few):
    data = json.loads(invoke("prove", "--json").stdout)
    assert (data["schema"], data["schema_version"], data["failures"]) == ("symgru.proofs", 1, [])
    assert data["theorems"] == [theorem.to_json() for theorem in few.values()]
    steps = [step for theorem in data["theorems"] for step in theorem.get("steps", ())]
    assert {step["kind"] for step in steps} == {"calculated", "argued"}
    assert all(step["checked"] == (step["kind"] == "calculated") for step in steps)


def test_prove_fails_when_a_proof_fails(few, monkeypatch):
    def fails():
        raise symgru.proof.ProofError("one is two: residual -1")

    claims = [("planted", fails), *symgru.proof.all_theorems()]
    monkeypatch.setattr(symgru.proof, "all_theorems", lambda: claims)
    result = invoke("prove")
    assert result.exit_code == 1
    assert "Error: planted is not proved: one is two: residual -1" in result.stderr
    assert "keep-is-update-after" in result.stdout, "the others are proved all the same"
    with_json = invoke("prove", "--json")
    assert with_json.exit_code == 1
    assert [f["name"] for f in json.loads(with_json.stdout)["failures"]] == ["planted"]


# backends


def test_backends_lists_them_and_marks_the_one_that_is_taken():
    result = invoke("backends", "--device", "cpu")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert [line[0] for line in lines].count("*") == 1
    assert {line[2:].split()[0] for line in lines} == {status.name for status in symgru.backends("cpu")}


def test_backends_names_an_unknown_device():
    result = invoke("backends", "--device", "abacus")
    assert result.exit_code == 1
    assert "abacus" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_backends_says_that_there_is_no_gpu():
    result = invoke("backends", "--device", "cuda")
    assert result.exit_code in (0, 1)
    assert re.search(r"no GPU|no CUDA|not available", result.output)
    assert "Traceback" not in result.output


# demo


def test_a_missing_extra_is_named():
    with pytest.raises(click.ClickException) as caught:
        require("demo", "demo", ("json", "not_there_1", "not_there_2"))
    assert caught.value.message == (
        'symgru demo needs not_there_1, not_there_2, which are not installed: pip install "symgru[demo]"'
    )
    require("demo", "demo", ("json",))


def test_the_report_gets_a_free_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert str(report_path(None, force=False)) == REPORT
    (tmp_path / REPORT).touch()
    assert str(report_path(None, force=False)) == "symgru-demo-report-2.html"
    (tmp_path / "symgru-demo-report-2.html").touch()
    assert str(report_path(None, force=False)) == "symgru-demo-report-3.html"
    (tmp_path / "symgru-demo-report-3-derivation.md").touch()
    assert str(report_path(None, force=False)) == "symgru-demo-report-4.html", "both files need a free name"
    assert str(report_path(None, force=True)) == REPORT
    assert report_path(tmp_path, force=True) == tmp_path / REPORT
    assert report_path(tmp_path / "mine.html", force=False) == tmp_path / "mine.html"
    assert unused(tmp_path / "free.html") == tmp_path / "free.html"


def test_the_demo_overwrites_nothing(tmp_path):
    path = tmp_path / "report.html"
    path.write_text("mine", encoding="utf-8")
    result = invoke("demo", "--output", str(path))
    assert result.exit_code == 1
    assert "exists; --force overwrites it" in result.stderr
    assert path.read_text(encoding="utf-8") == "mine"
