"""The same model in other coordinates or storage: signs and order of units, blocks, stacking, scales."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import sympy as sp

from symgru.derivation import Loop
from symgru.equations import (
    Contract,
    Pointwise,
    Polarity,
    Product,
    Program,
    Reset,
    Statement,
    bias,
    gru,
    sigmoid,
)
from symgru.equations.gru import (
    B_N,
    C_N,
    CANDIDATE,
    H_NEW,
    H_PREV,
    HIDDEN,
    U_N,
    U_R,
    U_Z,
    W_N,
)
from symgru.proof.evaluation import SYMBOLIC, evaluate
from symgru.proof.groups import in_groups, part
from symgru.proof.lemmas import BLOCKS, TANH_INCREASING, check
from symgru.proof.polarity import EXACT, published
from symgru.proof.simulation import Relation, simulate, simulate_loop
from symgru.proof.terms import equations
from symgru.proof.theorem import ProofError, Step, Theorem, in_case

ALPHA, BETA, U_IJ = (sp.Symbol(name, real=True) for name in ("alpha", "beta", "u_ij"))
TWO_GROUPS = {"a": "A", "b": "B"}
SWAPPED_GROUPS = {"a": "G", "b": "G", "c": "C"}
ZERO = sp.S.Zero
_MIRRORS = tuple(f"keep-is-update-{reset.value}" for reset in Reset)  # names: nothing is proved on import


def _grus(axes: Mapping[str, str]) -> Iterator[tuple[str, Loop]]:
    for reset in Reset:
        yield f"reset {reset.value}", in_groups(gru(Polarity.KEEP, reset), axes)


def _of_both(loop: Loop, images: Relation) -> Relation:
    return {symbol: image for symbol, image in images.items() if symbol in loop.step.inputs}


@cache
def sign_flips() -> Theorem:
    """The signs of any units may be changed: rows of the candidate, columns of every U.

    Raises:
        ProofError: a step cannot be shown.
    """
    flipped = [part(s, "b") for s in (H_PREV, W_N, B_N, C_N)] + [part(U_N, "ba")]
    flipped += [part(U, "ab") for U in (U_R, U_Z, U_N)] + [part(U, "bb") for U in (U_R, U_Z)]
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for title, loop in _grus(TWO_GROUPS):
        programs[f"{title}, polarity keep"] = loop.step
        relation = _of_both(loop, {symbol: -symbol for symbol in flipped})
        steps += in_case(title, simulate_loop(loop, loop, relation).steps)
    return Theorem(
        name="signs-of-units-are-free",
        statement="The signs of any units can be changed: with their rows of (W_n, U_n, b_n, c_n) and their "
        "columns of U_r, U_z and U_n negated, a GRU computes the same states with these units negated, in "
        "every placement and both polarities.",
        latex=r"D = \mathrm{diag}(\pm 1):\quad (W_n, U_n, b_n, c_n, U_r, U_z) \mapsto (DW_n, DU_nD, Db_n, "
        r"Dc_n, U_rD, U_zD) \;\Rightarrow\; h_t \mapsto Dh_t",
        assumptions=(
            "group b are the units whose sign is changed, group a all others; either may be empty; U h is "
            "U_aa h_a + U_ab h_b in group a",
            "all the other parameters and the inputs are equal; the initial state is negated in group b; "
            "primes mark the changed GRU",
            "for polarity update, with the parameters of keep but for the signs of keep-is-update",
            EXACT,
        ),
        premises=_MIRRORS,
        steps=tuple(steps),
        conclusion="The hyperbolic tangent is odd, and gates see products of two signs. Two sets of weights "
        "that differ so are one model, once the layer that reads the states changes its signs too.",
        equations=equations(programs),
    )


@cache
def permutations_of_units() -> Theorem:
    """Units may be put into any order.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    exchange = str.maketrans("ab", "ba")
    for title, loop in _grus(SWAPPED_GROUPS):
        programs[f"{title}, polarity keep"] = loop.step
        relation = {}
        for symbol in loop.step.inputs:
            stem, _, letters = str(symbol).rpartition("_")
            if set(letters) <= set(SWAPPED_GROUPS) and stem:
                relation[symbol] = part(sp.Symbol(stem), letters.translate(exchange))
        steps += in_case(title, simulate_loop(loop, loop, relation).steps)
    steps.append(
        Step(
            "every order of the units is reached by exchanging two of them, time after time",
            "transpositions generate all permutations; a and b are two single units here, c all others",
        )
    )
    return Theorem(
        name="order-of-units-is-free",
        statement="The units can be put into any order: with rows and columns of all parameters in that "
        "order, a GRU computes the same states in that order, in every placement and both polarities.",
        latex=r"(W_k, U_k, b_k) \mapsto (PW_k, PU_kP^\top, Pb_k) \;\Rightarrow\; h_t \mapsto Ph_t",
        assumptions=(
            "groups a and b, of equal size, change places, group c stays; U h is U_aa h_a + U_ab h_b + U_ac "
            "h_c in group a",
            "the inputs are equal, the initial state is in the new order; primes mark the GRU in the new "
            "order",
            "for polarity update, with the parameters of keep but for the signs of keep-is-update",
            EXACT,
        ),
        premises=_MIRRORS,
        steps=tuple(steps),
        conclusion="A layer that reads the states has to take its columns in the new order.",
        equations=equations(programs),
    )


@cache
def blocks_are_dense() -> Theorem:
    """A block-diagonal U is a dense one with zeros; a dense one is in general no block-diagonal one.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    for title, dense in _grus(TWO_GROUPS):
        off = {part(U, letters): ZERO for U in (U_R, U_Z, U_N) for letters in ("ab", "ba")}
        blocks = Loop(dense.name, _without(dense.step, off), dense.carry)
        programs[f"{title}, block-diagonal"] = blocks.step
        steps += in_case(title, simulate_loop(blocks, dense, off).steps)
        steps.append(_independent(title, blocks.step))
        steps.append(_dependent(title, dense.step))
    return Theorem(
        name="block-diagonal-is-dense",
        statement="A GRU with block-diagonal recurrent matrices is the dense one with zeros outside the "
        "blocks. Back it goes with these zeros only: a dense GRU with an element of U_n outside the blocks, "
        "and U_r = U_z = 0, is none with these blocks, whatever the parameters.",
        latex=r"U = \begin{pmatrix} U_{aa} & 0 \\ 0 & U_{bb} \end{pmatrix}",
        assumptions=(
            "two blocks, of the units of a and of b; more blocks are blocks of blocks; polarity keep",
            "from blocks to dense: U_ab = 0 and U_ba = 0 for r, z and n, all the other parameters, the "
            "inputs and the initial state are equal; primes mark the dense form",
            "u_ij is an element of U_n_ab; c_n = 0",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="With elements of U_r or U_z alone outside the blocks the states of a may depend on those "
        "of b or not, as where U_n = 0 hides the reset gate: there zeros are sufficient and not necessary.",
        equations=(*equations(programs), ("elements", ("u_ij of U_n_ab, h_j of h_prev_b",))),
    )


def _without(program: Program, blocks: Relation) -> Program:
    """The program without the products with some blocks."""

    def kept(statement: Statement) -> Statement:
        if not isinstance(statement, Contract):
            return statement
        return Contract(statement.target, tuple(t for t in statement.terms if t.matrix not in blocks))

    inputs = {s: shape for s, shape in program.inputs.items() if s not in blocks}
    return Program(inputs, tuple(map(kept, program)), program.outputs)


def _independent(case: str, blocks: Program) -> Step:
    """The new state of group a is computed without that of group b."""
    of_a = Program(blocks.inputs, blocks.statements, (part(H_NEW, "a"),)).without_dead_statements()
    if part(H_PREV, "b") in of_a.inputs:
        raise ProofError(f"{case}: the new state of group a reads {part(H_PREV, 'b')}")
    return Step(
        "block-diagonal: h_new_a does not depend on h_prev_b, whatever the parameters",
        "no statement that leads to h_new_a reads h_prev_b",
        case=case,
    )


def _dependent(case: str, dense: Program) -> Step:
    """One unit in each group, and one weight: the pre-activation of a moves with the state of b."""
    state, weight = sp.Symbol("h_j", real=True), part(U_N, "ab")
    values = {s: [[ZERO]] if len(shape.axes) == 2 else [ZERO] for s, shape in dense.inputs.items()}
    values |= {weight: [[U_IJ]], part(H_PREV, "b"): [state]}
    preactivation = part(sp.Symbol("candidate_preactivation"), "a")
    moved = evaluate(dense, values, SYMBOLIC)[preactivation][0].xreplace({sigmoid(ZERO): sp.Rational(1, 2)})
    if not moved.coeff(U_IJ * state).is_positive:
        raise ProofError(f"{case}: expected a multiple of {U_IJ * state}, got {moved}")
    return Step(
        f"dense, with u_ij alone: candidate_preactivation_a = {moved}, so h_new_a depends on h_prev_b",
        "gates that read nothing are 1/2, and tanh takes no value twice",
        (moved, U_IJ * state * moved.coeff(U_IJ * state)),
        (check(TANH_INCREASING).name,),
        case,
    )


@cache
def concatenated() -> Theorem:
    """[W U] [x; h] = W x + U h: products with concatenated inputs are sums of two.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = [
        Step(
            "[W U][x; h] = W x + U h, and [U W][h; x] is the same",
            "a sum over the units of x and of h is one over those of x plus one over those of h, in any "
            "order",
            lemmas=(check(BLOCKS).name,),
        )
    ]
    programs: dict[str, Program] = {}
    for reset in Reset:
        apart = published(gru(Polarity.KEEP, reset))
        together = Loop(apart.name, _fused(apart.step), apart.carry)
        programs[f"reset {reset.value}"] = apart.step
        programs[f"one product, reset {reset.value}"] = together.step
        steps += in_case(f"reset {reset.value}", simulate_loop(apart, together, {}, inline=True).steps)
    return Theorem(
        name="storage-is-lossless",
        statement="Stacked, transposed, split or concatenated weights are the same model: one product of [W "
        "U] with [x; h] is W x + U h, for both gates and for the candidate of reset before and whole; rows "
        "of a stacked matrix are the rows of its parts, in whatever order of the gates.",
        latex=r"[W\; U] \begin{pmatrix} x \\ h \end{pmatrix} = Wx + Uh",
        assumptions=(
            "all parameters, the inputs and the initial state are equal; primes mark one product in place of "
            "two",
            "the order of rows and columns of every tensor is known; polarity keep",
            EXACT,
        ),
        steps=(
            *steps,
            Step(
                "order of the gates, transposition, splitting and stacking lose nothing",
                "they are one-to-one maps of the places of a tensor, so their inverses bring every element "
                "back",
            ),
        ),
        conclusion="With reset after, U_n h is multiplied by the reset gate and W_n x is not: there the "
        "candidate needs two products.",
        equations=equations(programs),
    )


def _fused(program: Program) -> Program:
    """The product with h added to that with x, in one statement, where nothing else reads them."""
    statements: list[Statement] = list(program)
    for gate in ("reset", "update", "candidate"):
        from_x, from_h = (sp.Symbol(f"{gate}_from_{v}", real=True) for v in "xh")
        readers = [s for s in statements if from_h in s.reads]
        if any(not isinstance(s, Pointwise) or _apart(s, from_x, from_h) for s in readers):
            continue
        both = sp.Symbol(f"{gate}_from_both", real=True)
        terms = [
            t for s in statements if s.target in (from_x, from_h) and isinstance(s, Contract) for t in s.terms
        ]
        position = next(i for i, s in enumerate(statements) if s.target == from_h)
        statements[position] = Contract(both, tuple(terms))
        statements = [_with_both(s, from_x, from_h, both) for s in statements if s.target != from_x]
    return Program(program.inputs, tuple(statements), program.outputs)


def _apart(statement: Pointwise, first: sp.Symbol, second: sp.Symbol) -> bool:
    """Whether the statement reads more than the sum of the two."""
    moved = statement.expression.xreplace({second: second - first})
    return first in sp.expand(moved).free_symbols


def _with_both(statement: Statement, first: sp.Symbol, second: sp.Symbol, both: sp.Symbol) -> Statement:
    if not isinstance(statement, Pointwise) or second not in statement.reads:
        return statement
    return Pointwise(statement.target, statement.expression.xreplace({first: ZERO, second: both}))


@cache
def scaled_tanh() -> Theorem:
    """A candidate α tanh(β a): β goes into its rows, α only into the scale of the state.

    Raises:
        ProofError: a step cannot be shown.
    """
    steps: list[Step] = []
    programs: dict[str, Program] = {}
    leaving = sp.Symbol("scaled_new", real=True)
    for reset in (Reset.BEFORE, Reset.AFTER):
        plain, scaled = _plain_scaled(reset, leaving), _scaled_tanh(reset)
        programs[f"tanh, reset {reset.value}"] = plain
        steps += in_case(
            f"reset {reset.value}", simulate(plain, scaled, {}, {H_NEW: leaving}, inline=True).steps
        )
    steps.append(
        Step(
            "h_t′ = alpha*h_t at every time step",
            "induction over time, from the first step to the last: it holds where the loop starts, by "
            "assumption, and a step that is entered by scaled_state = alpha*h_prev is left by scaled_new = "
            "alpha*h_new",
        )
    )
    return Theorem(
        name="scaled-tanh-is-tanh",
        statement="A GRU with the candidate α tanh(β a) is one with tanh in other units of its state: β is "
        "put into the rows of the candidate, and α into the columns of every U and into the state, h′ = α h. "
        "So it takes a scale behind the layer, unless α = 1.",
        latex=r"h' = \alpha \odot h,\quad (W_n, b_n) = \beta (W'_n, b'_n),\quad U_k = "
        r"U'_k\,\mathrm{diag}(\alpha),\quad U_n = \mathrm{diag}(\beta)\, U'_n\, \mathrm{diag}(\alpha)",
        assumptions=(
            "α and β may differ from unit to unit; the parameters of the GRU with tanh are diag(β) W_n, "
            "diag(β) U_n diag(α), β b_n, β c_n, U_r diag(α) and U_z diag(α), put as products with α h and β "
            "times what they give",
            "the initial state is α h_0, the inputs are equal; primes mark the scaled tanh; polarity keep",
            EXACT,
        ),
        steps=tuple(steps),
        conclusion="With α = 1 only the rows of the candidate change, and the states are equal. With reset "
        "after β goes into c_n too. ONNX has it among its activations.",
        equations=equations(programs),
    )


SCALED = sp.Symbol("scaled_state", real=True)


def _reading_scaled(statement: Statement, states: bool) -> Statement:
    """The statement with α h for the state: in products, and if `states` also in the state update."""
    if isinstance(statement, Contract):
        terms = tuple(Product(t.matrix, SCALED if t.vector == H_PREV else t.vector) for t in statement.terms)
        return Contract(statement.target, terms)
    if not isinstance(statement, Pointwise) or (statement.target == H_NEW and not states):
        return statement
    return Pointwise(statement.target, statement.expression.xreplace({H_PREV: SCALED}))


def _scaled_program(reset: Reset, states: bool, of_candidate: sp.Expr, *more: Statement) -> Program:
    step = gru(Polarity.KEEP, reset).step
    statements: list[Statement] = [Pointwise(SCALED, ALPHA * H_PREV)]
    argument, scaled = (sp.Symbol(f"candidate_{name}", real=True) for name in ("preactivation", "scaled"))
    for statement in step:
        if statement.target == CANDIDATE:
            statements += [
                Pointwise(scaled, BETA * argument),
                Pointwise(CANDIDATE, of_candidate * sp.tanh(scaled)),
            ]
        else:
            statements.append(_reading_scaled(statement, states))
    inputs = dict(step.inputs) | {ALPHA: bias(HIDDEN), BETA: bias(HIDDEN)}
    return Program(inputs, (*statements, *more), (*step.outputs, *(s.target for s in more)))


def _scaled_tanh(reset: Reset) -> Program:
    """One step with the candidate α tanh(β a), entered by α h."""
    return _scaled_program(reset, True, ALPHA)


def _plain_scaled(reset: Reset, leaving: sp.Symbol) -> Program:
    """One step with the candidate tanh(β a), products with α h, entered by h; what leaves is scaled by α."""
    return _scaled_program(reset, False, sp.S.One, Pointwise(leaving, ALPHA * H_NEW))
