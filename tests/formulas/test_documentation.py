"""docs/formulas.md: its example comes out as it says, and its grammar is the grammar."""

import re
from pathlib import Path

import pytest

from symgru.cells import CELLS
from symgru.equations import gru
from symgru.formulas import Status, check_formulas
from symgru.formulas.parser import Style, parse_equation, parse_expression
from symgru.formulas.spellings import SPELLINGS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "formulas.md").read_text(encoding="utf-8")
DATA = Path(__file__).parent / "data"


def test_the_example_comes_out_as_printed():
    source, output = re.findall(r"```text\n(.*?)```", PAGE, re.DOTALL)
    text = check_formulas(source).to_text()
    assert text.endswith(output.rstrip())
    definitions = text.removesuffix(output.rstrip())
    assert definitions.count(": definition") == 4
    assert ": wrong" not in definitions


def rows(title):
    """The rows of the table under a heading, as lists of cells; `|` stands in none."""
    section = PAGE.partition(f"## {title}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[1:]]


SPANS = [
    (span, style)
    for plain, latex, _ in rows("Grammar")
    for cell, style in ((plain, Style.PLAIN), (latex, Style.LATEX))
    for span in re.findall(r"`([^`]+)`", cell)
    if re.search(r"[A-Za-z]", re.sub(r"\\[a-z]+|…", "", span)) and "…" not in span and "matrix" not in span
]


@pytest.mark.parametrize(("span", "style"), SPANS)
def test_every_form_in_the_table_is_read(span, style):
    if span.isalpha() and len(span) > 1:  # the name of a function
        span = f"{span}(a)"
    (parse_equation if "=" in span.replace("axis=0", "") else parse_expression)(span, style)


def test_every_spelling_in_the_table_is_known():
    cells = ["gru_keep_after", "gru_keep_before", "lstm"]
    known = {name for cell in cells for name in map(str, CELLS[cell]().step.shapes)}
    spellings = [s for row in rows("Names")[:-2] for s in re.findall(r"`([^`]+)`", row[1]) if "\\" not in s]
    assert len(spellings) > 40
    for spelling in spellings:
        key = parse_expression(spelling, Style.PLAIN).key
        assert key in SPELLINGS, spelling
        assert any(value in known for value in SPELLINGS[key]), spelling


def test_every_spelling_means_a_value_of_some_cell():
    known = {str(s) for make in CELLS.values() for s in make().step.shapes} | {"valid"}
    known |= {str(s) for s in gru("keep", "before").step.shapes}
    assert {value for values in SPELLINGS.values() for value in values} <= known


@pytest.mark.parametrize(
    ("row", "file"),
    [
        (0, "tensorflow_gru_block_cell_grad"),
        (1, "cran_rnn_gru_units"),
        (2, "dl4j_gru_cell_bp"),
        (3, "pytorch_cuda_gru_cell"),
    ],
)
def test_the_table_of_publications_has_the_numbers(row, file):
    _, cell, wrong, handed_on = rows("Known publications")[row]
    text = (DATA / f"{file}.txt").read_text(encoding="utf-8")
    report = check_formulas(text)
    count = sum(line.status is Status.WRONG for line in report.lines)
    assert wrong.startswith(f"{count or 'none'} of {len(report.lines)}")
    inherited = sum(line.status is Status.INHERITED for line in report.lines)
    assert handed_on.partition(":")[0] == (str(inherited) if inherited else "")
    assert f"cell: {cell.strip('`')}\n" in text
