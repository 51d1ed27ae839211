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

__version__ = "0.1.0"

__all__ = [
    "GRU",
    "BackendError",
    "DeviceError",
    "DtypeError",
    "GRUCell",
    "ShapeError",
    "__version__",
    "backends",
    "gru",
]

_FROM_TORCH_API = frozenset(__all__) - {"__version__"}


def __getattr__(name: str) -> object:
    """Load a public name from `symgru.torch_api` the first time it is asked for (PEP 562)."""
    if name not in _FROM_TORCH_API:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        torch_api = import_module("symgru.torch_api")
    except ModuleNotFoundError as error:
        if error.name not in {"torch", "numpy", "triton"}:
            raise
        raise ImportError(
            f'symgru.{name} needs {error.name}, which is not installed: pip install "symgru[torch]"',
            name=error.name,
        ) from error
    value: object = getattr(torch_api, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(globals().keys() | _FROM_TORCH_API)
