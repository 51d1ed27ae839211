"""The two judges of a line: the proof and the numbers."""

import pytest
import sympy as sp

from symgru.equations import gru
from symgru.formulas import judge
from symgru.formulas.evaluation import FLOATS, NoValueError, Numbers, Sizes, enclosing
from symgru.formulas.judge import Verdict, compare, witness
from symgru.formulas.meaning import Scope
from symgru.formulas.reference import Reference
from symgru.formulas.values import SAMPLES, block
from symgru.proof.evaluation import bounds

SIZES = Sizes(2, {"H": 3, "I": 2})


@pytest.fixture(scope="module")
def reference():
    return Reference(gru("keep", "after"))


def value(reference, term):
    return block("H", SAMPLES, term)


def symbol(name):
    return sp.Symbol(name, real=True)


def test_a_proof_alone_is_not_enough(reference, monkeypatch):
    """A defect of the normal form cannot make a wrong line right."""
    r, z = value(reference, symbol("reset_gate")), value(reference, symbol("update_gate"))
    monkeypatch.setattr(judge, "proves", lambda *_: True)
    assert compare(reference, r, r) is Verdict.PROVED
    assert compare(reference, r, z) is Verdict.DIFFERENT


def test_numbers_alone_are_not_enough(reference, monkeypatch):
    r, z = value(reference, symbol("reset_gate")), value(reference, symbol("update_gate"))
    monkeypatch.setattr(judge, "_agree", lambda *_: True)
    assert compare(reference, r, r) is Verdict.PROVED
    assert compare(reference, r, z) is Verdict.AGREE


def test_no_witness_tells_equal_values_apart(reference):
    r = value(reference, symbol("reset_gate"))
    assert witness(reference, r, r) is None


def test_intervals_enclose_the_floating_point_values(reference):
    scope = Scope(reference=reference)
    names = ["d_h_prev", "d_x", "d_W_n", "d_b_r", "h_new"]
    computed = [
        Numbers(reference.definitions, reference.shapes, SIZES, 1, arithmetic)
        for arithmetic in (FLOATS, enclosing())
    ]
    for name in names:
        wanted = scope.of_symbol(symbol(name), reference.shapes[symbol(name)])
        floats, intervals = (numbers.of(wanted) for numbers in computed)
        for row, enclosed in zip(floats, intervals, strict=True):
            for number, interval in zip(row, enclosed, strict=True):
                limits = bounds(interval)
                assert float(limits.lower) == pytest.approx(number, rel=1e-12, abs=1e-12)
                assert limits.upper - limits.lower < sp.Rational(1, 10**40)


def test_the_numbers_are_those_of_the_oracle(reference):
    """A second implementation: `symgru.lowering.evaluate`, on the derived program."""
    import numpy as np

    from symgru.derivation import vjp
    from symgru.lowering.evaluate import evaluate

    program = vjp(reference.cell.step)
    numbers = Numbers(reference.definitions, reference.shapes, SIZES, 7, FLOATS)
    inputs = {}
    for s, shape in program.inputs.items():
        array = np.array(numbers.symbol(s))
        inputs[str(s)] = array if shape.per_step or len(shape.axes) == 2 else array[0]
    expected = evaluate(program, inputs)
    for output in program.outputs:
        found = np.array(numbers.symbol(output))
        found = (
            found[0]
            if len(program.shapes[output].axes) == 1 and not program.shapes[output].per_step
            else found
        )
        np.testing.assert_allclose(found, expected[str(output)], rtol=1e-12)


def test_a_function_that_is_not_known_has_no_value(reference):
    unknown = value(reference, sp.Function("mystery")(symbol("reset_gate")))
    with pytest.raises(NoValueError, match="mystery"):
        Numbers(reference.definitions, reference.shapes, SIZES, 0, FLOATS).of(unknown)
