"""Where and when a C++ pass computes each statement of a loop, and where each value lies.

The schedule of `symgru.derivation` moves out of the loop all that it can, because tensor operations are
cheapest on whole sequences. Here a chunk of steps stays in the cache, so only matrix products gain from many
rows: they run before or after the steps where they can, and everything pointwise runs where its operands are
at hand, beside a product. A *stage* is a set of products and the pointwise statements that follow them unit
by unit:

    before    products that depend on nothing carried, for all rows of a chunk
    inside    level by level, one step at a time: a product is one level above its operands
    after     products that no next step needs, for all rows of a chunk; then the sums over rows
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, permutations

import sympy as sp

from symgru.derivation import Loop
from symgru.derivation.saving import Saved
from symgru.derivation.schedule import ancestors, dependents, split
from symgru.derivation.simplify import cheapest
from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Program, Statement, Sum, choices
from symgru.lowering.layout import Layout
from symgru.lowering.printers import LoweringError

MOST_TARGETS = 4  # of one tile: most_vectors in kernels/cpu/product.h


@dataclass(frozen=True)
class Group:
    """Contractions of the same vectors: one product with several targets."""

    members: tuple[Contract, ...]

    @property
    def vectors(self) -> tuple[sp.Symbol, ...]:
        """The operands, in order."""
        return tuple(term.vector for term in self.members[0].terms)


@dataclass
class Stage:
    """Products, and what is pointwise in them; on one axis."""

    axis: str
    groups: list[Group] = field(default_factory=list)
    body: list[Pointwise] = field(default_factory=list)

    @property
    def defined(self) -> set[sp.Symbol]:
        """The values that it computes."""
        return {s.target for s in self.body} | {c.target for g in self.groups for c in g.members}

    @property
    def read(self) -> list[sp.Symbol]:
        """What the body reads that it does not compute, sums included, in order of use."""
        own = {s.target for s in self.body}
        names = (s for statement in self.body for s in sorted(statement.reads, key=str))
        return list(dict.fromkeys(s for s in names if s not in own))


@dataclass(frozen=True)
class Placement:
    """A loop over time as stages.

    Attributes:
        loop: What is computed, its statements in the cheapest form.
        before, inside, after: The stages.
        record: Values that outlive their step, in the order in which they lie in a row.
        step: Values that later stages of the same step read.
        copied: Sequences from outside that are wanted in the record.
        trajectories: Inputs that are the state of the step before, and the sequence of those states.
        saved: Inputs or outputs that are kept for the backward pass, in order.
    """

    loop: Loop
    before: tuple[Stage, ...]
    inside: tuple[Stage, ...]
    after: tuple[Stage, ...]
    record: tuple[sp.Symbol, ...]
    step: tuple[sp.Symbol, ...]
    copied: tuple[sp.Symbol, ...]
    trajectories: Mapping[sp.Symbol, sp.Symbol]
    saved: tuple[Saved, ...]

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All of them, in order."""
        return (*self.before, *self.inside, *self.after)

    @property
    def sums(self) -> tuple[Outer | Sum, ...]:
        """Sums over rows."""
        return tuple(s for s in self.loop.step if isinstance(s, Outer | Sum))

    @property
    def masks(self) -> tuple[sp.Symbol, ...]:
        """Inputs by which expressions choose."""
        return _masks(self.loop.step)


def placed(
    loop: Loop,
    layout: Layout,
    saved: Sequence[Saved] = (),
    trajectories: Mapping[sp.Symbol, sp.Symbol] | None = None,
) -> Placement:
    """The stages of a loop and the places of its values.

    Args:
        loop: What is computed.
        layout: Which matrices lie below each other, so that their products can be one.
        saved: Its outputs (forward) or inputs (backward) that are kept from one pass to the other.
        trajectories: Its inputs that are the state before each step, and the sequence of states.
    Raises:
        LoweringError: the loop has a statement that no stage can do.
    """
    return _Placing(_cheap(loop, saved), layout, tuple(saved), dict(trajectories or {})).placement()


def _cheap(loop: Loop, saved: Sequence[Saved]) -> Loop:
    """The loop in its cheapest form, with loop-invariant products apart from the others."""
    step = loop.step
    varying = set(loop.carried)
    statements: list[Statement] = []
    for statement in step:
        parts = split(statement, varying)
        statements += parts
        for part in parts:
            if part.reads & varying:
                varying.add(part.target)
    kept = set(step.outputs) | {leaving for _, leaving in loop.carry}
    kept |= {v for each in saved for v in each.members}
    taken = {str(s) for s in step.shapes} | {str(s.target) for s in statements}
    (cheap,) = cheapest((tuple(statements),), kept, taken)
    program = Program(step.inputs, _reading_carried(cheap, loop), step.outputs).without_dead_statements()
    inputs = {s: shape for s, shape in step.inputs.items() if s in program.inputs or s in loop.carried}
    return replace(loop, step=Program(inputs, program.statements, program.outputs))


def _reading_carried(statements: Sequence[Statement], loop: Loop) -> tuple[Statement, ...]:
    """Products of a carried value under a second name read it as it enters the step: they need not wait."""
    names = {s: s for each in statements for s in each.reads | {each.target}}
    for each in statements:
        if isinstance(each, Pointwise) and each.expression in loop.carried:
            names[each.target] = each.expression
    return tuple(
        replace(each, terms=tuple(term.renamed(names) for term in each.terms))
        if isinstance(each, Contract)
        else each
        for each in statements
    )


def _masks(step: Program) -> tuple[sp.Symbol, ...]:
    found = {m for s in step if isinstance(s, Pointwise) for m in choices(s.expression)}
    return tuple(s for s in step.inputs if s in found)


class _Placing:
    def __init__(
        self, loop: Loop, layout: Layout, saved: tuple[Saved, ...], trajectories: dict[sp.Symbol, sp.Symbol]
    ):
        self.loop, self.step, self.layout, self.saved = loop, loop.step, layout, saved
        self.trajectories = {s: states for s, states in trajectories.items() if s in loop.step.inputs}
        self.leaving = {leaving for _, leaving in loop.carry}
        self.consumers: dict[sp.Symbol, list[Statement]] = {}
        for statement in self.step:
            if isinstance(statement, Mean):
                raise LoweringError(f"the C++ passes have no mean over units: '{statement}'")
            for symbol in statement.reads:
                self.consumers.setdefault(symbol, []).append(statement)
        missing = self.leaving - {s.target for s in self.step}
        if missing:
            raise LoweringError(f"the C++ passes have no carried value that is an input: {missing}")
        self.varying = dependents(self.step, self.loop.carried)
        self.phase = self._phases()
        self.level = self._levels()

    # --- when

    def _phases(self) -> dict[sp.Symbol, str]:
        needed = ancestors(self.step, self.leaving)
        products = [s for s in self.step if isinstance(s, Contract)]
        after = {s.target for s in products if s.target in self.varying - needed}
        while True:
            size = len(after)
            for statement in self.step:
                if isinstance(statement, Pointwise) and statement.reads & after:
                    after.add(statement.target)
            for statement in reversed(products):  # one that only what comes after reads can wait
                readers = self.consumers.get(statement.target, [])
                if statement.target not in self.varying and all(s.target in after for s in readers):
                    after.add(statement.target)
            if len(after) == size:
                break
        before = {s.target for s in products if s.target not in after and s.target not in self.varying}
        operands = {t.vector for s in products if s.target in before for t in s.terms}
        before |= ancestors(self.step, operands) & {s.target for s in self.step}
        return {
            s.target: "after" if s.target in after else "before" if s.target in before else "inside"
            for s in self.step
            if isinstance(s, Contract | Pointwise)
        }

    def _levels(self) -> dict[sp.Symbol, int]:
        """Of every value the stage of its phase in which it is there; −1: beforehand."""
        level: dict[sp.Symbol, int] = {}
        for statement in self.step:
            if statement.target not in self.phase:
                continue
            phase = self.phase[statement.target]
            latest = max(
                (level[s] for s in statement.reads if s in level and self.phase[s] == phase), default=-1
            )
            level[statement.target] = latest + 1 if isinstance(statement, Contract) else max(0, latest)
        for statement in reversed(self.step.statements):  # what needs nothing of the step awaits its reader
            if isinstance(statement, Pointwise) and self._inside(statement) and not self._of_step(statement):
                readers = [s for s in self.consumers.get(statement.target, []) if self._inside(s)]
                level[statement.target] = min((level[s.target] for s in readers), default=0)
        return level

    def _inside(self, statement: Statement) -> bool:
        return self.phase.get(statement.target) == "inside"

    def _of_step(self, statement: Statement) -> bool:
        """Whether it reads anything that the step computes or that enters it."""
        return any(self.phase.get(s) == "inside" or s in self.loop.carried for s in statement.reads)

    # --- stages

    def placement(self) -> Placement:
        before, inside, after = (self._stages(phase) for phase in ("before", "inside", "after"))
        record, step = self._stored((*before, *inside, *after))
        copied = self._copied()
        loop = self.loop
        return Placement(
            loop, before, inside, after, self._ordered((*record, *copied), (*inside, *after)), step,
            copied, self.trajectories, self.saved,
        )  # fmt: skip

    def _stages(self, phase: str) -> tuple[Stage, ...]:
        stages: dict[tuple[int, str], Stage] = {}
        contracts: dict[tuple[int, str], list[Contract]] = {}
        for statement in self.step:
            if self.phase.get(statement.target) != phase:
                continue
            (axis,) = self.step.shapes[statement.target].axes
            key = (self.level[statement.target], axis)
            stage = stages.setdefault(key, Stage(axis))
            if isinstance(statement, Contract):
                contracts.setdefault(key, []).append(statement)
            elif isinstance(statement, Pointwise):
                stage.body.append(statement)
        for key, members in contracts.items():
            stages[key].groups = self._groups(members)
        return tuple(stages[key] for key in sorted(stages))

    def _groups(self, contracts: list[Contract]) -> list[Group]:
        """Contractions of the same vectors together, in the order of their matrices."""
        together: dict[tuple[tuple[sp.Symbol, bool], ...], list[Contract]] = {}
        for contract in contracts:
            ordered = replace(contract, terms=tuple(sorted(contract.terms, key=self._stack_order)))
            key = tuple((t.vector, t.transposed) for t in ordered.terms)
            together.setdefault(key, []).append(ordered)
        groups = []
        for members in together.values():
            members.sort(key=lambda c: self._stack_order(c.terms[0]))
            groups += [
                Group(tuple(members[i : i + MOST_TARGETS])) for i in range(0, len(members), MOST_TARGETS)
            ]
        return groups

    def _stack_order(self, term: Product) -> tuple[str, int, str]:
        block = self.layout.block(term.matrix)
        return (block.stack, block.index, "") if block else ("", 0, str(term.matrix))

    # --- where

    def _stored(self, stages: Sequence[Stage]) -> tuple[list[sp.Symbol], tuple[sp.Symbol, ...]]:
        record, step = [], []
        for stage in stages:
            for value in sorted(stage.defined, key=self._definition_order):
                kinds = {self._reader(value, stage, s) for s in self.consumers.get(value, [])} - {"here"}
                if kinds == {"step"}:
                    step.append(value)
                elif kinds:
                    record.append(value)
        return record, tuple(step)

    def _definition_order(self, value: sp.Symbol) -> int:
        return next(i for i, s in enumerate(self.step) if s.target == value)

    def _reader(self, value: sp.Symbol, stage: Stage, reader: Statement) -> str:
        """Where a statement reads a value: in the body that computes it, in the same step, or later."""
        if isinstance(reader, Pointwise) and reader.target in stage.defined:
            return "here"
        inside = self.phase[value] == "inside" and self.phase.get(reader.target) == "inside"
        return "step" if inside else "record"

    def _copied(self) -> tuple[sp.Symbol, ...]:
        """Sequences from outside that rows are summed over, and states of the step before."""
        summed = {v for s in self.step if isinstance(s, Outer | Sum) for v in s.reads}
        masks = set(_masks(self.step))
        return tuple(
            s
            for s in self.step.vectors
            if s not in self.loop.carried and s not in masks and (s in summed or s in self.trajectories)
        )

    def _ordered(self, values: Sequence[sp.Symbol], stages: Sequence[Stage]) -> tuple[sp.Symbol, ...]:
        """The order in which the fewest products have to jump from one vector to another."""
        groups = [group.vectors for stage in stages for group in stage.groups]
        operands = [v for v in values if any(v in vectors for vectors in groups)]
        rest = [v for v in values if v not in operands]
        if len(operands) > 7:
            return tuple(values)

        def jumps(order: tuple[sp.Symbol, ...]) -> int:
            neighbours = set(pairwise(order))
            return sum(pair not in neighbours for vectors in groups for pair in pairwise(vectors))

        return (*min(permutations(operands), key=jumps), *rest)
