"""The README's first Python example and the tutorial run as they stand there, in a folder of their own."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python_blocks(text: str) -> list[str]:
    blocks = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert blocks, "there is no ```python block"
    return blocks


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
    first, *_ = python_blocks((ROOT / "README.md").read_text(encoding="utf-8"))
    assert_example_holds(first, tmp_path)


def test_the_tutorial_is_one_program(tmp_path):
    blocks = python_blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))
    assert_example_holds("\n".join(blocks), tmp_path)


def test_the_cell_of_the_tutorial_takes_less_than_twenty_lines():
    definition = python_blocks((ROOT / "docs" / "tutorial.md").read_text(encoding="utf-8"))[0]
    assert definition.count("\n") < 20
    assert "cell.build()" in definition


# The checker itself.


def test_a_readme_without_an_example_is_caught():
    with pytest.raises(AssertionError, match="no ```python block"):
        python_blocks("# title\n\n```sh\nmake demo\n```\n")


def test_only_python_blocks_are_taken():
    text = "```sh\nls\n```\n```python\na = 1\n```\n```python\nb = 2\n```\n"
    assert python_blocks(text) == ["a = 1\n", "b = 2\n"]


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
