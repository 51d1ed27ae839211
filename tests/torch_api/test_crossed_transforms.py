"""Transforms inside each other, compiled and not, against finite differences: none may drop a derivative."""

import pytest
import torch
from torch.func import grad, jacfwd, jacrev, jvp, vjp, vmap
from torch.nn.utils.rnn import pack_sequence

import symgru

EPSILON = 1e-4


def call(backend="torch", **kwargs):
    torch.manual_seed(0)
    module = symgru.GRU(3, 4, backend=backend, dtype=torch.float64, **kwargs)
    x, v = (torch.randn(4, 2, 3, dtype=torch.float64) for _ in range(2))
    return module, x, v


def scalar(module):
    return lambda x: module(x)[0].sin().sum()


def slope(function, x, v):
    """First derivative along v, by central differences."""
    return (function(x + EPSILON * v) - function(x - EPSILON * v)) / (2 * EPSILON)


def curvature(function, x, v):
    """Second derivative along v."""
    return (function(x + EPSILON * v) - 2 * function(x) + function(x - EPSILON * v)) / EPSILON**2


def forward(function, v):
    return lambda x: jvp(function, (x,), (v,))[1]


def reverse(function, v):
    return lambda x: (grad(function)(x) * v).sum()


MODES = {"forward": forward, "reverse": reverse}


def compiled(function):
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager")


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_second_derivatives_of_every_combination(first, second):
    module, x, v = call()
    found = MODES[second](MODES[first](scalar(module), v), v)(x)
    assert abs(found - curvature(scalar(module), x, v)) < 1e-5


def test_third_derivative():
    module, x, v = call("torch", polarity="update", reset="before")
    found = forward(reverse(forward(scalar(module), v), v), v)(x)
    expected = slope(reverse(reverse(scalar(module), v), v), x, v)
    assert abs(found - expected) < 1e-5


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kwargs", [{}, {"num_layers": 2, "bidirectional": True}])
def test_transforms_inside_a_compiled_function(mode, kwargs):
    module, x, v = call(**kwargs)
    found = compiled(MODES[mode](scalar(module), v))(x)
    assert abs(found - slope(scalar(module), x, v)) < 1e-6


def test_jacobians_inside_a_compiled_function():
    module, x, _ = call()
    expected = jacrev(lambda x: module(x)[1])(x)
    for jacobian in (jacrev, jacfwd):
        assert (compiled(jacobian(lambda x: module(x)[1]))(x) - expected).abs().max() < 1e-12


def test_vmap_inside_a_compiled_function():
    module, x, v = call()
    many = torch.stack([x, v])
    assert torch.equal(compiled(vmap(lambda x: module(x)[0]))(many), vmap(lambda x: module(x)[0])(many))


def test_the_fused_loops_refuse_what_would_drop_a_derivative():
    module, x, v = call("interpreter")
    with pytest.raises(symgru.BackendError, match="forward-mode derivative of a forward-mode derivative"):
        forward(forward(scalar(module), v), v)(x)
    with pytest.raises(symgru.BackendError, match="backend 'torch' has derivatives of any order"):
        forward(reverse(scalar(module), v), v)(x)
    with pytest.raises(Exception, match="'interpreter' cannot serve a transform inside"):
        compiled(forward(scalar(module), v))(x)


def test_packed_sequences_have_forward_mode():
    module, _, _ = call(bidirectional=True)
    packed = pack_sequence([torch.randn(n, 3, dtype=torch.float64) for n in (2, 4, 1)], enforce_sorted=False)

    def function(data):
        output, final = module(packed._replace(data=data))
        return output.data.sin().sum() + final.sum()

    v = torch.randn_like(packed.data)
    assert abs(forward(function, v)(packed.data) - slope(function, packed.data, v)) < 1e-6
    assert abs(forward(reverse(function, v), v)(packed.data) - curvature(function, packed.data, v)) < 1e-5
    _, transpose = vjp(function, packed.data)
    assert (
        abs((transpose(torch.ones((), dtype=torch.float64))[0] * v).sum() - slope(function, packed.data, v))
        < 1e-6
    )
