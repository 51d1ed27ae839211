"""What no plain GRU computes, whatever its parameters and its size: values made of σ and tanh cannot do it.

Layer norm comes to its limit slowly: x/√(x² + ε) is 1 but for about ε/(2x²), while all values of a plain GRU
come to s·x + v exponentially fast (`symgru.proof.germs`). A clipped pre-activation is flat beyond the clip,
while values of a plain GRU are analytic functions of x: flat on an interval is flat everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import product

import sympy as sp

from symgru.cells import CELLS
from symgru.derivation import Loop
from symgru.equations import Cell, Pointwise, Polarity, Program, Reset, gru, relu, rsqrt, sigmoid
from symgru.equations.gru import H_NEW, H_PREV, W_N, X
from symgru.proof.activations import LIMIT, with_clipping
from symgru.proof.evaluation import SYMBOLIC, Arithmetic, Value, Values, evaluate
from symgru.proof.germs import GERMS, Germ, constant
from symgru.proof.lemmas import TANH_INCREASING, check
from symgru.proof.normalisation import layer_norm_per_gate
from symgru.proof.polarity import EXACT, published
from symgru.proof.simulation import simulate_loop
from symgru.proof.terms import equations
from symgru.proof.text import plain
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

EPSILON, P, N = (sp.Symbol(name, real=True) for name in ("epsilon", "p", "n"))
HALF, ONE, ZERO = sp.Rational(1, 2), sp.S.One, sp.S.Zero
TARGET = sp.tanh(X * rsqrt(X**2 + EPSILON)) / 2

ANY_STATE = (
    "both take the same input x, any real number; the target starts from the state 0, the plain GRU from any "
    "state; unit 1 of the target is compared with every unit of the plain GRU",
    "a plain GRU has no function but σ and tanh; primes mark it",
)

Numbers = Mapping[str, int]  # parameter -> the number that all its units have


def _values(
    step: Program, numbers: Numbers, columns: Mapping[str, tuple[int, ...]], units: int
) -> dict[sp.Symbol, Value]:
    """All inputs of a step with one input x and the state 0; what is not named is 0."""
    values: dict[sp.Symbol, Value] = {X: [X], H_PREV: [ZERO] * units}
    for symbol in step.inputs.keys() - values.keys():
        axes = step.inputs[symbol].axes
        column = columns.get(symbol.name, (numbers.get(symbol.name, 0),) * units)
        rows = [[sp.Integer(number)] * (units if axes[1:] == ("H",) else 1) for number in column]
        values[symbol] = rows if len(axes) == 2 else [row[0] for row in rows]
    return values


def _new_state(step: Program, values: Values) -> sp.Expr:
    """The new state of the first unit, with σ(0) = 1/2 and relu(a) as a or 0 where the sign of a is known."""
    functions = {**SYMBOLIC.functions, "sigmoid": _sigmoid, "relu": _relu}
    return evaluate(step, values, Arithmetic(SYMBOLIC.number, functions))[H_NEW][0]


def _sigmoid(argument: sp.Expr) -> sp.Expr:
    return HALF if argument == 0 else sigmoid(argument)


def _relu(argument: sp.Expr) -> sp.Expr:
    argument = sp.expand(argument)
    if argument.is_nonnegative:
        return argument
    return ZERO if argument.is_nonpositive else relu(argument)


def _settled(step: Program) -> None:
    """All plain GRUs of a placement come to their limits exponentially fast; two units stand for any number.

    Raises:
        ProofError: a value grows, so there is no limit.
    """
    values: dict[sp.Symbol, Value] = {X: [Germ(ONE, ZERO)]}
    for symbol in step.inputs.keys() - values.keys():
        columns = ["1", "2"] if step.inputs[symbol].axes[1:] == ("H",) else ["1"]
        rows = [[constant(sp.Symbol(f"{symbol}_{i}{j}", real=True)) for j in columns] for i in "12"]
        values[symbol] = rows if len(step.inputs[symbol].axes) == 2 else [row[0] for row in rows]
    for new in evaluate(step, values, GERMS)[H_NEW]:
        new.limit  # noqa: B018 - it raises if there is none


def _layer_norms() -> Iterator[tuple[Cell, Numbers]]:
    """Cells with layer norm, over all gates or for each, and what makes their gates 1/2 and the gain 1."""
    yield CELLS["haste_layernorm_gru"](), {"gain_W_n": 1}
    yield CELLS["dreamer_gru"](), {"gain_n": 2, "b_z": 1}
    yield layer_norm_per_gate(Polarity.KEEP), {"gain_n": 1}


def layer_norm_target(cell: Cell, numbers: Numbers) -> Step:
    """A GRU with layer norm of two units whose new state, from 0, is tanh(x/√(x² + ε))/2.

    Args:
        cell: The cell; all its weights of x are 1 in the first unit and −1 in the second.
        numbers: Gains and shifts; what is not named is 0.
    Raises:
        ProofError: its new state is another one.
    """
    columns = {symbol.name: (1, -1) for symbol in cell.step.parameters if symbol.name.startswith("W_")}
    new = _new_state(cell.step, _values(cell.step, numbers, columns, 2))
    smallest = [node.args[0] - X**2 for node in new.atoms(rsqrt) if X in node.free_symbols]
    if len(smallest) != 1 or not (smallest[0].is_Rational and smallest[0] > 0):
        raise ProofError(f"cell {cell.name}: expected the root of x² + ε with ε > 0, got {new}")
    expected = TARGET.xreplace({EPSILON: smallest[0]})
    given = ", ".join(f"{name} = {number}" for name, number in numbers.items())
    step = Step(
        f"h_new = {expected} in unit 1, from the state 0",
        f"the cell evaluated for two units, with 1 and −1 for all weights of x, {given}, all else 0",
        (new, expected),
    )
    if not step.checked:
        raise ProofError(f"cell {cell.name}: '{step.claim}' does not hold, it is {new}")
    return step


@cache
def no_gru_is_layer_norm() -> Theorem:
    """No parameters of a plain GRU make it one with layer norm.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    for cell, numbers in _layer_norms():
        steps += in_case(cell.title, (layer_norm_target(cell, numbers),))
    return Theorem(
        name="no-gru-is-layer-norm",
        statement="There is a GRU with layer norm that no parameters of a plain GRU reproduce, whatever its "
        "number of units, its polarity and its reset placement: with the norm over all gates, as in Haste "
        "and DreamerV3, and with one for each gate, for any number of units from 2 on and any ε > 0.",
        latex=r"x^2\left(\tfrac{1}{2}\tanh 1 - \tfrac{1}{2}\tanh\tfrac{x}{\sqrt{x^2 + \varepsilon}}\right) "
        r"\to \tfrac{\varepsilon}{4}(1 - \tanh^2 1) \neq 0,\quad\text{but}\quad h^{\mathrm{plain}}(x) = L + "
        r"O(e^{-\delta x})",
        assumptions=(
            *ANY_STATE,
            EXACT,
        ),
        steps=(*steps, *_slow_approach(), *_fast_approach()),
        conclusion="So a layer norm cannot be written into the weights, as batch norm at inference can "
        "(batch-norm-is-plain). For ε > 0 both are analytic functions of x, so they are not equal on any "
        "interval of inputs either.",
        equations=(
            *equations({cell.title: cell.step for cell, _ in _layer_norms()}),
            (
                "notation",
                (
                    "p = x*rsqrt(x**2 + epsilon), rsqrt(a) = 1/√a; n: number of units",
                    "epsilon: that of the norm, 1/100000 or 1/1000 above; it occurs under the root alone",
                ),
            ),
        ),
    )


def _slow_approach() -> Iterator[Step]:
    yield Step(
        "p with n*epsilon/2 for epsilon: 2*x**2*(x**2 + n*epsilon/2) = x**2*(2*x**2 + n*epsilon)",
        "n units of which two have the weights 1 and −1 of x and the others 0 have the variance 2x²/n, so a "
        "gain that is √(2/n) times as large gives the square (2x²/n)/(2x²/n + ε) = x²/(x² + nε/2)",
        (2 * X**2 * (X**2 + N * EPSILON / 2), X**2 * (2 * X**2 + N * EPSILON)),
    )
    yield Step(
        "x**2*(1 - p)*(1 + p) = epsilon*p**2",
        "rsqrt(a)**2*a = 1, so x**2 = p**2*(x**2 + epsilon), put in for the first part of x**2 - x**2*p**2",
        (P**2 * (X**2 + EPSILON) - X**2 * P**2, EPSILON * P**2),
    )
    yield Step(
        "x**2*(1 - p) → epsilon/2 for x → +∞",
        "it is epsilon*p**2/(1 + p), and p → 1",
    )
    yield Step(
        "x**2*(tanh(1)/2 - h_new) → epsilon*(1 - tanh(1)**2)/4 for x → +∞, which is positive",
        "h_new = tanh(p)/2, and the slope of tanh at 1 is positive",
        lemmas=(check(TANH_INCREASING).name,),
    )


def _fast_approach() -> Iterator[Step]:
    for polarity, reset in product(Polarity, Reset):
        _settled(gru(polarity, reset).step)
    yield Step(
        "h_new′ is a number L and a rest of at most C*exp(-delta*x), for every plain GRU",
        "every value of a step is s*x + v up to an exponentially small rest, as x grows: sums and products "
        "with a value of s = 0 are again; σ and tanh go to their end values if s ≠ 0 and to σ(v) and tanh(v) "
        "if s = 0, exponentially fast; in every placement and polarity h_new′ has s = 0",
    )
    yield Step(
        "h_new and h_new′ differ for some x",
        "were they equal, L would be tanh(1)/2; but x**2*(L - h_new′) → 0",
    )


# Clipped pre-activations.


def without_relu(loop: Loop) -> Iterator[tuple[sp.Symbol, sp.Expr, sp.Expr]]:
    """(clipped value, its definition where the clip does nothing, what is clipped) for each that is clipped.

    Raises:
        ProofError: nothing is clipped, or not from −c to c.
    """
    found = False
    for statement in loop.step:
        if not isinstance(statement, Pointwise) or not statement.expression.has(relu):
            continue
        (argument,) = statement.reads - {LIMIT}
        inside = {relu(argument + LIMIT): argument + LIMIT, relu(argument - LIMIT): ZERO}
        definition = statement.expression.xreplace(inside)
        if definition.has(relu):
            raise ProofError(f"'{statement}': expected a clip of {argument} from -limit to limit")
        found = True
        yield statement.target, definition, argument
    if not found:
        raise ProofError(f"loop {loop.name}: nothing is clipped")


def _inactive(reset: Reset) -> Iterator[Step]:
    """The clipped GRU where no clip does anything is the plain one, statement by statement."""
    cell = gru(Polarity.KEEP, reset)
    clipped = with_clipping(cell)
    images = {}
    for target, definition, argument in without_relu(clipped):
        yield Step(
            f"{target} = {argument}",
            f"relu({argument} + limit) = {argument} + limit and relu({argument} - limit) = 0",
            (definition, argument),
        )
        images[target] = argument
    statements = tuple(
        Pointwise(s.target, images[s.target]) if s.target in images else s for s in clipped.step
    )
    inputs = {symbol: shape for symbol, shape in clipped.step.inputs.items() if symbol != LIMIT}
    inside = Loop(clipped.name, Program(inputs, statements, clipped.step.outputs), clipped.carry)
    yield from simulate_loop(published(cell), inside, {}, inline=True).steps


@cache
def clipped_is_plain() -> Theorem:
    """A clip that no pre-activation reaches may be left out.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    for reset in Reset:
        steps += in_case(f"reset {reset.value}", _inactive(reset))
    return Theorem(
        name="clipped-is-plain-if-inactive",
        statement="A GRU with pre-activations clipped from −c to c, as ONNX has it, computes what the plain "
        "GRU with the same parameters does on all sequences on which no pre-activation is beyond −c and c.",
        latex=r"|a_t| \le c\ \text{for all } t \;\Rightarrow\; h^{\mathrm{clipped}}_t = h_t",
        assumptions=(
            "at every step every pre-activation of both gates and of the candidate is from −limit to limit",
            "the parameters, inputs and initial state are equal; primes mark the clipped GRU",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="Bounds of inputs and states bound the pre-activations: by bounded-states no state is "
        "beyond 1 or the first one, so ‖W‖ max|x| + ‖U‖ max(1, |h_0|) + |b| ≤ c is enough (with the largest "
        "row sum of absolute values as norm, and |c_n| added for reset after). The condition cannot be left "
        "out: no-gru-is-clipped.",
        equations=equations({f"reset {r.value}": with_clipping(gru(Polarity.KEEP, r)).step for r in Reset}),
    )


def clipped_target(reset: Reset) -> tuple[Step, Step]:
    """One unit whose candidate reads x, clipped: its new state at x = 0 and at all x = limit + beyond.

    Raises:
        ProofError: the new state is another one.
    """
    limit, beyond = sp.Symbol("limit", positive=True), sp.Symbol("beyond", nonnegative=True)
    step = with_clipping(gru(Polarity.KEEP, reset)).step
    weight = 2 if reset is Reset.WHOLE else 1  # its reset gate, 1/2, is a factor of W_n x
    values = _values(step, {W_N.name: weight}, {}, 1) | {LIMIT: [limit]}
    steps = []
    for x, expected in ((ZERO, ZERO), (limit + beyond, sp.tanh(limit) / 2)):
        new = _new_state(step, values | {X: [x]})
        made = Step(
            f"h_new = {expected} for x = {x}, from the state 0",
            f"the cell evaluated for one unit, with W_n = {plain(weight)} and all else 0; relu(a) is a for "
            "a >= 0, else 0",
            (new, expected),
        )
        if not made.checked:
            raise ProofError(f"reset {reset.value}: '{made.claim}' does not hold, it is {new}")
        steps.append(made)
    return steps[0], steps[1]


@cache
def no_gru_is_clipped() -> Theorem:
    """No parameters of a plain GRU make it one that clips.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    for reset in Reset:
        steps += in_case(f"reset {reset.value}", clipped_target(reset))
    return Theorem(
        name="no-gru-is-clipped",
        statement="For every c > 0 there is a GRU with pre-activations clipped from −c to c, as ONNX has it, "
        "that no parameters of a plain GRU reproduce, whatever its number of units, its polarity and its "
        "reset placement.",
        latex=r"\tfrac{1}{2}\tanh\,\mathrm{clip}(x, -c, c) = \tfrac{1}{2}\tanh c\ \;\forall x \ge c,\ \;= 0\ "
        r"\text{at } x = 0",
        assumptions=(
            *ANY_STATE,
            "limit is positive, beyond is 0 or positive",
            EXACT,
        ),
        steps=(
            *steps,
            Step(
                "h_new′ is an analytic function of x for every plain GRU, so constant if so for x >= limit",
                "sums, products and compositions of σ, tanh and numbers are analytic, and an analytic "
                "function that is 0 on an interval is 0",
            ),
            Step(
                "h_new and h_new′ differ for some x >= 0",
                "h_new is tanh(limit)/2 for all x >= limit and 0 for x = 0, and tanh(limit) > tanh(0) = 0",
                lemmas=(check(TANH_INCREASING).name,),
            ),
        ),
        conclusion="The same holds on every interval of inputs with limit inside. Where the clip does "
        "nothing it may be left out: clipped-is-plain-if-inactive.",
        equations=equations({f"reset {r.value}": with_clipping(gru(Polarity.KEEP, r)).step for r in Reset}),
    )
