"""Resets: sequences one after the other in a row are as each of them alone."""

import dataclasses
import sys
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from symgru.kernels.scan import scan
from torch.func import functional_call, vmap
from torch.nn.utils.rnn import PackedSequence, pack_sequence, pad_packed_sequence

import symgru
from symgru.testing.cpu_passes import team
from symgru.torch_api import cpu_layer

CONVENTIONS = [(p, r) for p in ("keep", "update") for r in ("after", "before", "whole")]
BACKENDS = ("cpu", "torch")
N, H = 3, 5
TOLERANCE = 1e-13


def alone(module, index, suffix, x, state):
    """One layer in one direction on one sequence without resets: [n, N], [H] or None -> [n, H]."""
    weights = [
        getattr(module, f"{name}_l{index}{suffix}")
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    ]
    h0 = None if state is None else state[None]
    if (module.polarity, module.reset) == ("keep", "after"):
        plain = torch.nn.GRU(x.shape[-1], H, dtype=x.dtype)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        return functional_call(plain, dict(zip(names, weights, strict=True)), (x, h0))[0]
    options = {"polarity": module.polarity, "reset": module.reset, "backend": "torch"}
    return symgru.gru(x, h0, weights, **options)[0]


def one_by_one(module, sequences, h0, resets):
    """Outputs of each example, and last states: every sequence between two resets runs alone."""
    xs, finals = sequences, []
    for index in range(module.num_layers):
        outputs = []
        for direction, suffix in enumerate(("", "_reverse")[: 1 + module.bidirectional]):
            first = h0[2 * index + direction] if module.bidirectional else h0[index]
            results = [
                in_direction(module, index, suffix, x, state, begins)
                for x, state, begins in zip(xs, first, resets, strict=True)
            ]
            outputs.append([states for states, _ in results])
            finals.append(torch.stack([last for _, last in results]))
        xs = [torch.cat(parts, -1) for parts in zip(*outputs, strict=True)]
    return xs, torch.stack(finals)


def in_direction(module, index, suffix, x, state, begins):
    borders = [0, *(t for t in range(1, len(x)) if begins[t]), len(x)]
    parts = {}
    for start, end in pairwise(borders):
        if suffix:
            parts[start] = alone(
                module, index, suffix, x[start:end].flip(0), state if end == len(x) else None
            )
            parts[start] = parts[start].flip(0)
        else:
            carried = state if start == 0 and not begins[0] else None
            parts[start] = alone(module, index, suffix, x[start:end], carried)
    states = torch.cat(list(parts.values()))
    return states, states[0] if suffix else states[-1]


def problem(lengths=(6, 6, 6), seed=0, probability=0.35, **kwargs):
    """A module, sequences, first states and resets."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64).requires_grad_()

    module = symgru.GRU(N, H, dtype=torch.float64, **kwargs)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(0.5 * normal(*weight.shape))
    states = module.num_layers * (1 + module.bidirectional)
    resets = [torch.rand(n, generator=generator) < probability for n in lengths]
    return module, [normal(n, N) for n in lengths], normal(states, len(lengths), H), resets


def called(module, sequences, h0, resets, packed):
    """The module on the same, as lists."""
    if packed:
        begins = pack_sequence(resets, enforce_sorted=False)
        output, last = module(pack_sequence(sequences, enforce_sorted=False), h0, resets=begins)
        padded, lengths = pad_packed_sequence(output)
        return [padded[:n, b] for b, n in enumerate(lengths)], last
    dim = 0 if module.batch_first else 1
    output, last = module(torch.stack(sequences, dim), h0, resets=torch.stack(resets, dim))
    return list(output.unbind(dim)), last


def derivatives(run, module, sequences, h0, order):
    """Results, and gradients up to an order, of outputs and last states."""
    outputs, last = run()
    found = [*outputs, last]
    loss = sum(value.sin().sum() for value in found)
    for left in range(order, 0, -1):
        asked = [*sequences, h0, *module.parameters()]
        gradients = torch.autograd.grad(loss, asked, create_graph=left > 1, materialize_grads=True)
        loss = sum(0.1 * gradient.square().sum() for gradient in gradients)
        found += gradients
    return found


def assert_alike(found, expected):
    for number, (a, b) in enumerate(zip(found, expected, strict=True)):
        error = (a - b).abs().max().item()
        assert error <= TOLERANCE * max(1, b.abs().max().item()), f"value {number} is off by {error:.1e}"


def assert_as_alone(drawn, packed=False, order=2):
    module, sequences, h0, _ = drawn
    found = derivatives(lambda: called(*drawn, packed), module, sequences, h0, order)
    assert_alike(found, derivatives(lambda: one_by_one(*drawn), module, sequences, h0, order))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kwargs", [{}, {"bidirectional": True, "num_layers": 2, "batch_first": True}])
@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_results_and_two_derivatives(polarity, reset, kwargs, backend):
    assert_as_alone(problem(polarity=polarity, reset=reset, backend=backend, **kwargs))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("kwargs", [{}, {"bidirectional": True, "num_layers": 2}])
def test_packed_sequences(kwargs, backend):
    assert_as_alone(problem((3, 6, 1, 4), seed=1, backend=backend, **kwargs), packed=True)


@pytest.mark.parametrize("recompute", [False, True])
@pytest.mark.parametrize("where", ["first", "last", "first and last", "all", "none"])
def test_resets_at_the_ends(where, recompute):
    module, sequences, h0, _ = problem(bidirectional=True, backend="cpu", recompute=recompute)
    begins = torch.full((6,), where == "all")
    begins[0] |= "first" in where
    begins[-1] |= "last" in where
    drawn = module, sequences, h0, [begins] * 3
    assert_as_alone(drawn)
    output, _ = module(torch.stack(sequences, 1), h0, resets=torch.stack([begins] * 3, 1))
    (gradient,) = torch.autograd.grad(output.square().sum(), h0)
    assert gradient[0].abs().max().item() == 0 or where in ("last", "none")
    assert gradient[1].abs().max() > 0  # backwards in time the first state enters at the last step


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=9),
    seed=st.integers(0, 2**31),
    probability=st.floats(0, 1),
    bidirectional=st.booleans(),
    convention=st.sampled_from(CONVENTIONS),
    threads=st.integers(1, 2),
)
def test_any_lengths(lengths, seed, probability, bidirectional, convention, threads):
    polarity, reset = convention
    kwargs = {"polarity": polarity, "reset": reset, "bidirectional": bidirectional, "backend": "cpu"}
    with team(threads):
        assert_as_alone(problem(tuple(lengths), seed, probability, **kwargs), packed=True, order=1)


def test_several_chunks():
    """More rows than a chunk of the engine; a piece longer than one."""
    assert_as_alone(problem((150, 150), probability=0.02, bidirectional=True, backend="cpu"))


@pytest.mark.parametrize("drop", ["forward", "double backward"])
def test_dropped_resets_are_seen(drop, monkeypatch):
    module, sequences, h0, resets = problem(backend="cpu")
    if drop == "forward":
        monkeypatch.setattr(sys.modules["symgru.torch_api.stack"], "begun", lambda steps, resets: steps)
        with pytest.raises(AssertionError, match="value 0 is off"):
            assert_as_alone((module, sequences, h0, resets))
        return
    right = cpu_layer.double_backward

    def wrong(cell, values, given_, steps, *rest):
        return right(cell, values, given_, dataclasses.replace(steps, resets=None), *rest)

    monkeypatch.setattr(cpu_layer, "double_backward", wrong)
    with pytest.raises(AssertionError, match="is off"):
        assert_as_alone((module, sequences, h0, resets))
    assert_as_alone((module, sequences, h0, resets), order=1)


@pytest.mark.parametrize(
    ("where", "what", "wrong"),
    [
        ("layer", "scan", lambda pass_, values, resets: scan(pass_, values)),
        ("stack", "resets_against_time", lambda resets: resets.flip(0)),
        ("cpu_fallback", "resets_against_time", lambda resets: resets.flip(0)),
    ],
)
def test_errors_planted_in_tensor_operations_are_seen(where, what, wrong, monkeypatch):
    on_cpu = where == "cpu_fallback"  # which gives third derivatives
    drawn = problem(bidirectional=True, backend="cpu" if on_cpu else "torch")
    module = sys.modules[f"symgru.torch_api.{where}"]
    monkeypatch.setattr(module, what, wrong)
    with pytest.raises(AssertionError, match="is off"):
        assert_as_alone(drawn, order=3 if on_cpu else 0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_gradcheck(bidirectional, backend):
    module, sequences, h0, resets = problem((4, 4), bidirectional=bidirectional, backend=backend, seed=2)
    names = [name for name, _ in module.named_parameters()]
    begins = torch.stack(resets, 1)
    assert 0 < begins.sum() < 8

    def function(x, h0, *weights):
        named = dict(zip(names, weights, strict=True))
        return functional_call(module, named, (x, h0), {"resets": begins})

    x = torch.stack(sequences, 1).detach().requires_grad_()
    weights = [w.detach().clone().requires_grad_() for w in module.parameters()]
    inputs = (x, h0, *weights)
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("packed", [False, True])
def test_third_derivatives(packed):
    lengths = (4, 2, 3) if packed else (4, 4)
    assert_as_alone(problem(lengths, bidirectional=True, backend="cpu", seed=3), packed, order=3)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_streaming_is_the_sequence(dtype):
    """Step by step, as in a rollout: a reset at a step drops the state that is handed in."""
    module, sequences, h0, resets = problem((9,) * 4, num_layers=2, backend="cpu")
    module, x, state = module.to(dtype), torch.stack(sequences, 1).to(dtype), h0.to(dtype)
    begins = torch.stack(resets, 1)
    with torch.no_grad():
        whole, last = module(x, state, begins)
        steps = []
        for t in range(9):
            step, state = module(x[t : t + 1], state, begins[t : t + 1])
            steps.append(step)
    assert torch.equal(torch.cat(steps), whole)
    assert torch.equal(state, last)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_half_precision_is_near(bidirectional):
    """In units and rows that fill the bodies of bfloat16, whose products read copies of what is carried."""
    torch.manual_seed(1)
    wide = symgru.GRU(17, 33, bidirectional=bidirectional)
    half = symgru.GRU(17, 33, bidirectional=bidirectional, backend="cpu")
    half.load_state_dict(wide.state_dict())
    x, resets = torch.randn(20, 9, 17), torch.rand(20, 9) < 0.2
    with torch.no_grad():
        expected, _ = wide(x, None, resets)
        found, _ = half.bfloat16()(x.bfloat16(), None, resets)
        other, _ = wide(x)
    assert (found - expected).abs().max() < 0.03 < (other - expected).abs().max()


def test_no_resets_are_as_none():
    module, sequences, h0, _ = problem(bidirectional=True, num_layers=2, backend="cpu")
    none = [torch.zeros(6, dtype=torch.bool)] * 3
    found = derivatives(lambda: called(module, sequences, h0, none, False), module, sequences, h0, 2)

    def plain():
        output, last = module(torch.stack(sequences, 1), h0)
        return list(output.unbind(1)), last

    expected = derivatives(plain, module, sequences, h0, 2)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_unbatched_and_without_a_first_state():
    module, (x, *_), _, (begins, *_) = problem()
    for backend in BACKENDS:
        module.backend = backend
        output, last = module(x, resets=begins)
        batched, final = module(x.unsqueeze(1), torch.zeros(1, 1, H).double(), resets=begins.unsqueeze(1))
        assert torch.equal(output, batched.squeeze(1))
        assert torch.equal(last, final.squeeze(1))


def test_resets_may_change_before_the_backward_pass():
    for backend in BACKENDS:
        module, sequences, h0, resets = problem(backend=backend)
        x, begins = torch.stack(sequences, 1), torch.stack(resets, 1)
        expected = torch.autograd.grad(module(x, h0, begins)[0].square().sum(), x)
        output, _ = module(x, h0, begins)
        begins.logical_not_()
        assert torch.equal(torch.autograd.grad(output.square().sum(), x)[0], expected[0])


def test_autocast_and_training_in_half_precision():
    module, sequences, h0, resets = problem(backend="cpu")
    module, x, begins = module.float(), torch.stack(sequences, 1).float(), torch.stack(resets, 1)
    expected = module(x, h0.float(), begins)[0]
    with torch.autocast("cpu", torch.bfloat16):
        assert (module(x, h0.float(), begins)[0] - expected).abs().max() < 0.05
    half = module.bfloat16()(x.bfloat16(), h0.bfloat16(), begins)[0]
    assert half.requires_grad
    assert (half - expected).abs().max() < 0.05


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_compiled(backend, bidirectional):
    module, sequences, h0, resets = problem(bidirectional=bidirectional, backend=backend)
    x, begins = torch.stack(sequences, 1).detach().requires_grad_(), torch.stack(resets, 1)
    torch._dynamo.reset()
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")

    def run(called):
        outputs, last = called(x, h0, begins)
        return [outputs], last

    found = derivatives(lambda: run(compiled), module, [x], h0, 1)
    assert_alike(found, derivatives(lambda: run(module), module, [x], h0, 1))
    assert not torch.equal(compiled(x, h0, begins)[0], compiled(x, h0)[0])


def test_mapped_over_inputs_and_resets():
    module, sequences, h0, resets = problem(bidirectional=True)
    x, begins = torch.stack(sequences).detach(), torch.stack(resets)
    mapped = vmap(lambda x, h, r: module(x, h, r)[0], (0, 1, 0))(x, h0.detach(), begins)
    expected = module(x.transpose(0, 1), h0.detach(), begins.T)[0].transpose(0, 1)
    assert (mapped - expected).abs().max() < 1e-14


def test_what_has_no_resets_says_what_has():
    module, sequences, h0, resets = problem(backend="interpreter")
    x, begins = torch.stack(sequences, 1).detach(), torch.stack(resets, 1)
    torch._dynamo.reset()  # or it complains of too many compilations of one function
    for call in (module, torch.compile(module, fullgraph=True, backend="aot_eager")):
        with pytest.raises(Exception, match=r"without resets; backend 'cpu' can"):
            call(x, h0, begins)


@pytest.mark.parametrize(
    ("resets", "error", "message"),
    [
        ([[False] * 2] * 4, TypeError, "resets must be a tensor, but is a list"),
        (torch.zeros(4, 2), symgru.DtypeError, r"resets must have dtype torch\.bool, but has torch\.float32"),
        (torch.zeros(2, 4).bool(), symgru.ShapeError, r"resets must be \[4, 2\], but has shape \[2, 4\]"),
        (torch.zeros(4, 2, 1).bool(), symgru.ShapeError, r"resets must be \[4, 2\], but has shape"),
        (torch.zeros(4, 2, device="meta").bool(), symgru.DeviceError, "device of input, cpu, but is on meta"),
        (pack_sequence([torch.zeros(4).bool()] * 2), TypeError, "tensor where the input is one"),
    ],
)
def test_errors(resets, error, message):
    with pytest.raises(error, match=message):
        symgru.GRU(N, H)(torch.randn(4, 2, N), resets=resets)


def test_errors_of_other_layouts():
    module = symgru.GRU(N, H, batch_first=True)
    with pytest.raises(symgru.ShapeError, match=r"resets must be \[2, 4\], but has shape \[4, 2\]"):
        module(torch.randn(2, 4, N), resets=torch.zeros(4, 2).bool())
    with pytest.raises(symgru.ShapeError, match=r"resets must be \[4\], but has shape \[4, 1\]"):
        module(torch.randn(4, N), resets=torch.zeros(4, 1).bool())
    packed = pack_sequence([torch.randn(n, N) for n in (2, 4)], enforce_sorted=False)
    with pytest.raises(
        TypeError, match="resets must be a PackedSequence where the input is one, but is a Te"
    ):
        module(packed, resets=torch.zeros(6).bool())
    begins = torch.zeros(4).bool()
    with pytest.raises(symgru.ShapeError, match="resets must have the lengths and the order of the packed"):
        module(packed, resets=pack_sequence([begins, begins[:2]], enforce_sorted=False))
    with pytest.raises(symgru.DtypeError, match=r"resets must have dtype torch\.bool"):
        module(packed, resets=PackedSequence(packed.data[:, 0], *packed[1:]))
