"""`symgru compare`: what it prints, its JSON, and its exit status."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from symgru.cli import main

DOCUMENT = Path(__file__).parents[2] / "docs" / "equivalence.md"


def invoke(*arguments):
    return CliRunner().invoke(main, ["compare", *arguments])


def test_the_example_of_the_document_is_what_is_printed():
    result = invoke("ligru", "ligru_update")
    assert result.exit_code == 0
    assert f"```text\n{result.stdout}```\n" in DOCUMENT.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("left", "right", "status", "verdict"),
    [
        ("gru_keep_after", "gru_update_after", 0, "equal"),
        ("gru_keep_after_3h", "gru_keep_after", 1, "left in right"),
        ("gru_keep_after", "gru_keep_after_3h", 1, "right in left"),
        ("mgu", "mgu_keep", 1, "different"),
        ("rnn", "lstm", 3, "undecided"),
    ],
)
def test_the_exit_status_tells_the_verdict(left, right, status, verdict):
    text, data = invoke(left, right), invoke(left, right, "--json")
    assert (text.exit_code, data.exit_code) == (status, status)
    assert text.stdout.startswith(f"{left} and {right}: {verdict}")
    parsed = json.loads(data.stdout)
    assert (parsed["schema"], parsed["schema_version"], parsed["verdict"]) == (
        "symgru.comparison",
        1,
        verdict,
    )


def test_an_unknown_cell_is_refused_with_those_that_there_are():
    result = invoke("gru_keep_after", "nonsense")
    assert result.exit_code == 2
    assert "no cell is called nonsense; there are" in result.stderr
    assert "\n  mgu\n" in result.stderr
    assert "\n  mgu_keep\n" in result.stderr
