"""Names that emitted source uses itself, so no symbol of a cell may have them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from symgru.lowering.printers import LoweringError

#: Of `kernels/tensor_ops.py`: what every torch module imports, and what it imports where it is called.
TENSOR_OPS = ("outer", "per_step", "product", "product_transposed", "rows", "total")
RARE_TENSOR_OPS = ("choice", "mean", "softplus", "step")

_TORCH = frozenset({"torch", "_", *TENSOR_OPS, *RARE_TENSOR_OPS})
_TRITON = frozenset({"triton", "tl", "sigmoid", "tanh"})
_JOINED = re.compile(r"joined_\d+")  # what `torch_source` calls the vectors that it joins


def check_torch_names(names: Iterable[object]) -> None:
    """Raise LoweringError for a symbol that would hide an operation of the torch source."""
    _check(names, _TORCH, "torch")


def check_triton_names(names: Iterable[object]) -> None:
    """Raise LoweringError for a symbol that would hide an operation of the Triton source."""
    _check(names, _TRITON, "Triton")


def _check(names: Iterable[object], reserved: frozenset[str], language: str) -> None:
    for name in sorted({str(getattr(name, "name", name)) for name in names}):
        if name in reserved or _JOINED.fullmatch(name):
            raise LoweringError(
                f"{name} cannot be the name of a symbol in {language} source, which uses it itself"
            )
