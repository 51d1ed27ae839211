"""Every function: its derivative, its value in each arithmetic, and its code in torch."""

import numpy as np
import pytest
import sympy as sp
import torch
from symgru.kernels import tensor_ops

from symgru.equations.functions import exp, relu, rsqrt, sigmoid, softplus, step, tanh
from symgru.lowering.evaluate import evaluate_expression
from symgru.lowering.printers import TorchPrinter
from symgru.proof.evaluation import bounds, intervals

a = sp.Symbol("a", real=True)
FUNCTIONS = (exp, relu, rsqrt, sigmoid, softplus, step, tanh)
POINTS = {rsqrt: (0.01, 0.4, 3.0)}
EVERYWHERE = (-30.0, -1.7, -0.2, 0.3, 2.5, 30.0)
TORCH = {name: getattr(tensor_ops, name) for name in ("softplus", "step")}


def points(function):
    return np.array(POINTS.get(function, EVERYWHERE))


def in_torch(expression, values):
    """The emitted expression, called by its names: nothing is evaluated from text."""
    source = TorchPrinter().doprint(expression)
    name, argument = source.removesuffix(")").split("(")
    assert argument == "a"
    function = TORCH.get(name) or getattr(torch, name.removeprefix("torch."))
    return function(torch.from_numpy(values)).numpy()


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_derivative_is_the_slope(function):
    values, width = points(function), 1e-6
    slope = [evaluate_expression(function(a), {"a": values + s * width}) for s in (1, -1)]
    derivative = evaluate_expression(sp.diff(function(a), a), {"a": values})
    np.testing.assert_allclose(
        np.broadcast_to(derivative, values.shape), (slope[0] - slope[1]) / (2 * width), rtol=1e-7, atol=1e-9
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_arithmetic_has_the_same_value(function):
    values = points(function)
    numbers = evaluate_expression(function(a), {"a": values})
    np.testing.assert_allclose(in_torch(function(a), values), numbers, rtol=1e-14, atol=1e-15)
    arithmetic = intervals(30)
    for value, number in zip(values, numbers, strict=True):
        enclosed = bounds(arithmetic.functions[function.__name__](arithmetic.number(sp.Rational(str(value)))))
        assert abs(float(enclosed.lower) - number) <= 1e-14 * max(1, abs(number))
        assert enclosed.upper - enclosed.lower <= sp.Rational(1, 10**14)


def test_the_derivative_of_relu_is_that_of_torch_at_the_kink():
    x = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(torch.relu(x).sum(), x)
    assert evaluate_expression(sp.diff(relu(a), a), {"a": np.zeros(1)}) == slope.numpy()


@pytest.mark.parametrize("function", [relu, step])
def test_an_interval_round_the_kink_contains_both_sides(function):
    arithmetic = intervals(30)
    around_zero = 3 * arithmetic.number(sp.Rational(1, 3)) - 1
    enclosed = bounds(around_zero)
    assert enclosed.lower < 0 < enclosed.upper
    value = bounds(arithmetic.functions[function.__name__](around_zero))
    expected = {relu: (0, enclosed.upper), step: (0, 1)}
    assert (value.lower, value.upper) == expected[function]


@pytest.mark.parametrize("function", [relu, step])
def test_numbers_have_exact_values(function):
    assert function(sp.Rational(-1, 2)) == 0
    assert function(sp.Rational(3, 2)) == {relu: sp.Rational(3, 2), step: 1}[function]


def test_softplus_does_not_turn_into_the_identity_as_that_of_torch_does():
    values = torch.tensor([25.0], dtype=torch.float64)
    assert tensor_ops.softplus(values) > values
    assert torch.nn.functional.softplus(values) == values
