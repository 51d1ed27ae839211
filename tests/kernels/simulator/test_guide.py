"""docs/testing-your-kernel.md: its files run, and print what the page says.

A ```python block is the file that its first line names. In a ```console block, `$` begins a command and what
follows is its output; `...` stands for anything, as in doctest.
"""

import os
import re
import subprocess
import sys
from doctest import ELLIPSIS, OutputChecker
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "testing-your-kernel.md"


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def files(text):
    """(name, contents) of the Python blocks; the name stays in its line, so lines are numbered as shown."""
    for block in blocks(text, "python"):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name is not None, f"the block has no name: {block[:80]}"
        yield name[1], block


def commands(text):
    """(command, what it must print), in the page's order."""
    for block in blocks(text, "console"):
        assert block.startswith("$ ")
        for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, output = session.partition("\n")
            yield command, output


def run(command, folder):
    """What a command prints, with the Python of the tests; cached bytecode would not see all edits."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=folder,
        env={**os.environ, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONWARNINGS": "ignore"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


def assert_page_holds(text, folder):
    for name, contents in files(text):
        (folder / name).write_text(contents, encoding="utf-8")
    ran = 0
    for command, expected in commands(text):
        printed = run(command, folder)
        held = OutputChecker().check_output(expected, printed, ELLIPSIS)
        assert held, f"$ {command}\nmust print\n{expected}\nprints\n{printed}"
        ran += 1
    assert ran, "the page runs nothing"


def test_the_page_holds(tmp_path):
    assert_page_holds(PAGE.read_text(encoding="utf-8"), tmp_path)


# The checker itself.

FILE = "```python\n# one.py\nprint(1)\n```\n"


def test_a_small_page_holds(tmp_path):
    assert_page_holds(f"{FILE}```console\n$ python one.py\n1\n$ cat one.py\n# ...\nprint(1)\n```\n", tmp_path)


@pytest.mark.parametrize(
    ("page", "complaint"),
    [
        (f"{FILE}```console\n$ python one.py\n2\n```\n", r"must print\s+2\s+prints\s+1"),
        (f"{FILE}```console\n$ python one.py\n```\n", r"must print\s+prints\s+1"),
        (f"{FILE}```console\n$ python two.py\n1\n```\n", "No such file"),
        (FILE, "runs nothing"),
        ("```python\nprint(1)\n```\n", "has no name"),
    ],
)
def test_a_page_that_does_not_hold_is_caught(page, complaint, tmp_path):
    with pytest.raises(AssertionError, match=complaint):
        assert_page_holds(page, tmp_path)
