"""autograd, torch.func, compile, export: what nn.GRU can do, and what it cannot."""

import copy
import pickle
from dataclasses import replace

import pytest
import torch
from symgru.kernels.names import POLARITIES, RESETS
from torch.autograd.gradcheck import GradcheckError
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap

import symgru
from symgru.torch_api.emitted import emitted
from symgru.torch_api.operators import layer

CONVENTIONS = [(p, r) for p in POLARITIES for r in RESETS]


def module_and_input(polarity="keep", reset="after", backend="torch", **kwargs):
    torch.manual_seed(0)
    module = symgru.GRU(3, 4, polarity=polarity, reset=reset, backend=backend, dtype=torch.float64, **kwargs)
    return module, torch.randn(4, 2, 3, dtype=torch.float64)


def function_of_everything(module, x):
    """The module as a function of input, initial state and parameters, for gradcheck."""
    names = [name for name, _ in module.named_parameters()]
    h0 = torch.randn(module.num_layers * (2 if module.bidirectional else 1), x.shape[1], 4, dtype=x.dtype)

    def function(x, h0, *parameters):
        return functional_call(module, dict(zip(names, parameters, strict=True)), (x, h0))

    inputs = (x, h0, *(p.detach() for p in module.parameters()))
    return function, tuple(t.clone().requires_grad_() for t in inputs)


@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_gradcheck_in_both_modes(polarity, reset):
    function, inputs = function_of_everything(*module_and_input(polarity, reset))
    assert torch.autograd.gradcheck(
        function, inputs, check_forward_ad=True, check_batched_grad=True, check_batched_forward_grad=True
    )


@pytest.mark.parametrize(("polarity", "reset"), CONVENTIONS)
def test_gradgradcheck(polarity, reset):
    module, x = module_and_input(polarity, reset)
    function, inputs = function_of_everything(module, x[:2])
    assert torch.autograd.gradgradcheck(function, inputs, check_fwd_over_rev=True, check_rev_over_rev=True)


def test_gradcheck_of_a_stack():
    function, inputs = function_of_everything(*module_and_input(num_layers=2, bidirectional=True))
    assert torch.autograd.gradcheck(function, inputs, check_forward_ad=True)


@pytest.mark.parametrize(("polarity", "reset"), [("keep", "after"), ("update", "before"), ("keep", "whole")])
def test_gradcheck_through_the_triton_loops(polarity, reset):
    """Float64 makes it possible to check the kernels themselves; under the interpreter."""
    function, inputs = function_of_everything(*module_and_input(polarity, reset, "interpreter"))
    assert torch.autograd.gradcheck(function, inputs, fast_mode=True, check_forward_ad=True)


def test_gradcheck_can_fail(monkeypatch):
    """A planted wrong coefficient in the emitted backward pass."""
    generated = emitted("gru_keep_after", False)
    inside = generated.BACKWARD.inside

    def planted(*arguments):
        d_h_prev, d_h_new = inside.run(*arguments)
        return d_h_prev * 1.001, d_h_new

    wrong = replace(generated.BACKWARD, inside=replace(inside, run=planted))
    monkeypatch.setattr(generated, "BACKWARD", wrong)
    function, inputs = function_of_everything(*module_and_input())
    with pytest.raises(GradcheckError):
        torch.autograd.gradcheck(function, inputs)


@pytest.mark.parametrize("backend", ["torch", "interpreter"])
def test_vmap_over_inputs_and_over_stacked_weights(backend):
    module, _ = module_and_input(backend=backend)
    many = torch.randn(3, 4, 2, 3, dtype=torch.float64)
    expected = torch.stack([module(x)[0] for x in many])
    assert (vmap(lambda x: module(x)[0])(many) - expected).abs().max() < 1e-14
    modules = [module_and_input(backend=backend)[0] for _ in range(3)]
    for index, each in enumerate(modules):
        with torch.no_grad():
            each.weight_hh_l0.mul_(index + 1)
    parameters, buffers = stack_module_state(modules)

    def call(parameters, x):
        return functional_call(modules[0], (parameters, buffers), (x,))[0]

    expected = torch.stack([each(many[0])[0] for each in modules])
    assert (vmap(call, (0, None))(parameters, many[0]) - expected).abs().max() < 1e-14
    expected = torch.stack([each(x)[0] for each, x in zip(modules, many, strict=True)])
    assert (vmap(call)(parameters, many) - expected).abs().max() < 1e-14


@pytest.mark.parametrize("backend", ["torch", "interpreter"])
def test_gradients_per_sample_and_per_model(backend):
    module, _ = module_and_input(backend=backend)
    many = torch.randn(3, 4, 2, 3, dtype=torch.float64)
    parameters = dict(module.named_parameters())

    def loss(parameters, x):
        return functional_call(module, parameters, (x,))[0].square().sum()

    batched = vmap(grad(loss), (None, 0))(parameters, many)
    for i, x in enumerate(many):
        expected = torch.autograd.grad(loss(parameters, x), list(parameters.values()))
        for gradient, value in zip(batched.values(), expected, strict=True):
            assert (gradient[i] - value).abs().max() < 1e-12


@pytest.mark.parametrize("backend", ["torch", "interpreter"])
def test_forward_mode(backend):
    module, x = module_and_input(backend=backend)
    direction = torch.randn_like(x)
    _, tangent = jvp(lambda x: module(x)[0], (x,), (direction,))
    _, transpose = vjp(lambda x: module(x)[0], x)
    cotangent = torch.randn_like(tangent)
    left, right = (tangent * cotangent).sum(), (direction * transpose(cotangent)[0]).sum()
    assert abs(left - right) < 1e-12
    assert (jacfwd(lambda x: module(x)[1])(x) - jacrev(lambda x: module(x)[1])(x)).abs().max() < 1e-13


def test_hessian():
    module, x = module_and_input("update", "before")

    def loss(x):
        return module(x)[0].sin().sum()

    matrix = hessian(loss)(x).reshape(x.numel(), -1)
    assert (matrix - matrix.T).abs().max() < 1e-13
    assert (matrix - jacrev(grad(loss))(x).reshape(x.numel(), -1)).abs().max() < 1e-12
    expected = torch.autograd.functional.hessian(loss, x, vectorize=True).reshape(x.numel(), -1)
    assert (matrix - expected).abs().max() < 1e-12


def test_a_second_derivative_of_the_fused_loops_raises_and_says_who_can():
    module, x = module_and_input(backend="interpreter")
    x.requires_grad_()
    (first,) = torch.autograd.grad(module(x)[0].square().sum(), x, create_graph=True)
    with pytest.raises(symgru.BackendError, match="backend 'torch' has derivatives of any order"):
        first.sum().backward()


@pytest.mark.parametrize("backend", ["torch", "cpu", "interpreter"])
@pytest.mark.parametrize("kwargs", [{}, {"num_layers": 2, "bidirectional": True}])
def test_compile_without_a_graph_break(kwargs, backend):
    # the operator keeps the states alone, so that its bits are those of the module that does
    module, x = module_and_input(backend=backend, recompute=True, **kwargs)
    compiled = torch.compile(module, fullgraph=True, backend="aot_eager")
    loss, expected = compiled(x)[0].square().sum(), module(x)[0].square().sum()
    assert torch.equal(loss, expected)
    gradients = torch.autograd.grad(loss, list(module.parameters()))
    for ours, theirs in zip(gradients, torch.autograd.grad(expected, list(module.parameters())), strict=True):
        # the operator turns the sequence round, the cpu backend runs against time: sums in another order
        turned = backend == "cpu" and kwargs.get("bidirectional", False)
        assert (ours - theirs).abs().max() <= 1e-14 if turned else torch.equal(ours, theirs)


def test_the_time_loop_is_one_node_of_a_compiled_graph():
    module, _ = module_and_input()
    graphs = []

    def keep(graph, _):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    torch.compile(module, fullgraph=True, backend=keep)(torch.randn(200, 2, 3, dtype=torch.float64))
    (graph,) = graphs
    assert sum("symgru.layer" in str(node.target) for node in graph.graph.nodes) == 1
    assert len(graph.graph.nodes) < 60


def test_operators_are_registered_correctly():
    x, h0 = torch.randn(3, 2, 4), torch.randn(2, 5)
    weights = (torch.randn(15, 4), torch.randn(15, 5), torch.randn(15))
    tensors = tuple(t.requires_grad_() for t in (x, h0, *weights))
    c_n, resets = torch.randn(5, requires_grad=True), torch.tensor([False, True, False, False, True, True])
    for last_bias, begins, reset in ((c_n, None, "after"), (None, resets.view(3, 2, 1), "before")):
        arguments = (*tensors, last_bias, None, begins, "keep", reset, "torch", "ieee")
        results = torch.library.opcheck(layer, arguments)
        assert set(results.values()) == {"SUCCESS"}


def test_export():
    module, x = module_and_input(num_layers=2)
    batch = torch.export.Dim("batch", min=1, max=64)
    program = torch.export.export(module, (x,), dynamic_shapes={"input": {1: batch}})
    other = torch.randn(4, 7, 3, dtype=torch.float64)
    for ours, theirs in zip(program.module()(other), module(other), strict=True):
        assert torch.equal(ours, theirs)


def test_deepcopy_and_pickle():
    module, x = module_and_input("update", "before", num_layers=2)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x)[0], module(x)[0])
        with torch.no_grad():
            twin.weight_hh_l0.zero_()
        assert not torch.equal(twin(x)[0], module(x)[0])


def test_swapped_parameters():
    module, x = module_and_input()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        module = module.float()
    finally:
        torch.__future__.set_swap_module_params_on_conversion(False)
    assert module(x.float())[0].dtype is torch.float32


def test_parametrised_weights():
    module, x = module_and_input()
    torch.nn.utils.parametrizations.weight_norm(module, "weight_hh_l0")
    module(x)[0].sum().backward()
    assert module.parametrizations.weight_hh_l0.original1.grad.abs().sum() > 0


def test_inference_mode_and_no_grad():
    module, x = module_and_input()
    with torch.inference_mode():
        inferred = module(x)[0]
    with torch.no_grad():
        assert torch.equal(module(x)[0], inferred)
    assert torch.equal(module(x)[0], inferred)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_autocast_on_a_cpu_leaves_the_dtype_as_in_torch(dtype):
    ours, theirs = symgru.GRU(3, 4, dtype=dtype), torch.nn.GRU(3, 4, dtype=dtype)
    cell, peer = symgru.GRUCell(3, 4, dtype=dtype), torch.nn.GRUCell(3, 4, dtype=dtype)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(5, 2, 3, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = ours(x)
        assert [t.dtype for t in inside] == [t.dtype for t in theirs(x)]
        assert cell(x[0]).dtype is peer(x[0]).dtype
    assert all(torch.equal(a, b) for a, b in zip(inside, ours(x), strict=True))
    with pytest.raises(symgru.DtypeError), torch.autocast("cpu", dtype=torch.bfloat16):
        ours(x.float() if dtype is torch.float64 else x.double())


def test_autocast_takes_the_half_precision_output_of_a_layer_below():
    linear, module = torch.nn.Linear(3, 3), symgru.GRU(3, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        below = linear(torch.randn(5, 2, 3))
        assert below.dtype is torch.bfloat16
        output, _ = module(below)
    output.float().sum().backward()
    assert linear.weight.grad.dtype is torch.float32
