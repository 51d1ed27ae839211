"""Emitted code: the files are what the equations give, and they compute what the oracle computes."""

from importlib import import_module

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.equations import Cell, Contract, Pointwise, Product, Program, bias, matrix, sigmoid, vector
from symgru.lowering import Layout
from symgru.lowering.emit import differences, folder, generated_files, main
from symgru.lowering.modules import gru_cells, torch_module
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.loops import Sizes
from symgru.testing.planted import GROUPS, imported
from symgru.testing.tolerances import EMITTED

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
    assert_emitted_agrees(cell, module, sizes, seed, tolerance=EMITTED)


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.__name__)
def test_no_planted_error_survives(group):
    found = list(group())
    survivors = [f"{p.where}: {p.error}" for p in found if p.complaint is None]
    assert not survivors
    assert len(found) > 100


def _leaky_cell():
    """A state that decays at a learned rate: one statement reads nothing that varies over time and batch."""
    x, h_prev, h_new, decay, n, w, b = sp.symbols("x h_prev h_new decay n W_n b_r", real=True)
    step = Program(
        {x: vector("I"), h_prev: vector("H"), w: matrix("H", "I"), b: bias("H")},
        (
            Pointwise(decay, sigmoid(b)),
            Contract(n, (Product(w, x),)),
            Pointwise(h_new, decay * h_prev + (1 - decay) * n),
        ),
        (h_new,),
    )
    return Cell("leaky", "Leaky integrator", step, ((h_prev, h_new),), "a test")


@pytest.mark.parametrize("steps", [3, 5])
def test_values_that_are_the_same_at_every_step(steps, tmp_path):
    """As many steps as units hides a mistaken axis, so both are tried."""
    cell, layout = _leaky_cell(), Layout({})
    module = imported(tmp_path, torch_module(cell, layout))
    assert_emitted_agrees(cell, module, Sizes(steps, 2, {"I": 3, "H": 5}), 0, 1e-13, layout=layout)
