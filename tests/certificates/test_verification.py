"""What is verified holds, and every harmful edit is found, also by somebody who keeps the form."""

import json
import re
from dataclasses import replace

import pytest
import sympy as sp

from symgru.certificates import CertificateError, Verdict, judge, judges, verify
from symgru.certificates import certificate as certificate_of
from symgru.certificates.report import lines
from symgru.certificates.verification import certificate_from_json, parse, replay
from symgru.equations import gru
from symgru.equations.gru import X
from symgru.proof import LEMMAS, ProofError, Refutation, Step, Theorem
from symgru.proof.refutations import enclose
from symgru.testing.planted_certificates import complaint_about, edits, example, planted_certificates

CHAIN = (
    "keep-is-update-before",
    "keep-is-update-after",
    "no-after-is-before",
)  # premises, and what rests on them
NAMES = [lemma.name for lemma in LEMMAS]


def test_every_claim_can_be_written_and_is_verified(by, known):
    proved = [prove() for prove in known.values()]
    data = certificate_of([p if isinstance(p, Refutation) else judge(p, by) for p in proved], by)
    found = verify(json.dumps(data), by, known)
    assert [(claim.name, claim.complaint) for claim in found.claims] == [(name, "") for name in known]
    theorems = [p for p in proved if isinstance(p, Theorem)]
    assert sum(claim.calculations for claim in found.claims) == sum(t.calculations for t in theorems)
    assert sum(claim.rules for claim in found.claims) == sum(t.rules for t in theorems)
    *_, totals, by_sympy, by_z3 = lines(found)
    refuted = len(proved) - len(theorems)
    assert totals.startswith(f"{len(theorems)} theorems and {refuted} refutations verified, ")
    assert totals.endswith("rules of inference are stated, not checked.")
    assert "axioms to it" not in by_sympy
    assert "axioms to it: contraction is bilinear" in by_z3


def test_the_report_counts_one_rule_as_one(by, known):
    _, line, *_ = lines(verify(example("keep-is-update-after"), by, known))
    assert line == (
        "keep-is-update-after: 13 calculations replayed, 1 rule of inference is stated, not checked"
    )


# Edits.


@pytest.fixture(scope="module")
def sample():
    """One in so many of the edits, each with the complaint about it."""
    found = list(planted_certificates(every=101))
    print(f"{len(found)} planted, {sum(p[2] is not None for p in found)} caught")
    return found


def test_every_planted_edit_is_caught(sample):
    assert len(sample) > 100
    assert not [(where, error) for where, error, complaint in sample if complaint is None]


@pytest.mark.thorough
def test_every_planted_edit_is_caught_in_full():
    found = list(planted_certificates())
    assert len(found) > 10_000
    assert not [(where, error) for where, error, complaint in found if complaint is None]


def test_complaints_name_the_place(sample):
    named = [complaint for *_, complaint in sample if complaint.startswith(("claims[0]", "lemmas", "schema"))]
    assert len(named) > 0.9 * len(sample)


#: Edits that leave a proof, though not of what symgru calls by that name.
STILL_TRUE = re.compile(r"\.statements items \d+ and \d+ exchanged|\.reverse |\.goal |\.outputs ")
CALCULATED = r"\.claims\[0\]\.(programs|simulations|steps\[\d+\]\.(shows|equation|verdicts))\b"


def test_the_replay_alone_finds_what_is_false(by):
    """Of the edits of programs, relations and equations, without a look at what symgru itself has."""
    survived, caught = [], 0
    data = json.loads(example("keep-is-update-after"))
    for where, error, edited in edits(data, every=17, within=CALCULATED):
        try:
            (claim,) = certificate_from_json(parse(json.dumps(edited))).claims
            replay(claim, by, NAMES, set())
        except (CertificateError, ProofError):
            caught += 1
        else:
            survived.append(f"{where} {error}")
    assert not [edit for edit in survived if not STILL_TRUE.search(edit)]
    assert caught > 100


# Forgeries.


def test_a_theorem_that_symgru_does_not_have_is_refused(by, known):
    step = Step("1 = 1", "reflexivity", (sp.S.One, sp.S.One))
    fermat = Theorem("fermat", "0 = 1", "0=1", (), (step,), "so it is")
    text = json.dumps(certificate_of([judge(fermat, by)], by))
    complaint = complaint_about(text, by, known)
    assert complaint == (
        "claims[0]: its calculations hold, but symgru has no theorem called 'fermat': nothing connects them "
        "with its statement"
    )
    assert complaint_about(text, by, {"fermat": lambda: fermat}) is None


def test_true_calculations_do_not_show_another_statement(certificate, complaint):
    data = certificate("diagonal-recurrence")
    data["claims"][0]["name"] = "shared-reset-gate"
    assert complaint(data) == "claims[0].simulations: these are not the equations of this version of symgru"
    data = certificate("diagonal-recurrence")
    data["claims"][0]["statement"] = "Reset before and reset after are equal."
    assert complaint(data) == "claims[0].statement: these are not the words of this version of symgru"


def test_assumptions_are_not_dropped(certificate, complaint):
    for position in range(4):
        data = certificate("diagonal-recurrence")
        del data["claims"][0]["assumptions"][position]
        assert complaint(data) == "claims[0].assumptions: these are not the words of this version of symgru"


def test_other_equations_are_not_those_of_this_version(certificate, complaint):
    """Every product of the update gate is transposed, everywhere, so all calculations hold."""
    text = json.dumps(certificate("keep-is-update-before"))
    data = json.loads(text.replace("reset_state", "state_reset"))
    assert complaint(data) == "claims[0].simulations: these are not the equations of this version of symgru"


def test_premises_are_there_before_and_hold(certificate, complaint):
    names = CHAIN
    assert complaint(certificate(*names)) is None
    data = certificate(*names)
    data["claims"].append(data["claims"].pop(0))
    assert complaint(data) == "claims[1]: rests on keep-is-update-before, which is not shown before it"
    data = certificate(*names)
    data["claims"][1]["steps"][4]["verdicts"]["Z3"] = "refuted"
    assert complaint(data) == "claims[1].steps[4]: by Z3 it is proved, the file says refuted"
    data = certificate(*names)
    data["claims"].append(data["claims"][0])
    assert complaint(data) == "claims[3]: keep-is-update-before is claimed a second time"


def test_a_claim_that_rests_on_a_refused_one_is_refused(certificate, by, known):
    data = certificate(*CHAIN)
    data["claims"][1]["conclusion"] += " And pigs fly."
    found = verify(json.dumps(data), by, known)
    assert [bool(claim.complaint) for claim in found.claims] == [False, True, True]
    assert "rests on keep-is-update-after, which is not shown" in found.claims[2].complaint


def test_lemmas_are_those_of_symgru(certificate, complaint):
    data = certificate("keep-is-update-after")
    assert [lemma["name"] for lemma in data["lemmas"]] == ["sigmoid reflection", "contraction is bilinear"]
    data["lemmas"][0]["right"] = ["sigmoid", "a"]
    assert complaint(data) == "lemmas[0].right: is not that of the lemma 'sigmoid reflection'"
    data["lemmas"][0]["name"] = "sigmoid is even"
    assert complaint(data) == "lemmas[0]: there is no lemma 'sigmoid is even'"
    data = certificate("keep-is-update-after")
    del data["lemmas"][0]
    assert "uses the lemma 'sigmoid reflection', which the file does not list" in complaint(data)
    data = certificate("keep-is-update-after")
    data["lemmas"][1]["verdicts"]["Z3"] = "proved"
    assert complaint(data) == "lemmas[1]: by Z3 it is not proved, the file says proved"


def test_a_step_cannot_be_made_a_rule_nor_a_rule_a_step(certificate, complaint):
    data = certificate("keep-is-update-after")
    data["claims"][0]["steps"][5] |= {"equation": None, "verdicts": {}}
    assert complaint(data) == "claims[0].steps[5]: expected a calculation, got the other kind"
    data = certificate("only-diagonal-recurrence")
    verdicts = {"SymPy": "proved", "Z3": "proved"}
    data["claims"][0]["steps"][2] |= {"equation": [1, 1], "verdicts": verdicts}
    assert complaint(data) == "claims[0].steps[2]: these are not the steps of this version of symgru"


def test_a_false_equation_with_good_verdicts_is_decided_again(certificate, complaint):
    data = certificate("only-diagonal-recurrence")
    data["claims"][0]["steps"][0]["equation"][1] = 0
    refused = complaint(data)
    assert refused.startswith("claims[0].steps[0]: 'polarity keep: h_new - h_new′ = ")
    assert "is not shown; SymPy: not proved: the sides differ by " in refused
    assert "Z3: refuted" in refused


# Refutations.


def test_equal_programs_are_not_told_apart(certificate, complaint):
    data = certificate("before-is-not-after")
    programs = data["claims"][0]["programs"]
    programs[1] = programs[0]
    assert complaint(data) == "claims[0].witness: the outputs are not told apart"


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("gap", "0.5", "claims[0].witness.gap: is not what the programs in the file give"),
        ("digits", 5, "claims[0].witness.digits: expected 10 to 500, got 5"),
        ("digits", 60, "claims[0].witness.left: is not what the programs in the file give"),
        ("sizes", {"I": 2, "H": 90}, "claims[0].witness.sizes: expected sizes from 1 to 16"),
        ("sizes", {"I": 3, "H": 2}, "claims[0].witness.values: expected x with sizes [3]"),
    ],
)
def test_a_witness_is_evaluated_again(field, value, expected, certificate, complaint):
    data = certificate("before-is-not-after")
    data["claims"][0]["witness"][field] = value
    assert complaint(data) == expected


def test_numbers_too_large_to_write_down_are_refused(certificate, complaint):
    data = certificate("before-is-not-after")
    for program in data["claims"][0]["programs"]:
        tower = ["exp", ["exp", ["exp", ["add", 9, ["power", "h_prev", 2]]]]]
        program["statements"] = [["pointwise", "h_new", tower]]
    assert complaint(data) == "claims[0].witness: a number is above 2**60, or none"


def test_a_refutation_needs_its_programs(by, known):
    refutation = replace(known["before-is-not-after"](), programs=())
    with pytest.raises(ProofError, match="before-is-not-after: expected its two programs"):
        certificate_of([refutation], by)


def test_inputs_of_the_right_side_are_evaluated_as_the_relation_says(certificate, complaint, by, known):
    step = gru("keep", "after").step
    refutation = known["before-is-not-after"]()
    negated = replace(refutation, name="planted", programs=(step, step), relation={X: -X})
    left = enclose(step, {s: refutation.witness.values[str(s)] for s in step.inputs})
    right = enclose(
        step,
        {
            s: [-n for n in v] if s == X else v
            for s in step.inputs
            for v in [refutation.witness.values[str(s)]]
        },
    )
    planted = replace(negated, witness=replace(refutation.witness, left=left, right=right))
    text = json.dumps(certificate_of([planted], by))
    assert complaint_about(text, by, {"planted": lambda: planted}) is None
    for image, expected in (
        ("x", "claims[0].witness: the outputs are not told apart"),
        (["multiply", -2, "x"], "claims[0].witness.right: is not what the programs in the file give"),
        ("nowhere", "claims[0].relation.x: expected an expression of values of the witness, got nowhere"),
        (["add", "x", "W_r"], "claims[0].relation.x: is made of values of different sizes"),
        (["sigmoid", "x"], "claims[0].relation.x: is sigmoid(1/8) at the witness, expected a fraction"),
    ):
        data = json.loads(text)
        data["claims"][0]["relation"]["x"] = image
        assert complaint(data) == expected


# Judges.


def test_judges_that_the_file_does_not_have_may_decide_all_the_same(known, by):
    alone = judges(["sympy"])
    text = json.dumps(certificate_of([judge(known["keep-is-update-after"](), alone)], alone))
    assert complaint_about(text, by, known) is None
    both = example("keep-is-update-after")
    assert complaint_about(both, alone, known) is None
    assert [*lines(verify(both, alone, known))][-1] == (
        "Z3 was not asked: what the file says of its verdicts is not checked."
    )


@pytest.mark.parametrize("name", ["SymPy", "Z3"])
def test_each_judge_alone_catches_what_the_other_lets_pass(name, by, known, certificate, monkeypatch):
    data = certificate("only-diagonal-recurrence")
    data["claims"][0]["steps"][0]["equation"][1] = 0
    lying = next(judge for judge in by if judge.name == name)
    monkeypatch.setattr(lying, "decide", lambda obligation: Verdict("proved"))
    refused = complaint_about(json.dumps(data), by, known)
    assert refused is not None
    assert "is not shown" in refused or "by Z3" in refused or "by SymPy" in refused
