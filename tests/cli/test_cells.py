"""`symgru cells`, and `symgru derive` of a cell that is no GRU."""

import json

import pytest
from click.testing import CliRunner

from symgru.cells import CELLS
from symgru.cli import main
from symgru.documents import FORMATS, derivation_of
from symgru.equations import gru, with_lengths, with_resets, with_zoneout


def invoke(*arguments):
    return CliRunner().invoke(main, list(arguments))


def test_every_cell_is_listed_with_its_source():
    result = invoke("cells")
    assert result.exit_code == 0
    for name, make in CELLS.items():
        assert f"{name} " in result.stdout
        assert make().source in result.stdout


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_is_derived_by_its_name(name):
    result = invoke("derive", name, "--format", "json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["cell"]["name"] == CELLS[name]().name


def test_wrappers():
    result = invoke("derive", "lstm", "--lengths", "--resets", "--zoneout")
    assert result.exit_code == 0
    cell = with_lengths(with_resets(with_zoneout(CELLS["lstm"]())))
    assert result.stdout == FORMATS["text"](derivation_of(cell))


def test_a_wrapped_gru():
    result = invoke("derive", "--reset", "before", "--resets")
    assert result.exit_code == 0
    assert result.stdout == FORMATS["text"](derivation_of(with_resets(gru("keep", "before"))))


def test_an_unknown_cell_is_refused_with_those_that_there_are():
    result = invoke("derive", "grue")
    assert result.exit_code == 2
    assert "no cell is called grue; there are" in result.stderr
    assert "haste_layernorm_gru" in result.stderr


def test_a_cell_and_a_polarity_are_one_too_many():
    result = invoke("derive", "mgu", "--polarity", "keep")
    assert result.exit_code == 2
    assert "the cell is mgu already" in result.stderr
