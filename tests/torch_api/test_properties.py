"""What holds for every GRU, whatever its weights."""

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import symgru
from symgru.testing.strategies import cases
from symgru.torch_api.options import Options
from symgru.torch_api.stack import Shape, Stack

BACKENDS = ("torch", "cpu", "interpreter")
small = {"max_hidden": 17, "max_layers": 1}


def calls(backend):
    """Calls of any size for the torch backend, small ones for the interpreter, which takes 25 ms a launch."""
    dtypes = (torch.float64, torch.float32)
    return (
        cases(dtypes=dtypes)
        if backend != "interpreter"
        else cases(dtypes=dtypes, max_hidden=17, max_layers=1)
    )


def run(case, backend="torch"):
    x, h0 = case.values()
    return case.module(backend)(x, h0)


def tolerance(case):
    return 1e-13 if case.dtype is torch.float64 else 1e-5


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
def test_the_batch_order_does_not_matter(backend, data):
    case = replace(data.draw(calls(backend)), lengths=None)
    x, h0 = case.values()
    order = torch.tensor(data.draw(st.permutations(range(case.batch))))
    module = case.module(backend)
    output, final = module(x, h0)
    permuted, permuted_final = module(x[:, order], h0[:, order])
    assert (permuted - output[:, order]).abs().max() <= tolerance(case)
    assert (permuted_final - final[:, order]).abs().max() <= tolerance(case)


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
def test_a_sequence_can_be_cut_and_its_state_carried_over(backend, data):
    case = replace(data.draw(calls(backend)), lengths=None, bidirectional=False)
    assume(case.steps > 1)
    cut = data.draw(st.integers(1, case.steps - 1))
    x, h0 = case.values()
    module = case.module(backend)
    whole, final = module(x, h0)
    head, carried = module(x[:cut], h0)
    tail, last = module(x[cut:], carried)
    assert (torch.cat((head, tail)) - whole).abs().max() <= tolerance(case)
    assert (last - final).abs().max() <= tolerance(case)


@pytest.mark.parametrize("backend", BACKENDS)
@given(data=st.data())
def test_states_are_bounded(backend, data):
    """|h_t| ≤ max(|h_0|, 1), unit by unit: the new state lies between the old one and a tanh."""
    case = data.draw(calls(backend))
    x, h0 = case.values()
    scale = data.draw(st.sampled_from((0.1, 1.0, 30.0)))
    module = case.module(backend)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(scale)
    _, final = module(case.packed(x * scale), h0 * scale)
    bound = torch.clamp((h0 * scale).abs(), min=1.0)
    assert (final.abs() <= bound * (1 + 1e-6)).all()


@given(case=cases(lengths=False))
def test_packed_is_the_same_as_one_sequence_at_a_time(case):
    x, h0 = case.values()
    generator = torch.Generator().manual_seed(case.seed)
    lengths = torch.randint(1, case.steps + 1, (case.batch,), generator=generator)
    module = case.module()
    sequences = [x[:length, i] for i, length in enumerate(lengths)]
    output, final = module(pack_sequence(sequences, enforce_sorted=False), h0)
    unpacked, _ = nn.utils.rnn.pad_packed_sequence(output)
    for i, sequence in enumerate(sequences):
        alone, alone_final = module(sequence, h0[:, i])
        assert (unpacked[: len(sequence), i] - alone).abs().max() < 1e-12
        assert (final[:, i] - alone_final).abs().max() < 1e-12


def test_a_packed_result_has_the_order_of_its_input():
    packed = pack_sequence([torch.randn(n, 3) for n in (2, 5, 1, 3)], enforce_sorted=False)
    output, final = symgru.GRU(3, 4)(packed)
    expected, expected_final = nn.GRU(3, 4)(packed)
    assert isinstance(output, PackedSequence)
    assert output.data.shape == expected.data.shape
    assert torch.equal(output.batch_sizes, expected.batch_sizes)
    assert torch.equal(output.sorted_indices, expected.sorted_indices)
    assert torch.equal(output.unsorted_indices, expected.unsorted_indices)
    assert final.shape == expected_final.shape


@given(case=cases(lengths=False, polarities=("keep",), resets=("after",)), data=st.data())
def test_nan_spreads_exactly_as_in_torch(case, data):
    x, h0 = case.values()
    where = tuple(data.draw(st.integers(0, n - 1)) for n in x.shape)
    x[where] = torch.nan
    module = case.module()
    peer = nn.GRU(
        case.input_size, case.hidden_size, case.layers, bias=case.bias, bidirectional=case.bidirectional
    ).double()
    peer.load_state_dict(module.state_dict())
    for ours, theirs in zip(module(x, h0), peer(x, h0), strict=True):
        assert torch.equal(ours.isnan(), theirs.isnan())
        assert ours.isnan().any()


def test_masked_steps_do_not_count():
    """Whatever finite values stand in masked steps, nothing but the shorter sequence counts."""
    module, x = (
        symgru.GRU(2, 3, dtype=torch.float64, backend="torch"),
        torch.randn(4, 2, 2, dtype=torch.float64),
    )
    weights, valid = tuple(module.parameters()), torch.ones(4, 2, 1, dtype=torch.bool)
    valid[3, 1] = False
    results = []
    for padding in (0.0, 7.0, -1e6):
        x[3, 1] = padding
        stack = Stack(weights, Shape(True, 1, 1, 0.0, Options(backend="torch")))
        output, final = stack(x.requires_grad_(), None, valid)
        gradients = torch.autograd.grad(output[valid[..., 0]].square().sum() + final.sum(), (x, *weights))
        results.append((final.detach(), *gradients))
        x = x.detach()
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))
    alone, _ = module(x[:3, 1:])
    assert torch.equal(results[0][0][0, 1], alone[2, 0])


def test_saturated_gates_stay_finite():
    module = symgru.GRU(2, 3)
    for value in (1e4, -1e4, 1e30, -1e30):
        x = torch.full((3, 2, 2), value, requires_grad=True)
        output, _ = module(x)
        assert output.isfinite().all()
        (gradient,) = torch.autograd.grad(output.sum(), x)
        assert gradient.isfinite().all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_empty_batch_gives_empty_results_and_zero_gradients(backend):
    module = symgru.GRU(3, 4, 2, bidirectional=True, backend=backend)
    x = torch.randn(5, 0, 3, requires_grad=True)
    output, final = module(x)
    assert (output.shape, final.shape) == ((5, 0, 8), (4, 0, 4))
    (output.sum() + final.sum()).backward()
    assert x.grad.shape == x.shape
    assert all((p.grad == 0).all() for p in module.parameters())


def test_no_steps_raise_as_in_torch():
    empty = torch.randn(0, 2, 3)
    with pytest.raises(RuntimeError, match="sequence length"):
        nn.GRU(3, 4)(empty)
    with pytest.raises(symgru.ShapeError, match="at least one step"):
        symgru.GRU(3, 4)(empty)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kwargs", [{}, {"num_layers": 2}, {"bidirectional": True}, {"batch_first": True}])
def test_the_final_state_shares_no_memory_with_the_output(steps, kwargs):
    module = symgru.GRU(3, 4, **kwargs)
    with torch.no_grad():
        output, final = module(torch.randn(steps, 2, 3))
        before = output.clone()
        final.zero_()
    assert torch.equal(output, before)


def test_backward_twice_and_retained_graphs():
    module, x = symgru.GRU(3, 4), torch.randn(5, 2, 3)
    loss = module(x)[0].square().sum()
    loss.backward(retain_graph=True)
    first = module.weight_hh_l0.grad.clone()
    loss.backward()
    assert torch.equal(module.weight_hh_l0.grad, 2 * first)
    with pytest.raises(RuntimeError, match="second time"):
        loss.backward()


def test_an_input_changed_in_place_is_noticed():
    module, x = symgru.GRU(3, 4), torch.randn(5, 2, 3)
    loss = module(x)[0].sum()
    x.zero_()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@given(case=cases(lengths=False))
def test_nothing_that_came_in_is_changed(case):
    x, h0 = case.values()
    module = case.module()
    copies = [t.clone() for t in (x, h0, *module.parameters())]
    output, final = module(x, h0)
    torch.autograd.grad((output, final), list(module.parameters()), [output, final])
    assert all(torch.equal(a, b) for a, b in zip(copies, (x, h0, *module.parameters()), strict=True))


def test_dropout_acts_between_layers_while_training():
    torch.manual_seed(0)
    module, x = symgru.GRU(3, 8, 2, dropout=0.5), torch.randn(4, 2, 3)
    assert not torch.equal(module(x)[0], module(x)[0])
    module.eval()
    assert torch.equal(module(x)[0], module(x)[0])
    peer = nn.GRU(3, 8, 2, dropout=0.5)
    peer.load_state_dict(module.state_dict())
    module.train()
    torch.manual_seed(3)
    ours = module(x)[0]
    torch.manual_seed(3)
    assert (ours - peer(x)[0]).abs().max() < 1e-6


@pytest.mark.parametrize("setting", [{"polarity": "update"}, {"reset": "before"}, {"backend": "torch"}])
def test_a_setting_may_be_changed_between_calls(setting):
    torch.manual_seed(0)
    module, x = symgru.GRU(3, 8), torch.randn(4, 2, 3)
    module(x)
    for name, value in setting.items():
        setattr(module, name, value)
    other = symgru.GRU(3, 8, **setting)
    other.load_state_dict(module.state_dict())
    assert torch.equal(module(x)[0], other(x)[0])
