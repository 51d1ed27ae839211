"""Scalar expressions as source code: one table of names for each target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import sympy as sp
from sympy.printing.codeprinter import CodePrinter


class LoweringError(ValueError):
    """An expression that a target has no code for; the message names the node."""


class TensorPrinter(CodePrinter):
    """Python source for elementwise tensor code.

    Numbers are printed as floats, small integer powers as products. A node without an entry in the table
    raises `LoweringError` with its name.
    """

    printmethod = "_tensorcode"
    language = "Python tensor code"
    functions: ClassVar[Mapping[str, str]] = {}

    def __init__(self) -> None:
        super().__init__({"order": "lex", "full_prec": False})

    def _print_Function(self, expr: sp.Function) -> str:
        name = type(expr).__name__
        if name not in self.functions:
            raise LoweringError(
                f"{self.language} has no function {name}; known are {', '.join(self.functions)}"
            )
        return f"{self.functions[name]}({', '.join(self._print(a) for a in expr.args)})"

    _print_tanh = _print_Function

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return str(expr.name)

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"{int(expr)}.0"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"({int(expr.p)}.0 / {int(expr.q)}.0)"

    def _print_Pow(self, expr: sp.Pow) -> str:
        base, exponent = expr.args
        if not (exponent.is_Integer and 2 <= exponent <= 4):
            raise LoweringError(
                f"{self.language} has no power {expr}; known are integer exponents from 2 to 4"
            )
        return "*".join([self.parenthesize(base, 55)] * int(exponent))

    def emptyPrinter(self, expr: object) -> str:
        """Refuse what has no code."""
        raise LoweringError(f"{self.language} has no code for {type(expr).__name__}: {expr}")

    _print_not_supported = emptyPrinter

    def _format_code(self, lines: list[str]) -> list[str]:
        return lines


class TorchPrinter(TensorPrinter):
    """Plain tensor operations."""

    language = "torch"
    functions: ClassVar[Mapping[str, str]] = {
        "sigmoid": "torch.sigmoid",
        "tanh": "torch.tanh",
        "select": "torch.where",
    }


class TritonPrinter(TensorPrinter):
    """Operations on tiles; sigmoid and tanh are those of `kernels/triton/functions.py`."""

    language = "Triton"
    functions: ClassVar[Mapping[str, str]] = {"sigmoid": "sigmoid", "tanh": "tanh", "select": "tl.where"}
