"""The README's first Python example runs as it stands there, in a folder of its own."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"


def first_python_block(text: str) -> str:
    match = re.search(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert match, "README.md has no ```python block"
    return match[1]


def assert_example_holds(source: str, folder: Path) -> None:
    """Run an example in a fresh interpreter; it must check something, and what it checks must hold."""
    checks = any(isinstance(node, ast.Assert) for node in ast.walk(ast.parse(source)))
    assert checks, "the example asserts nothing"
    script = folder / "example.py"
    script.write_text(source, encoding="utf-8")
    result = subprocess.run(
        [sys.executable, str(script)], cwd=folder, env=os.environ.copy(), capture_output=True, text=True
    )
    assert result.returncode == 0, f"the example fails:\n{result.stderr[-3000:]}"


def test_the_first_example_of_the_readme_holds(tmp_path):
    assert_example_holds(first_python_block(README.read_text(encoding="utf-8")), tmp_path)


# The checker itself.


def test_a_readme_without_an_example_is_caught():
    with pytest.raises(AssertionError, match="no ```python block"):
        first_python_block("# title\n\n```sh\nmake demo\n```\n")


def test_only_the_first_block_is_taken():
    assert first_python_block("```sh\nls\n```\n```python\na = 1\n```\n```python\nb = 2\n```\n") == "a = 1\n"


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("print(1)\n", "asserts nothing"),
        ("assert 1 == 2\n", "AssertionError"),
        ("assert no_name\n", "NameError"),
    ],
)
def test_an_example_that_does_not_hold_is_caught(source, complaint, tmp_path):
    with pytest.raises(AssertionError, match=complaint):
        assert_example_holds(source, tmp_path)
