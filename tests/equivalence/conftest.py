import numpy as np
import pytest

from symgru.derivation import Loop
from symgru.lowering.evaluate import evaluate_expression, evaluate_loop
from symgru.testing.loops import Sizes, draw

STEPS, BATCH, SIZES = 3, 3, {"I": 3, "H": 2}


def _largest_difference(left, right, relation):
    values = draw(left, Sizes(STEPS, BATCH, SIZES), seed=0)
    images = {**relation.parameters, **relation.states}
    theirs = {}
    for symbol, shape in right.step.inputs.items():
        here = relation.names.get(symbol, symbol)
        image = evaluate_expression(images.get(here, here), values)
        if image.ndim == 0:  # a number in every element
            image = np.full([SIZES[axis] for axis in shape.axes], image)
        theirs[str(symbol)] = image
    ours = evaluate_loop(Loop("left", left.step, left.carry), values)
    others = evaluate_loop(Loop("right", right.step, right.carry), theirs)
    called = {here: symbol for symbol, here in relation.names.items()}
    leaving = dict(right.carry)
    return max(
        abs(
            others[str(leaving[called.get(old, old)])]
            - evaluate_expression(relation.states[old].xreplace({old: new}), ours)
        ).max()
        for old, new in left.carry
    )


@pytest.fixture(scope="session")
def largest_difference():
    """Of the states of three steps of two cells, by an evaluator that knows nothing of proofs."""
    return _largest_difference
