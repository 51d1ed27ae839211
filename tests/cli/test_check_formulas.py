import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from symgru.cli import main
from symgru.formulas.report import SCHEMA, SCHEMA_VERSION

DATA = Path(__file__).parents[1] / "formulas" / "data"
GOOD = "cell: gru keep after\ndL/dz_t = dL/dh_t * (h_{t-1} - n_t)\n"
BAD = GOOD + "dL/dz_t = dL/dh_t * (n_t - h_{t-1})\n"
STRANGE = GOOD + "dL/dz_t = \\input{x}\n"


def invoke(text, tmp_path, *options):
    path = tmp_path / "formulas.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return CliRunner().invoke(main, ["check-formulas", str(path), *options])


@pytest.mark.parametrize(("text", "status"), [(GOOD, 0), (BAD, 1), (STRANGE, 2), (BAD + "h_t = (", 1)])
def test_the_exit_status_says_what_was_found(text, status, tmp_path):
    result = invoke(text, tmp_path)
    assert result.exit_code == status
    assert result.stderr == ""


def test_the_text_shows_the_right_equation_the_difference_and_numbers(tmp_path):
    output = invoke(BAD, tmp_path).stdout
    assert "line 2: right (proved)" in output
    assert "line 3: wrong" in output
    assert "  right: dL/dz_t = dL/dh_t * (h_{t-1} - n_t)" in output
    assert "  yours minus right: 2 * dL/dh_t * (n_t - h_{t-1})" in output
    assert "  for instance, with samples = 1, H = 1, I = 1:" in output
    assert output.rstrip().endswith("2 equations: 1 right (proved), 1 wrong")


def test_the_text_points_at_what_is_not_understood(tmp_path):
    lines = invoke(STRANGE, tmp_path).stdout.splitlines()
    at = lines.index(r"    dL/dz_t = \input{x}")
    assert lines[at + 1].index("^") == lines[at].index("\\input")
    assert r"the command \input is not known here" in lines[at + 2]


def test_json_has_the_same_verdicts(tmp_path):
    result = invoke(BAD + "δ = (", tmp_path, "--json")
    data = json.loads(result.stdout)
    assert (data["schema"], data["schema_version"]) == (SCHEMA, SCHEMA_VERSION)
    assert data["cell"].startswith("GRU, polarity keep, reset after")
    assert [line["status"] for line in data["lines"]] == ["right", "wrong", "not understood"]
    assert data["counts"]["wrong"] == 1
    wrong = data["lines"][1]
    assert wrong["line"] == 3
    assert wrong["right"] == "dL/dz_t = dL/dh_t * (h_{t-1} - n_t)"
    assert set(wrong["witness"]) == {"sizes", "inputs", "values", "element", "user", "right"}
    assert float(wrong["witness"]["user"]) == -float(wrong["witness"]["right"])
    assert data["lines"][2]["column"] == 6


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "line 1, column 1: expected a header that begins with the cell"),
        ("h_t = z_t", "line 1, column 1: expected a header that begins with the cell"),
        (b"cell: own\n\xff", "line 2, column 1: not UTF-8 text"),
        (b"\x00" * 300_000, "at most 200000 are read"),
        (b"\x00" * 100, "expected a header"),
        ("cell: lstms", "no cell is called 'lstms'"),
        ("(" * 100_000, "expected a header"),
    ],
)
def test_what_is_no_file_of_formulas_is_refused_with_its_place(text, complaint, tmp_path):
    result = invoke(text, tmp_path)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert complaint in result.stderr
    assert "Traceback" not in result.stderr


def test_a_file_that_does_not_exist_is_refused(tmp_path):
    result = CliRunner().invoke(main, ["check-formulas", str(tmp_path / "none.txt")])
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_a_publication_on_the_command_line():
    result = CliRunner().invoke(main, ["check-formulas", str(DATA / "pytorch_cuda_gru_cell.txt")])
    assert result.exit_code == 0
    assert "wrong" not in result.stdout
