"""One definition of a GRU, in SymPy; its derivatives, proofs, documents and kernels are derived from it.

The names below are loaded on first use: importing `symgru` loads neither torch nor triton, SymPy nor NumPy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symgru.torch_api import (
        GRU,
        BackendError,
        DeviceError,
        DtypeError,
        GRUCell,
        ShapeError,
        backends,
        gru,
    )
    from symgru.torch_cells import Recurrent

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "BackendError",
    "DeviceError",
    "DtypeError",
    "GRUCell",
    "Recurrent",
    "ShapeError",
    "__version__",
    "backends",
    "gru",
]

_MODULES = dict.fromkeys(__all__, "symgru.torch_api") | {"Recurrent": "symgru.torch_cells"}
del _MODULES["__version__"]


def __getattr__(name: str) -> object:
    """Load a public name from its package the first time it is asked for (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(_MODULES[name])
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "numpy", "triton"}:
            raise
        raise ImportError(
            f'symgru.{name} needs {error.name}, which is not installed: pip install "symgru[torch]"',
            name=error.name,
        ) from error
    value: object = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _MODULES)
