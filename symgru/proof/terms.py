"""Statements as terms, and a normal form in which equal terms are equal.

The right-hand side of every statement becomes one SymPy expression for one unit. Pointwise expressions stay
as they are; contractions, outer products and sums become function nodes. Nothing in a term knows how
many units, inputs, steps or examples there are, so neither does a proof about terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from functools import cache, lru_cache
from itertools import product

import sympy as sp

from symgru.equations import Contract, Mean, Outer, Pointwise, Program, Statement, Sum, relu, select, sigmoid
from symgru.proof.lemmas import (
    CONTRACTION_BILINEAR,
    LEMMAS,
    MEAN_LINEAR,
    OUTER_BILINEAR,
    SELECTION,
    SUM_LINEAR,
    TRANSPOSED_BILINEAR,
    Lemma,
    Tanh,
    check,
)
from symgru.proof.polynomials import expanded
from symgru.proof.text import text
from symgru.proof.theorem import Equations, ProofError


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


class Average(sp.Function):
    """The mean of v over its units."""

    nargs = 1

    def _sympystr(self, printer: sp.StrPrinter) -> str:
        return f"mean {_factor(self.args[0], printer)}"


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


#: The functions whose value at −a a lemma says by that at a.
REFLECTED = (sigmoid, Tanh, relu)

Head = type[sp.Function]

LINEAR: Mapping[Head, Lemma] = {
    Contraction: CONTRACTION_BILINEAR,
    TransposedContraction: TRANSPOSED_BILINEAR,
    Average: MEAN_LINEAR,
    OuterProduct: OUTER_BILINEAR,
    Total: SUM_LINEAR,
}


@lru_cache(maxsize=4096)
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
        case Mean():
            return Average(statement.source)
        case Outer():
            return sp.Add(*(OuterProduct(left, right) for left, right in statement.terms))
        case Sum():
            return sp.Add(*(Total(t) for t in statement.terms))


def masks(program: Program) -> frozenset[sp.Symbol]:
    """The inputs that a select chooses by; `Program` sees to it that they are inputs and nothing else."""
    return frozenset(mask for s in program if isinstance(s, Pointwise) for mask in _choices(s))


@lru_cache(maxsize=4096)
def _choices(statement: Pointwise) -> frozenset[sp.Symbol]:
    return frozenset(node.args[0] for node in statement.expression.atoms(select))


def equations(programs: Mapping[str, Iterable[Statement]]) -> Equations:
    """The statements of programs by title, those with the same titles together: the symbols of a proof."""
    titles: dict[str, dict[str, None]] = {}
    for title, program in programs.items():
        for statement in program:
            titles.setdefault(f"{statement.target.name} = {text(term(statement))}", {})[title] = None
    groups: dict[str, list[str]] = {}
    for line, found in titles.items():
        everywhere = len(found) == len(programs) > 1
        groups.setdefault("all cases" if everywhere else "; ".join(found), []).append(line)
    return tuple((title, tuple(lines)) for title, lines in groups.items())


class Normaliser:
    """Rewrites terms by lemmas until equal ones look equal.

    Arguments of σ, tanh and relu lose a leading minus sign, σ(0) and tanh(0) become numbers, linear functions
    are pulled apart into their terms, polynomials are expanded, and an application whose value already has a
    name gets that name.

    Args:
        lemmas: What may be used; every one is checked first.
        masks: Values that are true or false. Only these are choices that the lemma on selection is about.
        shared: Vectors that have one value in all units, which a contraction may be divided by.
    Attributes:
        used: Names of the lemmas used since `used` was last emptied, in order.
    Raises:
        ProofError: a lemma does not hold, or a rule for σ, tanh or relu does not hold for all values.
    """

    def __init__(
        self,
        lemmas: Sequence[Lemma] = LEMMAS,
        masks: Set[sp.Symbol] = frozenset(),
        shared: Set[sp.Symbol] = frozenset(),
    ):
        self._available = _checked(tuple(lemmas))
        self._reflections, self._at_zero = _rules(tuple(lemmas))
        self._masks = masks
        self._shared = shared
        self.named: dict[sp.Expr, sp.Expr] = {}
        self.used: dict[str, None] = {}

    @property
    def named(self) -> dict[sp.Expr, sp.Expr]:
        """Normal form of a function application -> the value that has it. Names may be added."""
        return self._named

    @named.setter
    def named(self, names: dict[sp.Expr, sp.Expr]) -> None:
        self._named, self._names = names, len(names)
        self._known: dict[sp.Expr, tuple[sp.Expr, tuple[str, ...]]] = {}

    def __call__(self, node: sp.Expr) -> sp.Expr:
        """The normal form of a term."""
        if node.is_Atom:
            return node
        if len(self._named) != self._names:
            self.named = self._named  # with a new name, what is known may have another normal form
        if node not in self._known:
            self._known[node] = self._found(node)
        form, lemmas = self._known[node]
        self.used.update(dict.fromkeys(lemmas))
        return form

    def _found(self, node: sp.Expr) -> tuple[sp.Expr, tuple[str, ...]]:
        """The normal form, and all lemmas that it takes, used before or not."""
        before, self.used = self.used, {}
        try:
            return expanded(self._visit(node)), tuple(self.used)
        finally:
            self.used = before

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
        return self._reflected(applied) if isinstance(applied, REFLECTED) else self._name(applied)

    def _name(self, node: sp.Expr) -> sp.Expr:
        return self._named.get(node, node)

    def _selected(self, node: sp.Expr) -> sp.Expr:
        mask, chosen, otherwise = node.args
        is_mask = mask in self._masks or mask in (0, 1)  # not −m: the lemma is about 0 and 1
        if SELECTION not in self._available or not is_mask:
            return self._name(node)
        self.used[SELECTION.name] = None
        return mask * chosen + (1 - mask) * otherwise

    def _reflected(self, node: sp.Expr) -> sp.Expr:
        lemma, argument = self._reflections.get(node.func), node.args[0]
        at_zero = argument == 0 and node.func in self._at_zero
        if lemma is None or not (at_zero or argument.could_extract_minus_sign()):
            return self._name(node)
        self.used[lemma.name] = None
        if at_zero:
            return self._at_zero[node.func]
        variable = -lemma.left.args[0]
        return lemma.right.xreplace({variable: expanded(-argument)}).replace(
            lambda part: part.func == node.func, lambda part: self._name(part)
        )

    def _pulled_apart(self, node: sp.Expr) -> sp.Expr:
        lemma = LINEAR[type(node)]
        divisible = isinstance(node, (Contraction, TransposedContraction))
        shared = [self._shared if divisible and position == 1 else frozenset() for position in range(2)]
        parts = [_parts(argument, out) for argument, out in zip(node.args, shared, strict=False)]
        if any(rest.is_number for part in parts for _, rest in part):
            raise ProofError(f"{node} needs a vector, but a part of it is the same number in every unit")
        if lemma not in self._available or all(len(part) == 1 and part[0][0] == 1 for part in parts):
            return self._name(node)
        self.used[lemma.name] = None
        terms = []
        for choice in product(*parts):
            coefficient = sp.Mul(*(number for number, _ in choice))
            terms.append(coefficient * self._name(node.func(*(rest for _, rest in choice))))
        return sp.Add(*terms)


@cache
def _checked(lemmas: tuple[Lemma, ...]) -> frozenset[Lemma]:
    return frozenset(map(check, lemmas))


@cache
def _rules(lemmas: tuple[Lemma, ...]) -> tuple[dict[Head, Lemma], dict[Head, sp.Expr]]:
    """The lemmas f(−a) = … of the lemmas by f, and f(0) where they say it."""
    reflected = [lemma for lemma in lemmas if isinstance(lemma.left, REFLECTED)]
    rules = {lemma.left.func: _rule(lemma) for lemma in reflected if (-lemma.left.args[0]).is_Symbol}
    values = {head: _at_zero(lemma) for head, lemma in rules.items()}
    return rules, {head: value for head, value in values.items() if value is not None}


def _rule(lemma: Lemma) -> Lemma:
    """A lemma f(−a) = … that may rewrite f of anything.

    Raises:
        ProofError: it holds for some a only, or has other symbols than a.
    """
    if not lemma.universal:
        raise ProofError(f"lemma '{lemma.name}' holds for some values only, so it rewrites nothing")
    if lemma.right.free_symbols - lemma.left.free_symbols:
        raise ProofError(
            f"lemma '{lemma.name}' rewrites {lemma.left} to {lemma.right}, which has other symbols"
        )
    return lemma


def _at_zero(lemma: Lemma) -> sp.Expr | None:
    """f(0), if a lemma f(−a) = … says it at a = 0, where both sides are about f(0): σ(0) = 1 − σ(0)."""
    unknown = sp.Dummy()
    right = lemma.right.xreplace({-lemma.left.args[0]: sp.S.Zero})
    values = sp.solve(right.replace(lemma.left.func, lambda _: unknown) - unknown, unknown)
    return values[0] if len(values) == 1 else None


def _parts(argument: sp.Expr, shared: Set[sp.Symbol]) -> list[tuple[sp.Expr, sp.Expr]]:
    """Pairs (factor that is one number in all units, the rest) that add up to the argument."""
    parts = []
    for part in sp.Add.make_args(argument):
        number, rest = part.as_coeff_Mul()
        factors = sp.Mul.make_args(rest) if shared else ()
        outside = [f for f in factors if f.free_symbols and f.free_symbols <= shared]
        if outside:
            number, rest = sp.Mul(number, *outside), sp.Mul(*(f for f in factors if f not in outside))
        if number != 0:
            parts.append((number, rest))
    return parts
