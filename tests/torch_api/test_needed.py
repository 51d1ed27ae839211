"""A backward pass computes the gradients that somebody will see, and all of these."""

from types import SimpleNamespace

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import symgru
from symgru.torch_api import cpu_layer, needed

WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.fixture
def computed(monkeypatch):
    """Which gradients every backward pass computes, first and second order, one set after the other."""
    monkeypatch.setattr(needed, "WORTH_ASKING", 0)
    found = []
    backward, double_backward = cpu_layer.backward, cpu_layer.double_backward

    def spy(*arguments):
        results = backward(*arguments)
        found.append({n for n, value in zip(cpu_layer.NAMES, results, strict=True) if value is not None})
        return results

    def second_spy(*arguments):
        results = double_backward(*arguments)
        found.append(set(results))
        return results

    monkeypatch.setattr(cpu_layer, "backward", spy)
    monkeypatch.setattr(cpu_layer, "double_backward", second_spy)
    return found


class Problem:
    """A layer, leaves to differentiate by, and what PyTorch's operations give."""

    def __init__(self, **kwargs):
        torch.manual_seed(0)
        self.ours = symgru.GRU(3, 5, backend="cpu", dtype=torch.float64, **kwargs)
        self.plain = symgru.GRU(3, 5, backend="torch", dtype=torch.float64, **kwargs)
        self.plain.load_state_dict(self.ours.state_dict())
        self.x = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True)
        self.h0 = torch.randn(1, 2, 5, dtype=torch.float64, requires_grad=True)

    def loss(self, module):
        output, last = module(self.x.sin(), self.h0)
        return output.square().sum() + last.sum()

    def leaves(self, module):
        return {"x": self.x, "h_prev": self.h0, **dict(zip(WEIGHTS, module.parameters(), strict=True))}

    def assert_grad(self, names):
        """The right gradients by some leaves."""
        found, expected = (
            torch.autograd.grad(self.loss(m), [self.leaves(m)[n] for n in names])
            for m in (self.ours, self.plain)
        )
        assert_close(found, expected)


def assert_close(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert (a - b).abs().max() <= 1e-13 * max(1, b.abs().max())


@pytest.mark.parametrize("name", cpu_layer.NAMES)
def test_the_gradient_by_one_leaf(computed, name):
    """Of a leaf the engine says nothing but that it was asked for, so those before it are computed too."""
    Problem().assert_grad([name])
    if name == "x":  # not a leaf where the layer sees it
        assert computed == [{"x"}]
    before = set(cpu_layer.NAMES[: cpu_layer.NAMES.index(name)])
    assert {name} <= computed[0] <= {name} | before


def test_gradients_by_weights_and_by_all(computed):
    problem = Problem()
    problem.assert_grad(WEIGHTS)
    problem.assert_grad(cpu_layer.NAMES)
    assert set(WEIGHTS) <= computed[0]
    assert computed[1] == set(cpu_layer.NAMES)


@pytest.mark.parametrize("asked", [None, ("x",), ("x", "weight_hh"), ("bias_ih",), WEIGHTS])
def test_backward_with_and_without_inputs(computed, asked):
    problem = Problem()
    for module in (problem.ours, problem.plain):
        for leaf in problem.leaves(module).values():
            leaf.grad = None
        inputs = None if asked is None else [problem.leaves(module)[n] for n in asked]
        problem.loss(module).backward(inputs=inputs)
        problem.__dict__.setdefault("found", []).append(
            [None if leaf.grad is None else leaf.grad.clone() for leaf in problem.leaves(module).values()]
        )
    assert computed == [set(asked or cpu_layer.NAMES)]
    for found, expected in zip(*problem.found, strict=True):
        assert (found is None) == (expected is None)
        assert found is None or torch.allclose(found, expected, rtol=0, atol=1e-13)


def test_one_graph_for_several_questions(computed):
    problem = Problem()
    loss, leaves = problem.loss(problem.ours), problem.leaves(problem.ours)
    (alone,) = torch.autograd.grad(loss, problem.x, retain_graph=True)
    whole = dict(
        zip(leaves, torch.autograd.grad(loss, list(leaves.values()), retain_graph=True), strict=True)
    )
    loss.backward()
    assert computed == [{"x"}, set(leaves), set(leaves)]
    assert torch.equal(alone, whole["x"])
    assert all(torch.equal(leaf.grad, whole[name]) for name, leaf in leaves.items())


def test_hooks_run_where_gradients_go(computed):
    problem = Problem()
    leaves, called = problem.leaves(problem.ours), []
    leaves["weight_ih"].register_hook(lambda gradient: called.append("tensor"))
    leaves["weight_ih"].register_post_accumulate_grad_hook(lambda leaf: called.append("leaf"))
    torch.autograd.grad(problem.loss(problem.ours), problem.x)
    assert called == []
    torch.autograd.grad(problem.loss(problem.ours), leaves["weight_ih"])
    assert called == ["tensor"]
    problem.loss(problem.ours).backward()
    assert called == ["tensor", "tensor", "leaf"]
    multi = []
    torch.autograd.graph.register_multi_grad_hook(list(leaves.values()), multi.append)
    problem.loss(problem.ours).backward()
    assert [g is not None for g in multi[0]] == [True] * len(leaves)
    assert computed[0] == {"x"}


def test_a_backward_pass_within_a_hook(computed):
    """The engine answers for the pass that runs, not for the one around it."""
    problem = Problem()
    leaves, inner = problem.leaves(problem.ours), []

    def hook(gradient):
        with torch.enable_grad():
            inner.append(torch.autograd.grad(problem.loss(problem.ours), problem.x)[0])

    handle = leaves["weight_ih"].register_hook(hook)
    problem.loss(problem.ours).backward(inputs=[leaves["weight_ih"]])
    handle.remove()
    assert computed == [{"weight_ih"}, {"x"}]
    assert_close(inner, torch.autograd.grad(problem.loss(problem.plain), problem.x))


def penalty(problem, module, names):
    leaves = problem.leaves(module)
    (g,) = torch.autograd.grad(problem.loss(module), problem.x, create_graph=True)
    return torch.autograd.grad(g.square().sum(), [leaves[n] for n in names])


@pytest.mark.parametrize("names", [("x",), ("h_prev",), WEIGHTS, cpu_layer.NAMES], ids="-".join)
def test_a_gradient_penalty(computed, names):
    problem = Problem()
    assert_close(penalty(problem, problem.ours, names), penalty(problem, problem.plain, names))
    assert computed[0] == {"x"}
    assert set(names) <= computed[1]
    assert names != ("x",) or "weight_ih" not in computed[1]


def test_a_third_derivative(computed):
    problem, found = Problem(), []
    for module in (problem.ours, problem.plain):
        (g,) = torch.autograd.grad(problem.loss(module), problem.x, create_graph=True)
        (g,) = torch.autograd.grad(g.square().sum(), problem.x, create_graph=True)
        found.append(torch.autograd.grad(g.square().sum(), list(problem.leaves(module).values())))
    assert_close(*found)


@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints(computed, reentrant):
    problem, found = Problem(), []
    for module in (problem.ours, problem.plain):
        for leaf in problem.leaves(module).values():
            leaf.grad = None
        output, last = checkpoint(module, problem.x.sin(), problem.h0, use_reentrant=reentrant)
        (output.square().sum() + last.sum()).backward()
        found.append([leaf.grad.clone() for leaf in problem.leaves(module).values()])
    assert computed == [set(cpu_layer.NAMES)]
    assert_close(*found)


def test_a_checkpoint_for_the_input_alone(computed):
    problem = Problem()
    output, _ = checkpoint(problem.ours, problem.x.sin(), problem.h0, use_reentrant=False)
    torch.autograd.grad(output.sum(), problem.x)
    assert computed == [{"x"}]


def test_frozen_weights_and_layers(computed):
    problem = Problem(num_layers=2)
    for name, weight in problem.ours.named_parameters():
        weight.requires_grad_(name.endswith("l1"))
    problem.ours(problem.x.sin().detach())[0].sum().backward()
    assert computed == [set(WEIGHTS)]


def test_small_problems_do_not_ask(monkeypatch):
    asked = []
    monkeypatch.setattr(needed, "_will_execute", asked.append)
    Problem().assert_grad(["x"])
    assert not asked
    monkeypatch.setattr(needed, "WORTH_ASKING", 4 * 2 * (15 * 3 + 15 * 5))  # what this one does
    with pytest.raises(RuntimeError, match="appears to not have been used"):  # the answer was always no
        Problem().assert_grad(["x"])
    assert asked


def test_without_an_answer_all_that_is_required_counts(monkeypatch):
    """Outside of a backward pass, in a PyTorch that does not tell, or that has other nodes than inputs."""
    x = torch.ones(2, requires_grad=True)
    ctx = SimpleNamespace(needs_input_grad=(True, False), next_functions=((x.sin().grad_fn, 0), (None, 0)))
    assert needed.needed(ctx, 10**9) == (True, False)
    ctx.next_functions = ()
    assert needed.needed(ctx, 10**9) == (True, False)
    ctx.next_functions = ((x, 0),)
    assert needed.needed(ctx, 10**9) == (True, False)
    monkeypatch.setattr(needed, "_will_execute", lambda node: False)
    assert needed.needed(ctx, 10**9) == (False, False)  # so the answer does count
    assert needed.needed(ctx, 1) == (True, False)
    monkeypatch.setattr(needed, "_will_execute", None)
    assert needed.needed(ctx, 10**9) == (True, False)
