"""Both judges decide every calculation that there is, refuse what is false, and are independent."""

import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.certificates import (
    PROVED,
    REFUTED,
    UNDECIDED,
    Obligation,
    Verdict,
    decide,
    judge,
    judges,
    missing,
    obligations,
)
from symgru.certificates import judging as judging_module
from symgru.certificates.z3_judge import Z3Judge
from symgru.certificates.z3_lemmas import decide_lemma
from symgru.equations import select, sigmoid
from symgru.proof import LEMMAS, Lemma, ProofError, Step, Theorem, all_theorems, keep_is_update
from symgru.proof import theorem as theorem_module
from symgru.proof.lemmas import (
    CONTRACTION_BILINEAR,
    SELECTION,
    SIGMOID_REFLECTION,
    TANH_BY_EXP,
    TANH_INCREASING,
    TANH_ODD,
    A,
    M,
    Tanh,
)
from symgru.proof.terms import Contraction, OuterProduct, Total

X, Y, Z, W, U = sp.symbols("x y z W U", real=True)
THEOREMS = [name for name, _ in all_theorems() if "-is-not-" not in name]


@pytest.fixture(params=["SymPy", "Z3"])
def one(request, by):
    """Each judge on its own."""
    return next(judge for judge in by if judge.name == request.param)


# What the theorems need.


@pytest.mark.parametrize("name", THEOREMS)
def test_both_judges_prove_every_calculation(name, by, known):
    theorem = known[name]()
    judged = judge(theorem, by).theorem
    assert judged.judges == {"SymPy": theorem.calculations, "Z3": theorem.calculations}
    assert f"{judged.calculations} calculation" in judged.evidence
    assert "checked by SymPy and Z3, " in judged.evidence
    assert [replace(step, verdicts=()) for step in judged.steps] == list(theorem.steps)


@pytest.mark.parametrize(
    "name", ["keep-is-update-before-lengths", "gradients-mirror-after", "shared-reset-gate"]
)
def test_neither_judge_proves_what_is_one_off(name, one, known):
    for step, obligation in obligations(known[name]().steps):
        if obligation is not None:
            wrong = replace(obligation, right=obligation.right + 1)
            assert one.decide(wrong).status == (REFUTED if one.name == "Z3" else UNDECIDED), step.claim


@pytest.mark.parametrize(
    "name", ["keep-is-update-before", "gradients-mirror-before", "training-mirrors-adam"]
)
def test_neither_judge_proves_the_negative(name, one, known):
    decided = [o for _, o in obligations(known[name]().steps) if o is not None and o.left != 0]
    proved = [o for o in decided if one.decide(replace(o, right=-o.right)).status == PROVED]
    assert not proved
    assert len(decided) > 5


def test_a_lemma_that_is_not_named_is_not_used(one, known):
    """Of the calculations that name the lemma, those in which it is needed are not shown without it."""
    missed = Counter()
    for name in ("keep-is-update-before", "gradients-mirror-after"):
        for _, obligation in obligations(known[name]().steps):
            for lemma in obligation.lemmas if obligation else ():
                without = tuple(other for other in obligation.lemmas if other != lemma)
                missed[lemma, one.decide(replace(obligation, lemmas=without)).status == PROVED] += 1
    for lemma in (
        "sigmoid reflection",
        "contraction is bilinear",
        "outer product is bilinear",
        "sum is linear",
    ):
        assert missed[lemma, True] == 0
        assert missed[lemma, False] > 0


# What is true and what is false, one by one.

REFLECTED = Obligation(sigmoid(-X - Y), 1 - sigmoid(Y + X), (SIGMOID_REFLECTION.name,))
TRUE = {
    "reflection": REFLECTED,
    "tanh": Obligation(Tanh(Y - X) + Tanh(X - Y), sp.S.Zero, (TANH_ODD.name,)),
    "contraction": Obligation(
        Contraction(-W, 2 * X + Y),
        -2 * Contraction(W, X) - Contraction(W, Y),
        (CONTRACTION_BILINEAR.name,),
    ),
    "uniform": Obligation(
        Contraction(W, X * Y), X * Contraction(W, Y), (CONTRACTION_BILINEAR.name,), uniform=frozenset({X})
    ),
    "select": Obligation(select(M, X, Y) + select(M, Y, X), X + Y, (SELECTION.name,), masks=frozenset({M})),
    "definition": Obligation(X * Y, Z, definitions={Z: Y * X}),
    "chain": Obligation(X + X**2, U, definitions={Z: X * X, U: Z + X}),
    "congruence": Obligation(sigmoid((X + Y) * (X - Y)), sigmoid(X**2 - Y**2)),
    "operator": Obligation(Total((X + Y) * (X - Y)), Total(X**2 - Y**2)),
    "exponential": Obligation(Tanh(X), 1 - 2 / (1 + sp.exp(2 * X)), (TANH_BY_EXP.name,)),
}
FALSE = {
    "polarity": Obligation(X * Y, X * Y + Z),
    "reflection": replace(REFLECTED, right=sigmoid(X + Y)),
    "no lemma": replace(REFLECTED, lemmas=()),
    "uniform": replace(TRUE["uniform"], uniform=frozenset()),
    "mask": replace(TRUE["select"], masks=frozenset()),
    "wrong mask": replace(TRUE["select"], masks=frozenset({X})),
    "definition": replace(TRUE["definition"], definitions={Z: X + Y}),
    "square": Obligation(sigmoid(X) ** 2, sigmoid(X**2)),
    "transposed": Obligation(OuterProduct(X, Y), OuterProduct(Y, X)),
    "size": Obligation(Contraction(W, X), Contraction(U, X)),
}


@pytest.mark.parametrize("name", sorted(TRUE))
def test_what_is_true_is_proved(name, one):
    assert one.decide(TRUE[name]) == Verdict(PROVED)


@pytest.mark.parametrize("name", sorted(FALSE))
def test_what_is_false_is_not_proved(name, one):
    verdict = one.decide(FALSE[name])
    assert verdict.status != PROVED
    assert verdict.detail


def test_equality_in_one_unit_is_none_of_sums_over_units(one):
    """In every unit x is y or −y. That says nothing of Wx: units may differ in which of the two it is."""
    squares = Obligation(
        Contraction(W, X) ** 2, Contraction(W, Y) ** 2, (CONTRACTION_BILINEAR.name,), {Z: X**2 - Y**2}
    )
    assert one.decide(squares).status != PROVED
    given_zero = replace(squares, left=squares.left + X**2 - Y**2, right=squares.right + Z)
    assert one.decide(given_zero).status != PROVED


def test_a_number_is_no_vector(one):
    """Σⱼ W[i, j]·1 depends on how many units there are, so no judge takes a number for a vector."""
    for obligation in (
        Obligation(Contraction(W, 1 + X), Contraction(W, 1 + X)),
        Obligation(Total(2 * X / X), 2 * Total(sp.S.One)),
    ):
        assert one.decide(obligation).status == UNDECIDED


def test_a_lemma_that_there_is_not_is_not_used(one):
    verdict = one.decide(replace(REFLECTED, lemmas=("wishful thinking",)))
    assert verdict == Verdict(UNDECIDED, "there is no lemma called 'wishful thinking'")


@given(st.lists(st.tuples(*[st.integers(-3, 3)] * 4), min_size=1, max_size=4))
def test_polynomials_are_equal_exactly_when_expanded_forms_are(terms):
    polynomial = sp.Add(*(c * X ** abs(i) * sigmoid(Y) ** abs(j) * Z ** abs(k) for c, i, j, k in terms))
    factored = sp.factor(polynomial)
    for right in (factored, factored + sp.Integer(terms[0][0])):
        expected = PROVED if sp.expand(polynomial - right) == 0 else REFUTED
        assert Z3Judge().decide(Obligation(polynomial, right)).status == expected


def test_two_symbols_of_one_name_are_two_numbers(one):
    other = sp.Symbol("x", positive=True)
    assert one.decide(Obligation(other, X)).status != PROVED


def test_a_divisor_is_not_0_only_if_the_relation_divides_by_it(by):
    """SymPy cancels y/y when the expression is made; Z3 is not told that y is not 0, so it does not."""
    cancelled = Obligation(Y * (Z + X / Y), X + Y * Z)
    assert by[1].decide(cancelled).status == REFUTED
    assert by[1].decide(replace(cancelled, divisors=frozenset({Y}))).status == PROVED
    assert by[1].decide(replace(cancelled, right=X, divisors=frozenset({Y}))).status == REFUTED


# Resources.


def test_a_limit_is_a_count_and_ends_in_no_verdict():
    hard = Obligation(sp.expand((X + Y + Z) ** 4) * sigmoid(X), sp.expand((X + Y - Z) ** 4) * sigmoid(Y))
    first, second = (Z3Judge(limit=50).decide(hard) for _ in range(2))
    assert first == second
    assert first.status == UNDECIDED


def test_a_limit_is_for_each_equation_anew():
    judge = Z3Judge(limit=200)  # a single one needs more than 20
    assert {judge.decide(REFLECTED).status for _ in range(200)} == {PROVED}


# Lemmas.


def test_z3_decides_the_lemmas_about_one_unit_and_takes_the_others_as_axioms():
    decided = {lemma.name for lemma in LEMMAS if decide_lemma(lemma).status == PROVED}
    axioms = [lemma for lemma in LEMMAS if lemma.name not in decided]
    assert {SIGMOID_REFLECTION.name, TANH_ODD.name, SELECTION.name, TANH_BY_EXP.name} <= decided
    assert all(lemma.left.has(sp.Sum) for lemma in axioms), "only sums over any number need induction"


@pytest.mark.parametrize(
    "lemma",
    [
        replace(SIGMOID_REFLECTION, right=sigmoid(A)),
        replace(TANH_ODD, right=Tanh(A)),
        replace(SELECTION, right=(1 - M) * A + M * sp.Symbol("b", real=True)),
        replace(SELECTION, cases=(((M, sp.Rational(1, 2)),),)),
        replace(TANH_INCREASING, right=TANH_INCREASING.right / 2),
        replace(TANH_BY_EXP, right=1 - 2 / (1 + sp.exp(A))),
    ],
    ids=lambda lemma: f"{lemma.name}-{lemma.right}"[:40],
)
def test_z3_refutes_a_wrong_lemma(lemma):
    assert decide_lemma(lemma).status == REFUTED


def test_a_lemma_with_a_division_by_zero_is_not_decided():
    divisor = 1 - sp.exp(A)
    verdict = decide_lemma(Lemma("planted", "", "", A / divisor, 2 * A / divisor))
    assert verdict == Verdict(UNDECIDED, "a divisor may be 0")


# Two judges, not one.

ONE_IS_TWO = Step("1 = 2", "wishful thinking", (sp.S.One, sp.Integer(2)))


def test_z3_catches_what_sympy_lets_pass(monkeypatch, by):
    monkeypatch.setattr(theorem_module.sp, "simplify", lambda _: sp.S.Zero)
    theorem = Theorem("planted", "1 = 2", "1=2", ("none",), (ONE_IS_TWO,), "so it is")
    with pytest.raises(ProofError, match=r"planted: '1 = 2' is not shown; .*Z3: refuted"):
        judge(theorem, by)


def test_a_lying_judge_is_contradicted(by):
    class Lying:
        version = "0"

        def __init__(self, name):
            self.name = name

        def decide(self, obligation):
            return Verdict(PROVED)

    sympy, z3 = by
    assert decide("planted", Obligation(X, X), [Lying("SymPy"), z3])["Z3"].status == PROVED
    with pytest.raises(
        ProofError, match=r"planted is not shown; SymPy: proved; Z3: refuted: the axioms have"
    ):
        decide("planted", Obligation(X, 2 * X), [Lying("SymPy"), z3])
    found = decide("planted", Obligation(X, 2 * X), [sympy, Lying("Z3")])
    assert found["SymPy"].status == UNDECIDED
    assert "differ by" in found["SymPy"].detail


def test_a_theorem_counts_the_verdicts_of_each_judge():
    verdicts = (("SymPy", PROVED), ("Z3", UNDECIDED))
    theorem = keep_is_update("after")
    first, *others = theorem.steps
    steps = [replace(first, verdicts=verdicts)]
    steps += [replace(s, verdicts=(("SymPy", PROVED), ("Z3", PROVED))) for s in others if s.equation]
    judged = replace(theorem, steps=tuple(steps))
    assert judged.judges == {"SymPy": 13, "Z3": 12}
    assert "13 calculations checked by SymPy, 12 by Z3, " in judged.evidence


# Z3 is optional.


def test_without_z3_sympy_judges_alone_and_says_so(monkeypatch):
    assert missing() == "", "the extra `test` has Z3"
    monkeypatch.setattr(judging_module, "find_spec", lambda _: None)
    assert [judge.name for judge in judges()] == ["SymPy"]
    assert missing() == 'Z3 is not installed: pip install "symgru[proof]"'
    with pytest.raises(ProofError, match="Z3 is not installed"):
        judges(["sympy", "z3"])


@pytest.mark.parametrize(("names", "loaded"), [('["sympy"]', False), ('["z3"]', True)])
def test_z3_is_loaded_only_if_it_is_asked_for(names, loaded):
    code = f"import sys; from symgru.certificates import judges; judges({names}); print('z3' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == str(loaded)


def test_judges_go_by_name():
    assert [judge.name for judge in judges(["z3", "sympy", "z3"])] == ["Z3", "SymPy"]
    with pytest.raises(ProofError, match="there is no judge 'gut feeling'; there are sympy, z3"):
        judges(["gut feeling"])
