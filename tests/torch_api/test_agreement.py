"""`symgru.GRU` against the oracle in every convention, and against torch.nn.GRU where it has one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symgru.testing.compare import run, run_oracle, run_peer
from symgru.testing.strategies import cases
from symgru.testing.tolerances import TOLERANCES, assert_close, relative_error


def assert_agrees(found, oracle, peer):
    peers = peer.items() if peer else {}
    for name, value in found.items().items():
        assert_close(name, value, oracle.items()[name], peers.get(name))


@pytest.mark.parametrize("backend", ["torch", "cpu"])
@given(case=cases())
def test_against_the_oracle_in_float64(backend, case):
    assert_agrees(run(case, case.module(backend)), run_oracle(case), None)


@given(case=cases(polarities=("keep",), resets=("after",)))
def test_the_oracle_is_torch_in_float64(case):
    """1e-12 and better: the equations with their defaults are torch.nn.GRU, gradients included."""
    peer, oracle = run_peer(case), run_oracle(case)
    for name, value in peer.items().items():
        assert relative_error(value, oracle.items()[name]) < 1e-12, name


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@given(data=st.data())
def test_no_worse_than_twice_the_error_of_torch(dtype, data):
    case = data.draw(cases(dtypes=(dtype,)))
    assert_agrees(run(case, case.module("torch")), run_oracle(case), run_peer(case))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@given(data=st.data())
def test_no_worse_than_twice_the_error_of_torch_in_cpp(dtype, data):
    case = data.draw(cases(dtypes=(dtype,)))
    assert_agrees(run(case, case.module("cpu")), run_oracle(case), run_peer(case))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16], ids=str)
@given(data=st.data())
def test_the_triton_loops_against_the_oracle(dtype, data):
    """Layers, directions, lengths; in Triton's interpreter, which computes bfloat16 wrongly."""
    case = data.draw(cases(dtypes=(dtype,), max_hidden=17))
    assert_agrees(run(case, case.module("interpreter")), run_oracle(case), run_peer(case))


def test_the_comparison_catches_a_wrong_result():
    """Each planted difference, one at a time, in value, shape and finiteness."""
    oracle = torch.linspace(-1, 1, 12, dtype=torch.float64)
    assert_close("right", oracle.float(), oracle)
    for wrong in (-oracle, oracle.roll(1), oracle * (1 + 1e-4), oracle + torch.nan):
        with pytest.raises(AssertionError, match="against the oracle"):
            assert_close("wrong", wrong.float(), oracle)
    with pytest.raises(AssertionError, match="has shape"):
        assert_close("cut", oracle.float()[1:], oracle)
    for dtype, tolerance in TOLERANCES.items():
        assert tolerance.floor < tolerance.cap < 0.05, dtype
