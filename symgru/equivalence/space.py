"""The search space: which reparametrisations are tried one by one, to be refuted or proved."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice, product

import sympy as sp

from symgru.equations import Shape
from symgru.equivalence.forms import PRODUCTS, Form
from symgru.equivalence.outcomes import Reparametrisation
from symgru.equivalence.unify import AT_ZERO
from symgru.proof.terms import Average

#: So many relations at most are tried; a space that has more is narrowed, and says so.
LARGEST = 120

#: So many combinations of gates at most are listed to choose from.
MANY = 20_000

Role = tuple[Shape, bool]


@dataclass(frozen=True)
class Gate:
    """An application of a function and the parameters in its argument.

    Attributes:
        function: Its name; empty for parameters outside of every argument.
        parameters: Role -> parameters, in order. A role is a shape, and whether a matrix multiplies what
            depends on a state.
    """

    function: str
    parameters: Mapping[Role, tuple[sp.Symbol, ...]]


def gates(form: Form, states: frozenset[sp.Symbol]) -> tuple[Gate, ...]:
    """The gates of a form from the input upwards; a parameter belongs to the first that it is in."""
    found, taken = [], set[sp.Symbol]()
    applied = [
        (type(n).__name__, n.args[0]) for n in form.nodes.values() if not isinstance(n, (*PRODUCTS, Average))
    ]
    for function, argument in [*applied, ("", sp.Tuple(*form.outputs.values()))]:
        parameters: dict[Role, list[sp.Symbol]] = {}
        for parameter, stateful in _parameters(form, argument, states):
            if parameter not in taken:
                taken.add(parameter)
                role = (form.step.inputs[form.parameters[parameter]], stateful)
                parameters.setdefault(role, []).append(form.parameters[parameter])
        if parameters:
            found.append(Gate(function, {role: tuple(symbols) for role, symbols in parameters.items()}))
    return tuple(found)


def _parameters(
    form: Form, argument: sp.Basic, states: frozenset[sp.Symbol]
) -> Iterator[tuple[sp.Symbol, bool]]:
    """Parameters in an argument, matrices with whether they multiply what depends on a state."""
    position = {symbol: i for i, symbol in enumerate((*form.parameters, *form.nodes))}
    for symbol in sorted(argument.free_symbols & position.keys(), key=position.__getitem__):
        definition = form.nodes.get(symbol)
        if definition is None:
            yield symbol, False
        elif isinstance(definition, PRODUCTS):
            yield definition.args[0], _depends(form, definition.args[1], states)
            yield from _parameters(form, definition.args[1], states)
        elif isinstance(definition, Average):
            yield from _parameters(form, definition.args[0], states)


def _depends(form: Form, expression: sp.Expr, states: frozenset[sp.Symbol]) -> bool:
    symbols = expression.free_symbols
    inside = (form.nodes[s] for s in symbols if s in form.nodes)
    return bool(symbols & states) or any(_depends(form, node, states) for node in inside)


Choice = tuple[Gate | None, int]


def relations(
    left: tuple[Gate, ...], right: tuple[Gate, ...], states: tuple[sp.Symbol, ...]
) -> tuple[str, list[Reparametrisation]]:
    """The search space in words, and its relations, those with the fewest changes first.

    Every gate of the right has the parameters of a gate of the left with the same function, or their
    negatives, or is zero. In a gate, parameters of one role are paired in order; where the left has more, the
    rest is left out or added to the last; where it has fewer, the rest is zero. Every state is that of the
    left, or its negative if that does not make the space too large.
    """
    text, choices = next((t, c) for t, c in _choices(left, right) if 0 < len(c) <= LARGEST or t == LAST)
    signs = list(product((1, -1), repeat=len(states)))
    if len(choices) * len(signs) <= LARGEST:
        text += "; each state or its negative"
    else:
        signs = signs[:1]
    found: list[Reparametrisation] = []
    for choice, factors, merged in product(choices[:LARGEST], signs, (False, True)):
        relation = _relation(choice, right, dict(zip(states, factors, strict=True)), merged)
        if relation not in found[-2:]:
            found.append(relation)
    more = f"; the first {LARGEST}" if len(choices) > LARGEST else ""
    return text + more, sorted(found, key=lambda relation: relation.distance)


LAST = "for each gate the parameters of its counterpart, or their negatives"


def _choices(
    left: tuple[Gate, ...], right: tuple[Gate, ...]
) -> Iterator[tuple[str, list[tuple[Choice, ...]]]]:
    """Narrower and narrower spaces, each in words."""
    options = [_options(gate, left) for gate in right]
    if math.prod(map(len, options)) <= MANY:
        every = list(product(*options))
        yield "for each gate the parameters of a gate with the same function, their negatives, or 0", every
        yield (
            "for each gate the parameters of a gate of its own with the same function, or their negatives",
            [choice for choice in every if _own(choice)],
        )
    counterparts = (_options(gate, _counterpart(gate, left, right)) for gate in right)
    pairs = [offers[:-1] or offers for offers in counterparts]
    yield LAST, list(islice(product(*pairs), LARGEST + 1))


def _options(gate: Gate, offers: tuple[Gate, ...]) -> list[Choice]:
    signs = (1, -1) if gate.function in {f.__name__ for f in AT_ZERO} | {""} else (1,)
    return [*((o, s) for o in offers if o.function == gate.function for s in signs), (None, 1)]


def _own(choice: tuple[Choice, ...]) -> bool:
    """No gate is taken twice, and none is zero."""
    taken = [id(gate) for gate, _ in choice]
    return len(set(taken)) == len(taken) and all(gate is not None for gate, _ in choice)


def _counterpart(gate: Gate, left: tuple[Gate, ...], right: tuple[Gate, ...]) -> tuple[Gate, ...]:
    """The gate of the left that is in the same place among those with its function, if there is one."""
    ours, theirs = ([g for g in side if g.function == gate.function] for side in (left, right))
    place = next(i for i, other in enumerate(theirs) if other is gate)
    return tuple(ours[place : place + 1])


def _relation(
    choice: tuple[Choice, ...], right: tuple[Gate, ...], factors: Mapping[sp.Symbol, int], merged: bool
) -> Reparametrisation:
    parameters: dict[sp.Symbol, sp.Expr] = {}
    flipped = -1 if set(factors.values()) == {-1} else 1
    for gate, (offer, sign) in zip(right, choice, strict=True):
        for role, symbols in gate.parameters.items():
            offers = () if offer is None else offer.parameters.get(role, ())
            values = [sign * (flipped if role[1] else 1) * o for o in offers]
            if merged and len(values) > len(symbols):
                values = [*values[: len(symbols) - 1], sp.Add(*values[len(symbols) - 1 :])]
            values += [sp.S.Zero] * len(symbols)
            parameters |= dict(zip(symbols, values, strict=False))
    return Reparametrisation(parameters, {s: factor * s for s, factor in factors.items()})
