"""The readable form of a program computes what the program computes."""

import numpy as np
import pytest

from symgru.derivation import jvp, vjp
from symgru.documents.compact import compacted, in_gates
from symgru.equations import Pointwise, Program, Shape, gru, sigmoid
from symgru.lowering.evaluate import evaluate

SIZES = {"T": 3, "B": 4, "I": 5, "H": 3}
CELLS = [(polarity, reset) for polarity in ("keep", "update") for reset in ("before", "after", "whole")]


def values(program):
    generator = np.random.default_rng(0)

    def shape(found: Shape):
        return [SIZES[axis] for axis in (("T", "B", *found.axes) if found.per_step else found.axes)]

    return {str(symbol): generator.normal(size=shape(found)) for symbol, found in program.inputs.items()}


def assert_same_outputs(left, right):
    inputs = values(left)
    a, b = evaluate(left, inputs), evaluate(right, inputs)
    assert left.outputs == right.outputs
    for output in map(str, left.outputs):
        np.testing.assert_allclose(a[output], b[output], rtol=0, atol=1e-12, err_msg=output)


def readable(program, cell):
    return compacted(in_gates(program), keep=(s.target for s in cell.step))


@pytest.mark.parametrize("derivative", [vjp, jvp])
@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_the_readable_form_computes_the_same(polarity, reset, derivative):
    cell = gru(polarity, reset)
    program = derivative(cell.step)
    assert_same_outputs(program, readable(program, cell))


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_no_sigmoid_is_left_in_the_gradient(polarity, reset):
    cell = gru(polarity, reset)
    program = readable(vjp(cell.step), cell)
    with_sigmoid = [s.target for s in program if isinstance(s, Pointwise) and s.expression.has(sigmoid)]
    assert [str(target) for target in with_sigmoid] == ["reset_gate", "update_gate"]


@pytest.mark.parametrize("position", range(4))
def test_a_planted_sign_is_caught(position):
    cell = gru("keep", "after")
    program = vjp(cell.step)
    form = readable(program, cell)
    statements = list(form.statements)
    places = [
        i for i, s in enumerate(statements) if isinstance(s, Pointwise) and str(s.target).startswith("d_")
    ]
    place = places[position]
    statements[place] = Pointwise(statements[place].target, -statements[place].expression)
    with pytest.raises(AssertionError):
        assert_same_outputs(program, Program(form.inputs, tuple(statements), form.outputs))
