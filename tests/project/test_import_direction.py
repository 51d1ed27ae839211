"""Imports run one way. Read from the syntax tree, so an import inside a function counts too."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# What each package may import of the others; itself is understood. A new folder needs a row.
SYMBOLIC = {
    "equations",
    "cells",
    "derivation",
    "proof",
    "equivalence",
    "certificates",
    "rocq",
    "lowering",
    "documents",
    "formulas",
}
ALL = SYMBOLIC | {"kernels", "torch_api", "torch_cells", "data", "testing", "demo", "benchmark", "cli"}
MAY_IMPORT: dict[str, set[str]] = {
    "": {"torch_api", "torch_cells"},  # symgru/__init__.py
    "equations": set(),
    "cells": {"equations"},
    "derivation": {"equations"},
    "proof": {"equations", "cells", "derivation"},
    "equivalence": {"equations", "cells", "derivation", "proof"},
    "certificates": {"equations", "derivation", "proof"},
    "rocq": {"equations", "derivation", "proof"},
    "lowering": {"equations", "derivation"},
    "documents": {"equations", "cells", "derivation", "proof", "lowering"},
    "formulas": {"equations", "cells", "derivation", "proof", "lowering"},
    "kernels": set(),
    "torch_api": {"kernels"},
    "torch_cells": {"equations", "lowering", "kernels"},
    "data": set(),
    "testing": ALL,
    "demo": ALL,
    "benchmark": {"kernels", "torch_api", "testing"},
    "cli": ALL,
}
MUST_NOT_IMPORT: dict[str, set[str]] = {
    **{package: {"torch", "triton"} for package in SYMBOLIC},
    "kernels": {"sympy"},
    "torch_api": {"sympy"},
}


def module_of(path: Path, root: Path) -> str:
    """Dotted name under which a file is imported; kernels/ installs as symgru.kernels."""
    parts = list(path.relative_to(root).with_suffix("").parts)
    if parts[0] == "kernels":
        parts.insert(0, "symgru")
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str]]:
    """Line and absolute dotted name of every import; `package` resolves the relative ones."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for alias in node.names:
                yield node.lineno, f"{base}.{alias.name}"
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).rpartition(".")[2]
            if called in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
                yield node.lineno, node.args[0].value


def package_of(module: str) -> str:
    """`symgru.proof.lemmas` -> `proof`; `symgru` -> ``; a name of symgru/__init__.py -> `` too."""
    part = module.partition(".")[2].partition(".")[0]
    return part if part in MAY_IMPORT or (ROOT / "symgru" / part).is_dir() else ""


def violations(path: Path, root: Path) -> list[str]:
    module = module_of(path, root)
    parts = module.split(".")
    own = parts[1] if len(parts) > 1 else ""
    where = path.relative_to(root)
    if own not in MAY_IMPORT:
        return [f"{where}: the package {own!r} has no row in MAY_IMPORT"]
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    found = []
    for line, name in imports(ast.parse(path.read_text(encoding="utf-8")), inside):
        top = name.partition(".")[0]
        if top in MUST_NOT_IMPORT.get(own, set()):
            found.append(f"{where}:{line}: {own} must not import {top}")
        elif top == "kernels":
            found.append(f"{where}:{line}: kernels/ is imported as symgru.kernels")
        elif top == "symgru":
            other = package_of(name)
            names_only = other == "" and name in {"symgru.__version__", "symgru"}
            if other != own and other not in MAY_IMPORT[own] and not names_only:
                # testing, demo and cli may use the public names of symgru itself; nothing below them may
                if other == "" and MAY_IMPORT[own] == ALL:
                    continue
                found.append(f"{where}:{line}: {own or 'symgru'} must not import {name}")
    return found


def source_files() -> list[Path]:
    return sorted(path for folder in ("symgru", "kernels") for path in (ROOT / folder).rglob("*.py"))


def test_imports_run_one_way():
    files = source_files()
    assert len(files) >= len(MAY_IMPORT), f"only {len(files)} files found under {ROOT}"
    found = [text for path in files for text in violations(path, ROOT)]
    assert not found, "\n".join(found)


def test_every_row_of_the_table_is_a_package():
    folders = {path.parent.name for path in (ROOT / "symgru").glob("*/__init__.py")} | {"kernels", ""}
    assert set(MAY_IMPORT) == folders


#: What reads compiled code; all else in kernels/triton is part of running a GRU.
OFFLINE = {"compile.py", "matrix.py", "budgets.py"}


@pytest.mark.parametrize(
    ("folder", "other", "but"), [("simulator", "triton", set()), ("triton", "simulator", OFFLINE)]
)
def test_loops_and_simulator_do_not_know_each_other(folder, other, but):
    """The simulator runs any kernel, and a trained model needs no simulator."""
    files = [path for path in (ROOT / "kernels" / folder).glob("*.py") if path.name not in but]
    assert len(files) > 5
    found = [
        f"{path.name}:{line}: {name}"
        for path in files
        for line, name in imports(ast.parse(path.read_text(encoding="utf-8")), f"symgru.kernels.{folder}")
        if f"{name}.".startswith(f"symgru.kernels.{other}.")
    ]
    assert not found
    knowing = ast.parse(f"from ..{other} import x")
    assert [name for _, name in imports(knowing, f"symgru.kernels.{folder}")] == [f"symgru.kernels.{other}.x"]


# The checker itself.


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("symgru/equations/x.py", "import symgru.derivation", "equations must not import symgru.derivation"),
        ("symgru/equations/x.py", "from symgru import proof", "equations must not import symgru.proof"),
        (
            "symgru/derivation/x.py",
            "from ..lowering import emit",
            "derivation must not import symgru.lowering",
        ),
        ("symgru/derivation/__init__.py", "from .. import proof", "derivation must not import symgru.proof"),
        ("symgru/proof/x.py", "def f():\n    import torch.nn", "x.py:2: proof must not import torch"),
        ("symgru/lowering/x.py", "from triton import language", "lowering must not import triton"),
        ("symgru/lowering/x.py", "from symgru import GRU", "lowering must not import symgru.GRU"),
        (
            "symgru/torch_api/x.py",
            "from symgru.equations import gru",
            "torch_api must not import symgru.equations",
        ),
        ("symgru/torch_api/x.py", "import kernels.triton", "kernels/ is imported as symgru.kernels"),
        ("symgru/torch_api/x.py", "import_module('symgru.proof')", "torch_api must not import symgru.proof"),
        ("symgru/__init__.py", "from symgru.equations import gru", "symgru must not import symgru.equations"),
        ("symgru/cli/x.py", "import kernels", "kernels/ is imported as symgru.kernels"),
        ("kernels/triton/x.py", "import sympy as sp", "kernels must not import sympy"),
        (
            "kernels/triton/x.py",
            "from symgru.equations import gru",
            "kernels must not import symgru.equations",
        ),
        ("kernels/triton/x.py", "from ... import lowering", "kernels must not import symgru.lowering"),
        ("kernels/triton/x.py", "from symgru import GRU", "kernels must not import symgru.GRU"),
        ("symgru/novel/x.py", "", "the package 'novel' has no row"),
    ],
)
def test_a_planted_violation_is_caught(file, source, complaint, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert any(complaint in text for text in violations(path, tmp_path)), violations(path, tmp_path)


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("symgru/proof/x.py", "from ..derivation import vjp\nfrom . import lemmas\nimport sympy"),
        ("symgru/torch_api/x.py", "import torch\nfrom symgru.kernels.triton import resident"),
        ("symgru/documents/x.py", "from symgru import __version__\nfrom symgru.lowering import emit"),
        ("symgru/cli/x.py", "import symgru\nfrom symgru import GRU\nfrom symgru.proof import theorems"),
        ("kernels/triton/x.py", "from ..generated import gru\nfrom symgru.kernels.generated import gru"),
    ],
)
def test_what_is_allowed_is_not_caught(file, source, tmp_path):
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert violations(path, tmp_path) == []
