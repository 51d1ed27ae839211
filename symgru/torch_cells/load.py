"""The emitted passes of a cell as a Python module: written to a folder of the user's own, and imported.

What is imported is what this process has just emitted: a file that is there already counts only if it is the
same, byte for byte. So the folder is no cache of results but a place for files that tracebacks, profilers and
people can read. It belongs to the user alone (mode 0700), and so does every file (0600); those of somebody
else are refused.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from types import ModuleType

from symgru.equations import Cell
from symgru.kernels.cache import cache_folder, check_own, write
from symgru.lowering.layout import Layout
from symgru.lowering.modules import torch_module

PACKAGE = "symgru.kernels.generated"  # so that the imports of an emitted module find their way


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
        write(path, source.encode())
    check_own(path, "file")
    spec = spec_from_file_location(f"{PACKAGE}.{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
