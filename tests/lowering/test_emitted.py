"""Emitted code: the files are what the equations give, and they compute what the oracle computes."""

from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgru.lowering.emit import differences, folder, generated_files, main
from symgru.lowering.modules import gru_cells
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.loops import Sizes
from symgru.testing.planted import GROUPS
from symgru.testing.tolerances import TOLERANCES, torch

CELLS = list(gru_cells())


def test_generated_files_are_as_derived():
    diffs = differences(generated_files(), folder())
    assert not diffs, "\n".join([*diffs, "run `make generated`"])


def test_a_changed_missing_or_foreign_file_is_reported(tmp_path):
    (tmp_path / "same.py").write_text("x = 1\n")
    (tmp_path / "changed.py").write_text("x = -1\n")
    (tmp_path / "foreign.py").write_text("x = 3\n")
    files = {"same.py": "x = 1\n", "changed.py": "x = 1\n", "missing.py": "x = 2\n"}
    diffs = differences(files, tmp_path)
    assert [d.splitlines()[0].split()[1] for d in diffs] == ["changed.py", "foreign.py", "missing.py"]


def test_the_command_rejects_what_it_does_not_know(capsys):
    assert main(["--chekc"]) == 2
    assert "--check" in capsys.readouterr().out


@pytest.mark.parametrize("cell", CELLS, ids=lambda c: c.name)
@given(
    sizes=st.builds(
        lambda t, b, i, h: Sizes(t, b, {"I": i, "H": h}),
        st.integers(1, 6),
        st.integers(1, 4),
        st.integers(1, 5),
        st.integers(2, 6),
    ),
    seed=st.integers(0, 2**31),
)
def test_emitted_passes_agree_with_the_oracle(cell, sizes, seed):
    module = import_module(f"symgru.kernels.generated.torch_{cell.name}")
    assert_emitted_agrees(cell, module, sizes, seed, tolerance=100 * TOLERANCES[torch.float64].cap)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_no_planted_error_survives(group):
    found = list(group())
    survivors = [f"{p.where}: {p.error}" for p in found if p.complaint is None]
    assert not survivors
    assert len(found) > 100
