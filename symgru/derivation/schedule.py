"""Split the statements of a loop by what depends on a carried value.

    before   what does not: computed for all steps at once, as large matrix products
    inside   what does, and what the next step needs
    after    what does, and no next step needs: again for all steps at once

Three rewrites make the inside as small as it can be:

    fold          a value that is a multiple of one loop-dependent value, v = c·d, is written as such
                  wherever it is read, so chains of products collapse to one coefficient; what is
                  affine in loop-dependent values gets one coefficient for each; v = c·d + e is written
                  out too where the inside gets smaller
    hoist         a loop-invariant part of a sum, product or contraction moves before the loop
    rematerialise a multiple v = c·d that is read after the loop is computed there again from d, so
                  only d has to be stored at every step; likewise c·d + e where that stores less
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import count

import sympy as sp

from symgru.derivation.caching import cached
from symgru.derivation.count import operations
from symgru.derivation.loop import Loop
from symgru.derivation.partials import slope
from symgru.equations import Contract, Pointwise, Program, Shape, Statement, name_of, select

#: Whether a value is written out where it is read, given the loop-dependent values.
Foldable = Callable[[Pointwise, Set[sp.Symbol]], bool]


@dataclass(frozen=True)
class Schedule:
    """The statements of a loop in their three phases.

    Attributes:
        loop: What was scheduled.
        before, inside, after: The statements of each phase, in order.
        stored: Values computed inside, or entering a step, that are kept for every step: those read after the
            loop and those that are outputs of it.
    """

    loop: Loop
    before: tuple[Statement, ...]
    inside: tuple[Statement, ...]
    after: tuple[Statement, ...]
    stored: tuple[sp.Symbol, ...]

    @property
    def sequences(self) -> tuple[sp.Symbol, ...]:
        """Values from outside that the inside reads at every step, in order of first use."""
        own = {s.target for s in self.inside} | self.loop.carried | set(self.loop.step.parameters)
        known = (leaving for _, leaving in self.loop.carry if leaving not in own)  # such as a delayed input
        return tuple(dict.fromkeys((*_reads_in_order(self.inside, own), *known)))

    @property
    def parameters(self) -> tuple[sp.Symbol, ...]:
        """Matrices and biases that the inside reads."""
        read = _reads(self.inside)
        return tuple(p for p in self.loop.step.parameters if p in read)


@cached  # pipelines of different orders share loops
def schedule(loop: Loop) -> Schedule:
    """Find the three phases of a loop, with the fewer operations inside of two ways of folding."""
    plain = _scheduled(loop, _is_multiple)
    varying = loop.carried | {s.target for s in plain.inside}
    pointwise = [s for s in plain.inside if isinstance(s, Pointwise)]
    if not any(_is_scaled(s, varying) and not _is_multiple(s, varying) for s in pointwise):
        return plain
    return min(plain, _scheduled(loop, _is_scaled), key=lambda form: operations(form.inside).pointwise)


def _scheduled(loop: Loop, foldable: Foldable) -> Schedule:
    program = _fold(loop, foldable)
    varying = dependents(program, loop.carried)
    needed = ancestors(program, (leaving for _, leaving in loop.carry))
    before = [s for s in program if s.target not in varying]
    inside = [s for s in program if s.target in varying & needed]
    after = [s for s in program if s.target in varying - needed]
    inside, hoisted = _hoist(inside, varying | loop.carried, program.shapes)
    after = _rematerialise(inside, after, loop.carried | varying)
    return Schedule(loop, (*before, *hoisted), tuple(inside), tuple(after), _stored(loop, inside, after))


def _stored(loop: Loop, inside: list[Statement], after: list[Statement]) -> tuple[sp.Symbol, ...]:
    """What has to outlive its step: reads of the phase after, and outputs that are wanted as sequences."""
    wanted = _reads(after) | (set(loop.step.outputs) - loop.transient)
    recomputed = {s.target for s in after}
    entering = (symbol for symbol, _ in loop.carry if symbol in wanted)
    return (*entering, *(s.target for s in inside if s.target in wanted - recomputed))


def _reads(statements: Iterable[Statement]) -> set[sp.Symbol]:
    return {symbol for statement in statements for symbol in statement.reads}


def dependents(program: Program, sources: Iterable[sp.Symbol]) -> set[sp.Symbol]:
    """What a program computes from some of its inputs."""
    reached = set(sources)
    for statement in program:
        if statement.reads & reached:
            reached.add(statement.target)
    return reached - set(sources)


def ancestors(program: Program, targets: Iterable[sp.Symbol]) -> set[sp.Symbol]:
    """The targets and all that they are computed from."""
    needed = set(targets)
    for statement in reversed(program.statements):
        if statement.target in needed:
            needed |= statement.reads
    return needed


@cached
def _coefficients(
    expression: sp.Expr, variables: frozenset[sp.Symbol]
) -> tuple[Mapping[sp.Symbol, sp.Expr], sp.Expr] | None:
    """({v: c}, rest), if the expression is Σ c·v + rest with no variable in any c; None if it is not."""
    ordered = sorted(variables, key=name_of)
    slopes = {v: slope(expression, v) for v in ordered}
    if any(c.has(*ordered) for c in slopes.values()):
        return None
    return slopes, expression.xreplace(dict.fromkeys(ordered, sp.S.Zero))


def _multiple(statement: Statement, varying: Set[sp.Symbol]) -> sp.Symbol | None:
    """d, if the statement is v = c·d with exactly one loop-dependent d and a c that does not contain it."""
    if not isinstance(statement, Pointwise) or not _affine_in_one(statement, varying):
        return None
    (dependency,) = statement.reads & varying
    return dependency if statement.expression.xreplace({dependency: sp.S.Zero}) == 0 else None


def _affine_in_one(statement: Statement, varying: Set[sp.Symbol]) -> bool:
    """Whether the statement is v = c·d + e with exactly one loop-dependent value d."""
    dependencies = statement.reads & varying
    if not isinstance(statement, Pointwise) or len(dependencies) != 1:
        return False
    return _coefficients(statement.expression, dependencies) is not None


def _is_multiple(part: Pointwise, varying: Set[sp.Symbol]) -> bool:
    return _multiple(part, varying) is not None


def _is_scaled(part: Pointwise, varying: Set[sp.Symbol]) -> bool:
    """Whether the value is c·d + e with one loop-dependent d and a c that is no number."""
    if not _affine_in_one(part, varying):
        return False
    (dependency,) = part.reads & varying
    return _is_multiple(part, varying) or not slope(part.expression, dependency).is_Number


def _fold(loop: Loop, foldable: Foldable) -> Program:
    varying = set(loop.carried)
    written_out: dict[sp.Expr, sp.Expr] = {}
    statements: list[Statement] = []
    for statement in loop.step:
        parts = split(statement, varying)
        if len(parts) > 1 and isinstance(parts[-1], Pointwise):
            written_out[statement.target] = parts[-1].expression
        for part in parts:
            if isinstance(part, Pointwise):
                part = _collected(part, written_out, varying)
            if part.reads & varying:
                varying.add(part.target)
            if isinstance(part, Pointwise) and foldable(part, varying):
                written_out[part.target] = part.expression
            statements.append(part)
    program = Program(loop.step.inputs, tuple(statements), loop.step.outputs)
    return program.without_dead_statements()


def split(statement: Statement, varying: Set[sp.Symbol]) -> list[Statement]:
    """A contraction with loop-invariant and loop-dependent terms as two and their sum; others as they are."""
    if not isinstance(statement, Contract):
        return [statement]
    fixed = tuple(term for term in statement.terms if term.vector not in varying)
    moving = tuple(term for term in statement.terms if term.vector in varying)
    if not fixed or not moving:
        return [statement]
    first, second = (sp.Symbol(f"{statement.target}_{kind}", real=True) for kind in ("invariant", "varying"))
    return [Contract(first, fixed), Contract(second, moving), Pointwise(statement.target, first + second)]


def _collected(
    statement: Pointwise, written_out: dict[sp.Expr, sp.Expr], varying: Set[sp.Symbol]
) -> Pointwise:
    """The statement with multiples written out and one coefficient for each loop-dependent value."""
    expression = statement.expression.xreplace(written_out)
    if not expression.free_symbols:  # zero: what is written out cancels
        return statement
    choice = _one_select(expression)
    if isinstance(choice, select) and all(case.is_Symbol for case in choice.args):
        return Pointwise(statement.target, choice)
    dependencies = frozenset(expression.free_symbols & varying)
    affine = _coefficients(expression, dependencies) if dependencies else None
    if affine is None:
        return Pointwise(statement.target, expression)
    slopes, rest = affine
    terms = [_one_select(_factored(c)) * v for v, c in slopes.items()]
    total = sp.Add(*terms, rest)
    return Pointwise(statement.target, total) if total.free_symbols else statement  # zero, by opposed masks


@cached
def _one_select(coefficient: sp.Expr) -> sp.Expr:
    """Pull masks to the outside, c·select(m, 1, 0) + d·select(m, 0, 1) = select(m, c, d)."""
    masks = {node.args[0] for node in coefficient.atoms(select)}
    for mask in sorted(masks, key=name_of):
        coefficient = select(mask, _where(coefficient, mask, 1), _where(coefficient, mask, 2))
    return coefficient


def _where(expression: sp.Expr, mask: sp.Expr, case: int) -> sp.Expr:
    """The expression where the mask is true (case 1) or false (case 2)."""
    decided = {node: node.args[case] for node in expression.atoms(select) if node.args[0] == mask}
    return _factored(expression.xreplace(decided))


@cached
def _factored(expression: sp.Expr) -> sp.Expr:
    """Common factors of the terms of its sums taken out."""
    return sp.factor_terms(expression) if expression.has(sp.Add) else expression


def _hoist(
    statements: list[Statement], varying: Set[sp.Symbol], shapes: Mapping[sp.Symbol, Shape]
) -> tuple[list[Statement], list[Statement]]:
    """The statements with their loop-invariant parts named, and the statements that define the names."""
    hoisting = _Hoisting(varying, shapes)
    inside = [
        Pointwise(s.target, hoisting.visit(s.expression, s.target)) if isinstance(s, Pointwise) else s
        for s in statements
    ]
    return inside, [Pointwise(symbol, part) for part, symbol in hoisting.names.items()]


class _Hoisting:
    """Names for the loop-invariant parts of expressions; equal parts with one role share a name.

    The factor of one loop-dependent value v in the statement u = … is ∂u/∂v and is called `u_per_v`,
    also where it is a mere symbol: so a kernel finds it under one name whatever the convention.
    """

    def __init__(self, varying: Set[sp.Symbol], shapes: Mapping[sp.Symbol, Shape]):
        self.names: dict[sp.Expr, sp.Symbol] = {}
        self._varying = varying
        self._taken = {s.name for s in shapes}
        self._sequences = {s for s, shape in shapes.items() if shape.per_step}

    def visit(self, node: sp.Expr, target: sp.Symbol) -> sp.Expr:
        if node.is_Atom or not node.free_symbols & self._varying:
            return node
        if not (node.is_Add or node.is_Mul):
            return node.func(*(self.visit(a, target) for a in node.args))
        fixed = [a for a in node.args if not a.free_symbols & self._varying]
        moving = [self.visit(a, target) for a in node.args if a.free_symbols & self._varying]
        if not fixed:
            return node.func(*moving)
        part = node.func(*fixed)
        if node.is_Mul and len(moving) == 1 and moving[0].is_Symbol and part.free_symbols & self._sequences:
            return moving[0] * self._name(part, f"{target}_per_{moving[0]}")
        if part.is_Atom or (-part).is_Atom:
            return node.func(*moving, part)
        return node.func(
            *moving, self._name(part, f"{target}_{'invariant' if node.is_Add else 'coefficient'}")
        )

    def _name(self, part: sp.Expr, base: str) -> sp.Symbol:
        if part not in self.names:
            candidates = (base if i == 1 else f"{base}_{i}" for i in count(1))
            name = next(name for name in candidates if name not in self._taken)
            self._taken.add(name)
            self.names[part] = sp.Symbol(name, real=True)
        return self.names[part]


def _rematerialise(
    inside: list[Statement], after: list[Statement], varying: Set[sp.Symbol]
) -> list[Statement]:
    wanted = _reads(after)
    again: list[Statement] = []
    for statement in reversed(inside):
        if statement.target in wanted and _multiple(statement, varying) is not None:
            again.append(statement)
            wanted |= statement.reads
    again += _shifted(inside, wanted - {s.target for s in again}, varying)
    return [*(s for s in inside if s in again), *after]


def _shifted(inside: list[Statement], stored: Set[sp.Symbol], varying: Set[sp.Symbol]) -> list[Statement]:
    """What is stored though v = c·d + e, where d is stored too or serves several such v."""
    candidates: dict[sp.Symbol, list[Statement]] = {}
    for statement in inside:
        if statement.target in stored and _affine_in_one(statement, varying):
            (dependency,) = statement.reads & varying
            candidates.setdefault(dependency, []).append(statement)
    return [
        statement
        for dependency, statements in candidates.items()
        if dependency in stored or len(statements) > 1
        for statement in statements
    ]


def _reads_in_order(statements: Iterable[Statement], excluded: set[sp.Symbol]) -> tuple[sp.Symbol, ...]:
    seen: dict[sp.Symbol, None] = {}
    for statement in statements:
        for symbol in sorted(statement.reads - excluded, key=name_of):
            seen.setdefault(symbol)
    return tuple(seen)
