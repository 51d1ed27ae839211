"""Write the generated files of `symgru.kernels.generated`, or compare them with what would be written.

- `python -m symgru.lowering.emit` writes;
- `python -m symgru.lowering.emit --check` exits with 1 and a diff if a file is not what it should be.
"""

from __future__ import annotations

import difflib
import sys
from importlib.util import find_spec
from pathlib import Path

from symgru.lowering.approximations import coefficients_header
from symgru.lowering.cpu_modules import cpu_files
from symgru.lowering.modules import NOTICE, gru_cells, torch_module, triton_module

PATTERNS = ("*.py", "*.h")


def generated_files() -> dict[str, str]:
    """File names and contents."""
    files = {"__init__.py": f'"""Code emitted from the derivation. {NOTICE}"""\n'}
    for cell in gru_cells():
        files[f"torch_{cell.name}.py"] = torch_module(cell)
        files[f"triton_{cell.name}.py"] = triton_module(cell)
    files["cpu_coefficients.h"] = coefficients_header()
    return files | cpu_files()


def present(target: Path) -> set[Path]:
    """The generated files that are there."""
    return {path for pattern in PATTERNS for path in target.glob(pattern)}


def folder() -> Path:
    """Where the generated files lie."""
    spec = find_spec("symgru.kernels")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("symgru.kernels is not installed")
    return Path(spec.origin).parent / "generated"


def differences(files: dict[str, str], target: Path) -> list[str]:
    """A unified diff for every file that differs, is missing, or should not be there."""
    found = {path.name: path.read_text(encoding="utf-8") for path in present(target)}
    diffs = []
    for name in sorted(files.keys() | found.keys()):
        old, new = found.get(name, ""), files.get(name, "")
        if old != new:
            lines = difflib.unified_diff(
                old.splitlines(), new.splitlines(), f"{name} (on disk)", f"{name} (derived)"
            )
            diffs.append("\n".join(lines))
    return diffs


def main(arguments: list[str]) -> int:
    """Exit status: 0 as derived or written, 1 different, 2 wrong usage."""
    files, target = generated_files(), folder()
    if arguments == ["--check"]:
        diffs = differences(files, target)
        print("\n".join(diffs) if diffs else f"{len(files)} generated files are as derived")
        return 1 if diffs else 0
    if arguments:
        print(__doc__)
        return 2
    target.mkdir(exist_ok=True)
    for stale in present(target):
        if stale.name not in files:
            stale.unlink()
    for name, text in files.items():
        (target / name).write_text(text, encoding="utf-8")
    print(f"{len(files)} files written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
