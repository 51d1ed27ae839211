"""The cheapest form of a schedule that a small search finds: what is computed twice is computed once.

An expression is taken apart into sums and products of any length, and functions (`shared_parts`). Then

    the same sum, product or function is one value, also up to a sign;
    the pair of factors that most products share becomes a value of its own, as long as two share one;
    likewise pairs of terms.

That is done for the statements as they are, with values written out where they are read, and with common
factors outside (`rewriting`); what has the fewest operations wins, and among equals the form that is nearest
to the equations. The phases before and after the loop are searched together, so what follows the loop reads
what stands before it; the inside alone. No rule divides, multiplies out or puts 1 − σ for σ(−a).

Source: pairs by the greedy rule of Breuer 1969, Communications of the ACM 12(6), 333.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import replace

import sympy as sp

from symgru.derivation.count import operations
from symgru.derivation.rewriting import Phases, factored, written_out
from symgru.derivation.schedule import Schedule
from symgru.derivation.shared_parts import Graph
from symgru.equations import Pointwise, Statement


def simplified(scheduled: Schedule) -> Schedule:
    """The schedule with the same values, computed in as few operations as the search finds."""
    taken = {s.name for s in scheduled.loop.step.shapes}
    taken |= {str(s.target) for s in (*scheduled.before, *scheduled.inside, *scheduled.after)}
    read = {symbol for s in scheduled.inside for symbol in s.reads}
    leaving = {leaving for _, leaving in scheduled.loop.carry}
    kept = read | leaving | {*scheduled.loop.step.outputs, *scheduled.stored}
    before, after = cheapest((scheduled.before, scheduled.after), kept, taken)
    taken |= {str(s.target) for s in (*before, *after)}
    (inside,) = cheapest((scheduled.inside,), {s.target for s in scheduled.inside}, taken)
    return replace(scheduled, before=before, inside=inside, after=after)


def cheapest(phases: Phases, kept: Set[sp.Symbol], taken: Set[str]) -> tuple[tuple[Statement, ...], ...]:
    """The phases in the form with the fewest operations, parts that they share computed once.

    Args:
        phases: Statements in order; a shared part is computed in the first phase that needs it.
        kept: Values that are read elsewhere.
        taken: Names that new values must not have.
    """
    candidates = [tuple(map(tuple, phases))]
    shared = (_shared(form, set(taken)) for form in _forms(phases, kept))
    candidates += [form for form in shared if not _has_number(form)]
    return min(candidates, key=lambda form: operations(s for phase in form for s in phase).pointwise)


def _forms(phases: Phases, kept: Set[sp.Symbol]) -> list[Phases]:
    """Different forms of the same values, the plainest first."""
    kinds: tuple[tuple[type[sp.Expr], ...], ...] = ((), (sp.Mul,), (sp.Mul, sp.Add))
    forms: list[Phases] = []
    for form in (written_out(phases, kept, kind) for kind in kinds):
        forms += [each for each in (form, factored(form)) if each not in forms]
    return forms


def _has_number(phases: Phases) -> bool:
    """Whether a value has become a number, because terms cancel: a program has no such values."""
    return any(not s.reads for phase in phases for s in phase)


def _shared(phases: Phases, taken: set[str]) -> tuple[tuple[Statement, ...], ...]:
    """The phases with their common parts as values of their own; `taken` gets the new names."""
    graph = Graph(s for phase in phases for s in phase)
    for phase in phases:
        for statement in phase:
            if isinstance(statement, Pointwise):
                graph.enter(statement)
    graph.share_pairs()
    return tuple(tuple(s for statement in phase for s in graph.written(statement, taken)) for phase in phases)
