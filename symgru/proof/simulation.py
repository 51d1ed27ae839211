"""Carry a relation between the inputs of two programs along their statements, to their outputs.

Given that each input of a program is a known expression of the inputs of a reference program (the same
value, its negative, zero), every statement of the program is matched with a value of the reference: equal
to it, its negative, or its complement 1 − u. Each match is verified by SymPy and becomes a step. The
statements are those for one unit, so a proof holds for every number of units, inputs, examples and steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import Contract, Outer, Pointwise, Program, Statement, Sum
from symgru.proof.lemmas import LEMMAS, Lemma
from symgru.proof.polynomials import expanded
from symgru.proof.setting import Place, Relation, Role, Setting
from symgru.proof.terms import Normaliser, masks, term
from symgru.proof.text import text
from symgru.proof.theorem import SAME, ProofError, Step

__all__ = ["Relation", "Simulation", "simulate", "simulate_loop"]


@dataclass(frozen=True)
class Simulation:
    """What the values of a program are in terms of those of the reference, and the steps that show it."""

    relation: Relation
    steps: tuple[Step, ...]


class Reference:
    """The values of the reference program, each under one name.

    A value that repeats an earlier one, or is its negative or complement, is written in terms of that one;
    that it may be is a step of the proof.

    Args:
        setting: Names the reference, and what is known of its inputs, such as a state that is zero.
        normalise: Rewrites terms; learns the names of σ(…), tanh(…) and products that the program has.
    """

    def __init__(self, setting: Setting, normalise: Normaliser):
        self.program = program = setting.reference
        self.steps: list[Step] = []
        self._setting = setting
        self._normalise = normalise
        self._statements = {statement.target: statement for statement in program}
        self._named: dict[sp.Expr, sp.Symbol] = {}
        self._definition: dict[sp.Symbol, sp.Expr] = {}
        self._polynomial: dict[sp.Symbol, sp.Expr] = {}
        self._lemmas: dict[sp.Symbol, tuple[str, ...]] = {}
        _check_given(program, setting.given)
        self.values: dict[sp.Symbol, sp.Expr] = {s: setting.given.get(s, s) for s in program.inputs}
        for statement in program:
            self.values[statement.target] = self._read(statement)

    def _read(self, statement: Statement) -> sp.Expr:
        self._normalise.used.clear()
        definition = term(statement).xreplace(self.values)
        value, target = self._normalise(definition), statement.target
        found = self.find(value)
        if found is not None:
            self.steps.append(self._repeated(statement, definition, value, found))
            return found
        self._named[value] = target
        self._definition[target] = definition
        self._lemmas[target] = tuple(self._normalise.used)
        if isinstance(value, sp.Function):
            self._normalise.named[value] = target
        elif isinstance(statement, Pointwise):
            self._polynomial[target] = value
        return target

    def _repeated(self, statement: Statement, definition: sp.Expr, value: sp.Expr, found: sp.Expr) -> Step:
        place = Place(self._setting, Role.REFERENCE, statement.target, found)
        written = self.written_out(found)
        equation = (value, self._normalise(written))
        reason = _chain(term(statement), definition, written)
        return _step(place, reason, equation, definition, tuple(self._normalise.used))

    def find(self, value: sp.Expr) -> sp.Expr | None:
        """A value of the reference, its negative or its complement that the given value is.

        Equal terms have equal shapes: a term other than a number contains a value whose axes are its own.
        """
        if (symbol := self._name(value)) is not None:
            return symbol
        negative = expanded(-value)
        if (symbol := self._name(negative)) is not None:
            return -symbol
        if (symbol := self._name(1 + negative)) is not None:
            return 1 - symbol
        return value if value.is_Number else None

    def _name(self, value: sp.Expr) -> sp.Symbol | None:
        return value if value.is_Symbol else self._named.get(value)

    def find_by_definitions(self, value: sp.Expr, target: sp.Symbol) -> sp.Expr | None:
        """The value of the same name or its negative, if equal once pointwise definitions are put in."""
        if target in self.values:
            for image in (self.values[target], -self.values[target]):
                if self.unfolded(value - image) == 0:
                    return image
        return None

    def unfolded(self, value: sp.Expr) -> sp.Expr:
        """The value with the pointwise definitions of its symbols put in, down to σ, tanh and products."""
        while known := value.free_symbols & self._polynomial.keys():
            self._normalise.used.update(dict.fromkeys(self.lemmas(known)))
            value = value.xreplace(self._polynomial)
        return self._normalise(value)

    def both_unfolded(self, left: sp.Expr, right: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
        """The sides of an equation with definitions put in, once if they are the same."""
        unfolded = self.unfolded(left)
        return unfolded, unfolded if left == right else self.unfolded(right)

    def lemmas(self, symbols: Set[sp.Symbol]) -> tuple[str, ...]:
        """The lemmas by which the definitions of these values were brought into normal form."""
        ordered = sorted(self._lemmas.keys() & symbols, key=attrgetter("name"))
        return tuple(lemma for symbol in ordered for lemma in self._lemmas[symbol])

    def states(self, statement: Statement) -> bool:
        """Whether the reference has this very statement."""
        return self._statements.get(statement.target) == statement

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
    tied: Collection[sp.Symbol] = (),
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
        tied: Parameters of `reference` whose rows, or elements, are all equal.
        lemmas: What the proof may use; each is checked first.
    Raises:
        ProofError: a lemma does not hold, an input has no relation, a mask is related to a number, a
            statement has no match, or an output is not what the goal says; the message names it.
    """
    setting = Setting(reference, program, relation, goal or {}, given or {}, tuple(tied))
    return _simulate(setting, inline, lemmas)


def _simulate(setting: Setting, inline: bool, lemmas: Sequence[Lemma] = LEMMAS) -> Simulation:
    reference, program = setting.reference, setting.program
    normalise = Normaliser(lemmas, masks(reference), _equal_in_all_units(reference, setting.tied))
    known = Reference(setting, normalise)
    related: dict[sp.Symbol, sp.Expr] = _inputs(reference, program, setting.relation, known.values)
    steps = list(known.steps)
    for statement in program:
        step = _match(statement, setting, known, related, normalise, inline)
        steps.append(step)
    for output, expected in setting.goal.items():
        steps.append(_reached(output, expected, setting, known, related, normalise))
    return Simulation(related, _without_repeated_claims(steps))


def simulate_loop(
    reference: Loop,
    loop: Loop,
    relation: Relation,
    goal: Relation | None = None,
    *,
    given: Relation | None = None,
    inline: bool = False,
    tied: Collection[sp.Symbol] = (),
) -> Simulation:
    """The same for all time steps, by induction: a carried value leaves each step related as it entered.

    The relation of a value that enters, moved on one step, is the one of the value that leaves: every state
    of the reference in it becomes the state that leaves.

    Raises:
        ProofError: as `simulate`; or the loops run in different directions or carry different values; or a
            carried value is related to what the loop does not carry, is given, or has another goal than the
            induction needs; or the goal for a sum over the steps is not a multiple of such a sum.
    """
    if (reference.reverse, reference.carry) != (loop.reverse, loop.carry):
        raise ProofError(f"the loops {reference.name} and {loop.name} do not carry the same values")
    for symbol in (given or {}).keys() & reference.carried:
        raise ProofError(f"{symbol} is given, but it is carried: only its first value can be given")
    shown = dict(goal or {})
    for output, image in shown.items():
        _check_sum_over_steps(reference.step, loop.step, output, image)
    for entering, leaving in loop.carry:
        moved = _one_step_on(reference, entering, relation.get(entering, entering))
        if shown.setdefault(leaving, moved) != moved:
            raise ProofError(f"the goal for {leaving} is {shown[leaving]}, but the induction needs {moved}")
    setting = Setting(
        reference.step, loop.step, relation, shown, given or {}, tuple(tied), loop.carry, loop.reverse
    )
    result = _simulate(setting, inline)
    induction = [_induction(setting, pair, result) for pair in loop.carry]
    return Simulation(result.relation, (*result.steps, *induction))


def _one_step_on(reference: Loop, entering: sp.Symbol, entered: sp.Expr) -> sp.Expr:
    carry = dict(reference.carry)
    for read in sorted(entered.free_symbols - carry.keys(), key=attrgetter("name")):
        shape = reference.step.inputs.get(read)
        if shape is None or shape.per_step:
            raise ProofError(
                f"{entering} is related to {read}, which is not carried: it has another value at each step"
            )
    return entered.xreplace(carry)


def _check_sum_over_steps(reference: Program, program: Program, output: sp.Symbol, image: sp.Expr) -> None:
    """Each step shows its own part of a sum, so only what sums respect may be shown: multiples of sums."""
    if isinstance(program.definition(output), (Outer, Sum)) and image != 0:
        symbol = image.as_coeff_Mul()[1]
        if not (symbol.is_Symbol and isinstance(reference.definition(symbol), (Outer, Sum))):
            raise ProofError(
                f"{output} adds up over the steps, so a relation to {image} at each step is none"
            )


def _without_repeated_claims(steps: Sequence[Step]) -> tuple[Step, ...]:
    first: dict[str, Step] = {}
    for step in steps:
        first.setdefault(step.claim, step)
    return tuple(first.values())


def _equal_in_all_units(program: Program, tied: Collection[sp.Symbol]) -> frozenset[sp.Symbol]:
    """Vectors whose units are all equal, because they are made of parameters with equal rows."""
    unknown = sorted(map(str, set(tied) - set(program.parameters)))
    if unknown:
        raise ProofError(f"{', '.join(unknown)} cannot be tied, the reference has no such parameter")
    shared = {symbol for symbol in tied if len(program.inputs[symbol].axes) == 1}
    for statement in program:
        match statement:
            case Contract():
                equal = all(t.matrix in tied and not t.transposed for t in statement.terms)
            case Pointwise():
                equal = statement.reads <= shared
            case _:
                equal = False
        if equal:
            shared.add(statement.target)
    return frozenset(shared)


def _check_given(program: Program, given: Relation) -> None:
    for symbol, image in given.items():
        shape = program.inputs.get(symbol)
        if shape is None:
            raise ProofError(f"{symbol} is given, but the reference does not take it")
        if any(program.inputs.get(read) != shape for read in image.free_symbols):
            raise ProofError(
                f"{symbol} {shape} is given as {image}, which the reference does not take as such"
            )
        _check_mask(symbol, image, masks(program), masks(program))


def _inputs(
    reference: Program, program: Program, relation: Relation, values: Relation
) -> dict[sp.Symbol, sp.Expr]:
    unknown = sorted(map(str, relation.keys() - program.inputs.keys()))
    if unknown:
        raise ProofError(f"the relation names {', '.join(unknown)}, which the program does not take")
    related, own, others = {}, masks(program), masks(reference)
    for symbol, shape in program.inputs.items():
        image = relation.get(symbol, symbol)
        if any(reference.inputs.get(read) != shape for read in image.free_symbols):
            raise ProofError(
                f"input {symbol} {shape} is related to {image}, which the reference does not take"
            )
        _check_mask(symbol, image, own, others)
        related[symbol] = image.xreplace(dict(values))
    return related


def _check_mask(
    symbol: sp.Symbol, image: sp.Expr, own: Collection[sp.Symbol], others: Collection[sp.Symbol]
) -> None:
    """A mask is true or false, so it can be a mask or one of the two, and nothing else can be a mask."""
    if symbol in own:
        if image not in others and image not in (0, 1):
            raise ProofError(f"{symbol} is a mask, but related to {image}, which is no mask of the reference")
    elif image.free_symbols & set(others):
        raise ProofError(f"{symbol} is no mask, but related to {image}, which is a mask of the reference")


def _match(
    statement: Statement,
    setting: Setting,
    known: Reference,
    related: dict[sp.Symbol, sp.Expr],
    normalise: Normaliser,
    inline: bool,
) -> Step:
    """The step for one statement; what its target is related to is added to `related`."""
    normalise.used.clear()
    substituted = term(statement).xreplace(related)
    value = normalise(substituted)
    image = known.find(value)
    if image is None and inline:
        image = known.find_by_definitions(value, statement.target)
    if image is None and not inline:
        raise ProofError(
            f"'{statement}' becomes {value}; the reference has no such value, negative or complement"
        )
    related[statement.target] = value if image is None else image
    place = Place(setting, Role.STATEMENT, statement.target, related[statement.target])
    primed = _primed(term(statement))
    if image is None:
        equation = (normalise(substituted), value)
        return _step(place, _chain(primed, substituted), equation, substituted, tuple(normalise.used))
    definition = known.written_out(image)
    equation = (normalise(substituted), normalise(definition))
    if inline:
        equation = known.both_unfolded(*equation)
    if image == statement.target and known.states(statement) and substituted == definition:
        return _step(place, SAME, equation, substituted)
    reason = _chain(primed, substituted, definition)
    return _step(place, reason, equation, substituted, tuple(normalise.used))


def _step(
    place: Place,
    justification: str,
    equation: tuple[sp.Expr, sp.Expr],
    stated: sp.Expr,
    lemmas: tuple[str, ...] = (),
) -> Step:
    """A calculated step; `stated` is the left side with nothing rewritten, the image is the right side."""
    sides = (stated, place.image)
    return Step(place.claim, justification, equation, lemmas, stated=sides, place=place)


@lru_cache(maxsize=4096)
def _primed(expression: sp.Expr) -> sp.Expr:
    """The expression with a prime at each name: a value of the second program."""
    return expression.xreplace({s: sp.Symbol(f"{s.name}′", real=True) for s in expression.free_symbols})


def _chain(*expressions: sp.Expr) -> str:
    """a = b = c, without repetitions."""
    return " = ".join(dict.fromkeys(map(text, expressions)))


def _reached(
    output: sp.Symbol,
    expected: sp.Expr,
    setting: Setting,
    known: Reference,
    related: Relation,
    normalise: Normaliser,
) -> Step:
    program = setting.program
    if output not in related:
        raise ProofError(f"the goal names {output}, which the program does not have")
    for read in expected.free_symbols:
        shape = known.program.shapes.get(read)
        if shape is None or shape.axes != program.shapes[output].axes:
            raise ProofError(
                f"output {output} {program.shapes[output]} cannot be {expected} of the reference"
            )
    normalise.used.clear()
    target = normalise(expected.xreplace(known.values))
    equation = known.both_unfolded(related[output], target)
    place = Place(setting, Role.GOAL, output, expected)
    step = _step(place, f"both are {target}", equation, related[output], tuple(normalise.used))
    if not step.checked:
        raise ProofError(f"output {output} is {related[output]}, not {expected}")
    return step


def _induction(setting: Setting, pair: tuple[sp.Symbol, sp.Symbol], result: Simulation) -> Step:
    """The step from one time step to the next is the claim about the value that leaves, shown above."""
    entering, leaving = pair
    place = Place(setting, Role.INDUCTION, entering, setting.relation.get(entering, entering))
    entered = Place(setting, Role.STATEMENT, entering, place.image).claim
    left = Place(setting, Role.STATEMENT, leaving, setting.goal[leaving]).claim
    if not any(step.claim == left and step.checked for step in result.steps):
        raise ProofError(f"'{left}' is not among the steps, which the induction needs")
    order = "last step to the first" if setting.reverse else "first step to the last"
    return Step(
        place.claim,
        f"induction over time, from the {order}: it holds where the loop starts, by assumption, and a step "
        f"that is entered by {entered} is left by {left}",
        place=place,
    )
