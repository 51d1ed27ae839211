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
from symgru.certificates import judge, judges, judging
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
    """The proofs are made and judged once and then only printed."""
    wanted = ("keep-is-update-after", "diagonal-recurrence", "before-is-not-after")
    claims = [pair for pair in symgru.proof.all_theorems() if pair[0] in wanted]
    monkeypatch.setattr(symgru.proof, "all_theorems", lambda: claims)
    by = judges(["sympy", "z3"])
    proved = {name: prove() for name, prove in claims}
    theorems = {n: judge(p, by).theorem for n, p in proved.items() if isinstance(p, symgru.proof.Theorem)}
    return proved | theorems


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


def test_prove_says_who_has_checked(few, monkeypatch):
    calculations = sum(getattr(theorem, "calculations", 0) for theorem in few.values())
    assert f"; {calculations} calculations checked by SymPy and Z3, " in invoke("prove").stdout
    alone = invoke("prove", "--judges", "sympy").stdout
    assert f"; {calculations} calculations checked by SymPy (Z3 was not asked), " in alone
    other = invoke("prove", "--judges", "z3").stdout
    assert f"; {calculations} calculations checked by Z3 (SymPy was not asked), " in other
    monkeypatch.setattr(judging, "find_spec", lambda _: None)
    missing = invoke("prove")
    assert missing.exit_code == 0
    assert f"; {calculations} calculations checked by SymPy (Z3 is not installed), " in missing.stdout


def test_prove_does_not_do_without_a_judge_that_is_asked_for(few, monkeypatch):
    monkeypatch.setattr(judging, "find_spec", lambda _: None)
    result = invoke("prove", "--judges", "sympy,z3")
    assert result.exit_code == 2
    assert 'Z3 is not installed: pip install "symgru[proof]"' in result.stderr
    result = invoke("prove", "--judges", "dice")
    assert result.exit_code == 2
    assert "there is no judge 'dice'; there are sympy, z3" in result.stderr


def test_prove_writes_a_certificate_and_verifies_it(few, tmp_path):
    path = tmp_path / "proof.json"
    written = invoke("prove", "--certificate", str(path))
    assert (written.exit_code, written.stderr) == (0, "")
    verified = invoke("prove", "--verify", str(path))
    assert (verified.exit_code, verified.stderr) == (0, "")
    totals = next(line for line in verified.stdout.splitlines() if "verified" in line)
    calculations = sum(getattr(theorem, "calculations", 0) for theorem in few.values())
    assert totals == (
        f"2 theorems and 1 refutation verified, 0 claims refused; {calculations} calculations replayed by "
        "SymPy and Z3, 3 rules of inference are stated, not checked."
    )
    refused = invoke("prove", "--certificate", str(path))
    assert refused.exit_code == 1
    assert f"{path} exists; --force overwrites it" in refused.stderr
    assert invoke("prove", "--certificate", str(path), "--force").exit_code == 0


def test_a_certificate_holds_what_a_claim_rests_on(tmp_path):
    path = tmp_path / "proof.json"
    assert invoke("prove", "no-after-is-before", "--certificate", str(path)).exit_code == 0
    names = [claim["name"] for claim in json.loads(path.read_text(encoding="utf-8"))["claims"]]
    assert names == ["keep-is-update-before", "keep-is-update-after", "no-after-is-before"]
    verified = invoke("prove", "--verify", str(path))
    assert verified.exit_code == 0
    assert "no-after-is-before: 7 calculations replayed, 10 rules of inference are stated, not checked" in (
        verified.stdout
    )


def test_an_edited_certificate_is_refused(few, tmp_path):
    path = tmp_path / "proof.json"
    assert invoke("prove", "--certificate", str(path)).exit_code == 0
    data = json.loads(path.read_text(encoding="utf-8"))
    data["claims"][0]["statement"] = "All recurrent cells are equal."
    path.write_text(json.dumps(data), encoding="utf-8")
    result = invoke("prove", "--verify", str(path))
    assert result.exit_code == 1
    name = data["claims"][0]["name"]
    assert result.stderr == (
        f"Error: {name} is refused: claims[0].statement: these are not the words of this version of symgru\n"
    )
    assert f"{name}: " not in result.stdout, "what is refused is not said to be replayed"
    assert "1 theorem and 1 refutation verified, 1 claim refused" in result.stdout


@pytest.mark.parametrize(
    ("content", "status", "complaint"),
    [
        (b"", 1, "is refused: no JSON"),
        (b"\xff\xfe", 1, "is refused: it is not text in UTF-8"),
        (b'{"schema": "symgru.proofs"}', 1, "is refused: expected the field 'schema_version', there is none"),
        (None, 2, "cannot be read: No such file or directory"),
    ],
    ids=["empty", "binary", "another schema", "missing"],
)
def test_a_file_that_is_no_certificate_is_refused(content, status, complaint, tmp_path):
    path = tmp_path / "proof.json"
    if content is not None:
        path.write_bytes(content)
    result = invoke("prove", "--verify", str(path))
    assert result.exit_code == status
    assert complaint in result.stderr
    assert "Traceback" not in result.output


def test_verify_proves_nothing(tmp_path):
    path = tmp_path / "proof.json"
    path.write_text("{}", encoding="utf-8")
    for more in (["keep-is-update-after"], ["--json"], ["--steps"], ["--certificate", str(path)]):
        result = invoke("prove", "--verify", str(path), *more)
        assert result.exit_code == 2
        assert "--verify takes a certificate and, at most, --judges" in result.stderr


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
