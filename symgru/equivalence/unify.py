"""Find parameters for which one step computes what another does: walk both from the new state downwards.

Every application of a function in the right step is taken for one of the left, with its argument or the
negative of it, or for a constant; that gives equations between the arguments, and so on down to parameters,
in which the equations are linear. What is found is a candidate: `symgru.equivalence.proving` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, replace

import sympy as sp

from symgru.equations import relu, sigmoid
from symgru.equivalence.forms import PRODUCTS, Form
from symgru.equivalence.linear import Linear
from symgru.proof.lemmas import Tanh
from symgru.proof.terms import Average

#: Functions of which the value at −a is known from that at a, and their values at 0.
AT_ZERO = {sigmoid: sp.Rational(1, 2), Tanh: sp.S.Zero, relu: sp.S.Zero}

#: Choices that a search makes before it gives up. Between a cell that ships and itself or its mirror it takes
#: at most 43 to find a candidate; with conditions, from lstm_peephole to lstm, 308.
BRANCHES = 400

Goal = tuple[sp.Expr, sp.Expr]


@dataclass(frozen=True)
class Candidate:
    """Parameters of the right step in those of the left, and what has to hold of those of the left."""

    parameters: Mapping[sp.Symbol, sp.Expr]
    conditions: Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Node:
    """Where the search stands.

    Attributes:
        images: What symbols of the right step are on the left.
        linear: Equations for the parameters of the right.
        conditions: Equations for those of the left.
        goals: Expressions of the right and what they have to be.
    """

    images: Mapping[sp.Symbol, sp.Expr]
    linear: Linear
    conditions: Linear
    goals: tuple[Goal, ...]

    def image(self, expression: sp.Expr) -> sp.Expr:
        """The expression with what is known of it put in."""
        return sp.expand(expression.xreplace(dict(self.images)))


class Unifier:
    """A search for candidates.

    Args:
        left, right: The two steps; no symbol is in both.
        given: What the inputs and states of the right are on the left.
        goals: New states of the right, and what they are to be on the left.
    Attributes:
        branches: How many choices the last search made.
    """

    def __init__(self, left: Form, right: Form, given: Mapping[sp.Symbol, sp.Expr], goals: tuple[Goal, ...]):
        self._left, self._right, self._given, self._goals = left, right, given, goals
        self._nodes = right.nodes
        self._position = {symbol: i for i, symbol in enumerate(self._nodes)}
        self._offered = dict(left.nodes)
        shapes = left.step.inputs
        self._left_parameters = sorted(
            left.step.parameters, key=lambda p: (len(shapes[p].axes), -_place(left, p))
        )
        self._unknown = right.parameters
        self.branches = 0
        self._limit = 0

    @property
    def exhausted(self) -> bool:
        """Whether the last search gave up before its end."""
        return self.branches > BRANCHES

    def candidate(self, *, conditional: bool = False) -> Candidate | None:
        """The first candidate there is.

        Args:
            conditional: The parameters of the left may be restricted, as little as possible.
        """
        self.branches, self._limit = 0, 10**6 if conditional else 1
        start = Node(self._given, Linear(tuple(self._unknown)), Linear(self._left_parameters), self._goals)
        best = None
        for node in self._search(start):
            best, self._limit = node, self._cost(node)
            if self._limit == 0:
                break
        if best is None:
            return None
        values = self._chosen(best.linear)
        named = {self._unknown[p]: best.conditions.reduced(value) for p, value in values.items()}
        return Candidate(named, best.conditions.solved)

    def _chosen(self, linear: Linear) -> dict[sp.Symbol, sp.Expr]:
        """Values of all parameters: those that stay free are what is of their name on the left, or 0."""
        for unknown in self._unknown:
            if unknown not in linear.solved:
                name = self._unknown[unknown]
                offers = [name, -name] if self._fits(unknown, name) else []
                options = [linear.with_zero(unknown - value)[0] for value in (*offers, sp.S.Zero)]
                linear = min(options, key=_length)
        return {unknown: linear.solved[unknown] for unknown in self._unknown}

    def _cost(self, node: Node) -> int:
        """Restrictions of the left: a matrix counts more than a bias."""
        return sum(1 + 2 * (len(self._left.step.inputs[p].axes) - 1) for p in node.conditions.solved)

    def _search(self, node: Node) -> Iterator[Node]:
        if self._cost(node) >= self._limit or self.exhausted:
            return
        node = self._settled(node)
        if not node.goals:
            yield node
            return
        blocked = []
        for i, (right, left) in enumerate(node.goals):
            image = node.image(right)
            blocker = self._blocker(image, node)
            if blocker is None:
                rest = replace(node, goals=(*node.goals[:i], *node.goals[i + 1 :]))
                equated = self._equated(image, left, rest)
                if equated is not None:
                    yield from self._search(equated)
                return
            blocked.append((blocker, image, left))
        for option in self._fewest(blocked, node):
            self.branches += 1
            yield from self._search(option)

    def _fewest(self, blocked: list[tuple[sp.Symbol, sp.Expr, sp.Expr]], node: Node) -> Iterable[Node]:
        """Options for the first application of a function, or else for the parameter that has the fewest."""
        for blocker, image, goal in blocked:
            if not isinstance(self._nodes.get(blocker, blocker), (*PRODUCTS, sp.Symbol)):
                return self._options(blocker, image, goal, node)
        return min((list(self._options(*one, node)) for one in blocked), key=len)

    def _settled(self, node: Node) -> Node:
        """The node with images of all parameters that are solved, and of applications of what is known."""
        images = dict(node.images)
        free = set(self._unknown)
        images |= {p: value for p, value in node.linear.solved.items() if not value.free_symbols & free}
        for symbol, definition in self._nodes.items():
            if symbol not in images and definition.free_symbols <= images.keys():
                images[symbol] = self._left.normal(definition.xreplace(images))
        return replace(node, images=images)

    def _open(self, expression: sp.Expr, node: Node) -> list[sp.Symbol]:
        """Applications in the expression of which the image is not known, in order."""
        found = (s for s in expression.free_symbols if s in self._nodes and s not in node.images)
        return sorted(found, key=self._position.__getitem__)

    def _blocker(self, expression: sp.Expr, node: Node) -> sp.Symbol | None:
        """What has to be chosen before the expression is linear in unknown parameters; None if it is."""
        unknown = self._open(expression, node)
        for symbol in unknown:
            if not isinstance(self._nodes[symbol], (*PRODUCTS, Average)):
                return symbol
        for symbol in unknown:
            operand = node.image(self._nodes[symbol].args[-1])
            inside = self._generators(operand, node)
            if inside:
                average = isinstance(self._nodes[symbol], Average)
                return self._blocker(operand, node) or (inside[0] if average else symbol)
        generators = set(self._generators(expression, node))
        for part in sp.Add.make_args(expression):
            factors = [f for f in sp.Mul.make_args(part) if f.free_symbols & generators]
            if len(factors) > 1 or any(not f.is_Symbol for f in factors):
                return self._generators(sp.Mul(*factors), node)[0]
        return None

    def _generators(self, expression: sp.Expr, node: Node) -> list[sp.Symbol]:
        """Unknown parameters and applications in the expression."""
        unknown = [p for p in self._unknown if p in expression.free_symbols and p not in node.images]
        return [*self._open(expression, node), *unknown]

    def _options(self, blocker: sp.Symbol, image: sp.Expr, goal: sp.Expr, node: Node) -> Iterator[Node]:
        """What a blocker of `image` = `goal` may be."""
        definition = self._nodes.get(blocker)
        offers = self._read(goal) if blocker in image.free_symbols else frozenset(self._left_parameters)
        if definition is None:
            yield from self._as_parameter(blocker, offers, node)
        elif not isinstance(definition, PRODUCTS):
            yield from self._as_application(blocker, definition, node)
        elif self._generators(node.image(definition.args[1]), node):
            yield from self._as_product(blocker, definition, node)
        else:
            yield from self._as_parameter(definition.args[0], offers, node)

    def _read(self, goal: sp.Expr) -> frozenset[sp.Symbol]:
        """The parameters that an expression of the left reads, itself or as matrices of products."""
        definitions = (self._left.nodes.get(symbol, symbol) for symbol in goal.free_symbols)
        return frozenset(d.args[0] if isinstance(d, PRODUCTS) else d for d in definitions)

    def _as_application(self, symbol: sp.Symbol, definition: sp.Expr, node: Node) -> Iterator[Node]:
        head, argument = definition.func, definition.args[0]
        near = self._position[symbol]
        offers = [(abs(i - near), d.args[0]) for i, d in enumerate(self._offered.values()) if d.func == head]
        for sign in (1, -1) if head in AT_ZERO else (1,):
            for _, of in sorted(offers, key=lambda offer: offer[0]):
                image = self._left.normal(head(sign * of))
                yield _with(node, {symbol: image}, ((argument, sign * of),))
        if head in AT_ZERO:
            yield _with(node, {symbol: AT_ZERO[head]}, ((argument, sp.S.Zero),))

    def _as_product(self, symbol: sp.Symbol, definition: sp.Expr, node: Node) -> Iterator[Node]:
        matrix, operand = definition.args
        for offer, of in self._offered.items():
            if of.func == definition.func and self._fits(matrix, of.args[0]):
                for sign in (1, -1):
                    related, left = node.linear.with_zero(matrix - sign * of.args[0])
                    if left == 0:
                        changed = replace(node, linear=related)
                        yield _with(changed, {symbol: sign * offer}, ((operand, of.args[1]),))

    def _as_parameter(self, unknown: sp.Symbol, offers: Set[sp.Symbol], node: Node) -> Iterator[Node]:
        fitting = [p for p in self._left.step.parameters if p in offers and self._fits(unknown, p)]
        fitting.sort(key=lambda p: p != self._unknown[unknown])
        for value in (*(sign * p for p in fitting for sign in (1, -1)), sp.S.Zero):
            related, left = node.linear.with_zero(unknown - value)
            if left == 0:
                yield replace(node, linear=related)

    def _fits(self, unknown: sp.Symbol, parameter: sp.Symbol) -> bool:
        right, left = self._right.step.inputs, self._left.step.inputs
        return parameter in left and right[self._unknown[unknown]] == left[parameter]

    def _equated(self, image: sp.Expr, goal: sp.Expr, node: Node) -> Node | None:
        """The node with the equations that make the image, linear in unknowns, equal to the goal."""
        rows, constant = self._rows(image, node)
        for part in sp.Add.make_args(sp.expand(goal - constant)):
            key, value = self._as_known(part, rows)
            rows[key] = rows.get(key, sp.S.Zero) - value
        linear, conditions = node.linear, node.conditions
        for row in rows.values():
            linear, left = linear.with_zero(row)
            conditions, left = conditions.with_zero(left)
            if left != 0:
                return None
        return replace(node, linear=linear, conditions=conditions)

    def _rows(self, image: sp.Expr, node: Node) -> tuple[dict[sp.Expr, sp.Expr], sp.Expr]:
        """For each factor that unknown parameters have in the image, their sum; and what has no such factor.

        The key of a bias is its factor, that of a matrix the factor times an application of a placeholder.
        """
        rows: dict[sp.Expr, sp.Expr] = {}
        known = sp.S.Zero
        generators = set(self._generators(image, node))
        for part in sp.Add.make_args(image):
            number, rest = part.as_coeff_Mul()
            found = [f for f in sp.Mul.make_args(rest) if f in generators]
            if not found:
                known += part
                continue
            (generator,) = found
            factor, definition = rest / generator, self._nodes.get(generator)
            if definition is None:
                rows[factor] = rows.get(factor, sp.S.Zero) + number * generator
                continue
            matrix, operand = definition.args
            for summand in sp.Add.make_args(node.image(operand)):
                inner, vector = summand.as_coeff_Mul()
                key = factor * definition.func(PLACEHOLDER, vector)
                rows[key] = rows.get(key, sp.S.Zero) + number * inner * matrix
        return rows, known

    def _as_known(self, part: sp.Expr, rows: Mapping[sp.Expr, sp.Expr]) -> tuple[sp.Expr, sp.Expr]:
        """A summand of the left as (factor, number times parameter); if possible a factor that a row has."""
        number, rest = part.as_coeff_Mul()
        splits = []
        for factor in sp.Mul.make_args(rest):
            if factor in self._left_parameters:
                splits.append((rest / factor, number * factor))
            definition = self._left.nodes.get(factor)
            if isinstance(definition, PRODUCTS) and definition.args[0] in self._left_parameters:
                placed = definition.func(PLACEHOLDER, definition.args[1])
                splits.append((rest / factor * placed, number * definition.args[0]))
        splits.append((rest, number))
        return next((split for split in splits if split[0] in rows), splits[0])


#: Where the matrix of a product is in the key of a row.
PLACEHOLDER = sp.Dummy("W", real=True)


def _with(node: Node, images: Mapping[sp.Symbol, sp.Expr], goals: tuple[Goal, ...]) -> Node:
    return replace(node, images={**node.images, **images}, goals=(*node.goals, *goals))


def _length(linear: Linear) -> int:
    return sum(len(sp.Add.make_args(value)) + (value == 0) for value in linear.solved.values())


def _place(form: Form, parameter: sp.Symbol) -> int:
    return form.step.parameters.index(parameter)
