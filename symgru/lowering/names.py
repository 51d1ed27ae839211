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
#: Keywords of C++20, and what a body calls the things around it.
_CPP = frozenset(
    [
        "alignas",
        "alignof",
        "and",
        "and_eq",
        "asm",
        "auto",
        "bitand",
        "bitor",
        "bool",
        "break",
        "case",
        "catch",
        "char",
        "char8_t",
        "char16_t",
        "char32_t",
        "class",
        "co_await",
        "co_return",
        "co_yield",
        "compl",
        "concept",
        "const",
        "consteval",
        "constexpr",
        "constinit",
        "const_cast",
        "continue",
        "decltype",
        "default",
        "delete",
        "do",
        "double",
        "dynamic_cast",
        "else",
        "enum",
        "explicit",
        "export",
        "extern",
        "false",
        "float",
        "for",
        "friend",
        "goto",
        "if",
        "inline",
        "int",
        "long",
        "mutable",
        "namespace",
        "new",
        "noexcept",
        "not",
        "not_eq",
        "nullptr",
        "operator",
        "or",
        "or_eq",
        "private",
        "protected",
        "public",
        "register",
        "reinterpret_cast",
        "requires",
        "return",
        "short",
        "signed",
        "sizeof",
        "static",
        "static_assert",
        "static_cast",
        "struct",
        "switch",
        "template",
        "this",
        "thread_local",
        "throw",
        "true",
        "try",
        "typedef",
        "typeid",
        "typename",
        "union",
        "unsigned",
        "using",
        "virtual",
        "void",
        "volatile",
        "wchar_t",
        "while",
        "xor",
        "xor_eq",
        "T",
        "at",
        "views",
        "rows",
        "columns",
        "symgru",
        "sigmoid",
        "tanh",
        "relu",
        "step",
        "softplus",
        "exp",
        "rsqrt",
        "select",
        "broadcast",
        "saved_gate",
        "gate",
        "Gate",
        "Vec",
        "Mask",
        "View",
    ]
)
_JOINED = re.compile(r"joined_\d+")  # what `torch_source` calls the vectors that it joins


def check_torch_names(names: Iterable[object]) -> None:
    """Raise LoweringError for a symbol that would hide an operation of the torch source."""
    _check(names, _TORCH, "torch")


def check_triton_names(names: Iterable[object]) -> None:
    """Raise LoweringError for a symbol that would hide an operation of the Triton source."""
    _check(names, _TRITON, "Triton")


def check_cpp_names(names: Iterable[object]) -> None:
    """Raise LoweringError for a symbol that C++ or a body means something else by."""
    _check(names, _CPP, "C++")


def _check(names: Iterable[object], reserved: frozenset[str], language: str) -> None:
    for name in sorted({str(getattr(name, "name", name)) for name in names}):
        if name in reserved or _JOINED.fullmatch(name):
            raise LoweringError(
                f"{name} cannot be the name of a symbol in {language} source, which uses it itself"
            )
