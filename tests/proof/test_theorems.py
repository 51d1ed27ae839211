"""Every theorem is proved, reads well and survives JSON; what is not shown cannot become a theorem."""

import json
import re
from dataclasses import replace
from itertools import permutations

import mpmath
import pytest
import sympy as sp

from symgru.equations import Reset, gru
from symgru.equations.gru import C_N, H_NEW, U_N
from symgru.proof import (
    Interval,
    Kind,
    ProofError,
    Refutation,
    Step,
    Theorem,
    Witness,
    all_theorems,
    evaluate,
    keep_is_update,
    placements_differ,
    refute,
)
from symgru.proof.evaluation import Arithmetic, enclose_number
from symgru.proof.refutations import SIZES, enclose, fractions
from symgru.proof.setting import Role

THEOREMS = list(all_theorems())
TITLES = ("left", "right")


@pytest.fixture(params=THEOREMS, ids=[name for name, _ in THEOREMS])
def proved(request):
    name, prove = request.param
    result = prove()
    assert result.name == name
    return result


def test_a_theorem_is_proved_step_by_step(proved):
    if isinstance(proved, Refutation):
        assert proved.witness.gap > sp.Rational(1, 1000)
    else:
        assert proved.steps
        assert all(step.claim and step.justification for step in proved.steps)
        assert all(step.checked == (step.kind is Kind.CALCULATED) for step in proved.steps)
        assert proved.calculations + proved.rules == len(proved.steps)
        assert proved.assumptions
        assert "exact arithmetic" in proved.assumptions


def test_no_assumption_is_about_floating_point(proved):
    assert "floating" not in " ".join(getattr(proved, "assumptions", ()))


def test_a_theorem_can_be_read(proved):
    text = proved.to_text()
    assert text.endswith("∎")
    assert proved.statement in text
    for word in ("Contraction", "Tanh", "OuterProduct", "Total"):
        assert word not in text, f"{word} is a name of the machinery"


SYMBOL = re.compile(r"[A-Za-z_]\w*")


def test_every_symbol_of_a_proof_is_defined(proved):
    """Calculations are about values that the equations of the theorem define, or read."""
    if isinstance(proved, Refutation):
        return
    known = set(SYMBOL.findall(" ".join(line for _, lines in proved.equations for line in lines)))
    assert known
    for step in proved.steps:
        for symbol in step.equation[1].free_symbols if step.equation else ():
            name = str(symbol).removesuffix("′")
            of_first_unit = re.sub(r"_\d$", "_1", re.sub(r"_\d\d$", "_12", name))
            assert {name, of_first_unit} & known, f"{symbol} in {step.claim}"


def test_a_theorem_fits_on_a_line(proved):
    line = proved.to_line()
    assert "\n" not in line
    assert line.startswith(f"{proved.name}: {proved.statement} [")
    if isinstance(proved, Theorem):
        assert f"[{proved.calculations} calculation" in line
        assert all(lemma in line for lemma in proved.lemmas)


def test_kinds_are_printed(proved):
    text = proved.to_text()
    for kind, word in ((Kind.CALCULATED, "calculated: "), (Kind.ARGUED, "rule: ")):
        assert (word in text) == any(step.kind is kind for step in getattr(proved, "steps", ()))


def test_a_theorem_survives_json(proved):
    data = json.loads(json.dumps(proved.to_json()))
    assert data == proved.to_json()
    assert data["kind"] == type(proved).__name__.lower()
    for step in data.get("steps", []):
        calculated = step["kind"] == "calculated"
        assert (step["residual"], step["checked"]) == (("0", True) if calculated else (None, False))
        assert (step["equation"] is not None) == calculated


def test_a_claim_of_a_simulation_is_its_data(proved):
    """What is printed is what judges and certificates read: symbol, image, both sides before rewriting."""
    placed = [step for step in getattr(proved, "steps", ()) if step.place]
    for step in placed:
        assert step.claim == step.place.claim
        if step.kind is Kind.CALCULATED:
            assert step.stated[1] == step.place.image
            assert step.stated[1].free_symbols <= step.place.setting.reference.shapes.keys()
        else:
            assert step.place.role is Role.INDUCTION
    if proved.name.startswith(("keep-is-update-after", "gradients-mirror", "diagonal")):
        assert len(placed) == len(proved.steps)


def test_verdicts_are_printed_and_counted():
    theorem = keep_is_update("after")
    assert "[13 calculations checked by SymPy, 1 rule of inference stated; " in theorem.to_line()
    verdicts = (("SymPy", "proved"), ("Z3", "proved"))
    judged = replace(theorem, steps=tuple(s.judged(verdicts if s.equation else ()) for s in theorem.steps))
    assert "[13 calculations checked by SymPy and Z3, 1 rule of inference stated; " in judged.to_line()
    assert judged.to_json()["judges"] == {"SymPy": 13, "Z3": 13}
    assert judged.to_json()["steps"][0]["verdicts"] == dict(verdicts)
    assert [step.residual for step in judged.steps] == [step.residual for step in theorem.steps]


def test_the_equations_are_those_of_the_programs():
    text = keep_is_update("before").to_text()
    for line in (
        "    update_from_x = W_z·x",
        "    update_gate = sigmoid(update_preactivation)",
        "    candidate_from_h = U_n·reset_state",
    ):
        assert text.count(line) == 1, line


def test_names_are_distinct_and_premises_come_first():
    seen = set()
    for name, prove in THEOREMS:
        assert name not in seen
        assert set(getattr(prove(), "premises", ())) <= seen
        seen.add(name)


def test_statements_are_distinct():
    statements = [prove().statement for _, prove in THEOREMS]
    assert len(set(statements)) == len(statements)


def test_theorems_about_lengths_say_what_a_mask_is():
    for name, prove in THEOREMS:
        if name.endswith("-lengths") or name.startswith("training"):
            assert "valid is true or false, and the same in both" in prove().assumptions
            assert "lengths" in prove().statement


def test_every_placement_is_covered():
    names = {name for name, _ in THEOREMS}
    for reset, target in permutations(Reset, 2):
        assert f"no-{reset.value}-is-{target.value}" in names
    for reset in Reset:
        for ending in ("", "-lengths"):
            assert {
                f"keep-is-update-{reset.value}{ending}",
                f"gradients-mirror-{reset.value}{ending}",
            } <= names


# What is not shown.


STEP = Step("1 = 1", "reflexivity", (sp.S.One, sp.S.One))
THEOREM = Theorem("planted", "a statement", "1 = 1", ("none",), (STEP,), "so it is")


def test_an_unchecked_step_makes_no_theorem():
    with pytest.raises(ProofError, match="planted: '1 = 2' is not shown, residual -1"):
        replace(THEOREM, steps=(STEP, Step("1 = 2", "wishful thinking", (sp.S.One, sp.Integer(2)))))


def test_a_theorem_needs_a_step():
    with pytest.raises(ProofError, match="expected at least one calculation"):
        replace(THEOREM, steps=())


def test_equal_programs_are_not_refuted():
    step = gru("keep", "after").step
    with pytest.raises(ProofError, match="planted: the outputs of left and right are not told apart"):
        refute("planted", step, step, TITLES, "", "")


def test_intervals_that_touch_are_not_told_apart():
    half, one = sp.Rational(1, 2), sp.S.One
    witness = Witness({}, {}, (Interval(sp.S.Zero, half),), (Interval(half, one),), 50)
    with pytest.raises(ProofError, match="not told apart"):
        Refutation("planted", "", "", *TITLES, witness)


def test_intervals_of_equal_values_overlap():
    before, after = gru("keep", "before").step, gru("keep", "after").step
    # No recurrence in the candidate: both placements have one value.
    values = fractions(dict(after.inputs), SIZES) | {C_N: [sp.S.Zero] * 2, U_N: [[sp.S.Zero] * 2] * 2}
    for left, right in zip(enclose(before, values), enclose(after, values), strict=True):
        assert left.lower <= right.upper
        assert right.lower <= left.upper


def test_the_witness_has_distinct_non_zero_values():
    witness = placements_differ("before", "after").witness
    numbers = [n for name, value in witness.values.items() if name != "c_n" for n in sp.flatten(value)]
    assert len(set(numbers)) == len(numbers)
    assert 0 not in numbers
    assert witness.values["c_n"] == [0, 0]


@pytest.mark.parametrize("reset", Reset)
def test_intervals_enclose_the_value_at_twice_the_digits(reset):
    step = gru("keep", reset).step
    values = fractions(dict(step.inputs), SIZES)
    with mpmath.workdps(100):
        exact = Arithmetic(
            lambda number: mpmath.mpf(int(number.p)) / int(number.q),
            {"sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)), "tanh": mpmath.tanh},
        )
        numbers = {s: _map(values[s], exact.number) for s in step.inputs}
        for interval, number in zip(
            enclose(step, values), evaluate(step, numbers, exact)[H_NEW], strict=True
        ):
            value = sp.Rational(*mpmath.libmp.to_rational(number._mpf_))
            assert interval.lower < value < interval.upper
            assert interval.upper - interval.lower < sp.Rational(1, 10**45)


def test_decimals_are_rounded_outwards():
    third = sp.Rational(1, 3)
    assert Interval(-third, third).to_json(3) == {"lower": "-0.334", "upper": "0.334"}
    assert Interval(sp.Rational(-1, 8), sp.S.Zero).to_json(2) == {"lower": "-0.13", "upper": "0.00"}


def test_evaluation_names_what_it_does_not_know():
    with pytest.raises(NotImplementedError, match=r"evaluation does not know cos in cos\(1\)"):
        enclose_number(1 + sp.cos(1))


def _map(value, function):
    return [_map(part, function) for part in value] if isinstance(value, list) else function(value)
