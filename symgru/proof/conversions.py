"""No parameters turn one placement of the reset gate into another.

For a pair of placements, one GRU of the first is taken (the target), and every GRU of the second with as many
units (the candidate, its parameters unknown). Were they the same function of input and state, their limits
for x → ±∞ would be equal. The signs of the weights of x in the candidate divide all candidates into cases;
in each case a linear relation holds between limits of every candidate, and not between those of the target.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import sympy as sp

from symgru.equations import Program, Reset, gru, reflect_sigmoid, sigmoid
from symgru.equations.gru import B_N, H_NEW, H_PREV, U_N, UPDATE_GATE, W_N, W_R, W_Z, X
from symgru.proof.evaluation import Value, enclose_number, evaluate
from symgru.proof.germs import GERMS, Germ, constant
from symgru.proof.lemmas import COMPLEMENT_POSITIVE, SIGMOID_REFLECTION, TANH_BY_EXP, check
from symgru.proof.polarity import keep_is_update
from symgru.proof.terms import equations
from symgru.proof.text import plain
from symgru.proof.theorem import Equations, ProofError, Step, Theorem, in_case

State = tuple[sp.Expr, ...]
Signs = Mapping[sp.Symbol, tuple[int | None, ...]]  # of each unit's weight of x; None is any sign
PREACTIVATION = sp.Symbol("candidate_preactivation", real=True)
HALF = sp.Rational(1, 2)


@dataclass(frozen=True)
class Limit:
    """The new state of a unit (counted from 0) for x → +∞ or −∞, from a state of all units."""

    unit: int
    end: int
    state: State

    def __str__(self) -> str:
        return f"L{self.unit + 1}({'+' if self.end > 0 else '−'}; {', '.join(map(str, self.state))})"


@dataclass(frozen=True)
class Combination:
    """Σ coefficient · limit + Σ rest, which is zero for every candidate of a case."""

    terms: tuple[tuple[sp.Expr, Limit], ...]
    rest: tuple[sp.Expr, ...] = ()

    def of(self, limits: Callable[[Limit], sp.Expr]) -> sp.Expr:
        """The combination with the limits put in."""
        return sp.Add(*(c * limits(limit) for c, limit in self.terms), *self.rest)

    def __str__(self) -> str:
        named = {limit: sp.Symbol(str(limit)) for _, limit in self.terms}
        return str(self.of(lambda limit: named[limit]))


class Candidates:
    """All GRUs of a placement for which the weights of x have given signs.

    Args:
        reset: The placement.
        units: Number of hidden units; there is one input.
        signs: Of W_z, W_n and W_r, unit by unit.
    """

    def __init__(self, reset: Reset, units: int, signs: Signs):
        step = _step(reset)
        self._values = {
            symbol: _unknown(symbol, [units if axis == "H" else 1 for axis in shape.axes], signs)
            for symbol, shape in step.inputs.items()
            if symbol not in (X, H_PREV)
        }
        self._at = _limits(step, self._values)

    def value(self, symbol: sp.Symbol, limit: Limit) -> sp.Expr:
        """The limit of any value of the step in that unit; unknown limits in it have one name throughout."""
        return self._at(limit.end, limit.state)[symbol][limit.unit].limit

    def limit(self, limit: Limit) -> sp.Expr:
        """The new state."""
        return self.value(H_NEW, limit)

    def keep(self, limit: Limit) -> sp.Expr:
        """The update gate, strictly between 0 and 1 where it does not depend on x."""
        gate = self.value(UPDATE_GATE, limit)
        if not isinstance(gate, sigmoid):
            raise ProofError(f"the update gate of unit {limit.unit + 1} depends on x")
        return gate

    def new(self, limit: Limit) -> sp.Expr:
        """Its complement, as σ(−a)."""
        return sigmoid(-self.keep(limit).args[0])

    def below_one(self, limit: Limit) -> sp.Expr:
        """1 − the candidate state, as 2/(1 + e²ᵃ)."""
        return 2 / (1 + sp.exp(sp.expand(2 * self.value(PREACTIVATION, limit))))


@cache
def _step(reset: Reset) -> Program:
    return gru("keep", reset).step


def _unknown(symbol: sp.Symbol, sizes: list[int], signs: Signs) -> Value:
    """Symbols for the elements of a parameter, named W_r_1 or U_r_12."""
    if len(sizes) == 1:
        return [constant(sp.Symbol(f"{symbol}_{i + 1}", real=True)) for i in range(sizes[0])]
    if symbol in signs:
        return [[constant(_signed(f"{symbol}_{i + 1}", sign))] for i, sign in enumerate(signs[symbol])]
    rows, columns = map(range, sizes)
    return [[constant(sp.Symbol(f"{symbol}_{i + 1}{j + 1}", real=True)) for j in columns] for i in rows]


def _signed(name: str, sign: int | None) -> sp.Expr:
    if sign is None:
        return sp.Symbol(name, real=True)
    return sp.S.Zero if sign == 0 else sp.Symbol(name, positive=sign > 0, negative=sign < 0)


def _limits(
    step: Program, parameters: Mapping[sp.Symbol, Value]
) -> Callable[[int, State], dict[sp.Symbol, Value]]:
    """All values of the step by the end that x goes to and the state, each computed once."""

    @cache
    def at(end: int, state: State) -> dict[sp.Symbol, Value]:
        x = [Germ(sp.Integer(end), sp.S.Zero)]
        return evaluate(step, {**parameters, X: x, H_PREV: list(map(constant, state))}, GERMS)

    return at


@dataclass(frozen=True)
class Target:
    """One GRU of a placement with one input: numbers for some parameters, zero for the others."""

    reset: Reset
    units: int
    parameters: Mapping[sp.Symbol, tuple[object, ...]]

    def __post_init__(self) -> None:
        shapes = _step(self.reset).inputs
        for symbol, numbers in self.parameters.items():
            if symbol not in shapes:
                raise ProofError(f"reset {self.reset.value} has no parameter {symbol}")
            sizes = tuple(self.units if axis == "H" else 1 for axis in (*shapes[symbol].axes, "I")[:2])
            if sp.Matrix(numbers).shape != sizes:
                came = " x ".join(map(str, sp.Matrix(numbers).shape))
                raise ProofError(f"{symbol} must be {sizes[0]} x {sizes[1]}, but is {came}")

    @cached_property
    def _values(self) -> dict[sp.Symbol, Value]:
        values: dict[sp.Symbol, Value] = {}
        for symbol, shape in _step(self.reset).inputs.items():
            sizes = [self.units if axis == "H" else 1 for axis in shape.axes]
            matrix = sp.Matrix(*(sizes if len(sizes) == 2 else [sizes[0], 1]), lambda *_: 0)
            numbers = sp.Matrix(self.parameters[symbol]) if symbol in self.parameters else matrix
            germs = [[constant(number) for number in row] for row in numbers.tolist()]
            values[symbol] = germs if len(sizes) == 2 else [row[0] for row in germs]
        return {symbol: value for symbol, value in values.items() if symbol not in (X, H_PREV)}

    def limit(self, limit: Limit) -> sp.Expr:
        """The new state, exactly; σ(0) = 1/2."""
        value = self._at(limit.end, limit.state)[H_NEW][limit.unit].limit
        return sp.expand(value.xreplace({sigmoid(sp.S.Zero): HALF}))

    @cached_property
    def _at(self) -> Callable[[int, State], dict[sp.Symbol, Value]]:
        return _limits(_step(self.reset), self._values)

    def __str__(self) -> str:
        numbers = (f"{symbol} = {plain(value)}" for symbol, value in self.parameters.items())
        return f"{', '.join(numbers)}, all other parameters 0"


Relation = Callable[[Candidates], Combination]


def copied(limit: Limit) -> Relation:
    """The unit keeps its state, or has the new state 0 from the state 0."""
    return lambda _: Combination(((sp.S.One, limit),), (-limit.state[limit.unit],))


def opposite(unit: int, state: State) -> Relation:
    """A candidate state that saturates has opposite limits; from 0, so has the new state."""
    return lambda _: Combination(tuple((sp.S.One, Limit(unit, end, state)) for end in (1, -1)))


def unmoved(unit: int, state: State) -> Relation:
    """Nothing in the unit depends on x."""
    return lambda _: Combination(tuple((sp.Integer(end), Limit(unit, end, state)) for end in (1, -1)))


def of_one_sign(first: Limit, second: Limit) -> Relation:
    """From two states that are 0 in this unit, the new states are positive multiples of one number."""
    return lambda c: Combination(((c.new(second), first), (-c.new(first), second)))


def state_and_one_sign(limit: Limit, origin: Limit) -> Relation:
    """The new state is a part of the state, and a positive multiple of what the state 0 becomes."""

    def combination(c: Candidates) -> Combination:
        part = -c.new(origin) * c.keep(limit) * limit.state[limit.unit]
        return Combination(((c.new(origin), limit), (-c.new(limit), origin)), (part,))

    return combination


def saturated_below(limit: Limit) -> Relation:
    """From 0, a candidate state that goes to −1."""
    return lambda c: Combination(((sp.S.One, limit),), (c.new(limit),))


def less_than_one(limit: Limit) -> Relation:
    """From 1, a candidate state below 1 gives a new state below 1."""
    return lambda c: Combination(((sp.S.NegativeOne, limit),), (sp.S.One, -c.new(limit) * c.below_one(limit)))


@dataclass(frozen=True)
class Case:
    """Signs of weights of x, and a relation that holds for all candidates with them."""

    signs: Signs
    relation: Relation

    def __str__(self) -> str:
        words = {1: "> 0", -1: "< 0", 0: "= 0"}
        parts = (
            f"{symbol}_{unit + 1} {words[sign]}"
            for symbol, of_units in self.signs.items()
            for unit, sign in enumerate(of_units)
            if sign is not None
        )
        return ", ".join(parts)


def exclude(
    target: Target, reset: Reset, cases: tuple[Case, ...], candidates: type[Candidates] = Candidates
) -> tuple[Step, ...]:
    """Show that no GRU of the placement, or of a part of it, is the target.

    Raises:
        ProofError: the cases leave candidates out, a relation does not hold for all of a case, or the limits
            of the target do not violate it.
    """
    _check_cover(cases, target.units)
    steps: list[Step] = []
    for case in cases:
        steps += in_case(str(case), _excluded(target, candidates(reset, target.units, case.signs), case))
    return tuple(steps)


def _check_cover(cases: tuple[Case, ...], units: int) -> None:
    for case in cases:
        if set(case.signs) != {W_Z, W_N, W_R} or any(len(signs) != units for signs in case.signs.values()):
            raise ProofError(
                f"case {case}: expected signs of W_z, W_n and W_r of {units} units, nothing else"
            )
    slopes = [(symbol, unit) for symbol in (W_Z, W_N, W_R) for unit in range(units)]
    covered = [tuple(case.signs[symbol][unit] for symbol, unit in slopes) for case in cases]
    for signs in product((-1, 0, 1), repeat=len(slopes)):
        if not any(all(c is None or c == s for c, s in zip(row, signs, strict=True)) for row in covered):
            raise ProofError(f"no case covers {dict(zip(slopes, signs, strict=True))}")


def _excluded(target: Target, candidates: Candidates, case: Case) -> Iterator[Step]:
    combination = case.relation(candidates)
    (coefficient, first), *others = combination.terms
    rest = Combination(tuple(others), combination.rest)
    stated = (coefficient * candidates.limit(first), -rest.of(candidates.limit))
    (left, lemmas), (right, more) = map(_by_exponential, stated)
    lemmas = tuple(dict.fromkeys((*lemmas, *more)))
    reason = "the limits of every candidate, put in"
    step = Step(f"{combination} = 0", reason, (left, right), lemmas, stated=stated)
    if not step.checked:
        raise ProofError(f"case {case}: {combination} is {step.residual}, not 0")
    yield step
    sign, opposite = ("positive", "negative")[:: _sign(combination, target, case)]
    limits = {str(limit): target.limit(limit) for _, limit in combination.terms}
    values = ", ".join(f"{name} = {value}" for name, value in limits.items())
    symbolic = any(part.free_symbols for part in (*(c for c, _ in combination.terms), *combination.rest))
    yield Step(
        "the target is no candidate of this case",
        f"for the target {values}: no part of the sum is {opposite} and one is {sign}"
        f"{', since σ and exp are positive' if symbolic else ''}; so it is not 0",
        lemmas=(check(COMPLEMENT_POSITIVE).name,) if symbolic else (),
    )


def _by_exponential(expression: sp.Expr) -> tuple[sp.Expr, tuple[str, ...]]:
    """σ(−a) as 1 − σ(a), and tanh(a) as 1 − 2/(1 + e²ᵃ), with the lemmas that this needs."""
    by_exp = expression.replace(sp.tanh, lambda a: 1 - 2 / (1 + sp.exp(sp.expand(2 * a))))
    reflected = reflect_sigmoid(by_exp)
    used = {SIGMOID_REFLECTION: reflected != by_exp, TANH_BY_EXP: by_exp != expression}
    return reflected, tuple(check(lemma).name for lemma, needed in used.items() if needed)


def _sign(combination: Combination, target: Target, case: Case) -> int:
    """The sign that the combination has for the target, if its parts have no two signs."""
    parts = [(c, target.limit(limit)) for c, limit in combination.terms]
    parts += [(part, sp.S.One) for part in combination.rest]
    number = sp.expand(sp.Add(*(c * value for c, value in parts if not c.free_symbols)))
    signs = {_sign_of_number(number)}
    signs |= {_sign_of_coefficient(c) * _sign_of_number(value) for c, value in parts if c.free_symbols}
    if len(signs - {0}) != 1:
        raise ProofError(f"case {case}: the target does not violate {combination} = 0")
    return next(iter(signs - {0}))


def _sign_of_number(number: sp.Expr) -> int:
    if number.is_Rational:
        return int(sp.sign(number))
    interval = enclose_number(number)
    if interval.lower <= 0 <= interval.upper:
        raise ProofError(f"{number} is not told apart from 0")
    return 1 if interval.lower > 0 else -1


def _sign_of_coefficient(coefficient: sp.Expr) -> int:
    if not (coefficient.is_positive or coefficient.is_negative):
        raise ProofError(f"the sign of {coefficient} is not known")
    return 1 if coefficient.is_positive else -1


def _slopes(units: int, **signs: int) -> Signs:
    """Signs by name, z1 for W_z of unit 1; any sign where none is given."""
    letters = {W_Z: "z", W_N: "n", W_R: "r"}
    return {s: tuple(signs.get(f"{k}{u + 1}") for u in range(units)) for s, k in letters.items()}


_0, _1 = sp.S.Zero, sp.S.One
NONZERO = (1, -1)


def _no_after_is_before() -> tuple[Target, tuple[Case, ...]]:
    """One unit sees two reset gates, of which one opens and the other closes."""
    # W_n moves the second unit alone, which no relation is about: so states are reached from 0.
    target = Target(Reset.BEFORE, 2, {W_R: ((1,), (-1,)), U_N: ((-4, 1), (0, 0)), W_N: ((0,), (1,))})
    up, down, origin, half = (_0, _1), (_0, -_1), (_0, _0), (HALF, _0)
    flat = {"z1": 0, "n1": 0}
    return target, (
        *(Case(_slopes(2, z1=s), copied(Limit(0, s, half))) for s in NONZERO),
        *(Case(_slopes(2, z1=0, n1=s), opposite(0, up)) for s in NONZERO),
        Case(_slopes(2, **flat, r1=0), unmoved(0, up)),
        Case(_slopes(2, **flat, r1=1), of_one_sign(Limit(0, -1, up), Limit(0, -1, down))),
        Case(_slopes(2, **flat, r1=-1), state_and_one_sign(Limit(0, 1, half), Limit(0, 1, origin))),
    )


def _no_before_is_after() -> tuple[Target, tuple[Case, ...]]:
    """Two units see one state, through two reset gates, of which one opens and the other closes."""
    numbers = {W_R: ((1,), (-1,)), U_N: ((-4, 0), (1, 0)), B_N: ((HALF,), (0,))}
    target = Target(Reset.AFTER, 2, numbers)
    plus, minus, origin, half, other = (_1, _0), (-_1, _0), (_0, _0), (HALF, _0), (_0, _1)
    flat = {"z2": 0, "n2": 0}
    closing = {**flat, "r1": -1}
    return target, (
        *(Case(_slopes(2, z2=s), copied(Limit(1, s, other))) for s in NONZERO),
        *(Case(_slopes(2, z2=0, n2=s), opposite(1, plus)) for s in NONZERO),
        Case(_slopes(2, **flat, r1=0), unmoved(1, plus)),
        Case(_slopes(2, **flat, r1=1), of_one_sign(Limit(1, -1, plus), Limit(1, -1, minus))),
        *(Case(_slopes(2, **closing, z1=s), copied(Limit(0, s, plus))) for s in NONZERO),
        *(Case(_slopes(2, **closing, z1=0, n1=s), opposite(0, origin)) for s in NONZERO),
        Case(_slopes(2, **closing, z1=0, n1=0), state_and_one_sign(Limit(0, 1, half), Limit(0, 1, origin))),
    )


def _no_whole_is(reset: Reset) -> tuple[Target, tuple[Case, ...]]:
    """A closed reset gate leaves b_n; in a whole GRU it leaves nothing."""
    target = Target(reset, 1, {W_R: ((1,),), U_N: ((1,),), B_N: ((HALF,),)})
    return target, (
        *(Case(_slopes(1, z1=s), copied(Limit(0, s, (_1,)))) for s in NONZERO),
        *(Case(_slopes(1, z1=0, r1=s), copied(Limit(0, -s, (_0,)))) for s in NONZERO),
        *(Case(_slopes(1, z1=0, r1=0, n1=s), opposite(0, (_0,))) for s in NONZERO),
        Case(_slopes(1, z1=0, r1=0, n1=0), unmoved(0, (_1,))),
    )


def _no_other_is_whole() -> tuple[Target, tuple[Case, ...]]:
    """The candidate state saturates where the reset gate opens, and is 0 where it closes."""
    target = Target(Reset.WHOLE, 1, {W_R: ((1,),), W_N: ((1,),)})
    return target, (
        Case(_slopes(1, z1=1), copied(Limit(0, 1, (_0,)))),
        Case(_slopes(1, z1=-1), copied(Limit(0, -1, (_1,)))),
        *(Case(_slopes(1, z1=0, n1=s), saturated_below(Limit(0, -s, (_0,)))) for s in NONZERO),
        Case(_slopes(1, z1=0, n1=0), less_than_one(Limit(0, 1, (_1,)))),
    )


#: (placement of the target, placement of the candidates) -> the target and the cases.
CASES: Mapping[tuple[Reset, Reset], Callable[[], tuple[Target, tuple[Case, ...]]]] = {
    (Reset.BEFORE, Reset.AFTER): _no_after_is_before,
    (Reset.AFTER, Reset.BEFORE): _no_before_is_after,
    (Reset.BEFORE, Reset.WHOLE): lambda: _no_whole_is(Reset.BEFORE),
    (Reset.AFTER, Reset.WHOLE): lambda: _no_whole_is(Reset.AFTER),
    (Reset.WHOLE, Reset.BEFORE): _no_other_is_whole,
    (Reset.WHOLE, Reset.AFTER): _no_other_is_whole,
}


@cache
def no_conversion(reset: Reset | str, target: Reset | str) -> Theorem:
    """There is a GRU of the placement `target` that no GRU of the placement `reset` with as many units is.

    Raises:
        ProofError: a step cannot be shown.
    """
    reset, target = Reset(reset), Reset(target)
    one, cases = CASES[target, reset]()
    steps = (*_reductions(one), *exclude(one, reset, cases))
    return Theorem(
        name=f"no-{reset.value}-is-{target.value}",
        statement=f"There is a GRU with reset {target.value}{_without_c(target)} that no parameters of the "
        f"GRU with reset {reset.value}, in either polarity and with the same number of units, reproduce: "
        f"their new states differ for some input and state. This holds for every number of inputs from 1 "
        f"on and every number of units from {one.units} on.",
        latex=rf"\exists\,\theta\;\forall\,\theta'\;\exists\,x, h:\; h^{{\mathrm{{{target.value}}}}}(\theta; "
        rf"x, h) \neq h^{{\mathrm{{{reset.value}}}}}(\theta'; x, h)",
        assumptions=(
            "both take the same input x and the same state h, any real numbers; the claim is about one step "
            "from any state, not about sequences that start from the state 0",
            "a conversion that adds units, or that writes the state in other coordinates, is not excluded",
            "exact arithmetic",
        ),
        premises=tuple(dict.fromkeys(keep_is_update(r).name for r in (target, reset))),
        steps=steps,
        conclusion="The cases cover every sign of every weight of x, so no candidate has the limits of the "
        "target: none is the same function, nor equal to it on any open set of inputs and states.",
        equations=(
            *equations({f"reset {r.value}, in polarity keep": gru("keep", r).step for r in (target, reset)}),
            *_notation(one, steps),
        ),
    )


def _notation(target: Target, steps: tuple[Step, ...]) -> Equations:
    """The target, and what the symbols of the steps are: of those for one unit or pair, the first."""
    used = {str(s) for step in steps if step.equation for side in step.equation for s in side.free_symbols}
    of_a_unit = sorted({re.sub(r"\d$", "1", name) for name in used if re.search(r"_\d$", name)})
    of_a_pair = sorted({re.sub(r"\d\d$", "12", name) for name in used if re.search(r"_\d\d$", name)})
    states = ", ".join(["1/2", "0"][: target.units])
    lines = [
        f"L1(+; {states}) is the new state of unit 1 for x → +∞, from the state ({states}); L1(−; {states}) "
        "for x → −∞"
    ]
    if of_a_unit:
        lines.append(f"{', '.join(of_a_unit)}: the elements of unit 1 of the weights of x and the biases")
    if of_a_pair:
        lines.append(f"{', '.join(of_a_pair)}: the weights of the state of unit 2 in unit 1")
    if any("_limit" in name for name in used):
        lines.append("_limit: the limit, between 0 and 1, of a reset gate whose weight of x has any sign")
    return (("the target", (str(target),)), ("notation", tuple(lines)))


def _without_c(target: Reset) -> str:
    return ", even with c_n = 0," if target is Reset.AFTER else ""


def _reductions(target: Target) -> tuple[Step, ...]:
    units = "one unit" if target.units == 1 else f"{target.units} units"
    return (
        Step(
            f"one input, {units} and polarity keep are enough",
            "a larger target is this one with zeros for all other parameters; a larger candidate that is "
            "equal to it is, at inputs and states that are 0 elsewhere, a candidate of this size that is "
            "equal to this target; and candidates of the two polarities are the same functions "
            "(keep-is-update)",
        ),
        Step(
            "every value of a step is s*x + v up to an exponentially small rest, as x grows",
            "numbers are; sums and products with a value of s = 0 are again; σ and tanh go to their end "
            "values if s ≠ 0 and to σ(v) and tanh(v) if s = 0, exponentially fast; if the sign of s is not "
            "known it is one of these, so there is a limit",
        ),
        Step(
            "if the target and a candidate were equal on an open set of inputs and states, they would be "
            "equal",
            "both are analytic functions of x and h; so a bound on the inputs does not help",
        ),
    )
