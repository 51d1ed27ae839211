"""The emitted torch modules, all of them loaded: a tracer cannot import."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from symgru.kernels.names import POLARITIES, RESETS

_MODULES = {
    f"gru_{polarity}_{reset}{suffix}": import_module(
        f"symgru.kernels.generated.torch_gru_{polarity}_{reset}{suffix}"
    )
    for polarity in POLARITIES
    for reset in RESETS
    for suffix in ("", "_lengths")
}


def emitted(cell: str, lengths: bool) -> ModuleType:
    """FORWARD, BACKWARD and TANGENT of a cell, without or with a mask for lengths."""
    return _MODULES[f"{cell}_lengths" if lengths else cell]
