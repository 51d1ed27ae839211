"""How inputs and states of two cells are paired before their parameters are compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import count, permutations, product

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Cell, Program, Shape
from symgru.equivalence.forms import Form
from symgru.proof.terms import masks


@dataclass(frozen=True)
class Pairing:
    """Two loops that take the same inputs and carry states of the same names.

    Attributes:
        left, right: The loops; where only one cell takes an input, the other takes it and does not read it.
        names: Inputs, states and parameters of the right cell that are called otherwise here.
        states: The state of the right loop as a multiple of that of the left.
    """

    left: Loop
    right: Loop
    names: Mapping[sp.Symbol, sp.Symbol]
    states: Mapping[sp.Symbol, sp.Expr]


class PairingError(ValueError):
    """Two cells whose inputs or states cannot be paired; the message says why."""


def pairings(left: Cell, right: Cell) -> Iterator[Pairing]:
    """All pairings of states with states and inputs with inputs: of equal names, or else of equal use first.

    Raises:
        PairingError: the cells carry different states, or take an input of one name on different axes.
    """
    states = [entering for entering, _ in left.carry]
    others = [entering for entering, _ in right.carry]
    kinds = [sorted(cell.step.inputs[s].axes for s, _ in cell.carry) for cell in (left, right)]
    if kinds[0] != kinds[1]:
        raise PairingError(
            f"{left.name} carries {_listed(left.step, states)}, {right.name} {_listed(right.step, others)}"
        )
    for paired in sorted(permutations(others), key=lambda order: _renamings(states, order)):
        if all(left.step.inputs[s] == right.step.inputs[o] for s, o in zip(states, paired, strict=True)):
            for inputs in _inputs(left, right):
                yield _pairing(left, right, dict(zip(paired, states, strict=True)), inputs)


def _renamings(names: list[sp.Symbol], others: tuple[sp.Symbol, ...]) -> int:
    return sum(name != other for name, other in zip(names, others, strict=True))


def _listed(step: Program, symbols: list[sp.Symbol]) -> str:
    return ", ".join(f"{s} {step.inputs[s]}" for s in symbols)


def _inputs(left: Cell, right: Cell) -> Iterator[dict[sp.Symbol, sp.Symbol]]:
    """Inputs of the right -> of the left: of one name, or else of one shape, those used alike first."""
    ours, theirs = (_data(cell) for cell in (left, right))
    for symbol in ours.keys() & theirs.keys():
        if ours[symbol] != theirs[symbol]:
            raise PairingError(f"{symbol} is {ours[symbol][0]} in one and {theirs[symbol][0]} in the other")
    same = {s: s for s in theirs if s in ours}
    uses = [_uses(cell.step) for cell in (left, right)] if len(same) < len(theirs) else []
    kinds = dict.fromkeys(kind for s, kind in theirs.items() if s not in same)
    options = []
    for kind in kinds:
        free = [s for s, k in ours.items() if k == kind and s not in same]
        open_ = [s for s, k in theirs.items() if k == kind and s not in same]
        if len(open_) < len(free):
            options.append(
                [dict(zip(open_, chosen, strict=True)) for chosen in permutations(free, len(open_))]
            )
        else:
            options.append(
                [dict(zip(chosen, free, strict=True)) for chosen in permutations(open_, len(free))]
            )
    found = [{s: o for part in chosen for s, o in part.items()} for chosen in product(*options)]
    for pairs in sorted(found, key=lambda pairs: sum(uses[1][s] != uses[0][o] for s, o in pairs.items())):
        yield same | pairs


def _uses(step: Program) -> dict[sp.Symbol, list[str]]:
    """What reads each input in the normal form."""
    nodes = Form(step, "node_").nodes.values()
    return {s: sorted(type(n).__name__ for n in nodes if s in n.free_symbols) for s in step.vectors}


def _data(cell: Cell) -> dict[sp.Symbol, tuple[Shape, bool]]:
    """Inputs that vary over time and are not carried: shape, and whether it is a mask."""
    carried = {entering for entering, _ in cell.carry}
    chosen_by = masks(cell.step)
    return {s: (cell.step.inputs[s], s in chosen_by) for s in cell.step.vectors if s not in carried}


def _pairing(
    left: Cell, right: Cell, states: Mapping[sp.Symbol, sp.Symbol], inputs: Mapping[sp.Symbol, sp.Symbol]
) -> Pairing:
    leaving = dict(left.carry)
    names = {**states, **inputs, **{new: leaving[states[old]] for old, new in right.carry}}
    taken = set(names.values()) | set(_data(left))
    for symbol in right.step.shapes:
        if symbol not in names:
            names[symbol] = _fresh(symbol, taken)
            taken.add(names[symbol])
    step = right.step
    renamed = Program(
        {names[s]: shape for s, shape in step.inputs.items()},
        tuple(s.renamed(names) for s in step),
        tuple(leaving[entering] for entering, _ in left.carry),
    )
    ours = _taking(left.step, renamed, tuple(leaving[entering] for entering, _ in left.carry))
    theirs = _taking(renamed, left.step, renamed.outputs)
    return Pairing(
        Loop(left.name, ours, left.carry),
        Loop(right.name, theirs, left.carry),
        {s: names[s] for s in step.inputs if s != names[s]},
        {entering: entering for entering, _ in left.carry},
    )


def _taking(step: Program, other: Program, outputs: tuple[sp.Symbol, ...]) -> Program:
    """The step, with the inputs of the other that vary over time."""
    more = {s: other.inputs[s] for s in other.vectors if s not in step.inputs}
    return Program({**step.inputs, **more}, step.statements, outputs)


def _fresh(symbol: sp.Symbol, taken: set[sp.Symbol]) -> sp.Symbol:
    names = (sp.Symbol(f"{symbol}_{i}", real=True) for i in count(2))
    return symbol if symbol not in taken else next(n for n in names if n not in taken)


def scaled(pairing: Pairing, factors: Mapping[sp.Symbol, sp.Expr]) -> Pairing:
    """The pairing with states of the right that are these multiples of those of the left."""
    return replace(pairing, states={s: factors[s] * s for s in pairing.states})
