"""The two polarities are one model: negate (W_z, U_z, b_z) and every bit of values and gradients agrees."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import symgru
from symgru.testing.compare import run
from symgru.testing.mirror import mirrored
from symgru.testing.strategies import cases

DTYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def assert_bit_identical(case, backend):
    module = case.module(backend)
    twin = mirrored(module)
    assert twin.polarity != module.polarity
    here, there = run(case, module), run(case, twin)
    assert torch.equal(here.output, there.output)
    assert torch.equal(here.final, there.final)
    update = slice(case.hidden_size, 2 * case.hidden_size)
    for name, gradient in here.gradients.items():
        expected = gradient.clone()
        if name not in ("x", "h0"):
            expected[update] = -expected[update]
        assert torch.equal(expected, there.gradients[name]), name


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@given(data=st.data())
def test_torch_backend(dtype, data):
    assert_bit_identical(data.draw(cases(dtypes=(dtype,))), "torch")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
@given(data=st.data())
def test_cpu_backend(dtype, data):
    assert_bit_identical(data.draw(cases(dtypes=(dtype,))), "cpu")


@pytest.mark.parametrize("dtype", DTYPES[:3], ids=str)
@given(data=st.data())
def test_triton_loops(dtype, data):
    """Under the interpreter, which computes bfloat16 wrongly."""
    assert_bit_identical(data.draw(cases(dtypes=(dtype,), max_hidden=17, max_layers=1)), "interpreter")


def test_without_the_change_of_sign_they_are_different_models():
    torch.manual_seed(0)
    keep, update = symgru.GRU(3, 4), symgru.GRU(3, 4, polarity="update")
    update.load_state_dict(keep.state_dict())
    x = torch.randn(3, 2, 3)
    assert (keep(x)[0] - update(x)[0]).abs().max() > 1e-2


@pytest.mark.parametrize("optimiser", ["SGD", "Adam", "AdamW", "NAdam", "RMSprop"])
def test_training_steps_stay_mirrored(optimiser):
    """It does not matter which one is optimised: the losses coincide to the last bit."""
    torch.manual_seed(1)
    keep = symgru.GRU(3, 5, 2)
    update = mirrored(keep)
    settings = {"lr": 0.05, "weight_decay": 0.01, **({"momentum": 0.9} if optimiser == "SGD" else {})}
    both = [(m, getattr(torch.optim, optimiser)(m.parameters(), **settings)) for m in (keep, update)]
    x, target = torch.randn(6, 4, 3), torch.randn(6, 4, 5)
    losses = []
    for module, steps in both:
        history = []
        for _ in range(5):
            steps.zero_grad()
            loss = (module(x)[0] - target).square().mean()
            loss.backward()
            steps.step()
            history.append(loss.detach())
        losses.append(torch.stack(history))
    assert torch.equal(losses[0], losses[1])
    assert losses[0][0] > losses[0][-1]
    twin = mirrored(keep)
    assert all(torch.equal(a, b) for a, b in zip(twin.parameters(), update.parameters(), strict=True))
