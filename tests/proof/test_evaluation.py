"""The two interpreters, one for proofs and one on NumPy arrays, are independent and agree."""

import math

import numpy as np
import pytest

from symgru.derivation import jvp, vjp
from symgru.equations import VALID, Polarity, Reset, gru, with_lengths
from symgru.lowering.evaluate import evaluate as on_arrays
from symgru.proof import Arithmetic, evaluate

FLOAT = Arithmetic(float, {"sigmoid": lambda a: 1 / (1 + math.exp(-a)), "tanh": math.tanh})
SIZES = {"I": 3, "H": 2}


def programs():
    for polarity in Polarity:
        for reset in Reset:
            for cell in (gru(polarity, reset), with_lengths(gru(polarity, reset))):
                yield cell.name, cell.step
                yield f"{cell.name}-vjp", vjp(cell.step)
                yield f"{cell.name}-jvp", jvp(cell.step)


@pytest.mark.parametrize(
    ("name", "program"), list(programs()), ids=lambda value: value if type(value) is str else ""
)
def test_both_interpreters_agree(name, program):
    random = np.random.default_rng(0)
    values = {s: random.normal(size=[SIZES[a] for a in shape.axes]) for s, shape in program.inputs.items()}
    if VALID in values:
        values[VALID] = np.array([0, 1])
    unit_by_unit = evaluate(program, {s: v.tolist() for s, v in values.items()}, FLOAT)
    arrays = on_arrays(program, {str(s): v.astype(bool) if s == VALID else v for s, v in values.items()})
    for symbol in program.shapes:
        assert np.abs(np.array(unit_by_unit[symbol]) - arrays[str(symbol)]).max() < 1e-13, symbol
    for output in program.outputs:
        assert np.abs(arrays[str(output)]).max() > 1e-6, f"{output} is zero, so nothing was compared"
