"""What code written for torch.nn.GRU relies on."""

import inspect
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils import prune

import symgru

KWARGS = [
    {},
    {"num_layers": 3},
    {"bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
    {"batch_first": True, "num_layers": 2, "dropout": 0.1},
]


@pytest.mark.parametrize(("ours", "theirs"), [(symgru.GRU, nn.GRU), (symgru.GRUCell, nn.GRUCell)])
def test_positional_arguments_are_those_of_torch(ours, theirs):
    own = [p for p in inspect.signature(ours.__init__).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    if theirs is nn.GRU:  # its signature is (*args, **kwargs); its documentation and RNNBase have this one
        expected = inspect.signature(nn.modules.rnn.RNNBase.__init__).parameters.values()
        expected = [p for p in expected if p.name not in ("mode", "proj_size")]
    else:
        expected = list(inspect.signature(theirs.__init__).parameters.values())
    assert [(p.name, p.default) for p in own] == [(p.name, p.default) for p in expected]


@pytest.mark.parametrize("kwargs", KWARGS)
def test_same_seed_same_parameters(kwargs):
    """Names, shapes, order and distribution: the very same numbers."""
    torch.manual_seed(7)
    ours = symgru.GRU(3, 5, **kwargs).state_dict()
    torch.manual_seed(7)
    theirs = nn.GRU(3, 5, **kwargs).state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.parametrize("kwargs", KWARGS)
def test_state_dicts_load_both_ways(kwargs):
    ours, theirs = symgru.GRU(3, 5, **kwargs).eval(), nn.GRU(3, 5, **kwargs).eval()
    x = torch.randn(4, 2, 3)
    ours.load_state_dict(theirs.state_dict())
    assert (ours(x)[0] - theirs(x)[0]).abs().max() < 1e-6
    other = symgru.GRU(3, 5, **kwargs).eval()
    theirs.load_state_dict(other.state_dict())
    assert (other(x)[0] - theirs(x)[0]).abs().max() < 1e-6


@pytest.mark.parametrize("kwargs", KWARGS)
@pytest.mark.parametrize("with_state", [False, True])
@pytest.mark.parametrize("batched", [False, True])
def test_shapes_and_values_of_results(kwargs, with_state, batched):
    ours, theirs = symgru.GRU(3, 5, **kwargs).eval(), nn.GRU(3, 5, **kwargs).eval()
    ours.load_state_dict(theirs.state_dict())
    directions = len(ours.all_weights)
    x = torch.randn(4, 2, 3) if batched else torch.randn(4, 3)
    batch = x.shape[0 if kwargs.get("batch_first") else 1] if batched else None
    h0 = torch.randn(directions, *([batch] if batched else []), 5) if with_state else None
    for a, b in zip(ours(x, h0), theirs(x, h0), strict=True):
        assert a.shape == b.shape
        assert (a - b).abs().max() < 1e-6


def test_attributes_and_representation():
    ours = symgru.GRU(3, 5, 2, batch_first=True, polarity="update")
    theirs = nn.GRU(3, 5, 2, batch_first=True)
    for name in (
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
    ):
        assert getattr(ours, name) == getattr(theirs, name)
    shapes = [[tuple(w.shape) for w in group] for group in ours.all_weights]
    assert shapes == [[tuple(w.shape) for w in group] for group in theirs.all_weights]
    assert repr(ours) == "GRU(3, 5, num_layers=2, batch_first=True, polarity=update)"
    ours.flatten_parameters()
    ours.reset_parameters()


def test_it_is_not_a_subclass():
    """torch.compile(fullgraph=True) refuses every subclass of nn.RNNBase."""
    assert not issubclass(symgru.GRU, nn.RNNBase)


def test_dropout_may_be_any_real_number():
    assert symgru.GRU(3, 5, 2, dropout=np.float32(0.25)).dropout == 0.25


def test_dropout_of_one_layer_warns_as_in_torch():
    for cls in (nn.GRU, symgru.GRU):
        with pytest.warns(UserWarning, match="num_layers"):
            cls(3, 5, dropout=0.2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        symgru.GRU(3, 5, 2, dropout=0.2)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_cell(bias, batched):
    torch.manual_seed(2)
    ours = symgru.GRUCell(3, 5, bias)
    torch.manual_seed(2)
    theirs = nn.GRUCell(3, 5, bias)
    assert all(torch.equal(a, b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    theirs.load_state_dict(ours.state_dict())
    x, h = (torch.randn(2, 3), torch.randn(2, 5)) if batched else (torch.randn(3), torch.randn(5))
    assert (ours(x, h) - theirs(x, h)).abs().max() < 1e-6
    assert (ours(x) - theirs(x)).abs().max() < 1e-6
    assert repr(symgru.GRUCell(3, 5, bias=False, reset="before")) == "GRUCell(3, 5, bias=False, reset=before)"


def pair_of_cells(bias, size):
    torch.manual_seed(3)
    ours = symgru.GRUCell(size, 5, bias)
    theirs = nn.GRUCell(size, 5, bias)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize(
    ("bias", "name", "size"), [(False, "weight_hh", 3), (True, "bias_hh", 3), (False, "weight_ih", 5)]
)
def test_pruned_cells(bias, name, size):
    """Weights are taken by their names, in whatever order and under whatever name the parameters are kept."""
    ours, theirs = pair_of_cells(bias, size)
    for cell in (ours, theirs):
        prune.l1_unstructured(cell, name, amount=0.5)
    x, h = torch.randn(2, size), torch.randn(2, 5)
    assert (ours(x, h) - theirs(x, h)).abs().max() < 1e-6


def test_cells_with_other_parameters():
    class WithHead(symgru.GRUCell):
        def __init__(self):
            super().__init__(3, 5)
            self.head = nn.Linear(5, 2)

    assert WithHead()(torch.randn(2, 3)).shape == (2, 5)
    ours, theirs = pair_of_cells(True, 3)
    for cell in (ours, theirs):
        nn.utils.parametrizations.weight_norm(cell, "weight_hh")
        cell.bias_hh = cell.bias_ih
    x = torch.randn(2, 3)
    assert (ours(x) - theirs(x)).abs().max() < 1e-6


def test_cell_steps_are_the_sequence():
    cell = symgru.GRUCell(3, 5, polarity="update", reset="before", dtype=torch.float64)
    module = symgru.GRU(3, 5, polarity="update", reset="before", dtype=torch.float64)
    module.load_state_dict({f"{name}_l0": value for name, value in cell.state_dict().items()})
    x, h = torch.randn(4, 2, 3, dtype=torch.float64), torch.randn(2, 5, dtype=torch.float64)
    expected, _ = module(x, h[None])
    for t in range(4):
        h = cell(x[t], h)
        assert (h - expected[t]).abs().max() < 1e-14


def test_functional_form():
    module = symgru.GRU(3, 5, 2, bidirectional=True)
    x = torch.randn(4, 2, 3)
    output, final = symgru.gru(
        x, None, [w for group in module.all_weights for w in group], num_layers=2, bidirectional=True
    )
    assert torch.equal(output, module(x)[0])
    assert torch.equal(final, module(x)[1])


def test_module_on_the_meta_device():
    module = symgru.GRU(3, 5, device="meta")
    assert module.weight_ih_l0.is_meta
    assert module.to_empty(device="cpu").weight_ih_l0.device.type == "cpu"
