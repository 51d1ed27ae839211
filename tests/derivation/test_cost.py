"""Counts of operations and stored values: the counter, the reports, PyTorch's kernel, and the page."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
import sympy as sp

from symgru.derivation import Operations, costs, gradient, operations, pipeline_cost
from symgru.derivation.cost import fused_step
from symgru.derivation.count import expression_cost
from symgru.derivation.simplify import cheapest
from symgru.equations import Contract, Mean, Outer, Pointwise, Product, Sum, gru, rsqrt, select, sigmoid, tanh
from symgru.lowering.evaluate import evaluate_expression
from symgru.testing.orders_page import PAGE, with_table
from symgru.testing.peers import pytorch_gru_cell_backward

a, b, c, m, u, w = sp.symbols("a b c m u w", real=True)


@pytest.mark.parametrize(
    ("expression", "scalar", "functions"),
    [
        (a, 0, 0),
        (sp.Integer(2), 0, 0),
        (a + b, 1, 0),
        (a - b, 1, 0),
        (-a, 1, 0),
        (-a - b, 2, 0),
        (a * b * c, 2, 0),
        (-a * b, 2, 0),
        (c - a * b, 2, 0),
        (2 * a, 1, 0),
        (c - 2 * a, 2, 0),
        (1 - a**2, 2, 0),
        (a**3, 2, 0),
        ((a + b) ** 2, 3, 0),
        (a * (b - c), 2, 0),
        (sigmoid(-a), 1, 1),
        (tanh(a) * rsqrt(b), 1, 2),
        (select(m, a * b, 0), 2, 0),
    ],
    ids=str,
)
def test_the_counter(expression, scalar, functions):
    assert expression_cost(expression) == Operations(scalar, functions)


def test_all_kinds_of_statement():
    statements = [
        Pointwise(u, a + tanh(b)),
        Contract(u, (Product(w, a), Product(w, b, transposed=True))),
        Mean(u, a),
        Outer(u, ((a, b), (b, c))),
        Sum(u, (a,)),
    ]
    assert operations(statements) == Operations(1, 1, 2, 2, 1)
    assert operations(statements).pointwise == 2


def test_costs_of_a_cell():
    """The report has every phase of every loop, as data."""
    report = costs(gru("keep", "after"))
    assert list(report) == ["forward", "tangent", "gradient", "hessian_vector", "double_backward"]
    _, back = report["gradient"].loops
    assert (back.before.pointwise, back.inside.pointwise, back.after.pointwise) == (24, 6, 4)
    assert (back.before.products, back.inside.products, back.after.products) == (6, 3, 3)
    assert (back.after.outer, back.stored, back.reverse) == (6, ("d_h_new",), True)
    for cost in report.values():
        assert cost.total == cost.before + cost.inside + cost.after
        assert cost.stored == sum(len(loop.stored) for loop in cost.loops)
        data = cost.to_json()
        assert json.loads(json.dumps(data)).keys() == {"name", "loops", "sums", "total", "stored"}
        assert data["total"]["products"] == cost.total.products
        assert len(data["loops"]) == len(cost.loops)
    assert report["double_backward"].sums == 11


def test_sums_between_loops_are_counted():
    pipeline = gradient(gru("keep", "after"))
    (output, *_) = pipeline.outputs
    doubled = replace(pipeline, outputs={**pipeline.outputs, output: pipeline.outputs[output] * 2})
    assert pipeline_cost(doubled).sums == pipeline_cost(pipeline).sums + 1


# PyTorch's fused cell backward: the same numbers, and not fewer operations.


def pytorch():
    return pytorch_gru_cell_backward()


def test_both_are_the_same_gradient():
    """The transcription against what is derived, with 1 − σ for the complements."""
    rng = np.random.default_rng(0)
    given = {name: rng.standard_normal(5) for name in ("d_h_new", "h_prev", "recurrent")}
    given |= {name: rng.random(5) for name in ("reset_gate", "update_gate", "candidate")}
    theirs, ours = dict(given), dict(given)
    ours |= {f"{gate}_complement": 1 - given[gate] for gate in ("reset_gate", "update_gate")}
    ours["shared_1"] = given["recurrent"]  # U_n h + c_n, which both read from the forward step
    assert set(fused_step(gru("keep", "after")).saved) <= ours.keys()
    for statement in pytorch():
        theirs[str(statement.target)] = evaluate_expression(statement.expression, theirs)
    for statement in fused_step(gru("keep", "after")).statements:
        ours[str(statement.target)] = evaluate_expression(statement.expression, ours)
    for statement in pytorch():
        name = str(statement.target)
        assert np.abs(ours[name] - theirs[name]).max() < 1e-14, name


def test_not_more_operations_than_pytorchs_kernel():
    written = operations(pytorch())
    targets = {s.target for s in pytorch()}
    (shared,) = cheapest((pytorch(),), targets, {str(s) for p in pytorch() for s in p.reads})
    found = fused_step(gru("keep", "after"))
    complements = [name for name in found.saved if name.endswith("_complement")]
    assert written == Operations(scalar=16)
    assert operations(shared) == Operations(scalar=13)
    assert found.operations == Operations(scalar=11)
    assert found.operations.scalar + len(complements) == 13
    assert found.operations.scalar + len(complements) <= operations(shared).scalar <= written.scalar


def test_the_page_says_what_is_counted():
    page = PAGE.read_text(encoding="utf-8")
    assert page == with_table(page)
    numbers = [
        int(n) for n in re.findall(r"^\| (?:PyTorch's|the same|derived).*\| (\d+) \|$", page, re.MULTILINE)
    ]
    assert numbers == [16, 13, 11, 13]


def test_a_wrong_page_is_noticed():
    page = PAGE.read_text(encoding="utf-8")
    wrong = page.replace("| gru_keep_after | gradient | 2 |", "| gru_keep_after | gradient | 3 |")
    assert wrong != page
    assert page == with_table(wrong)
    with pytest.raises(ValueError, match="expected the marks"):
        with_table("a page without a table")
