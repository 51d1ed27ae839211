"""Printers: what they know they print, what they do not know they refuse by name."""

import numpy as np
import pytest
import sympy as sp

from symgru.equations import select, sigmoid
from symgru.lowering import LoweringError, TorchPrinter, TritonPrinter
from symgru.lowering.evaluate import evaluate_expression

a, b, m = sp.symbols("a b m", real=True)


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        (a + b * a, "a*b + a"),
        (a * (1 - b**2), "a*(-b*b + 1.0)"),
        ((a + b) ** 2, "(a + b)*(a + b)"),
        (sp.Rational(1, 3) * a, "(1.0/3.0)*a"),
        (sigmoid(-a), "torch.sigmoid(-a)"),
        (select(m, sp.tanh(a), 0), "torch.where(m, torch.tanh(a), 0.0)"),
    ],
)
def test_torch(expression, source):
    assert TorchPrinter().doprint(expression) == source


def test_triton():
    assert TritonPrinter().doprint(select(m, sigmoid(a), b)) == "tl.where(m, sigmoid(a), b)"


@pytest.mark.parametrize("printer", [TorchPrinter(), TritonPrinter()], ids=lambda p: p.language)
@pytest.mark.parametrize(
    ("expression", "name"),
    [
        (sp.sin(a), "sin"),
        (a**-1, "power 1/a"),
        (sp.Max(a, b), "Max"),
        (sp.pi * a, "Pi"),
        (sp.Integral(a, a), "Integral"),
    ],
)
def test_an_unknown_node_is_named(printer, expression, name):
    with pytest.raises(LoweringError, match=name):
        printer.doprint(expression)


def test_the_oracle_refuses_unknown_nodes_too():
    with pytest.raises(LoweringError, match="sin"):
        evaluate_expression(sp.sin(a), {"a": np.ones(2)})
