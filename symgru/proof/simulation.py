"""Carry a relation between the inputs of two programs along their statements, to their outputs.

Given that each input of a program is a known expression of the inputs of a reference program (the same
value, its negative, zero), every statement of the program is matched with a value of the reference: equal
to it, its negative, or its complement 1 − u. Each match is verified by SymPy and becomes a step. The
statements are those for one unit, so a proof holds for every number of units, inputs, examples and steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Pointwise, Program, Statement
from symgru.proof.lemmas import LEMMAS, Lemma
from symgru.proof.terms import Normaliser, term
from symgru.proof.theorem import SAME, ProofError, Step

Relation = Mapping[sp.Symbol, sp.Expr]


@dataclass(frozen=True)
class Simulation:
    """What the values of a program are in terms of those of the reference, and the steps that show it."""

    relation: Relation
    steps: tuple[Step, ...]


class Reference:
    """The values of the reference program, each under one name.

    A value that repeats an earlier one, or is its negative or complement, is written in terms of that one.

    Args:
        program: The reference.
        normalise: Rewrites terms; learns the names of σ(…), tanh(…) and products that the program has.
        given: What is known of inputs, such as a state that is zero.
    """

    def __init__(self, program: Program, normalise: Normaliser, given: Relation):
        self.program = program
        self._normalise = normalise
        self._named: dict[sp.Expr, sp.Symbol] = {}
        self._definition: dict[sp.Symbol, sp.Expr] = {}
        self._polynomial: dict[sp.Symbol, sp.Expr] = {}
        unknown = sorted(map(str, given.keys() - program.inputs.keys()))
        if unknown:
            raise ProofError(f"{', '.join(unknown)} is given, but the reference does not take it")
        self.values: dict[sp.Symbol, sp.Expr] = {s: given.get(s, s) for s in program.inputs}
        for statement in program:
            self.values[statement.target] = self._read(statement)

    def _read(self, statement: Statement) -> sp.Expr:
        definition = term(statement).xreplace(self.values)
        value, target = self._normalise(definition), statement.target
        found = self.find(value)
        if found is not None:
            return found
        self._named[value] = target
        self._definition[target] = definition
        if isinstance(value, sp.Function):
            self._normalise.named[value] = target
        elif isinstance(statement, Pointwise):
            self._polynomial[target] = value
        return target

    def find(self, value: sp.Expr) -> sp.Expr | None:
        """A value of the reference, its negative or its complement that the given value is.

        Equal terms have equal shapes: a term other than a number contains a value whose axes are its own.
        """
        for offset, sign in ((0, 1), (0, -1), (1, -1)):
            candidate = sp.expand(offset + sign * value)
            symbol = candidate if candidate.is_Symbol else self._named.get(candidate)
            if symbol is not None:
                return offset + sign * symbol
        return value if value.is_Number else None

    def find_by_definitions(self, value: sp.Expr, target: sp.Symbol) -> sp.Expr | None:
        """The value of the same name or its negative, if equal once pointwise definitions are put in."""
        if target in self.values:
            for image in (self.values[target], -self.values[target]):
                if self.unfolded(value - image) == 0:
                    return image
        return None

    def unfolded(self, value: sp.Expr) -> sp.Expr:
        """The value with the pointwise definitions of its symbols put in, down to σ, tanh and products."""
        while value.free_symbols & self._polynomial.keys():
            value = value.xreplace(self._polynomial)
        return self._normalise(value)

    def states(self, statement: Statement) -> bool:
        """Whether the reference has this very statement."""
        return self.program.definition(statement.target) == statement

    def written_out(self, image: sp.Expr) -> sp.Expr:
        """The image with the definitions of the values in it put in."""
        return image.xreplace(self._definition)


def simulate(
    reference: Program,
    program: Program,
    relation: Relation,
    goal: Relation | None = None,
    *,
    given: Relation | None = None,
    inline: bool = False,
    lemmas: Sequence[Lemma] = LEMMAS,
) -> Simulation:
    """Show what the values of `program` are in terms of the values of `reference`.

    Args:
        reference, program: Both run on related inputs.
        relation: Inputs of `program` as expressions of inputs of `reference`; those not named are equal.
        goal: Outputs of `program` as expressions of values of `reference`, to be shown.
        given: What is known of inputs of `reference`.
        inline: For programs whose statements do not correspond one to one. A statement without a match is
            put in where it is read, and pointwise definitions of the reference are put in to find a match.
        lemmas: What the proof may use; each is checked first.
    Raises:
        ProofError: a lemma does not hold, an input has no relation, a statement has no match, or an
            output is not what the goal says; the message names it.
    """
    normalise = Normaliser(lemmas)
    known = Reference(reference, normalise, given or {})
    related: dict[sp.Symbol, sp.Expr] = _inputs(reference, program, relation, known.values)
    steps = []
    for statement in program:
        image, step = _match(statement, known, related, normalise, inline)
        related[statement.target] = image
        steps.append(step)
    for output, expected in (goal or {}).items():
        steps.append(_reached(output, expected, program, known, related, normalise))
    return Simulation(related, _without_repeated_claims(steps))


def simulate_loop(
    reference: Loop, loop: Loop, relation: Relation, goal: Relation | None = None, *, inline: bool = False
) -> Simulation:
    """The same for all time steps, by induction: a carried value leaves each step related as it entered.

    Raises:
        ProofError: as `simulate`; or the loops run in different directions or carry different values.
    """
    if (reference.reverse, reference.carry) != (loop.reverse, loop.carry):
        raise ProofError(f"the loops {reference.name} and {loop.name} do not carry the same values")
    shown = dict(goal or {})
    for entering, leaving in loop.carry:
        entered = relation.get(entering, entering)
        shown[leaving] = entered.xreplace({entering: leaving})
    result = simulate(reference.step, loop.step, relation, shown, inline=inline)
    induction = [
        _induction(loop, entering, shown[leaving], leaving, result) for entering, leaving in loop.carry
    ]
    return Simulation(result.relation, (*result.steps, *induction))


def _without_repeated_claims(steps: Sequence[Step]) -> tuple[Step, ...]:
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(step.claim, step)
    return tuple(first.values())


def _inputs(
    reference: Program, program: Program, relation: Relation, values: Relation
) -> dict[sp.Symbol, sp.Expr]:
    unknown = sorted(map(str, relation.keys() - program.inputs.keys()))
    if unknown:
        raise ProofError(f"the relation names {', '.join(unknown)}, which the program does not take")
    related = {}
    for symbol, shape in program.inputs.items():
        image = relation.get(symbol, symbol)
        for read in image.free_symbols:
            if reference.inputs.get(read) != shape:
                raise ProofError(
                    f"input {symbol} {shape} is related to {image}, which the reference does not take"
                )
        related[symbol] = image.xreplace(dict(values))
    return related


def _match(
    statement: Statement,
    known: Reference,
    related: Relation,
    normalise: Normaliser,
    inline: bool,
) -> tuple[sp.Expr, Step]:
    normalise.used.clear()
    substituted = term(statement).xreplace(dict(related))
    value = normalise(substituted)
    image = known.find(value)
    if image is None and inline:
        image = known.find_by_definitions(value, statement.target)
    if image is None and inline:
        return value, Step(
            _claim(statement.target, value), _chain(_primed(term(statement)), substituted), sp.S.Zero
        )
    if image is None:
        raise ProofError(
            f"'{statement}' becomes {value}; the reference has no such value, negative or complement"
        )
    definition = known.written_out(image)
    difference = normalise(substituted) - normalise(definition)
    residual = known.unfolded(difference) if inline else sp.expand(difference)
    claim = _claim(statement.target, image)
    if image == statement.target and known.states(statement) and substituted == definition:
        return image, Step(claim, SAME, residual)
    reason = _chain(_primed(term(statement)), substituted, definition)
    return image, Step(claim, reason, residual, tuple(normalise.used))


def _claim(symbol: sp.Symbol, image: sp.Expr) -> str:
    return f"{symbol}′ = {image}"


def _primed(expression: sp.Expr) -> sp.Expr:
    """The expression with a prime at each name: a value of the second program."""
    return expression.xreplace({s: sp.Symbol(f"{s}′", real=True) for s in expression.free_symbols})


def _chain(*expressions: sp.Expr) -> str:
    """a = b = c, without repetitions."""
    return " = ".join(dict.fromkeys(map(str, expressions)))


def _reached(
    output: sp.Symbol,
    expected: sp.Expr,
    program: Program,
    known: Reference,
    related: Relation,
    normalise: Normaliser,
) -> Step:
    if output not in related:
        raise ProofError(f"the goal names {output}, which the program does not have")
    for read in expected.free_symbols:
        shape = known.program.shapes.get(read)
        if shape is None or shape.axes != program.shapes[output].axes:
            raise ProofError(
                f"output {output} {program.shapes[output]} cannot be {expected} of the reference"
            )
    target = normalise(expected.xreplace(known.values))
    residual = known.unfolded(related[output] - target)
    if residual != 0:
        raise ProofError(f"output {output} is {related[output]}, not {expected}")
    return Step(_claim(output, expected), f"both are {target}", residual)


def _induction(
    loop: Loop, entering: sp.Symbol, left: sp.Expr, leaving: sp.Symbol, result: Simulation
) -> Step:
    """The step from one time step to the next is the claim about the value that leaves, shown above."""
    shown = _claim(leaving, left)
    residual = next(step.residual for step in result.steps if step.claim == shown)
    hypothesis = _claim(entering, left.xreplace({leaving: entering}))
    order = "last step to the first" if loop.reverse else "first step to the last"
    return Step(
        f"{hypothesis} at every time step",
        f"induction over time, from the {order}: it holds where the loop starts, by assumption, and a step "
        f"that is entered by {hypothesis} is left by {shown}",
        residual,
    )
