"""Statements as terms, and a normal form in which equal terms are equal.

The right-hand side of every statement becomes one SymPy expression for one unit. Pointwise expressions stay
as they are; contractions, outer products and sums become function nodes. Nothing in a term knows how
many units, inputs, steps or examples there are, so neither does a proof about terms.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import sympy as sp

from symgru.equations import Contract, Outer, Pointwise, Statement, Sum, select, sigmoid
from symgru.proof.lemmas import (
    CONTRACTION_BILINEAR,
    LEMMAS,
    OUTER_BILINEAR,
    SELECTION,
    SUM_LINEAR,
    TRANSPOSED_BILINEAR,
    Lemma,
    Tanh,
    check,
)
from symgru.proof.theorem import ProofError


class Contraction(sp.Function):
    """W v, one unit of it: Σⱼ W[i, j] v[j]."""

    nargs = 2

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return "·".join(_factor(a, printer) for a in self.args)


class TransposedContraction(sp.Function):
    """Wᵀ v, one unit of it: Σⱼ W[j, i] v[j]."""

    nargs = 2

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return f"{_factor(self.args[0], printer)}ᵀ·{_factor(self.args[1], printer)}"


class OuterProduct(sp.Function):
    """Σ u vᵀ over time and batch, one element of it."""

    nargs = 2

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return f"Σ{_factor(self.args[0], printer)}·{_factor(self.args[1], printer)}ᵀ"


class Total(sp.Function):
    """Σ u over time and batch, one unit of it."""

    nargs = 1

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return f"Σ{_factor(self.args[0], printer)}"


def _factor(node: sp.Expr, printer: sp.StrPrinter) -> str:
    text = printer.doprint(node)
    return text if node.is_Symbol else f"({text})"


LINEAR: Mapping[type[sp.Function], Lemma] = {
    Contraction: CONTRACTION_BILINEAR,
    TransposedContraction: TRANSPOSED_BILINEAR,
    OuterProduct: OUTER_BILINEAR,
    Total: SUM_LINEAR,
}


def term(statement: Statement) -> sp.Expr:
    """The right-hand side of a statement as one expression."""
    match statement:
        case Pointwise():
            return statement.expression.replace(sp.tanh, Tanh)
        case Contract():
            return sp.Add(
                *(
                    (TransposedContraction if t.transposed else Contraction)(t.matrix, t.vector)
                    for t in statement.terms
                )
            )
        case Outer():
            return sp.Add(*(OuterProduct(left, right) for left, right in statement.terms))
        case Sum():
            return sp.Add(*(Total(t) for t in statement.terms))


class Normaliser:
    """Rewrites terms by lemmas until equal ones look equal.

    Arguments of σ and tanh lose a leading minus sign, linear functions are pulled apart into their terms,
    polynomials are expanded, and an application whose value already has a name gets that name.

    Args:
        lemmas: What may be used; every one is checked first.
    Attributes:
        named: Normal form of a function application -> the value that has it.
        used: Names of the lemmas used since `used` was last emptied, in order.
    """

    def __init__(self, lemmas: Sequence[Lemma] = LEMMAS):
        checked = [check(lemma) for lemma in lemmas]
        self._reflections = {
            lemma.left.func: lemma
            for lemma in checked
            if isinstance(lemma.left, (sigmoid, Tanh)) and (-lemma.left.args[0]).is_Symbol
        }
        self._available = set(checked)
        self.named: dict[sp.Expr, sp.Expr] = {}
        self.used: dict[str, None] = {}

    def __call__(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term."""
        return sp.expand(self._visit(node))

    def _visit(self, node: sp.Expr) -> sp.Expr:
        if node.is_Atom:
            return node
        if not node.is_Function:
            return node.func(*(self._visit(a) for a in node.args))
        applied = node.func(*(self(a) for a in node.args))
        if isinstance(applied, select):
            return self._selected(applied)
        if type(applied) in LINEAR:
            return self._pulled_apart(applied)
        return self._reflected(applied) if isinstance(applied, (sigmoid, Tanh)) else self._name(applied)

    def _name(self, node: sp.Expr) -> sp.Expr:
        return self.named.get(node, node)

    def _selected(self, node: sp.Expr) -> sp.Expr:
        mask, chosen, otherwise = node.args
        is_mask = mask.is_Symbol or mask in (0, 1)  # not −m: the lemma is about 0 and 1
        if SELECTION not in self._available or not is_mask:
            return self._name(node)
        self.used[SELECTION.name] = None
        return mask * chosen + (1 - mask) * otherwise

    def _reflected(self, node: sp.Expr) -> sp.Expr:
        lemma, argument = self._reflections.get(node.func), node.args[0]
        if lemma is None or not argument.could_extract_minus_sign():
            return self._name(node)
        self.used[lemma.name] = None
        variable = -lemma.left.args[0]
        return lemma.right.xreplace({variable: sp.expand(-argument)}).replace(
            lambda part: part.func == node.func, lambda part: self._name(part)
        )

    def _pulled_apart(self, node: sp.Expr) -> sp.Expr:
        lemma = LINEAR[type(node)]
        parts = [[part.as_coeff_Mul() for part in sp.Add.make_args(argument)] for argument in node.args]
        if lemma not in self._available or all(len(part) == 1 and part[0][0] == 1 for part in parts):
            return self._name(node)
        self.used[lemma.name] = None
        terms = []
        for choice in product(*parts):
            coefficient = sp.Mul(*(number for number, _ in choice))
            if coefficient == 0:
                continue
            if any(rest == 1 for _, rest in choice):
                raise ProofError(f"{node} needs a vector, but a part of it is the same number in every unit")
            terms.append(coefficient * self._name(node.func(*(rest for _, rest in choice))))
        return sp.Add(*terms)
