"""Every error says what was expected and what came."""

import numpy as np
import pytest
import torch
from torch.nn.utils.rnn import pack_sequence

import symgru
from symgru.torch_api.backends import BACKENDS


def call(x=(4, 2, 3), h0=(1, 2, 5), **kwargs):
    return symgru.GRU(3, 5, **kwargs)(torch.randn(x), None if h0 is None else torch.randn(h0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": (4, 2, 7)}, r"input must be \[T, B, 3\], but has shape \[4, 2, 7\]"),
        ({"x": (2, 4, 7), "batch_first": True}, r"input must be \[B, T, 3\], but has shape \[2, 4, 7\]"),
        ({"x": (4, 2, 3, 1)}, r"input must be \[T, B, 3\], but has shape \[4, 2, 3, 1\]"),
        ({"x": (3,)}, r"input must be \[T, B, 3\], but has shape \[3\]"),
        ({"x": (4, 7)}, r"input must be \[T, 3\], but has shape \[4, 7\]"),
        ({"x": (0, 2, 3)}, r"at least one step, but input \[T, B, 3\] has T = 0"),
        ({"x": (2, 0, 3), "batch_first": True}, r"input \[B, T, 3\] has T = 0"),
        ({"h0": (1, 3, 5)}, r"initial state must be \[1, 2, 5\], but has shape \[1, 3, 5\]"),
        ({"h0": (2, 5)}, r"initial state must be \[1, 2, 5\], but has shape \[2, 5\]"),
        ({"x": (4, 3), "h0": (1, 1, 5)}, r"initial state must be \[1, 5\], but has shape \[1, 1, 5\]"),
    ],
)
def test_shapes(arguments, message):
    with pytest.raises(symgru.ShapeError, match=message):
        call(**arguments)


@pytest.mark.parametrize("shape", [(1, 1, 5), (1, 7, 5), (2, 5)])
def test_the_state_of_a_packed_sequence(shape):
    packed = pack_sequence([torch.randn(n, 3) for n in (2, 4)], enforce_sorted=False)
    with pytest.raises(symgru.ShapeError, match=r"initial state must be \[1, 2, 5\]"):
        symgru.GRU(3, 5)(packed, torch.randn(shape))


def test_what_is_no_tensor():
    with pytest.raises(TypeError, match="input must be a tensor, but is a ndarray"):
        symgru.GRU(3, 5)(np.zeros((4, 2, 3)))
    state = torch.zeros(1, 2, 5)
    with pytest.raises(TypeError, match="the initial state must be a tensor, but is a tuple"):
        symgru.GRU(3, 5)(torch.randn(4, 2, 3), (state, state))


def test_dtypes():
    module = symgru.GRU(3, 5)
    with pytest.raises(
        symgru.DtypeError, match=r"input must have the dtype of weight_ih_l0, torch\.float32, but"
    ):
        module(torch.randn(4, 2, 3, dtype=torch.float64))
    with pytest.raises(symgru.DtypeError, match=r"hx must have the dtype .* has torch\.float64"):
        module(torch.randn(4, 2, 3), torch.randn(1, 2, 5, dtype=torch.float64))
    with pytest.raises(symgru.DtypeError, match=r"input must be one of .* but has dtype torch\.int64"):
        module(torch.ones(4, 2, 3, dtype=torch.int64))
    module.bias_hh_l0.data = module.bias_hh_l0.data.double()
    with pytest.raises(symgru.DtypeError, match="bias_hh_l0 must have the dtype of weight_ih_l0"):
        module(torch.randn(4, 2, 3))


def test_devices():
    module = symgru.GRU(3, 5)
    with pytest.raises(
        symgru.DeviceError, match="input must be on the device of weight_ih_l0, cpu, but is on meta"
    ):
        module(torch.empty(4, 2, 3, device="meta"))


def test_weights():
    module = symgru.GRU(3, 5)
    weights, x = list(module.parameters()), torch.randn(4, 2, 3)
    with pytest.raises(symgru.ShapeError, match="expected 4 weights"):
        symgru.gru(x, None, weights[:3])
    with pytest.raises(symgru.ShapeError, match=r"bias_ih_l0 must have shape \[15\], but has shape \[14\]"):
        symgru.gru(x, None, [*weights[:2], weights[2][1:], weights[3]])
    with pytest.raises(symgru.ShapeError, match=r"weight_hh_l0 must have shape \[15, 5\]"):
        symgru.gru(x, None, [weights[0], weights[1][1:], *weights[2:]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"polarity": "kept"}, "polarity must be one of keep, update, but is 'kept'"),
        ({"reset": "during"}, "reset must be one of before, after, whole, but is 'during'"),
        ({"precision": "tf16"}, "precision must be one of ieee, tf32, tf32x3"),
        ({"num_layers": 0}, "num_layers must be a positive integer, but is 0"),
        ({"dropout": 1.5}, r"dropout must be a probability between 0 and 1, but is 1\.5"),
        ({"dropout": True}, "dropout must be a probability"),
    ],
)
def test_constructor(arguments, message):
    with pytest.raises(ValueError, match=message):
        symgru.GRU(3, 5, **arguments)
    with pytest.raises(ValueError, match=r"hidden_size must be a positive integer, but is 2\.5"):
        symgru.GRU(3, 2.5)


def test_backends_that_cannot_serve_name_one_that_can(monkeypatch):
    with pytest.raises(
        symgru.BackendError, match=r"'triton' cannot serve this call: .*GPU.*; backend 'cpu' can"
    ):
        call(backend="triton")
    with pytest.raises(
        symgru.BackendError, match="backend must be auto, triton, cpu, torch, interpreter, but is 'cuda'"
    ):
        call(backend="cuda")
    with pytest.raises(
        symgru.BackendError, match=r"interpreter computes bfloat16 wrongly; backend 'cpu' can"
    ):
        symgru.GRU(3, 5, backend="interpreter", dtype=torch.bfloat16)(
            torch.randn(4, 2, 3, dtype=torch.bfloat16)
        )
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    with pytest.raises(symgru.BackendError, match=r"takes Triton's interpreter.*; backend 'cpu' can"):
        call(backend="interpreter")


def test_backends_says_which_and_why():
    lines = symgru.backends("cpu")
    assert [line.name for line in lines] == [b.name for b in BACKENDS]
    (chosen,) = [line for line in lines if line.chosen]
    assert (chosen.name, chosen.why) == ("cpu", "taken by auto")
    assert all(line.why for line in lines)
    assert str(chosen).startswith("* cpu")
    assert not next(
        line for line in symgru.backends("cpu", torch.bfloat16) if line.name == "interpreter"
    ).available


@pytest.mark.skipif(torch.cuda.is_available(), reason="what is said where there is no GPU")
def test_backends_of_a_device_that_is_not_there():
    lines = {line.name: line for line in symgru.backends("cuda")}
    assert lines["triton"].why == lines["torch"].why == f"torch {torch.__version__} finds no GPU here"
    assert not any(line.available or line.chosen for line in lines.values())


def test_errors_are_value_errors():
    for error in (symgru.ShapeError, symgru.DtypeError, symgru.DeviceError, symgru.BackendError):
        assert issubclass(error, ValueError)


def test_cell_shapes():
    cell = symgru.GRUCell(3, 5)
    with pytest.raises(symgru.ShapeError, match=r"input must be \[B, 3\], but has shape \[4, 2, 3\]"):
        cell(torch.randn(4, 2, 3))
    with pytest.raises(symgru.ShapeError, match=r"input must be \[3\], but has shape \[7\]"):
        cell(torch.randn(7))
    with pytest.raises(symgru.ShapeError, match=r"the initial state must be \[2, 5\], but has shape \[5\]"):
        cell(torch.randn(2, 3), torch.randn(5))
    with pytest.raises(symgru.DtypeError, match="input must have the dtype of weight_ih, torch"):
        cell(torch.randn(2, 3).double())
