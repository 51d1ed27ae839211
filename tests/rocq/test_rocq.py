"""The file for Rocq: coqc accepts what is true, and refuses, by name, what is not."""

import os
import re
import shutil
from dataclasses import replace

import pytest
import sympy as sp
from click.testing import CliRunner

from symgru.cli import main
from symgru.derivation import Loop, backward, forward
from symgru.equations import (
    Cell,
    CellBuilder,
    Contract,
    Mean,
    Outer,
    Pointwise,
    Program,
    Sum,
    exp,
    mean,
    relu,
    rsqrt,
    select,
    sigmoid,
    softplus,
    tanh,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.equations.gru import B_Z, U_Z, W_Z
from symgru.equations.program import KNOWN_FUNCTIONS
from symgru.rocq import Claim, RocqError, check, claim, claims, export, gradients, states, theorem_name
from symgru.rocq.names import prelude
from symgru.rocq.terms import FUNCTIONS, gallina
from symgru.testing.mutants import mutants

# .ci/run sets the variable where coqc is installed: there its absence is a failure.
needs_coqc = pytest.mark.skipif(
    shutil.which("coqc") is None and not os.environ.get("SYMGRU_REQUIRE_COQC"),
    reason="coqc is not installed (Debian and Ubuntu: package coq), so it checks no proof here",
)


def symbol(name: str) -> sp.Symbol:
    return sp.Symbol(name, real=True)


def with_statement(claim: Claim, target: str, expression: sp.Expr, *sides: str) -> Claim:
    """The claim with another right-hand side of a pointwise statement, in one or both loops."""
    for side in sides:
        loop: Loop = getattr(claim, side)
        statements = (
            Pointwise(s.target, expression) if str(s.target) == target else s for s in loop.step.statements
        )
        step_ = Program(loop.step.inputs, tuple(statements), loop.step.outputs)
        claim = replace(claim, **{side: replace(loop, step=step_)})
    return claim


def related(claim: Claim, **images: sp.Expr) -> Claim:
    return replace(claim, images=dict(claim.images) | {symbol(name): image for name, image in images.items()})


#: What the field operations and the order of the reals rest on, and nothing else.
AXIOMS = (
    "ClassicalDedekindReals.sig_not_dec",
    "ClassicalDedekindReals.sig_forall_dec",
    "FunctionalExtensionality.functional_extensionality_dep",
)


@needs_coqc
def test_coqc_accepts_every_theorem_and_it_rests_on_the_reals_alone():
    found = {name: make() for name, make in claims().items()}
    accepted = check(export(found.values()))
    assert list(accepted) == [theorem_name(claim) for claim in found.values()]
    assert len(accepted) == 12
    assert set(accepted.values()) == {AXIOMS}


def test_the_text_assumes_and_admits_nothing():
    text = export(make() for make in claims().values())
    forbidden = (
        r"\b(Axiom|Axioms|Parameters?|Conjecture|Hypothes[ie]s|Variables?|Admitted|admit|Abort|give_up)\b"
    )
    assert re.findall(forbidden, text) == []
    assert text.count("\nQed.") == text.count("\nProof")


def test_the_text_is_generated_from_the_program():
    claim = states("before")
    text = export([claim])
    assert "fun e i => sum (fun j => W_z v i j * x v e j)." in text
    changed = with_statement(claim, "reset_state", symbol("h_prev") + symbol("reset_gate"), "program")
    assert set(export([changed]).split("\n")) - set(text.split("\n")) == {
        "  fun e i => ((h_prev v e i) + (reset_gate e i))."
    }


# Planted errors: the lemmas are those of the right claim, and coqc has to find the one that fails.

STATES, GRADIENTS = states("before"), gradients("after", lengths=True)
UPDATE_PREACTIVATION = symbol("update_preactivation")
H_PREV, CANDIDATE, VALID = map(symbol, ("h_prev", "candidate", "valid"))
PLANTED = {
    "W_z not negated": (related(STATES, W_z=W_Z), "lemma update_from_x_related"),
    "U_z not negated": (related(STATES, U_z=U_Z), "lemma update_from_h_related"),
    "b_z not negated": (related(STATES, b_z=B_Z), "lemma update_preactivation_related"),
    "b_z doubled": (related(STATES, b_z=-2 * B_Z), "lemma update_preactivation_related"),
    "W_r negated too": (related(STATES, W_r=-symbol("W_r")), "lemma reset_from_x_related"),
    "state negated": (related(STATES, h_prev=-H_PREV), "lemma reset_from_h_related"),
    "gate equal": (related(STATES, update_gate=symbol("update_gate")), "lemma update_gate_related"),
    "polarity not changed": (replace(STATES, program=STATES.reference), "lemma h_new_related"),
    "another placement of the reset gate": (
        replace(STATES, program=states("whole").program),
        "lemma candidate_from_h_related",
    ),
    "gate is relu": (
        with_statement(STATES, "update_gate", relu(UPDATE_PREACTIVATION), "reference", "program"),
        "lemma update_gate_related",
    ),
    "gate is tanh": (
        with_statement(STATES, "update_gate", tanh(UPDATE_PREACTIVATION), "reference", "program"),
        "lemma update_gate_related",
    ),
    "gate is softplus": (
        with_statement(STATES, "update_gate", softplus(UPDATE_PREACTIVATION), "reference", "program"),
        "lemma update_gate_related",
    ),
    "mask inverted": (
        with_statement(
            states("after", lengths=True),
            "h_new",
            select(VALID, H_PREV, symbol("h_new_proposed")),
            "program",
        ),
        "lemma h_new_related",
    ),
    "outputs negated": (
        replace(STATES, goal={symbol("h_new"): -symbol("h_new")}),
        "lemma h_new_shown",
    ),
    "gradient of W_z not negated": (
        replace(GRADIENTS, goal=dict(GRADIENTS.goal) | {symbol("d_W_z"): symbol("d_W_z")}),
        "lemma d_W_z_shown",
    ),
    "gradient of the state negated": (
        replace(GRADIENTS, goal=dict(GRADIENTS.goal) | {symbol("d_h_prev"): -symbol("d_h_prev")}),
        "lemma d_h_prev_shown",
    ),
    "complementary gate taken for the gate": (
        related(GRADIENTS, update_gate_complement=1 - symbol("update_gate")),
        "lemma update_gate_complement_related",
    ),
    "alias that is none": (
        replace(GRADIENTS, aliases={symbol("d_candidate"): symbol("d_update_gate")}),
        "lemma d_candidate_alias",
    ),
}


@needs_coqc
@pytest.mark.parametrize("error", PLANTED)
def test_coqc_refuses_a_planted_error_and_names_the_lemma(error):
    wrong, where = PLANTED[error]
    with pytest.raises(RocqError, match=f"coqc refuses {where} of {theorem_name(wrong)}: "):
        check(export([wrong]))


FALSE_LEMMAS = {
    "sigmoid_reflection": ("sigmoid (- a) = 1 - sigmoid a", "sigmoid (- a) = sigmoid a"),
    "tanh_odd": ("tanh (- a) = - tanh a", "tanh (- a) = tanh a"),
    "sum_scaled": ("sum f = c * sum g", "sum f = c + sum g"),
    "over_steps_scaled": ("over_steps steps f = c * over_steps", "over_steps steps f = - c * over_steps"),
}


@needs_coqc
@pytest.mark.parametrize("name", FALSE_LEMMAS)
def test_coqc_refuses_a_false_lemma(name):
    true, false = FALSE_LEMMAS[name]
    text = export([STATES])
    assert text.count(true) == 1
    with pytest.raises(RocqError, match=f"coqc refuses lemma {name} of the prelude: "):
        check(text.replace(true, false))


@needs_coqc
def test_coqc_refuses_another_logistic_function():
    text = export([STATES]).replace("/ (1 + exp (- a))", "/ (2 + exp (- a))")
    with pytest.raises(RocqError, match="coqc refuses lemma sigmoid_reflection of the prelude"):
        check(text)


@needs_coqc
@pytest.mark.parametrize(
    ("right", "planted"),
    [
        ("  calculate.\nQed.\nEnd Related.", "Admitted.\nEnd Related."),
        ("  calculate.\nQed.\nEnd Related.", "  exact (Cheat _).\nQed.\nEnd Related."),
    ],
)
def test_what_is_assumed_is_found(right, planted):
    text = export([STATES]).replace("Section Related.", "Axiom Cheat : forall P : Prop, P.\nSection Related.")
    assert text.count(right) == 1
    with pytest.raises(RocqError, match=r"keep_is_update_before rests on \S+, expected"):
        check(text.replace(right, planted))


@pytest.mark.thorough
@needs_coqc
def test_coqc_refuses_every_slip_of_the_pen():
    """Every mutant of the update cell, unless it says the same: coqc, not SymPy, is the judge."""
    found = list(mutants(STATES.program.step))
    accepted = [mutant.error for mutant in found if is_accepted(mutant.program)]
    print(f"{len(found) - len(accepted)} of {len(found)} mutants refused by coqc")
    assert len(found) > 50
    assert accepted == []


def is_accepted(step: Program) -> bool:
    try:
        check(export([replace(STATES, program=replace(STATES.program, step=step))]))
    except RocqError as error:
        if not str(error).startswith("coqc refuses"):
            raise
        return False
    return True


# Other cells: every kind of statement and every function.


def lstm() -> Cell:
    cell = CellBuilder("lstm", "LSTM", source="Hochreiter and Schmidhuber 1997, with a forget gate")
    x, h, c = cell.input("x", "I"), cell.state("h", "H"), cell.state("c", "H")

    def preactivation(gate: str) -> sp.Expr:
        weight, recurrent = cell.weight(f"W_{gate}", "H", "I"), cell.weight(f"U_{gate}", "H", "H")
        return weight @ x + recurrent @ h + cell.bias(f"b_{gate}", "H")

    enter, forget, leave = (cell.let(f"{name}_gate", sigmoid(preactivation(name))) for name in "ifo")
    proposed = cell.let("memory", forget * c + enter * tanh(preactivation("c")))
    cell.update(c, proposed)
    cell.update(h, leave * tanh(proposed))
    return cell.build()


@needs_coqc
def test_a_symmetry_of_the_lstm_with_two_states_negated():
    """tanh is odd, so (h, c), what meets h in the gates, and what makes the candidate may change sign."""
    cell = lstm()
    negated = [*(str(entering) for entering, _ in cell.carry), "U_i", "U_f", "U_o", "W_c", "b_c"]
    loop = Loop(cell.name, cell.step, cell.carry)
    goal = {leaving: -leaving for _, leaving in cell.carry}
    found = claim("lstm-sign", "", loop, loop, {symbol(n): -symbol(n) for n in negated}, goal)
    assert set(check(export([found]))) == {"lstm_sign"}
    wrong = related(found, U_c=-symbol("U_c"))
    with pytest.raises(RocqError, match=r"lemma \w+_related of lstm_sign"):
        check(export([wrong]))


def everything() -> Cell:
    """A cell that has every function, every kind of statement, rationals, powers and two masks."""
    cell = CellBuilder("everything", "every function", source="none")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W, U, b = cell.weight("W", "H", "I"), cell.weight("U", "H", "H"), cell.bias("b", "H")
    (a,) = cell.layer_norm("a", [W @ x + U @ h + b], sp.Rational(1, 1000))
    c = cell.let("c", relu(a) + softplus(a) - exp(-(a**2)) * sp.Rational(3, 7))
    d = cell.let("d", rsqrt(1 + mean(c**2)) * tanh(c) ** 3 + sigmoid(-c))
    cell.update(h, d - h / 2)
    return with_resets(with_zoneout(with_lengths(cell.build())))


def itself(cell: Cell, loop: Loop) -> Claim:
    """The claim that a loop on equal arguments has equal outputs."""
    outputs = {output: output for output in loop.step.outputs}
    return claim(f"{cell.name}-itself", "", loop, loop, {}, outputs)


@needs_coqc
def test_every_function_and_statement_is_accepted():
    cell = everything()
    forwards, backwards = forward(cell), backward(forward(cell))
    expressions = [s.expression for s in backwards.step if isinstance(s, Pointwise)]
    functions = set().union(*(expression.atoms(sp.Function) for expression in expressions))
    assert {type(f).__name__ for f in functions} == {f.__name__ for f in KNOWN_FUNCTIONS}
    assert {type(s) for s in backwards.step} == {Pointwise, Contract, Mean, Outer, Sum}
    found = [itself(cell, forwards), replace(itself(cell, backwards), name="everything-backwards")]
    assert len(check(export(found))) == 2


@pytest.mark.thorough
@needs_coqc
def test_a_change_of_any_statement_of_another_cell_is_refused():
    right = itself(everything(), forward(everything()))
    refused = 0
    for statement in right.program.step:
        if isinstance(statement, Pointwise):
            wrong = with_statement(right, str(statement.target), statement.expression + 1, "program")
            with pytest.raises(RocqError, match=f"lemma {statement.target}_related of everything"):
                check(export([wrong]))
            refused += 1
    assert refused >= 10


def test_every_function_of_a_program_has_a_text():
    assert set(FUNCTIONS) | {"select"} == {f.__name__ for f in KNOWN_FUNCTIONS}
    assert all(re.search(rf"\b{name}\b", prelude()) for name in FUNCTIONS.values())


def test_what_has_no_counterpart_is_named():
    with pytest.raises(RocqError, match=r"Gallina has no text for sin: sin\(x\)"):
        gallina(sp.sin(symbol("x")), str)
    with pytest.raises(RocqError, match="Gallina has no text for Pow: 1/x"):
        gallina(1 / symbol("x"), str)
    with pytest.raises(RocqError, match="Gallina has no text for Float"):
        gallina(sp.Float(0.5), str)
    polynomial = related(STATES, reset_state=symbol("reset_gate") + H_PREV)
    with pytest.raises(
        RocqError, match="'candidate_from_h = U_n reset_state' is linear in reset_state, which is"
    ):
        export([polynomial])


# coqc.


def test_a_machine_without_coqc_is_told_what_to_install(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RocqError, match="coqc is not installed; Debian and Ubuntu have it"):
        check("")


@needs_coqc
def test_a_limit_of_time_is_kept():
    with pytest.raises(RocqError, match=r"coqc has not finished after 0\.01 s"):
        check(export([STATES]), seconds=0.01)


@needs_coqc
def test_the_command_checks(tmp_path):
    path = tmp_path / "polarity.v"
    run = CliRunner().invoke(main, ["rocq", "keep-is-update-after", "--check", "--output", str(path)])
    assert run.exit_code == 0, run.output
    assert "keep_is_update_after: accepted by coqc, rests on ClassicalDedekindReals.sig_not_dec" in run.output
    assert path.read_text(encoding="utf-8") == export([states("after")])


def test_the_command_prints_the_file_and_knows_its_theorems(monkeypatch):
    run = CliRunner().invoke(main, ["rocq", "keep-is-update-after"])
    assert (run.exit_code, run.output) == (0, export([states("after")]))
    run = CliRunner().invoke(main, ["rocq", "fermat"])
    assert run.exit_code == 2
    assert "no theorem is called fermat; there are\n  keep-is-update-before\n" in run.output
    monkeypatch.setenv("PATH", "")
    run = CliRunner().invoke(main, ["rocq", "keep-is-update-after", "--check"])
    assert run.exit_code == 1
    assert "coqc is not installed" in run.output
