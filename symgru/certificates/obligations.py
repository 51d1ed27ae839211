"""What has to be decided for each step of a simulation, computed from the programs and the claims alone.

Nothing here rewrites anything: a statement of the second program, with the claims about what it reads put in,
has to equal its own claim. What may be used for that are the definitions of the reference, and the lemmas
that the step names. `symgru.proof.simulate` finds the claims; this file shares nothing with it but the terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field
from itertools import groupby

import sympy as sp

from symgru.certificates.shapes import check_image, check_mask, uniform
from symgru.equations import Outer, Program, Sum, name_of
from symgru.proof import ProofError, Step
from symgru.proof.setting import Place, Role, Setting
from symgru.proof.terms import LINEAR, masks, term


@dataclass(frozen=True)
class Obligation:
    """left = right, to be decided.

    Attributes:
        left, right: Both sides, as they come out of the programs.
        lemmas: Names of the lemmas that may be used.
        definitions: Values of the reference that may occur, and what they are.
        masks: Symbols that are 0 or 1.
        uniform: Vectors with one value in all units.
        divisors: Expressions that are not 0, because the relation divides by them.
    """

    left: sp.Expr
    right: sp.Expr
    lemmas: tuple[str, ...] = ()
    definitions: Mapping[sp.Symbol, sp.Expr] = field(default_factory=dict)
    masks: frozenset[sp.Symbol] = frozenset()
    uniform: frozenset[sp.Symbol] = frozenset()
    divisors: frozenset[sp.Expr] = frozenset()


def obligations(steps: Iterable[Step]) -> Iterator[tuple[Step, Obligation | None]]:
    """Each step with what has to be decided for it; None for a rule of inference.

    Raises:
        ProofError: a simulation is not complete, or a claim does not fit its programs; the message names it.
    """
    for setting, run in groupby(steps, key=lambda step: step.place.setting if step.place else None):
        if setting is None:
            yield from ((step, _free(step)) for step in run)
        else:
            yield from _Replay(setting).obligations(run)


def needed(obligation: Obligation) -> Iterator[dict[sp.Symbol, sp.Expr]]:
    """Definitions to try with, in order: those of the right side; those of all that occurs, and so on down.

    Symbols inside an operator do not count: a definition says what a value is in a unit, not in all of them.
    """
    yield _defined(obligation.right.free_symbols, obligation)
    found: set[sp.Symbol] = set()
    waiting = _outside(obligation.left) | _outside(obligation.right)
    while waiting := (waiting & obligation.definitions.keys()) - found:
        found |= waiting
        waiting = set().union(*(_outside(obligation.definitions[symbol]) for symbol in waiting))
    yield _defined(found, obligation)


def _defined(symbols: Set[sp.Symbol], obligation: Obligation) -> dict[sp.Symbol, sp.Expr]:
    return {symbol: value for symbol, value in obligation.definitions.items() if symbol in symbols}


def _outside(node: sp.Expr) -> set[sp.Symbol]:
    if type(node) in LINEAR:
        return set()
    return {node} if node.is_Symbol else set().union(*map(_outside, node.args))


def _free(step: Step) -> Obligation | None:
    """A calculation that belongs to no simulation."""
    equation = step.stated or step.equation
    return None if equation is None else Obligation(*equation, lemmas=step.lemmas)


class _Replay:
    """One simulation: what has been claimed so far, checked claim by claim."""

    def __init__(self, setting: Setting):
        self._setting = setting
        self._masks = masks(setting.reference)
        self._uniform = uniform(setting.reference, setting.tied)
        self._shown: set[tuple[sp.Symbol, sp.Expr]] = set()
        self._definitions: dict[sp.Symbol, sp.Expr] = {}
        _check_given(setting)
        self._values = {s: setting.given.get(s, s) for s in setting.reference.inputs}
        self._related = dict(_inputs(setting, self._values))
        images = (*setting.relation.values(), *setting.given.values())
        powers = (power for image in images for power in image.atoms(sp.Pow))
        self._divisors = frozenset(power.base for power in powers if power.exp.is_negative)
        _check_divisors(divisor.xreplace(self._values) for divisor in self._divisors)

    def obligations(self, steps: Iterable[Step]) -> Iterator[tuple[Step, Obligation | None]]:
        """The steps of the simulation, in the order in which the programs need them."""
        placed = [(step, step.place) for step in steps if step.place]
        for step, place in placed:
            if step.claim != place.claim:
                raise ProofError(f"the step says '{step.claim}', its data '{place.claim}'")
        by_role = {role: [p for p in placed if p[1].role is role] for role in Role}
        if placed != [p for role in Role for p in by_role[role]]:
            raise ProofError("the steps of a simulation are out of order")
        yield from self._reference(by_role[Role.REFERENCE])
        yield from self._statements(by_role[Role.STATEMENT])
        yield from self._goals(by_role[Role.GOAL])
        yield from self._inductions(by_role[Role.INDUCTION])

    def _reference(self, steps: list[tuple[Step, Place]]) -> Iterator[tuple[Step, Obligation | None]]:
        """Values of the reference that are written in terms of earlier ones; the others define themselves."""
        repeated = _by_symbol(steps)
        for statement in self._setting.reference:
            target, definition = statement.target, term(statement).xreplace(self._values)
            if target not in repeated:
                self._values[target] = target
                self._definitions[target] = definition
                continue
            step, place = repeated.pop(target)
            self._check_axes(place, self._setting.reference)
            if not place.image.free_symbols <= self._values.keys():
                raise ProofError(f"'{place.claim}' names values that are defined later, or nowhere")
            self._values[target] = place.image.xreplace(self._values)
            yield step, self._obligation(definition, self._values[target], step)
        if repeated:
            raise ProofError(f"the reference has no value {', '.join(map(str, repeated))}")

    def _statements(self, steps: list[tuple[Step, Place]]) -> Iterator[tuple[Step, Obligation | None]]:
        program = self._setting.program
        claimed, expected = [p.symbol for _, p in steps], [s.target for s in program]
        if claimed != expected:
            missing = [str(s) for s in expected if s not in claimed]
            raise ProofError(
                f"expected one step for each statement of the second program, in order; "
                f"{f'there is none for {missing[0]}' if missing else 'there are others'}"
            )
        for (step, place), statement in zip(steps, program, strict=True):
            self._check_axes(place, program)
            substituted = term(statement).xreplace(self._related)
            self._related[place.symbol] = place.image.xreplace(self._values)
            self._shown.add((place.symbol, place.image))
            yield step, self._obligation(substituted, self._related[place.symbol], step)

    def _goals(self, steps: list[tuple[Step, Place]]) -> Iterator[tuple[Step, Obligation | None]]:
        setting = self._setting
        for step, place in steps:
            if place.symbol not in self._related:
                raise ProofError(f"'{place.claim}' is about what the second program does not have")
            self._check_axes(place, setting.program)
            self._shown.add((place.symbol, place.image))
            image = place.image.xreplace(self._values)
            yield step, self._obligation(self._related[place.symbol], image, step)
        for output, image in setting.goal.items():
            if (output, image) not in self._shown:
                raise ProofError(f"the goal {output}′ = {image} is not reached")
            if setting.carry is not None:
                _check_sum_over_steps(setting, output, image)

    def _inductions(self, steps: list[tuple[Step, Place]]) -> Iterator[tuple[Step, Obligation | None]]:
        """What enters related leaves related, moved on by one step."""
        pairs = self._setting.carry or ()
        if [place.symbol for _, place in steps] != [entering for entering, _ in pairs]:
            raise ProofError("expected one induction for each carried value, in order")
        carry = dict(pairs)
        if len(carry) != len(pairs):
            raise ProofError("a carried value enters twice")
        for step, place in steps:
            _check_carried(self._setting, place)
            moved = place.image.xreplace(carry)
            if (carry[place.symbol], moved) not in self._shown:
                raise ProofError(f"the induction needs {carry[place.symbol]}′ = {moved}, which is not shown")
            yield step, None

    def _check_axes(self, place: Place, program: Program) -> None:
        reference = self._setting.reference
        check_image(place.claim, place.image, reference.shapes, program.shapes[place.symbol])

    def _obligation(self, left: sp.Expr, right: sp.Expr, step: Step) -> Obligation:
        definitions = dict(self._definitions)
        return Obligation(left, right, step.lemmas, definitions, self._masks, self._uniform, self._divisors)


def _by_symbol(steps: list[tuple[Step, Place]]) -> dict[sp.Symbol, tuple[Step, Place]]:
    found = {place.symbol: (step, place) for step, place in steps}
    if len(found) != len(steps):
        raise ProofError("a value of the reference is claimed twice")
    return found


def _check_given(setting: Setting) -> None:
    inputs, own = setting.reference.inputs, masks(setting.reference)
    for symbol, image in setting.given.items():
        if symbol not in inputs or any(inputs.get(read) != inputs[symbol] for read in image.free_symbols):
            raise ProofError(f"{symbol} is given as {image}, which the reference does not take as such")
        if symbol in dict(setting.carry or ()):
            raise ProofError(f"{symbol} is given, but it is carried: only its first value can be given")
        check_mask(symbol, image, own, own)


def _inputs(setting: Setting, values: Mapping[sp.Symbol, sp.Expr]) -> Iterator[tuple[sp.Symbol, sp.Expr]]:
    """Inputs of the second program in those of the reference; what the relation leaves out is equal."""
    reference, program = setting.reference, setting.program
    for symbol in setting.relation:
        if symbol not in program.inputs:
            raise ProofError(f"the relation names {symbol}, which the second program does not take")
    for symbol, shape in program.inputs.items():
        image = setting.relation.get(symbol, symbol)
        if any(reference.inputs.get(read) != shape for read in image.free_symbols):
            raise ProofError(f"input {symbol} {shape} is related to {image}, of another shape or unknown")
        check_mask(symbol, image, masks(program), masks(reference))
        put_in = image.xreplace(dict(values))
        if put_in.has(sp.zoo, sp.nan):
            raise ProofError(f"input {symbol} is related to {image}, which divides by 0")
        yield symbol, put_in


def _check_divisors(divisors: Iterable[sp.Expr]) -> None:
    """Nothing divides by what is 0 everywhere: from the assumption that it is not, all would follow."""
    divisors = tuple(divisors)
    symbols = sorted({s for divisor in divisors for s in divisor.free_symbols}, key=name_of)
    points = ({s: sp.Rational(2 * k + i, 7) for k, s in enumerate(symbols, 1)} for i in range(1, 4))
    numbers = ([divisor.xreplace(point) for divisor in divisors] for point in points)
    if not any(all(number.is_Rational and number != 0 for number in found) for found in numbers):
        raise ProofError(f"divides by {', '.join(map(str, divisors))}, which is no number but 0 where tried")


def _check_sum_over_steps(setting: Setting, output: sp.Symbol, image: sp.Expr) -> None:
    """Each step shows its own part of a sum, so only multiples of sums are shown of the whole."""
    if isinstance(setting.program.definition(output), (Outer, Sum)) and image != 0:
        symbol = image.as_coeff_Mul()[1]
        if not (symbol.is_Symbol and isinstance(setting.reference.definition(symbol), (Outer, Sum))):
            raise ProofError(f"{output} adds up over the steps, so {image} at each step says nothing of it")


def _check_carried(setting: Setting, place: Place) -> None:
    carry = dict(setting.carry or ())
    if place.image != setting.relation.get(place.symbol, place.symbol):
        raise ProofError(f"'{place.claim}' is not what the relation says of {place.symbol}")
    for program in (setting.reference, setting.program):
        if place.symbol not in program.inputs or carry[place.symbol] not in program.outputs:
            raise ProofError(f"a program does not carry {place.symbol} to {carry[place.symbol]}")
        if program.shapes[place.symbol] != program.shapes[carry[place.symbol]]:
            raise ProofError(f"{place.symbol} and {carry[place.symbol]} have different shapes")
    for read in place.image.free_symbols - carry.keys():
        if setting.reference.inputs[read].per_step:
            raise ProofError(f"{place.symbol} is related to {read}, which has another value at each step")
