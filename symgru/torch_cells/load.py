"""The emitted passes of a cell as a Python module: written to a folder of the user's own, and imported.

What is imported is what this process has just emitted: a file that is there already counts only if it is the
same, byte for byte. So the folder is no cache of results but a place for files that tracebacks, profilers and
people can read. It belongs to the user alone (mode 0700), and so does every file (0600); those of somebody
else are refused.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

from symgru.equations import Cell
from symgru.lowering.layout import Layout
from symgru.lowering.modules import torch_module

#: Sets the folder in place of the user's cache folder.
VARIABLE = "SYMGRU_CACHE"
PACKAGE = "symgru.kernels.generated"  # so that the imports of an emitted module find their way


class CacheError(OSError):
    """A folder or file that is not the user's own; the message names it."""


def cache_folder() -> Path:
    """The folder for emitted modules, made if it is not there.

    $SYMGRU_CACHE, else symgru in $XDG_CACHE_HOME, else ~/.cache/symgru.

    Raises:
        CacheError: it is a link, belongs to another user, or others can write to it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get(VARIABLE) or Path(base) / "symgru")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_own(folder, stat.S_ISDIR, "folder")
    return folder


def load(cell: Cell) -> ModuleType:
    """FORWARD, BACKWARD and TANGENT of a cell, each a `symgru.kernels.passes.Pass`.

    Raises:
        CacheError: the folder or a file in it is not the user's own.
        LoweringError: the cell has something that torch has no code for.
    """
    return _load(torch_module(cell, Layout({})), cell.name)


@cache
def _load(source: str, name: str) -> ModuleType:
    digest = hashlib.sha256(source.encode()).hexdigest()
    path = cache_folder() / f"{name}_{digest[:16]}.py"
    if not path.exists() or path.read_bytes() != source.encode():
        _write(path, source.encode())
    _check_own(path, stat.S_ISREG, "file")
    spec = spec_from_file_location(f"{PACKAGE}.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _write(path: Path, content: bytes) -> None:
    """Replace the file in one step, so that no other process reads half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _check_own(path: Path, is_kind: object, kind: str) -> None:
    found = path.lstat()
    right = callable(is_kind) and is_kind(found.st_mode)
    if not right or found.st_uid != os.getuid() or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CacheError(
            f"{path}: expected a {kind} of the user {os.getuid()} that nobody else can write to, got one of "
            f"user {found.st_uid} with mode {stat.filemode(found.st_mode)}"
        )
