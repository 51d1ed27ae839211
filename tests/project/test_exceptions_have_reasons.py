"""Every exception from a rule has its reason beside it."""

import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXCEPTION = re.compile(r"#\s*(?:noqa: [A-Z]+\d+(?:, [A-Z]+\d+)*|type: ignore\[[\w, -]+\]|fmt: off)")


def without_reason(source: str) -> list[int]:
    """Lines of the noqa, type-ignore and fmt-off comments that are not followed by three words of reason."""
    found = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        match = EXCEPTION.search(token.string) if token.type == tokenize.COMMENT else None
        if match and len(re.findall(r"\w+", token.string[match.end() :])) < 3:
            found.append(token.start[0])
    return found


def test_every_exception_has_its_reason():
    files = [path for folder in ("symgru", "kernels", "tests") for path in (ROOT / folder).rglob("*.py")]
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in sorted(files)
        for line in without_reason(path.read_text(encoding="utf-8"))
    ]
    assert not found, f"write the reason after the code, on the same line: {found}"


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("x = 1  # noqa: E501\n", [1]),
        ("x = 1  # noqa: E501, F401 - why\n", [1]),
        ("x = 1  # noqa: E501 - an emitted expression\n", []),
        ("a = 0\nx = f()  # type: ignore[no-any-return]\n", [2]),
        ("x = f()  # type: ignore[no-any-return]  # SymPy has no types\n", []),
        ("text = '# noqa: E501'\n", []),
    ],
)
def test_a_planted_exception_without_reason_is_caught(source, lines):
    assert without_reason(source) == lines
