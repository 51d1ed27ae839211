"""Other forms of the same statements, for the search of `simplify`: written out, and factored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence, Set

import sympy as sp

from symgru.equations import Pointwise, Statement
from symgru.equations.program import KNOWN_FUNCTIONS

Phases = Sequence[Sequence[Statement]]


def written_out(phases: Phases, kept: Set[sp.Symbol], kinds: tuple[type[sp.Expr], ...]) -> Phases:
    """The phases with values written out where they are read, if nothing but expressions reads them.

    Args:
        phases: Statements in order.
        kept: Values that somebody else reads.
        kinds: sympy.Mul and sympy.Add, or one of them: what may be written out.
    """
    statements = [s for phase in phases for s in phase]
    fixed = set(kept) | _arguments(statements)
    fixed |= {symbol for s in statements if not isinstance(s, Pointwise) for symbol in s.reads}
    values: dict[sp.Expr, sp.Expr] = {}
    result = []
    for phase in phases:
        rewritten: list[Statement] = []
        for statement in phase:
            if isinstance(statement, Pointwise):
                expression = statement.expression.xreplace(values)
                if isinstance(expression, kinds) and statement.target not in fixed:
                    values[statement.target] = expression
                    continue
                statement = Pointwise(statement.target, expression)
            rewritten.append(statement)
        result.append(rewritten)
    return result


def _arguments(statements: Sequence[Statement]) -> set[sp.Symbol]:
    """What functions are evaluated at: written out, it would be computed where it is not wanted."""
    expressions = [s.expression for s in statements if isinstance(s, Pointwise)]
    return {symbol for e in expressions for node in e.atoms(*KNOWN_FUNCTIONS) for symbol in node.free_symbols}


def factored(phases: Phases) -> Phases:
    """The phases with common factors of sums outside, the most common first: a·b + a·c is a·(b + c)."""
    return [
        [Pointwise(s.target, _factored(s.expression)) if isinstance(s, Pointwise) else s for s in phase]
        for phase in phases
    ]


def _factored(node: sp.Expr) -> sp.Expr:
    if node.is_Atom:
        return node
    if not node.is_Add:
        return node.func(*map(_factored, node.args))
    terms = [_factored(a) for a in node.args]
    factors = [dict.fromkeys(f for f in sp.Mul.make_args(t) if f.is_Symbol or f.is_Add) for t in terms]
    counts = Counter(f for own in factors for f in own)
    factor, most = max(counts.items(), key=lambda item: item[1], default=(None, 0))
    if most < 2:
        return sp.Add(*terms)
    inside = [
        sp.Mul(*_without(sp.Mul.make_args(t), factor))
        for t, own in zip(terms, factors, strict=True)
        if factor in own
    ]
    outside = [t for t, own in zip(terms, factors, strict=True) if factor not in own]
    rest = [_factored(sp.Add(*outside))] if outside else []
    return sp.Add(factor * _factored(sp.Add(*inside)), *rest)


def _without(factors: Sequence[sp.Expr], factor: sp.Expr) -> list[sp.Expr]:
    return [f for f in factors if f != factor]
