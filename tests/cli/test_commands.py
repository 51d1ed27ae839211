import json
import subprocess
import sys

import click
import pytest
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


# prove


def few_theorems():
    wanted = ("keep-is-update-after", "before-is-not-after")
    return [pair for pair in symgru.proof.all_theorems() if pair[0] in wanted]


def test_prove_prints_theorems_with_their_steps(monkeypatch):
    few = few_theorems()
    monkeypatch.setattr(symgru.proof, "all_theorems", lambda: few)
    result = invoke("prove")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "\n\n".join(prove().to_text() for _, prove in few) + "\n"
    data = json.loads(invoke("prove", "--json").stdout)
    assert (data["schema"], data["schema_version"], data["failures"]) == ("symgru.proofs", 1, [])
    assert [theorem["kind"] for theorem in data["theorems"]] == ["theorem", "refutation"]
    assert all(step["checked"] for step in data["theorems"][0]["steps"])


def test_prove_fails_when_a_proof_fails(monkeypatch):
    def fails():
        raise symgru.proof.ProofError("one is two: residual -1")

    claims = [("planted", fails), *few_theorems()]
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
