"""Files are read strictly: what is not in the form is refused with its place, whoever wrote it."""

import json

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgru.certificates import CertificateError, certificate, verify
from symgru.certificates.programs import program_from_json, program_to_json
from symgru.certificates.reading import Node, parse
from symgru.certificates.trees import DEPTH, FUNCTIONS, KINDS, SIZE, from_tree, to_tree
from symgru.derivation import backward, forward, jvp
from symgru.equations import Reset, gru, with_lengths
from symgru.proof import LEMMAS, all_theorems
from symgru.proof.lemmas import Tanh

X, Y = sp.symbols("x y", real=True)
ATOMS = st.one_of(
    st.sampled_from([X, Y, *(sp.Symbol("p", **kind) for kind in KINDS.values())]),
    st.integers(-20, 20).map(sp.Integer),
    st.fractions(-3, 3, max_denominator=9).map(lambda f: sp.Rational(f.numerator, f.denominator)),
)


def grown(parts):
    unary = [f for f, arity in FUNCTIONS.values() if arity == 1 and f not in (sp.exp,)]
    pair = st.tuples(parts, parts)
    return st.one_of(
        pair.map(lambda p: p[0] + p[1]),
        pair.map(lambda p: p[0] * p[1]),
        pair.map(lambda p: sp.Max(*p)),
        parts.map(lambda p: p**2),
        st.builds(lambda f, p: f(p), st.sampled_from(unary), parts),
        st.builds(lambda f, p: f(*p), st.sampled_from([f for f, a in FUNCTIONS.values() if a == 2]), pair),
    )


def read(tree):
    return from_tree(Node(json.loads(json.dumps(tree))))


@given(st.recursive(ATOMS, grown, max_leaves=8))
def test_expressions_survive(expression):
    assert read(to_tree(expression)) == expression


def test_every_equation_of_every_theorem_survives():
    for _, prove in all_theorems():
        for step in getattr(prove(), "steps", ()):
            for side in step.stated or step.equation or ():
                named = {dummy: sp.Symbol(str(dummy), real=True) for dummy in side.atoms(sp.Dummy)}
                assert read(to_tree(side)) == side.replace(sp.tanh, Tanh).xreplace(named)


@pytest.mark.parametrize("reset", Reset)
def test_programs_survive(reset):
    cell = with_lengths(gru("keep", reset))
    for program in (cell.step, backward(forward(cell)).step, jvp(cell.step)):
        assert program_from_json(Node(json.loads(json.dumps(program_to_json(program))))) == program


def test_no_two_lemmas_have_the_same_trees():
    trees = [json.dumps([to_tree(lemma.left), to_tree(lemma.right)]) for lemma in LEMMAS]
    assert len(set(trees)) == len(trees)


deep = "x"
for _ in range(DEPTH + 1):
    deep = ["sigmoid", deep]


@pytest.mark.parametrize(
    ("tree", "complaint"),
    [
        (["cos", "x"], r"^unknown head 'cos'; known are add, contraction, "),
        (["__import__", "os"], "^unknown head '__import__'"),
        (["add", "x", ["Integral", "x"]], r"^\[2\]: unknown head 'Integral'"),
        (["sigmoid"], "^expected 1 arguments, got 0"),
        (["sigmoid", "x", "y"], "^expected 1 arguments, got 2"),
        (["add", "x"], "^expected two or more arguments, got 1"),
        ([], "^expected a name of a function at position 0, got 0 items"),
        ([["add"], "x", "y"], r'^\[0\]: expected a string, got \["add"\]'),
        ({"add": ["x", "y"]}, r"^expected a list, got "),
        (None, "^expected a list, got null"),
        (True, "^expected a whole number, got true"),
        (["rational", 2, 4], "^2/4 is no fraction in lowest terms"),
        (["rational", 1, 0], "^1/0 is no fraction in lowest terms"),
        (["rational", 1, -2], "^1/-2 is no fraction"),
        (["rational", 4, 1], "^4/1 is no fraction"),
        (["rational", "x", 2], r'^\[1\]: expected a whole number, got "x"'),
        (10**300, "a number of more than 200 digits"),
        (["power", "x", 1000], "the exponent 1000 is above 16"),
        (["power", 0, -1], "is no real number"),
        (["power", -1, ["rational", 1, 2]], "is no real number"),
        (["power", ["add", "x", ["multiply", -1, "x"]], -1], "is no real number"),
        (["symbol", "x", "imaginary"], "unknown kind 'imaginary'; known are positive"),
        (["symbol", "x"], "expected 3 items, got 2"),
        ("x; import os", "expected a name of letters, digits and _, got 'x; import os'"),
        ("1x", "expected a name"),
        ("", "expected a name"),
        ("x" * 200, "expected a name"),
        ("x\u001b[31m", "has characters that cannot be printed"),
        (["add", *["x"] * SIZE], f"more than {SIZE} nodes"),
        (deep, f"more than {SIZE} nodes, or deeper than {DEPTH}"),
    ],
    ids=lambda value: json.dumps(value)[:30],
)
def test_what_is_no_tree_is_refused(tree, complaint):
    with pytest.raises(CertificateError, match=complaint):
        read(tree)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "^no JSON: Expecting value"),
        ("{", "^no JSON: "),
        ('{"schema": 1, "schema": 1}', "^the name 'schema' occurs twice in one object"),
        ('{"schema": NaN}', "^NaN is no whole number: numbers here are exact"),
        ('{"schema": -Infinity}', "^-Infinity is no whole number"),
        ('{"schema": 1.0}', r"^1\.0 is no whole number"),
        ('{"schema": 1e5}', "^1e5 is no whole number"),
        ("1" * 5000, "^a number of more than 1000 digits"),
        ("[" * 100_000, "^no certificate: nested too deeply"),
        ("[]", r"^expected an object, got \[\]"),
        ("null", "^expected an object, got null"),
        ("{}", "^expected the field 'schema', there is none"),
    ],
    ids=lambda value: str(value)[:20],
)
def test_what_is_no_certificate_is_refused(text, complaint, by, known):
    with pytest.raises(CertificateError, match=complaint):
        verify(text, by, known)


def test_a_file_that_is_too_long_is_refused():
    with pytest.raises(CertificateError, match="longer than 67108864 characters"):
        parse(" " * (64 * 2**20 + 1))


def test_an_error_names_its_place(certificate, complaint):
    data = certificate("keep-is-update-after")
    data["claims"][0]["steps"][7]["shows"]["image"][1] = ["sine", "x"]
    assert complaint(data).startswith("claims[0].steps[7].shows.image[1]: unknown head 'sine'")


def test_nothing_is_claimed_by_no_certificate(by):
    with pytest.raises(CertificateError, match="claims: expected at least one claim"):
        verify(json.dumps(certificate([], by)), by, {})
