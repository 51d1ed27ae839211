"""What an import loads, read from a fresh interpreter: the symbolic half needs neither torch nor triton."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

DEVICE = {"torch", "triton"}
HEAVY = DEVICE | {"matplotlib", "numpy", "sympy"}


def top_level_imports(*python_args: str, folder: Path) -> set[str]:
    """Top-level names of all modules that `python <args>` imports, from its own `-X importtime` report."""
    run = subprocess.run(
        [sys.executable, "-X", "importtime", *python_args],
        cwd=folder,  # not the repository root: what is installed is what is tested
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, f"python {' '.join(python_args)} failed:\n{run.stderr[-2000:]}"
    prefix = "import time:"
    names = [line.rsplit("|", 1)[1].strip() for line in run.stderr.splitlines() if line.startswith(prefix)]
    return {name.partition(".")[0] for name in names}


def assert_does_not_load(forbidden: set[str], *python_args: str, folder: Path) -> None:
    loaded = top_level_imports(*python_args, folder=folder) & forbidden
    assert not loaded, f"python {' '.join(python_args)} must not load {sorted(loaded)}"


@pytest.mark.parametrize(
    "module",
    [
        f"symgru.{package}"
        for package in (
            *("equations", "cells", "derivation", "proof", "equivalence", "certificates", "rocq"),
            *("lowering", "documents", "formulas"),
        )
    ],
)
def test_the_symbolic_half_loads_neither_torch_nor_triton(module, tmp_path):
    assert_does_not_load(DEVICE, "-c", f"import {module}", folder=tmp_path)


@pytest.mark.parametrize("module", ["symgru", "symgru.cli", "symgru.kernels"])
def test_the_entrances_load_nothing_heavy(module, tmp_path):
    assert_does_not_load(HEAVY, "-c", f"import {module}", folder=tmp_path)


def test_help_loads_nothing_heavy(tmp_path):
    assert_does_not_load(HEAVY, "-m", "symgru.cli", "--help", folder=tmp_path)


def test_version_loads_nothing_heavy(tmp_path):
    assert_does_not_load(HEAVY, "-c", "import symgru; symgru.__version__; dir(symgru)", folder=tmp_path)


# The checker itself.


@pytest.mark.parametrize("package", sorted(HEAVY))
@pytest.mark.parametrize(
    "statement", ["import {}", "from {}.part import name", "def f():\n    import {}\nf()"]
)
def test_a_planted_import_is_caught(package, statement, tmp_path):
    stand_in = tmp_path / package  # shadows the real one: same name, no seconds of start-up
    stand_in.mkdir()
    (stand_in / "__init__.py").write_text("")
    (stand_in / "part.py").write_text("name = 1\n")
    (tmp_path / "planted.py").write_text(statement.format(package) + "\n")
    with pytest.raises(AssertionError, match=rf"must not load \['{package}'\]"):
        assert_does_not_load(HEAVY, "-c", "import planted", folder=tmp_path)


def test_a_module_that_is_missing_is_a_failure_not_a_pass(tmp_path):
    with pytest.raises(AssertionError, match=r"No module named 'symgru\.nowhere'"):
        assert_does_not_load(HEAVY, "-c", "import symgru.nowhere", folder=tmp_path)


def test_the_torch_names_do_load_torch(tmp_path):
    assert "torch" in top_level_imports("-c", "import symgru; symgru.GRU", folder=tmp_path)
