"""A layer of any cell: against the oracle, and all its derivatives against finite differences."""

import numpy as np
import pytest
import sympy as sp
import torch
from symgru.kernels.cache import VARIABLE
from symgru.kernels.passes import Pass, Phase
from symgru.kernels.scan import scan

from symgru.equations import (
    CellBuilder,
    gru,
    relu,
    sigmoid,
    tanh,
    with_lengths,
    with_resets,
    with_zoneout,
)
from symgru.testing.loops import Differentiable, Sizes, draw
from symgru.torch_cells import Recurrent

SIZES = Sizes(steps=4, batch=2, axes={"I": 3, "H": 4})


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path))


def two_states():
    cell = CellBuilder("two_states")
    x, h, c = cell.input("x", "I"), cell.state("h", "H"), cell.state("c", "H")
    W, U, b = cell.weight("W", "H", "I"), cell.weight("U", "H", "H"), cell.bias("b", "H")
    f = cell.let("f", sigmoid(W @ x + U @ h + b))
    new = cell.update(c, f * c + (1 - f) * tanh(W @ x))
    cell.update(h, tanh(new) * f)
    return cell.build()


def normalised():
    cell = CellBuilder("normalised")
    x, h = cell.input("x", "I"), cell.state("h", "H")
    W, U = cell.weight("W", "H", "I"), cell.weight("U", "H", "H")
    (a,) = cell.layer_norm("normed", [W @ x + U @ h], sp.Rational(1, 10))
    cell.update(h, tanh(a) + relu(a) * h)
    return cell.build()


CELLS = {
    "gru": gru,
    "two_states": two_states,
    "normalised": normalised,
    "wrapped": lambda: with_resets(with_zoneout(with_lengths(two_states()))),
}


def layer_and_inputs(cell, seed=0):
    """A float64 layer with drawn parameters, its inputs, and the states that the oracle gives."""
    point = draw(cell, SIZES, seed)
    layer = Recurrent(cell, **SIZES.axes).double()
    for name, parameter in layer.named_parameters():
        parameter.data = torch.from_numpy(point[name])
    own = dict(layer.named_parameters())
    inputs = {n: torch.from_numpy(np.ascontiguousarray(v)) for n, v in point.items() if n not in own}
    return layer, inputs, Differentiable(cell).states(point)


def as_function(layer, inputs):
    """The layer as a function of all its real inputs and parameters, and their values."""
    moving = {n: v for n, v in inputs.items() if v.dtype != torch.bool} | {
        n: p.detach() for n, p in layer.named_parameters()
    }
    own = {n for n, _ in layer.named_parameters()}

    def function(*values):
        given = dict(zip(moving, values, strict=True))
        called = {**inputs, **{n: v for n, v in given.items() if n not in own}}
        return tuple(torch.func.functional_call(layer, {n: given[n] for n in own}, (), called).values())

    return function, [v.clone().requires_grad_() for v in moving.values()]


@pytest.mark.parametrize("name", CELLS)
def test_the_states_are_those_of_the_oracle(name):
    layer, inputs, expected = layer_and_inputs(CELLS[name]())
    found = layer(**inputs)
    assert found.keys() == expected.keys()
    for state, value in expected.items():
        np.testing.assert_allclose(found[state].detach().numpy(), value, atol=1e-14)


@pytest.mark.parametrize("name", CELLS)
def test_gradients_and_tangents(name):
    function, values = as_function(*layer_and_inputs(CELLS[name]())[:2])
    assert torch.autograd.gradcheck(function, values, check_forward_ad=True)


@pytest.mark.parametrize("name", ["two_states", "normalised"])
def test_second_derivatives(name):
    function, values = as_function(*layer_and_inputs(CELLS[name]())[:2])
    assert torch.autograd.gradgradcheck(function, values)


def test_numbers_that_a_mask_chooses_keep_the_digits_of_float64():
    """torch.where(mask, 1/3, 0) is float32, which is off by 1e-8."""
    cell = with_lengths(with_zoneout(two_states(), sp.Rational(1, 3)))
    layer, inputs, states = layer_and_inputs(cell)
    inputs["x"].requires_grad_()
    rng = np.random.default_rng(1)
    cotangents = {name: rng.standard_normal(value.shape) for name, value in states.items()}
    loss = sum((value * torch.from_numpy(cotangents[n])).sum() for n, value in layer(**inputs).items())
    (found,) = torch.autograd.grad(loss, inputs["x"])
    expected = Differentiable(cell).vjp(draw(cell, SIZES, 0), cotangents)["x"]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-13)


def test_a_missing_first_state_is_zero():
    layer, inputs, _ = layer_and_inputs(two_states())
    zeros = {n: torch.zeros_like(v) for n, v in inputs.items() if n.endswith("_prev")}
    states = layer(x=inputs["x"])
    for name, value in layer(x=inputs["x"], **zeros).items():
        assert torch.equal(states[name], value)


def test_it_learns():
    torch.manual_seed(0)
    layer = Recurrent(two_states(), I=3, H=4)
    x, wanted = torch.randn(5, 8, 3), 0.3 * torch.randn(5, 8, 4)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.05)
    losses = []
    for _ in range(40):
        loss = (layer(x=x)["h_new"] - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, "missing are x"),
        ({"y": torch.zeros(4, 2, 3)}, "unknown y"),
        ({"x": torch.zeros(4, 2, 5)}, r"x is to be \[4, 2, 3\], got \[4, 2, 5\]"),
        ({"h_prev": torch.zeros(4)}, r"h_prev is to be \[2, 4\], got \[4\]"),
        ({"x": torch.zeros(2, 3)}, r"x is to be"),
    ],
)
def test_wrong_inputs_are_named(change, message):
    layer, inputs, _ = layer_and_inputs(two_states())
    given = {n: v for n, v in {**inputs, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        layer(**given)


def test_sizes_are_those_of_the_axes():
    with pytest.raises(ValueError, match="has the axes H, I, got sizes for H, J"):
        Recurrent(two_states(), H=3, J=2)


def test_the_layer_says_what_it_is():
    assert "two_states, I=3, H=4" in repr(Recurrent(two_states(), I=3, H=4))


def test_a_delayed_input_that_nothing_reads_back():
    """One state is the input of the step before, the other is never read: no cotangent, no error."""
    builder = CellBuilder("delayed")
    x, h, p = builder.input("x", "H"), builder.state("h", "H"), builder.state("p", "H")
    builder.update(h, tanh(x + h * p))
    builder.update(p, x)
    layer = Recurrent(builder.build(), H=2)
    values = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    first = torch.zeros(2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: tuple(layer(x=v, h_prev=first).values()), (values,))
    unread = CellBuilder("unread")
    x, h = unread.input("x", "H"), unread.state("h", "H")
    unread.update(h, tanh(x))
    layer = Recurrent(unread.build(), H=2)
    assert torch.autograd.gradcheck(lambda v: layer(x=v)["h_new"], (values,))


@pytest.mark.parametrize(
    "step",
    [lambda h, b: h + b, lambda h, b: h * h + b, lambda _, b: b],
    ids=["linear", "square", "constant"],
)
def test_steps_that_read_no_input(step):
    """Nothing in the loop says how many steps there are, forward or in the tangent."""
    builder = CellBuilder("inputless")
    builder.input("x", "I")
    builder.update(builder.state("h", "H"), step(sp.Symbol("h_prev", real=True), builder.bias("b", "H")))
    function, values = as_function(*layer_and_inputs(builder.build())[:2])
    assert torch.autograd.gradcheck(function, values, check_forward_ad=True)


def test_a_sequence_without_steps_is_refused():
    for cell in (two_states(), CELLS["gru"]()):
        with pytest.raises(ValueError, match="expected one step or more, got 0"):
            Recurrent(cell, **SIZES.axes)(x=torch.zeros(0, 2, 3))


def test_a_pass_without_sequences_has_to_be_told_the_number_of_steps():
    inside = Phase(lambda h: (h,), ("h",), ("h_new",))
    nothing = Phase(tuple, (), ())
    pass_ = Pass(nothing, inside, nothing, (("h", "h_new"),), (), (), ("h_new",), False)
    with pytest.raises(ValueError, match="expected the number of steps, got none"):
        scan(pass_, {"h": torch.zeros(1, 2)})
    values = {"h": torch.ones(1, 2)}
    scan(pass_, values, steps=3)
    assert torch.equal(values["h_new"], torch.ones(3, 1, 2))
