"""Update gates with a second job: there the change of polarity is no change of sign, and other models result.

MGU      the gate also resets: its complement resets differently
AUGRU    the gate is scaled by an attention score: published as 1 − a z, programmed as (1 − a) z
FastGRNN gate and candidate share W and U
p-norm   the candidate is weighed by (1 − zᵖ)^(1/p)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import sympy as sp

from symgru.cells import CELLS, FLIPPED
from symgru.equations import Cell, CellBuilder, Polarity, Program, rsqrt, sigmoid, tanh
from symgru.equations.gru import H_NEW, H_PREV, U_N, UPDATE_GATE
from symgru.proof.evaluation import DIGITS, SYMBOLIC, Value, evaluate
from symgru.proof.germs import GERMS, Germ, constant
from symgru.proof.inequalities import Inequalities, Product
from symgru.proof.lemmas import COMPLEMENT_POSITIVE, SIGMOID_POSITIVE, TANH_INCREASING, check
from symgru.proof.polarity import EXACT, published
from symgru.proof.refutations import SIZES, enclose, fractions
from symgru.proof.simulation import simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case
from symgru.proof.witness import Refutation, Witness

ATTENTION, PREACTIVATION, F, N, P, P_PRIME, U_N_PRIME = (
    sp.Symbol(name, real=True)
    for name in ("attention", "candidate_preactivation", "forget_gate", "n", "p", "p_prime", "U_n_prime")
)
SIGNS: Mapping[int, str] = {1: "> 0", 0: "= 0", -1: "< 0"}
ONE_UNIT = "one input and one unit are enough: in a larger cell all other parameters, inputs and states are 0"


def refute_with(
    name: str, cells: tuple[Cell, Cell], negated: tuple[str, ...], titles: tuple[str, str], statement: str
) -> Refutation:
    """Two cells on the same fractions, but for parameters that are negated in the second.

    Raises:
        ProofError: the intervals of the outputs overlap in every unit.
    """
    left, right = (cell.step for cell in cells)
    values = fractions(dict(left.inputs) | dict(right.inputs), SIZES)
    mirrored = {s: negative(value) if str(s) in negated else value for s, value in values.items()}
    witness = Witness(
        sizes=SIZES,
        values={str(symbol): value for symbol, value in values.items()},
        left=enclose(left, values),
        right=enclose(right, mirrored),
        digits=DIGITS,
    )
    relation = {symbol: -symbol for symbol in values if str(symbol) in negated}
    latex = r"h(\theta) \neq h'(\theta')"
    return Refutation(name, statement, latex, *titles, witness, (left, right), relation)


def negative(value: Value) -> Value:
    """Every element negated."""
    return [negative(part) if isinstance(part, list) else -part for part in value]


def at_infinite_state(step: Program, sign: int, gate: str, end: int) -> dict[sp.Symbol, Value]:
    """The values of a step of one unit for h → ±∞, with U of the gate of the given sign, as germs in |h|.

    Args:
        step: One step, with one input and one unit.
        sign: Of the recurrent weight of the gate.
        gate: Its letter.
        end: +1 or −1, for h → +∞ or −∞.
    """
    values: dict[sp.Symbol, Value] = {}
    for symbol, shape in step.inputs.items():
        number = _recurrent(symbol, sign) if str(symbol) == f"U_{gate}" else symbol
        element = Germ(sp.Integer(end), sp.S.Zero) if symbol == H_PREV else constant(number)
        values[symbol] = [[element]] if len(shape.axes) == 2 else [element]
    return evaluate(step, values, GERMS)


def _recurrent(symbol: sp.Symbol, sign: int) -> sp.Expr:
    return sp.Symbol(str(symbol), positive=sign > 0, negative=sign < 0) if sign else sp.S.Zero


def kept(step: Program, sign: int, gate: str, end: int) -> sp.Expr:
    """The part of an infinite state that the new state keeps: lim h′/h for h → ±∞."""
    new: Germ = at_infinite_state(step, sign, gate, end)[H_NEW][0]
    return sp.expand(new.slope * end)


# MGU: no parameters change the polarity.


@cache
def mgu_polarity() -> Theorem:
    """No parameters of an MGU of one polarity make it one of the other.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for name in ("mgu", "mgu_after"):
        one, other = CELLS[name]().step, FLIPPED[name]().step
        programs |= {f"{name}, one polarity": one, f"{name}, the other polarity": other}
        for title, target, candidate in (("published", one, other), ("other", other, one)):
            steps += in_case(f"{name}, target of the {title} polarity", _no_mgu(target, candidate))
    return Theorem(
        name="no-mgu-is-its-mirror",
        statement="There is an MGU that no parameters of the MGU of the other polarity reproduce, with as "
        "many units: its gate also resets the state, so 1 − f for f is another model. This holds with the "
        "gate before the recurrent product, as published, and after it, as in Flax, from each polarity to "
        "the other.",
        latex=r"\exists\,\theta\;\forall\,\theta'\;\exists\,x, h:\; h^{\mathrm{keep}}(\theta; x, h) \neq "
        r"h^{\mathrm{update}}(\theta'; x, h)\ \text{and vice versa}",
        assumptions=(
            "the target has W_f = 1 and U_n ≠ 0, all its other parameters are 0",
            "both take the same input x and the same state h, any real numbers",
            ONE_UNIT,
            "primes mark the candidate; all its parameters are free",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="U_n = 0 contradicts the choice of the target. So MGU, its Flax form and their mirrors "
        "are four models: weights cannot be carried over from one polarity to the other.",
        equations=(
            *equations(programs),
            ("notation", ("lim: for h_prev → +∞", "U_n_prime: U_n of the candidate")),
        ),
    )


def _no_mgu(target: Program, candidate: Program) -> Iterator[Step]:
    """Infinite states give the gate of the candidate, and the coefficient of h then contradicts itself."""
    weight, ours = _coefficients(target, F)
    for sign in (1, -1):
        limit = kept(candidate, sign, "f", 1)
        yield Step(
            f"U_f′ {SIGNS[sign]}: lim h_new′/h_prev = {limit}, so the candidate is not the target",
            f"the gate goes to 1 or 0; for the target lim h_new/h_prev = {weight} is strictly between 0 and "
            "1",
            (limit, sp.Integer(int(limit))),
            tuple(check(lemma).name for lemma in (SIGMOID_POSITIVE, COMPLEMENT_POSITIVE)),
        )
    mirrored, theirs = _coefficients(candidate, 1 - F)
    yield Step(
        "U_f′ = 0 and forget_gate′ = 1 - forget_gate for all x",
        "equal limits of h_new/h_prev: the part of the state that the candidate keeps takes no value twice, "
        "and with this gate it is that of the target",
        (mirrored, weight),
    )
    yield Step(
        "candidate_preactivation = candidate_preactivation′ for all x and h_prev",
        "equal states with equal positive weights need equal candidates, and tanh takes no value twice",
        lemmas=(check(TANH_INCREASING).name,),
    )
    difference = ours - theirs.xreplace({U_N: U_N_PRIME})
    half, two_thirds = (difference.xreplace({F: sp.Rational(*number)}) for number in ((1, 2), (2, 3)))
    yield Step(
        f"{difference} = 0 for forget_gate = 1/2 and 2/3",
        "comparison of coefficients of h_prev at x = 0 and x = log 2, where σ(x) is 1/2 and 2/3",
    )
    yield Step("U_n = 0", "three times the second minus twice the first", (3 * two_thirds - 2 * half, U_N))


def _coefficients(step: Program, gate: sp.Expr) -> tuple[sp.Expr, sp.Expr]:
    """The coefficients of h in the new state, and in the candidate's pre-activation, for a given gate."""
    symbols = {s: [[s]] if len(shape.axes) == 2 else [s] for s, shape in step.inputs.items()}
    values = evaluate(step, symbols, SYMBOLIC)
    new, argument = (values[s][0].replace(sigmoid, lambda _: gate) for s in (H_NEW, PREACTIVATION))
    of_state = sp.expand(new.replace(sp.tanh, lambda _: N)).coeff(H_PREV)
    return of_state, sp.factor(sp.expand(argument).coeff(H_PREV))


# AUGRU: the part of the state that is kept is another one.


@cache
def augru_paper_is_not_code() -> Theorem:
    """For no attention and no parameters is the published AUGRU the programmed one.

    Raises:
        ProofError: a step cannot be shown.
    """
    return _no_augru(
        "no-augru-paper-is-code",
        (CELLS["augru_paper"](), CELLS["augru_code"]()),
        ((ATTENTION, 2 - P), (1 - ATTENTION, 2 - P_PRIME)),
        "AUGRU as published, and as its authors' code and oneDNN have it, are never the same function, "
        "whatever the parameters of both and whatever attention a from 0 to 1: a published unit keeps a part "
        "1 − a z of its state, which is above 1 − a, a programmed one (1 − a) z′, which is below.",
        "the attention is from 0 to 1, the same in both, and does not depend on the state",
    )


@cache
def augru_polarity(name: str) -> Theorem:
    """The polarity of an AUGRU cannot be changed where the attention halves the gate at least.

    Args:
        name: augru_paper or augru_code.
    Raises:
        ProofError: a step cannot be shown.
    """
    paper = name == "augru_paper"
    scale = ATTENTION if paper else 1 - ATTENTION
    both = CELLS[name](), FLIPPED[name]()
    return _no_augru(
        f"no-{name.replace('_', '-')}-is-its-mirror",
        both if paper else both[::-1],
        ((sp.Integer(2), 1 - 2 * scale), (scale, 2 - P), (scale, 2 - P_PRIME)),
        f"No parameters turn AUGRU, {'as published' if paper else 'as programmed'}, from one polarity into "
        f"the other where the attention is {'at most' if paper else 'at least'} 1/2: the part of the state "
        "that is kept is another one, whatever the parameters of both.",
        f"the attention is from {'0 to 1/2' if paper else '1/2 to 1'}, the same in both, and does not depend "
        "on the state",
    )


def _no_augru(
    name: str, cells: tuple[Cell, Cell], certificate: tuple[Product, ...], statement: str, attention: str
) -> Theorem:
    left, right = (cell.step for cell in cells)
    return Theorem(
        name=name,
        statement=statement,
        latex=r"\forall\,\theta, \theta', x\;\exists\, h:\; h(\theta; a, x, h) \neq h'(\theta'; a, x, h)",
        assumptions=(
            attention,
            "both take the same x and h, any real numbers; all parameters are free; primes mark the second",
            "one unit; with more units this is about one of them, with the state 0 in all others",
            EXACT,
        ),
        steps=tuple(_kept_parts_differ(left, right, certificate)),
        conclusion="At one end at least the first keeps more of an infinite state than the second, so the "
        "new states differ for all large enough states of that sign, for every input.",
        equations=(
            *equations({cells[0].title: left, f"{cells[1].title}, second": right}),
            (
                "notation",
                (
                    "lim: for h_prev → +∞ and for h_prev → −∞",
                    "p, p_prime: the sum of the limits of the update gate at both ends, in the first and the "
                    "second",
                ),
            ),
        ),
    )


def _kept_parts_differ(left: Program, right: Program, certificate: tuple[Product, ...]) -> Iterator[Step]:
    """The sums of what both keep at the two ends differ: those of the gates are between 0 and 2."""
    sums = []
    for step, total, prime in ((left, P, ""), (right, P_PRIME, "′")):
        formula = _sum_of_kept(step, total)
        sums.append(formula)
        for sign, words in SIGNS.items():
            ends = {end: at_infinite_state(step, sign, "z", end) for end in (1, -1)}
            of_gates = sp.Add(*(values[UPDATE_GATE][0].limit for values in ends.values()))
            both = sp.Add(*(values[H_NEW][0].slope * end for end, values in ends.items()))
            yield Step(
                f"U_z{prime} {words}: the limits of h_new{prime}/h_prev add up to {formula}, {total} = "
                f"{of_gates}",
                "the gate goes to 1 at one end and to 0 at the other, or is constant",
                (sp.expand(both), formula.xreplace({total: of_gates})),
            )
    scores = [part for product in certificate for part in product if ATTENTION in part.free_symbols]
    inequalities = Inequalities()
    names = [check(lemma).name for lemma in (SIGMOID_POSITIVE, COMPLEMENT_POSITIVE)]
    inequalities.argue(
        (P, 2 - P, P_PRIME, 2 - P_PRIME), "they are 1, or twice a gate that is constant", names
    )
    inequalities.given(*scores)
    inequalities.show(sums[0] - sums[1], *certificate)
    yield from inequalities.steps
    yield Step(
        f"{sums[0] - sums[1]} > 0",
        f"the sum is not 0: of {', '.join(map(str, scores))} not all are 0, and the other "
        "factors are positive",
    )


def _sum_of_kept(step: Program, total: sp.Symbol) -> sp.Expr:
    """What is kept at both ends together, in the sum of the two gates: the state has a factor affine in z."""
    z = sp.Symbol("z", real=True)
    symbols = {s: [[s]] if len(shape.axes) == 2 else [s] for s, shape in step.inputs.items()}
    new = evaluate(step, symbols, SYMBOLIC)[H_NEW][0].replace(sp.tanh, lambda _: N)
    weight = sp.Poly(sp.expand(new.replace(sigmoid, lambda _: z)).coeff(H_PREV), z)
    if weight.degree() > 1:
        raise ProofError(f"expected a part of the state that is affine in the gate, got {weight.as_expr()}")
    return sp.expand(2 * weight.coeff_monomial(1) + weight.coeff_monomial(z) * total)


# FastGRNN and p-norm: the change of sign alone does not do.


def fastgrnn(polarity: Polarity) -> Cell:
    """FastGRNN, whose gate and candidate share W and U, with a weight for each unit.

        z = σ(W x + U h + b_z),   n = tanh(W x + U h + b_n)
        h′ = z ⊙ h + (σ(ζ) (1 − z) + σ(ν)) ⊙ n                  update: 1 − z for z

    Source: Kusupati et al. 2018, arXiv:1901.02358, section 3.2; RecurrentLayers.jl.
    """
    cell = CellBuilder(
        "fastgrnn", f"FastGRNN, polarity {polarity.value}", "Kusupati et al. 2018, arXiv:1901.02358"
    )
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W, U = cell.weight("W", "H", "I"), cell.weight("U", "H", "H")
    b_z, b_n, zeta, nu = (cell.bias(name, "H") for name in ("b_z", "b_n", "zeta", "nu"))
    z = cell.let("update_gate", sigmoid(W @ x + U @ h + b_z))
    n = cell.let("candidate", tanh(W @ x + U @ h + b_n))
    scale, floor = cell.let("scale", sigmoid(zeta)), cell.let("floor", sigmoid(nu))
    keep = z if polarity is Polarity.KEEP else 1 - z
    cell.update(h, keep * h + (scale * (1 - keep) + floor) * n)
    return cell.build()


def p_norm_gru(polarity: Polarity) -> Cell:
    """A GRU without a reset gate whose weights of state and candidate have the 2-norm 1.

        keep    h′ = z ⊙ h + √(1 − z²) ⊙ n               update   h′ = √(1 − z²) ⊙ h + z ⊙ n

    Source: arXiv:1608.03639, as named by the gatePnormValue of Apple's MPSGRUDescriptor.
    """
    cell = CellBuilder(
        "p_norm_gru", f"2-norm gates, polarity {polarity.value}", "arXiv:1608.03639; MPSGRUDescriptor"
    )
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W_z, W_n = cell.weight("W_z", "H", "I"), cell.weight("W_n", "H", "I")
    U_z, U_n = cell.weight("U_z", "H", "H"), cell.weight("U_n", "H", "H")
    b_z, b_n = cell.bias("b_z", "H"), cell.bias("b_n", "H")
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    n = cell.let("candidate", tanh(W_n @ x + U_n @ h + b_n))
    rest = cell.let("rest", (1 - z**2) * rsqrt(1 - z**2))
    cell.update(h, z * h + rest * n if polarity is Polarity.KEEP else rest * h + z * n)
    return cell.build()


def fastgrnn_polarities_differ() -> Refutation:
    """Negating what the gate reads does not change the polarity of a FastGRNN: the candidate reads it too.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    return refute_with(
        "fastgrnn-is-not-mirrored",
        (fastgrnn(Polarity.KEEP), fastgrnn(Polarity.UPDATE)),
        ("W", "U", "b_z"),
        ("polarity keep", "polarity update"),
        "FastGRNN in polarity keep is not FastGRNN in polarity update with (W, U, b_z) negated: the "
        "candidate has the same W and U. That other parameters do not help is not shown; "
        "fastgrnn-mirrors-with-its-state says what does.",
    )


@cache
def fastgrnn_mirrors() -> Theorem:
    """FastGRNN changes its polarity together with the sign of its state.

    Raises:
        ProofError: a step cannot be shown.
    """
    keep, update = (published(fastgrnn(polarity)) for polarity in (Polarity.KEEP, Polarity.UPDATE))
    signs = {s: -s for s in (H_PREV, *(sp.Symbol(name, real=True) for name in ("W", "b_z", "b_n")))}
    result = simulate_loop(keep, update, signs)
    return Theorem(
        name="fastgrnn-mirrors-with-its-state",
        statement="FastGRNN in polarity update, with (W, b_z, b_n) negated, computes the negated states of "
        "polarity keep from the negated initial state.",
        latex=r"h^{\mathrm{update}}_t(-W, U, -b_z, -b_n; -h_0) = -h^{\mathrm{keep}}_t(W, U, b_z, b_n; h_0)",
        assumptions=(
            "W, b_z, b_n and h_0 are negated; U, ζ and ν and the inputs are equal; primes mark update",
            EXACT,
        ),
        steps=result.steps,
        conclusion="With W and U in gate and candidate, the gate turns into its complement exactly if the "
        "candidate changes its sign. A layer that reads the states has to change the sign of its weights.",
        equations=equations({"polarity keep": keep.step}),
    )


def p_norm_polarities_differ() -> Refutation:
    """With weights of 2-norm 1 the complementary gate gives other weights.

    Raises:
        ProofError: the outputs are not shown to differ.
    """
    return refute_with(
        "p-norm-is-not-mirrored",
        (p_norm_gru(Polarity.KEEP), p_norm_gru(Polarity.UPDATE)),
        ("W_z", "U_z", "b_z"),
        ("polarity keep", "polarity update"),
        "With weights z and √(1 − z²) in place of z and 1 − z, polarity keep is not polarity update with "
        "(W_z, U_z, b_z) negated: √(1 − (1 − z)²) is not z. That other parameters do not help is not shown.",
    )
