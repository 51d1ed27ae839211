"""Each file of `tests/kernels/simulator` passes in a process with Triton's compiler, not its interpreter."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "simulator"
FILES = sorted(file for file in FOLDER.glob("test_*.py") if file.name != "test_interpreter.py")


def test_there_are_files():
    assert len(FILES) > 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_passes(file, pytestconfig):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", pytestconfig.option.markexpr, str(file)],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20000:] + done.stderr[-2000:]
