"""Each file of `tests/kernels/simulator` passes in a process with Triton's compiler, not its interpreter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent / "simulator"
FILES = sorted(file for file in FOLDER.glob("test_*.py") if file.name != "test_interpreter.py")


def assert_passes(file: Path, marked: str) -> None:
    """No test of a file that is marked so fails, and not all of them are skipped."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", marked, str(file)],
        env={**os.environ, "TRITON_INTERPRET": "0"},
        capture_output=True,
        text=True,
    )
    said = done.stdout[-20000:] + done.stderr[-2000:]
    assert done.returncode == 0, said
    assert re.search(r"\b[1-9]\d* passed", done.stdout), f"no test of {file.name} ran: {said}"


def test_there_are_files():
    assert len(FILES) > 1


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_passes(file, pytestconfig):
    assert_passes(file, pytestconfig.option.markexpr)


def test_a_file_whose_tests_are_all_skipped_is_found(tmp_path):
    file = tmp_path / "test_skipped.py"
    file.write_text("import pytest\n\n@pytest.mark.skip(reason='planted')\ndef test_it(): pass\n")
    with pytest.raises(AssertionError, match=r"no test of test_skipped\.py ran"):
        assert_passes(file, "")
