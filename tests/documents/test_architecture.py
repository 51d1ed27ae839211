"""What docs/architecture.md names is there."""

import re
from pathlib import Path

import pytest

from symgru.documents import derivation

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def missing_files(text):
    """Files and folders named in code spans, and packages of the layout, that do not exist."""
    names = {path.name for folder in ("symgru", "kernels") for path in (ROOT / folder).rglob("*.py")}
    spans = re.findall(r"`([\w./]+)`", text)
    paths = [s for s in spans if "/" in s and not (ROOT / s).exists() and not (ROOT / "kernels" / s).exists()]
    files = [s for s in spans if s.endswith(".py") and "/" not in s and s not in names]
    layout = re.search(r"## Layout\n\n```\n(.*?)```", text, re.DOTALL)
    packages = re.findall(r"^  (\w+)/", layout[1], re.MULTILINE) if layout else []
    folders = [p for p in packages if not any((ROOT / top / p).is_dir() for top in ("symgru", "kernels"))]
    return [*paths, *files, *folders]


def test_every_file_that_is_named_exists():
    assert missing_files(TEXT) == []


def test_every_package_is_in_the_layout():
    packages = {path.parent.name for path in (ROOT / "symgru").glob("*/__init__.py")}
    assert {p for p in packages if f"{p}/" not in TEXT} == set()


@pytest.mark.parametrize(
    "planted", ["`no_such_file.py`", "`symgru/nowhere`", "## Layout\n\n```\n  nowhere/\n```"]
)
def test_a_planted_name_is_caught(planted):
    assert len(missing_files(planted)) == 1


def test_the_counts_in_the_text_are_those_of_the_schedule():
    groups = {g.title: g for g in derivation("keep", "after").section("schedule").groups}
    ((counts,), *_) = groups["Backward, inside the loop"].paragraphs
    assert counts == "6 scalar operations, 3 matrix products."
    assert "six scalar operations a unit and three matrix products" in " ".join(TEXT.split())
