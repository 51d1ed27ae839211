"""What is particular to the cpu backend: derivatives of every order, kept and packed weights, threads."""

import copy
import os
import sys
import threading
import warnings

import pytest
import torch
from symgru.kernels.cpu.errors import NoLibraryError
from symgru.kernels.cpu.passes import plans
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call, vmap
from torch.nn.utils.rnn import pack_sequence

import symgru
from symgru.torch_api import cpu_layer, cpu_panels

CONVENTIONS = [(p, r) for p in ("keep", "update") for r in ("after", "before", "whole")]


def pair(polarity="keep", reset="after", **kwargs):
    """The same module on the cpu and on the torch backend, and an input."""
    torch.manual_seed(3)
    kwargs = {"polarity": polarity, "reset": reset, "dtype": torch.float64, **kwargs}
    ours = symgru.GRU(3, 5, backend="cpu", **kwargs)
    plain = symgru.GRU(3, 5, backend="torch", **kwargs)
    plain.load_state_dict(ours.state_dict())
    return ours, plain, torch.randn(4, 2, 3, dtype=kwargs["dtype"], requires_grad=True)


def derivative(module, call, order):
    """Gradients of a scalar of the results, and of the squares of those, `order` times."""
    inputs, outputs = call(module)
    loss = sum(output.sin().sum() for output in outputs)
    for left in range(order, 0, -1):
        found = torch.autograd.grad(loss, [*inputs, *module.parameters()], create_graph=left > 1)
        loss = sum(0.1 * gradient.square().sum() for gradient in found)
    return found


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_derivatives_of_every_order(convention, bidirectional, order):
    ours, plain, x = pair(*convention, bidirectional=bidirectional)
    h0 = torch.randn(1 + bidirectional, 2, 5, dtype=torch.float64, requires_grad=True)

    def call(module):
        return (x, h0), module(x, h0)

    for found, expected in zip(derivative(ours, call, order), derivative(plain, call, order), strict=True):
        assert (found - expected).abs().max() <= 1e-13 * max(1, expected.abs().max())


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("kwargs", [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False}])
def test_derivatives_with_lengths(kwargs, order):
    ours, plain, _ = pair(**kwargs)
    sequences = [torch.randn(n, 3, dtype=torch.float64, requires_grad=True) for n in (3, 6, 1, 4)]

    def call(module):
        output, last = module(pack_sequence(sequences, enforce_sorted=False))
        return sequences, (output.data, last)

    for found, expected in zip(derivative(ours, call, order), derivative(plain, call, order), strict=True):
        assert (found - expected).abs().max() <= 1e-13 * max(1, expected.abs().max())


def test_a_wrong_double_backward_is_seen(monkeypatch):
    ours, plain, x = pair()

    def wrong(*arguments, **kwargs):
        return {name: -value for name, value in right(*arguments, **kwargs).items()}

    right = cpu_layer.double_backward
    monkeypatch.setattr(cpu_layer, "double_backward", wrong)
    found, expected = (derivative(m, lambda m: ((x,), m(x)), 2)[0] for m in (ours, plain))
    assert (found - expected).abs().max() > 1e-3


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_gradcheck(convention):
    ours, _, x = pair(*convention)
    names = [name for name, _ in ours.named_parameters()]

    def function(x, h0, *weights):
        return functional_call(ours, dict(zip(names, weights, strict=True)), (x, h0))

    h0 = torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)
    weights = [w.detach().clone().requires_grad_() for w in ours.parameters()]
    assert torch.autograd.gradcheck(
        function, (x, h0, *weights), check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(function, (x, h0, *weights))


def test_recomputing_keeps_nothing_but_the_states():
    ours, _, x = pair()
    lean = copy.deepcopy(ours)
    lean.recompute = True
    kept = {}
    for name, module in (("gates", ours), ("states", lean)):
        sizes = []

        def pack(tensor, sizes=sizes):
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            output, _ = module(x)
        kept[name] = (sum(sizes), torch.autograd.grad(output.square().sum(), [x, *module.parameters()]))
    assert kept["gates"][0] - kept["states"][0] == 4 * 4 * 2 * 5
    for a, b in zip(kept["gates"][1], kept["states"][1], strict=True):
        assert (a - b).abs().max() <= 1e-14


def test_backward_twice_and_changed_inputs():
    ours, _, x = pair()
    loss = ours(x)[0].square().sum()
    first = torch.autograd.grad(loss, list(ours.parameters()), retain_graph=True)
    second = torch.autograd.grad(loss, list(ours.parameters()))
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    loss = ours(x)[0].square().sum()
    with torch.no_grad():
        ours.weight_hh_l0.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize(
    "change",
    [
        lambda w: w.mul_(2),
        lambda w: w.data.mul_(2),
        lambda w: w.data[3].zero_(),
        lambda w: w.data.copy_(torch.ones_like(w)),
        lambda w: setattr(w, "data", torch.ones_like(w)),
    ],
    ids=["in place", "data", "row of data", "copied data", "other data"],
)
@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0"])
def test_changed_weights_are_packed_anew(name, change):
    ours, plain, x = pair()
    with torch.no_grad():
        ours(x)
        change(getattr(ours, name))
        plain.load_state_dict(ours.state_dict())
        assert (ours(x)[0] - plain(x)[0]).abs().max() < 1e-14


class Doubled(torch.nn.Module):
    def forward(self, weight):
        return 2 * weight


def test_weights_that_are_computed_are_not_kept():
    ours, _, x = pair()
    ours(x)
    torch.nn.utils.parametrize.register_parametrization(ours, "weight_hh_l0", Doubled())
    ours(x)[0].sum().backward()
    other = copy.deepcopy(ours)
    assert torch.equal(other(x)[0], ours(x)[0])


def test_weights_may_get_other_sizes():
    ours, _, x = pair()
    ours(x)
    wider = x.shape[-1] + 2
    ours.weight_ih_l0.data = torch.randn(ours.weight_ih_l0.shape[0], wider, dtype=x.dtype)
    assert ours(torch.randn(2, 3, wider, dtype=x.dtype))[0].shape[:2] == (2, 3)
    with pytest.raises(symgru.ShapeError, match=rf"input must be .*{wider}\]"):
        ours(x)


def test_weights_that_change_while_they_are_packed(monkeypatch):
    """By another thread: what was packed is of no use, and the call packs for itself."""
    ours, plain, x = pair()
    cpu_panels.forget()
    keep = cpu_layer.keep_panels

    def changed(plan, weight_ih, weight_hh, values, sizes):
        packed = keep(plan, weight_ih, weight_hh, values, sizes)
        weight_hh.data.add_(1)
        return packed

    monkeypatch.setattr(cpu_layer, "keep_panels", changed)
    with torch.no_grad():
        found = ours(x)[0]
        plain.load_state_dict(ours.state_dict())
        assert (found - plain(x)[0]).abs().max() < 1e-14


def test_packed_weights_live_as_long_as_the_weights():
    ours, _, x = pair()
    cpu_panels.forget()
    with torch.inference_mode():
        for t in range(4):
            ours(x[t : t + 1])
    assert len(cpu_panels._kept) == 1
    del ours
    assert not cpu_panels._kept


def test_inference_mode_weights_have_no_version():
    with torch.inference_mode():
        ours, plain, x = pair()
        assert (ours(x)[0] - plain(x)[0]).abs().max() < 1e-14


def test_streaming_is_the_sequence():
    ours, _, x = pair(num_layers=2)
    with torch.no_grad():
        whole, last = ours(x)
        state, steps = None, []
        for t in range(4):
            step, state = ours(x[t : t + 1], state)
            steps.append(step)
    assert torch.equal(torch.cat(steps), whole)
    assert torch.equal(state, last)


def test_many_python_threads():
    ours, _, _ = pair()
    xs = [torch.randn(9, 3, 3, dtype=torch.float64) for _ in range(8)]
    with torch.no_grad():
        expected = [ours(x)[0] for x in xs]
    found = [None] * len(xs)

    def work(i):
        with torch.no_grad():
            for _ in range(20):
                found[i] = ours(xs[i])[0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(xs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


def test_a_forked_child():
    ours, _, _ = pair()
    x = torch.randn(200, 32, 3, dtype=torch.float64)
    with torch.no_grad():
        expected = ours(x)[0]
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python warns of fork beside threads: that is the test
        child = os.fork()
    if child == 0:
        with torch.no_grad():
            os._exit(0 if torch.equal(ours(x)[0], expected) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_autocast_gives_what_torch_gives():
    ours = symgru.GRU(3, 5, backend="cpu")
    theirs = torch.nn.GRU(3, 5)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(4, 2, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, expected = ours(x)[0], theirs(x)[0]
    assert found.dtype is expected.dtype
    assert (found - expected).abs().max() < 1e-2  # its products are in half precision


def test_empty_batches():
    for backend in ("auto", "cpu"):
        output, last = symgru.GRU(3, 5, backend=backend)(torch.zeros(4, 0, 3))
        assert output.shape == (4, 0, 5)
        assert last.shape == (1, 0, 5)


def test_transforms_take_the_torch_backend_and_refuse_the_other():
    ours, _, x = pair()
    with pytest.raises(
        symgru.BackendError, match="'cpu' cannot serve a functional transform; backend 'torch' can"
    ):
        vmap(lambda x: ours(x)[0])(x.detach().unsqueeze(0))
    ours.backend = "auto"
    assert (vmap(lambda x: ours(x)[0])(x.detach().unsqueeze(0))[0] - ours(x)[0]).abs().max() < 1e-14


def test_without_a_library_auto_says_so_once_and_goes_on(monkeypatch):
    def none():
        raise NoLibraryError("there is no C++ compiler")

    choosing = sys.modules["symgru.torch_api.backends"]  # the package has a function of this name
    monkeypatch.setattr(choosing, "plans", none)
    choosing.on_cpu.cache_clear()
    module, x = symgru.GRU(3, 5), torch.randn(4, 2, 3)
    with pytest.warns(UserWarning, match="symgru runs on the torch backend.*no C\\+\\+ compiler"):
        module(x)
    module(x)  # warnings are errors: once is enough
    with pytest.raises(symgru.BackendError, match="backend 'cpu' cannot serve this call: there is no C"):
        symgru.GRU(3, 5, backend="cpu")(x)
    choosing.on_cpu.cache_clear()
    assert plans()


def test_the_operator_obeys_a_mask():
    ours, _, x = pair()
    valid = torch.ones(4, 2, 1, dtype=torch.bool)
    valid[2:, 1] = False
    weights = (ours.weight_ih_l0, ours.weight_hh_l0, ours.bias_ih_l0, ours.bias_hh_l0[10:])
    tensors = (x, torch.zeros(2, 5, dtype=torch.float64), *weights, valid)
    results = [
        torch.ops.symgru.layer(*tensors, None, "keep", "after", backend, "ieee")
        for backend in ("cpu", "torch")
    ]
    for found, expected in zip(*results, strict=True):
        assert torch.equal(found, expected)
    unmasked = torch.ops.symgru.layer(*tensors[:-1], None, None, "keep", "after", "cpu", "ieee")
    assert not torch.equal(unmasked[1], results[0][1])


def test_a_compiled_module_trains_in_half_precision():
    ours, _, x = pair(dtype=torch.bfloat16)
    compiled = torch.compile(ours, fullgraph=True, backend="aot_eager")
    gradients = torch.autograd.grad(compiled(x)[0].float().square().sum(), list(ours.parameters()))
    expected = torch.autograd.grad(ours(x)[0].float().square().sum(), list(ours.parameters()))
    for found, right in zip(gradients, expected, strict=True):
        assert (found - right).abs().max() <= 0.05 * right.abs().max()  # both round to 8 bits


def test_tensors_without_memory():
    with FakeTensorMode():
        assert symgru.GRU(3, 5)(torch.randn(4, 2, 3))[0].shape == (4, 2, 5)


def test_a_trace_holds_the_operations():
    ours, _, x = pair()
    ours.backend = "auto"
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and warns of everything else too
        traced = torch.jit.trace(ours, x.detach(), check_trace=False)
    other = torch.randn_like(x)
    assert (traced(other)[0] - ours(other)[0]).abs().max() < 1e-14
