"""Scalar expressions as source code: one table of names for each target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import sympy as sp
from sympy.printing.codeprinter import CodePrinter
from sympy.printing.precedence import PRECEDENCE


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

    def doprint(self, expr: sp.Expr) -> str:
        """Source of the expression.

        Raises:
            LoweringError: a node without code; the message names it.
        """
        for node in sp.preorder_traversal(expr):
            self._check(node)
        return str(self._print(expr))

    def _check(self, node: sp.Basic) -> None:
        name = type(node).__name__
        if isinstance(node, sp.Pow) and not (node.exp.is_Integer and 2 <= node.exp <= 4):
            raise LoweringError(
                f"{self.language} has no power {node}; known are integer exponents from 2 to 4"
            )
        if isinstance(node, sp.Function) and name not in self.functions:
            known = ", ".join(self.functions)
            raise LoweringError(f"{self.language} has no function {name}; known are {known}")
        if not isinstance(node, sp.Symbol | sp.Rational | sp.Add | sp.Mul | sp.Pow | sp.Function):
            raise LoweringError(f"{self.language} has no code for {name}: {node}")

    def _print_Function(self, expr: sp.Function) -> str:
        arguments = ", ".join(self._print(a) for a in expr.args)
        return f"{self.functions[type(expr).__name__]}({arguments})"

    _print_tanh = _print_exp = _print_Function

    def _print_Symbol(self, expr: sp.Symbol) -> str:
        return str(expr.name)

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"{int(expr)}.0"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"{int(expr.p)}.0/{int(expr.q)}.0"

    def _print_Pow(self, expr: sp.Pow) -> str:
        return "*".join([self.parenthesize(expr.base, PRECEDENCE["Mul"] + 1)] * int(expr.exp))


class TorchPrinter(TensorPrinter):
    """Plain tensor operations; choice, step and softplus are those of `kernels/tensor_ops.py`."""

    language = "torch"
    functions: ClassVar[Mapping[str, str]] = {
        "sigmoid": "torch.sigmoid",
        "tanh": "torch.tanh",
        "relu": "torch.relu",
        "step": "step",
        "softplus": "softplus",
        "exp": "torch.exp",
        "rsqrt": "torch.rsqrt",
        "select": "torch.where",
        "choice": "choice",
    }


class TritonPrinter(TensorPrinter):
    """Operations on tiles; sigmoid and tanh are those of `kernels/triton/functions.py`."""

    language = "Triton"
    functions: ClassVar[Mapping[str, str]] = {"sigmoid": "sigmoid", "tanh": "tanh", "select": "tl.where"}


class CppPrinter(TensorPrinter):
    """Registers of numbers of type T; the functions are those of `kernels/cpu/functions.h`."""

    language = "C++"
    functions: ClassVar[Mapping[str, str]] = {
        name: f"{name}<T>"
        for name in ("sigmoid", "tanh", "relu", "step", "softplus", "exp", "rsqrt", "select")
    }

    def _print_Integer(self, expr: sp.Integer) -> str:
        return f"T({int(expr)})"

    def _print_Rational(self, expr: sp.Rational) -> str:
        return f"T({int(expr.p)})/T({int(expr.q)})"

    def _print_Function(self, expr: sp.Function) -> str:
        arguments = [f"broadcast({self._print(a)})" if a.is_Number else self._print(a) for a in expr.args]
        return f"{self.functions[type(expr).__name__]}({', '.join(arguments)})"

    _print_tanh = _print_exp = _print_Function
