"""Expressions as JSON: a symbol is a string, a whole number a number, anything else [head, argument, …].

Reading is strict: what is not in the table below is refused with its place, and nothing is evaluated but the
constructors of SymPy in the table. `docs/certificates.md` lists the heads.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from symgru.certificates.reading import CertificateError, Node
from symgru.equations.functions import relu, rsqrt, select, sigmoid, softplus, step
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import Average, Contraction, OuterProduct, Total, TransposedContraction

DEPTH, SIZE, DIGITS, EXPONENT = 40, 4000, 200, 16
NAME = re.compile(r"[^\W\d]\w{0,99}′?")

FUNCTIONS: Mapping[str, tuple[type[sp.Basic], int]] = {
    "sigmoid": (sigmoid, 1),
    "tanh": (Tanh, 1),
    "relu": (relu, 1),
    "step": (step, 1),
    "softplus": (softplus, 1),
    "exp": (sp.exp, 1),
    "rsqrt": (rsqrt, 1),
    "select": (select, 3),
    "contraction": (Contraction, 2),
    "transposed_contraction": (TransposedContraction, 2),
    "mean": (Average, 1),
    "outer_product": (OuterProduct, 2),
    "total": (Total, 1),
}
HEADS: Mapping[type[sp.Basic], str] = {
    **{function: name for name, (function, _) in FUNCTIONS.items()},
    sp.tanh: "tanh",
    sp.Add: "add",
    sp.Mul: "multiply",
    sp.Pow: "power",
    sp.Max: "max",
    sp.Min: "min",
}
#: What is known of a symbol, beyond being real.
KINDS: Mapping[str, Mapping[str, bool]] = {
    "positive": {"positive": True},
    "negative": {"negative": True},
    "nonnegative": {"nonnegative": True},
    "counting": {"integer": True, "positive": True},
}


def to_tree(node: sp.Basic) -> Any:
    """The expression as values that JSON knows; what `from_tree` does not read gets the name of its class."""
    if node.is_Symbol:
        return _symbol(node)
    if node.is_Integer:
        return int(node)
    if node.is_Rational:
        return ["rational", int(node.p), int(node.q)]
    name = HEADS.get(type(node)) or str(node if not node.args else type(node).__name__).lower()
    return [name, *map(to_tree, node.args)]


def _symbol(symbol: sp.Symbol) -> Any:
    name = str(symbol)
    for kind, assumptions in KINDS.items():
        if symbol == sp.Symbol(name, **assumptions):
            return ["symbol", name, kind]
    return name


def from_tree(node: Node, functions: Mapping[str, tuple[type[sp.Basic], int]] = FUNCTIONS) -> sp.Expr:
    """The expression that a tree describes.

    Raises:
        CertificateError: it is none, or too large; the message says where.
    """
    return _Reader(functions).expression(node, 0)


def symbol_of(node: Node) -> sp.Symbol:
    """A real symbol by its name."""
    name = node.text()
    if not NAME.fullmatch(name):
        raise CertificateError(node.path, f"expected a name of letters, digits and _, got {name[:60]!r}")
    return sp.Symbol(name, real=True)


class _Reader:
    def __init__(self, functions: Mapping[str, tuple[type[sp.Basic], int]]):
        self._functions = functions
        self._left = SIZE
        self._special: Mapping[str, Callable[[Node, int], sp.Expr]] = {
            "rational": self._rational,
            "symbol": self._symbol,
            "add": lambda node, depth: sp.Add(*self._arguments(node, depth)),
            "multiply": lambda node, depth: sp.Mul(*self._arguments(node, depth)),
            "power": self._power,
            "max": lambda node, depth: sp.Max(*self._arguments(node, depth)),
            "min": lambda node, depth: sp.Min(*self._arguments(node, depth)),
        }

    def expression(self, node: Node, depth: int) -> sp.Expr:
        self._left -= 1
        if self._left < 0 or depth > DEPTH:
            raise CertificateError(node.path, f"more than {SIZE} nodes, or deeper than {DEPTH}")
        if isinstance(node.value, str):
            return symbol_of(node)
        if isinstance(node.value, int):
            return sp.Integer(node.whole(DIGITS))
        head = node.item(0, "a name of a function").text()
        if head in self._special:
            return self._special[head](node, depth)
        if head not in self._functions:
            known = ", ".join(sorted({*self._special, *self._functions}))
            raise CertificateError(node.path, f"unknown head {head[:60]!r}; known are {known}")
        function, arity = self._functions[head]
        return function(*self._exactly(node, arity, depth))

    def _arguments(self, node: Node, depth: int) -> list[sp.Expr]:
        arguments = [self.expression(part, depth + 1) for part in node.items()[1:]]
        if len(arguments) < 2:
            raise CertificateError(node.path, f"expected two or more arguments, got {len(arguments)}")
        return arguments

    def _exactly(self, node: Node, arity: int, depth: int) -> list[sp.Expr]:
        parts = node.items()[1:]
        if len(parts) != arity:
            raise CertificateError(node.path, f"expected {arity} arguments, got {len(parts)}")
        return [self.expression(part, depth + 1) for part in parts]

    def _rational(self, node: Node, depth: int) -> sp.Expr:
        node.length(3)
        numerator, denominator = (node.item(i).whole(DIGITS) for i in (1, 2))
        if denominator < 2 or sp.igcd(numerator, denominator) != 1:
            raise CertificateError(node.path, f"{numerator}/{denominator} is no fraction in lowest terms")
        return sp.Rational(numerator, denominator)

    def _symbol(self, node: Node, depth: int) -> sp.Expr:
        node.length(3)
        name, kind = str(symbol_of(node.item(1))), node.item(2).text()
        if kind not in KINDS:
            raise CertificateError(node.path, f"unknown kind {kind[:60]!r}; known are {', '.join(KINDS)}")
        return sp.Symbol(name, **KINDS[kind])

    def _power(self, node: Node, depth: int) -> sp.Expr:
        base, exponent = self._exactly(node, 2, depth)
        if exponent.is_Rational and abs(exponent) > EXPONENT:
            raise CertificateError(node.path, f"the exponent {exponent} is above {EXPONENT}")
        result = base**exponent
        if base == 0 or not all(atom.is_Symbol or atom.is_Rational for atom in result.atoms()):
            raise CertificateError(node.path, "is no real number for all values of its symbols")
        return result
