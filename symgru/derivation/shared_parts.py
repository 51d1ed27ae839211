"""Expressions as a graph in which equal parts are one node, and pairs of factors or terms that many share.

A node is a product of atoms, a sum of multiples of atoms, or a function of multiples of atoms; an atom is a
symbol or a node. Everything else about an expression is a number in front of an atom. What is chosen first
does not depend on which of two complementary gates an equation calls the gate.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations, count

import sympy as sp

from symgru.equations import Pointwise, Statement, name_of, sigmoid

ONE = sp.S.One


@dataclass(frozen=True)
class Multiple:
    """A number times an atom; a number alone is a multiple of 1."""

    number: sp.Rational
    atom: sp.Expr


@dataclass
class Node:
    """What a node is made of.

    Attributes:
        function: sympy.Mul, sympy.Add, or the function.
        parts: Its arguments; factors have the number 1.
    """

    function: Callable[..., sp.Expr]
    parts: tuple[Multiple, ...]


#: Symbols before nodes, then their place, then the statements that read them.
Rank = tuple[int, int, tuple[int, ...]]
Pair = tuple[Multiple, Multiple]
Key = tuple[Callable[..., sp.Expr], tuple[Multiple, ...]]


class Graph:
    """The pointwise statements of some phases.

    Args:
        statements: Of all phases in order, for the order of the symbols.
    """

    def __init__(self, statements: Iterable[Statement]):
        self._ranks = _ranks(statements)
        self._nodes: dict[sp.Expr, Node] = {}
        self._known: dict[Key, sp.Expr] = {}
        self._roots: dict[sp.Symbol, Multiple] = {}
        self._names: dict[sp.Expr, sp.Symbol] = {}
        self._uses: Counter[sp.Expr] = Counter()
        self._holders: dict[Pair, dict[sp.Expr, None]] = {}

    def enter(self, statement: Pointwise) -> None:
        """Take the expression of a statement apart."""
        self._roots[statement.target] = self._multiple(statement.expression)

    def _multiple(self, expression: sp.Expr) -> Multiple:
        if expression.is_Symbol:
            return Multiple(ONE, expression)
        if expression.is_Rational:
            return Multiple(expression, ONE)
        if expression.is_Pow:
            return self._product([self._multiple(expression.base)] * int(expression.exp))
        parts = [self._multiple(a) for a in expression.args]
        if expression.is_Mul:
            return self._product(parts)
        if expression.is_Add:
            return self._sum(parts)
        return Multiple(ONE, self._node(expression.func, parts))

    def _product(self, factors: list[Multiple]) -> Multiple:
        number = sp.prod(f.number for f in factors)
        atoms = sorted((f.atom for f in factors if f.atom != ONE), key=self._rank)
        if len(atoms) < 2:
            return Multiple(number, atoms[0] if atoms else ONE)
        return Multiple(number, self._node(sp.Mul, [Multiple(ONE, a) for a in atoms]))

    def _sum(self, terms: list[Multiple]) -> Multiple:
        """A sum and its negative are one node."""
        ordered = sorted(terms, key=lambda term: self._rank(term.atom))
        sign = ONE if ordered[0].number > 0 else -ONE
        return Multiple(sign, self._node(sp.Add, [Multiple(sign * t.number, t.atom) for t in ordered]))

    def _node(self, function: Callable[..., sp.Expr], parts: list[Multiple]) -> sp.Expr:
        key = (function, tuple(parts))
        if key not in self._known:
            atom = sp.Dummy()
            self._known[key] = atom
            self._nodes[atom] = Node(*key)
            self._ranks[atom] = (1, len(self._nodes), ())
        return self._known[key]

    def _rank(self, atom: sp.Expr) -> tuple[Rank, str]:
        return self._ranks.get(atom, (0, -1, ())), "" if atom in self._nodes else str(atom)

    def share_pairs(self) -> None:
        """Give the pair that most nodes share a node of its own, until no two nodes share one."""
        for function in (sp.Mul, sp.Add):
            self._holders = defaultdict(dict)
            for atom, node in self._nodes.items():
                if node.function is function:
                    self._hold(atom)
            while shared := [pair for pair, nodes in self._holders.items() if len(nodes) > 1]:
                best = min(shared, key=lambda pair: (-len(self._holders[pair]), *self._preference(pair)))
                self._extract(function, best)

    def _hold(self, atom: sp.Expr) -> None:
        for pair in map(_positive, combinations(self._nodes[atom].parts, 2)):
            self._holders[pair][atom] = None

    def _release(self, atom: sp.Expr) -> None:
        for pair in map(_positive, combinations(self._nodes[atom].parts, 2)):
            self._holders[pair].pop(atom, None)

    def _preference(self, pair: Pair) -> tuple[object, ...]:
        """Among equals, complementary gates first: that choice does not tell them apart."""
        ranks = [self._rank(part.atom) for part in pair]
        return ranks[0][0][:2] != ranks[1][0][:2], *ranks

    def _extract(self, function: Callable[..., sp.Expr], pair: Pair) -> None:
        whole = self._node(function, list(pair))
        for atom in list(self._holders[pair]):
            if atom in self._nodes and atom != whole:
                self._release(atom)
                self._rewrite(atom, self._with_whole(self._nodes[atom], pair, whole))
        self._holders.pop(pair)  # its only holder is the pair itself

    def _with_whole(self, node: Node, pair: Pair, whole: sp.Expr) -> Node:
        """The node with a pair of its parts, or its negative, as one part."""
        sign = ONE if all(part in node.parts for part in pair) else -ONE
        rest = list(node.parts)
        for part in pair:
            rest.remove(Multiple(sign * part.number, part.atom))
        parts = sorted([*rest, Multiple(sign, whole)], key=lambda part: self._rank(part.atom))
        return Node(node.function, tuple(parts))

    def _rewrite(self, atom: sp.Expr, node: Node) -> None:
        """Give a node other parts; if there is one with these, that takes the place of both."""
        other = self._known.setdefault((node.function, node.parts), atom)
        if other == atom:
            self._nodes[atom] = node
            self._hold(atom)
            return
        del self._nodes[atom]
        self._roots = {target: _with_atom(root, atom, other) for target, root in self._roots.items()}
        for user in [a for a, n in self._nodes.items() if any(part.atom == atom for part in n.parts)]:
            held = any(user in nodes for nodes in self._holders.values())
            if held:
                self._release(user)
            parts = [_with_atom(part, atom, other) for part in self._nodes[user].parts]
            self._nodes[user].parts = tuple(sorted(parts, key=lambda part: self._rank(part.atom)))
            if held:
                self._hold(user)

    def written(self, statement: Statement, taken: set[str]) -> Iterator[Statement]:
        """The statement, after those for the shared parts that it is the first to need."""
        if not isinstance(statement, Pointwise):
            yield statement
            return
        if not self._uses:
            self._count_uses()
        root = self._roots[statement.target]
        needed: list[Statement] = []
        if root.number == 1 and root.atom in self._nodes and root.atom not in self._names:
            expression = self._expression(root.atom, needed, taken)
            self._names[root.atom] = statement.target
        else:
            expression = self._multiple_of(root, needed, taken)
        yield from needed
        yield Pointwise(statement.target, expression)

    def _count_uses(self) -> None:
        self._uses.update(root.atom for root in self._roots.values())
        for atom in reversed(list(self._reachable())):
            self._uses.update(part.atom for part in self._nodes[atom].parts)

    def _reachable(self) -> Iterator[sp.Expr]:
        seen: set[sp.Expr] = set()
        pending = [root.atom for root in self._roots.values()]
        while pending:
            atom = pending.pop()
            if atom in self._nodes and atom not in seen:
                seen.add(atom)
                yield atom
                pending += [part.atom for part in self._nodes[atom].parts]

    def _expression(self, atom: sp.Expr, needed: list[Statement], taken: set[str], sign: int = 1) -> sp.Expr:
        """A node as an expression, or with sign −1 a sum with all its terms negated."""
        node = self._nodes[atom]
        return node.function(
            *(self._multiple_of(Multiple(sign * p.number, p.atom), needed, taken) for p in node.parts)
        )

    def _multiple_of(self, part: Multiple, needed: list[Statement], taken: set[str]) -> sp.Expr:
        """A part as an expression; `needed` gets the statements of shared parts that have no name yet."""
        number, atom = part.number, part.atom
        if atom not in self._nodes:
            return number * atom
        is_sum = self._nodes[atom].function is sp.Add
        if atom not in self._names and (self._uses[atom] > 1 or (is_sum and abs(number) != 1)):
            expression = self._expression(atom, needed, taken)
            name = next(n for n in (f"shared_{i}" for i in count(1)) if n not in taken)
            taken.add(name)
            self._names[atom] = sp.Symbol(name, real=True)
            needed.append(Pointwise(self._names[atom], expression))
        if atom in self._names:
            return number * self._names[atom]
        if is_sum:
            return self._expression(atom, needed, taken, sign=int(number))
        if number < 0 and self._nodes[atom].function is sp.Mul:
            return self._negated(number, atom, needed, taken)
        return number * self._expression(atom, needed, taken)

    def _negated(
        self, number: sp.Rational, atom: sp.Expr, needed: list[Statement], taken: set[str]
    ) -> sp.Expr:
        """A product with a negative number: −x·(a − b) is x·(b − a)."""
        parts = list(self._nodes[atom].parts)
        for position, part in enumerate(parts):
            if self._is_private_sum(part.atom):
                parts[position], number = Multiple(-part.number, part.atom), -number
                break
        return sp.Mul(number, *(self._multiple_of(part, needed, taken) for part in parts))

    def _is_private_sum(self, atom: sp.Expr) -> bool:
        if atom not in self._nodes or atom in self._names:
            return False
        return self._nodes[atom].function is sp.Add and self._uses[atom] == 1


def _positive(pair: Pair) -> Pair:
    """The pair with a positive first number: a pair and its negative are one value up to a sign."""
    first, second = pair
    if first.number > 0:
        return pair
    return Multiple(-first.number, first.atom), Multiple(-second.number, second.atom)


def _with_atom(part: Multiple, old: sp.Expr, new: sp.Expr) -> Multiple:
    return Multiple(part.number, new) if part.atom == old else part


def _ranks(statements: Iterable[Statement]) -> dict[sp.Expr, Rank]:
    """Symbols in the order of their first occurrence.

    Complementary gates σ(a) and σ(−a) have one place, and are told apart by the statements that read them: so
    it does not matter which of the two an equation calls the gate.
    """
    places: dict[sp.Expr, int] = {}
    readers: dict[sp.Expr, list[int]] = defaultdict(list)
    gates: dict[sp.Expr, sp.Symbol] = {}
    for position, statement in enumerate(statements):
        for symbol in sorted(statement.reads, key=name_of):
            places.setdefault(symbol, len(places))
            readers[symbol].append(position)
        places.setdefault(statement.target, len(places))
        if isinstance(statement, Pointwise) and isinstance(statement.expression, sigmoid):
            argument = statement.expression.args[0]
            places[statement.target] = places[gates.setdefault(-argument, statement.target)]
            gates.setdefault(argument, statement.target)
    return {symbol: (0, place, tuple(readers[symbol])) for symbol, place in places.items()}
