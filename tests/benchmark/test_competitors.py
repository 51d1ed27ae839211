"""The graph for other runtimes has the weights in their order; what is not installed is named."""

from importlib.util import find_spec

import pytest
import torch
from torch import nn

from symgru.benchmark import competitors, problem
from symgru.benchmark.accuracy import allowed, error
from symgru.benchmark.shapes import Shape

SHAPE = Shape(5, 3, 4, 6)
PROBLEM = problem.Problem(SHAPE, "torch")
TRUTH = problem.inference(PROBLEM.theirs(torch.float64), PROBLEM.x, PROBLEM.h0)()


@pytest.mark.parametrize("name", ["ONNX Runtime", "OpenVINO"])
def test_the_runtime_gives_the_same_result_or_is_named_as_not_installed(name):
    ready, absent = competitors.sessions(PROBLEM.peer, SHAPE, 1)
    missing = [module for module in ("onnx", name.replace(" ", "").lower()) if find_spec(module) is None]
    if missing:
        (why,) = [one.why for one in absent if one.name == name]
        assert f'not installed ({", ".join(missing)}): pip install "symgru[bench]"' in why
    else:
        call = competitors.inference(ready[name], PROBLEM.x, PROBLEM.h0)
        assert error(call(), TRUTH) <= 1e-6
        assert error(call(), TRUTH) <= 1e-6  # a result does not lie where the next one is written


def test_a_runtime_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(competitors, "find_spec", lambda module: None)
    ready, absent = competitors.sessions(PROBLEM.peer, SHAPE, 1)
    assert ready == {}
    assert [one.name for one in absent] == ["ONNX Runtime", "OpenVINO"]
    assert "not installed (onnx, onnxruntime)" in absent[0].why


def run(model: nn.GRU, shape: Shape = SHAPE, **attributes: int):
    """The graph in ONNX's own reference implementation, with attributes of the node replaced."""
    onnx = pytest.importorskip("onnx", reason="the extra `bench` is not installed")
    reference = pytest.importorskip("onnx.reference", reason="the extra `bench` is not installed")
    proto = onnx.load_model_from_string(competitors.onnx_graph(model, shape))
    for attribute in proto.graph.node[0].attribute:
        if attribute.name in attributes:
            attribute.i = attributes[attribute.name]
    inputs = {"X": PROBLEM.x.numpy(), "H0": PROBLEM.h0.numpy()}
    y, h = reference.ReferenceEvaluator(proto).run(None, inputs)
    return torch.from_numpy(y)[:, 0], torch.from_numpy(h)


def test_the_graph_is_the_layer_by_the_definition_of_onnx():
    assert error(run(PROBLEM.peer), TRUTH) <= 1e-6


def test_a_planted_reset_placement_is_caught():
    assert error(run(PROBLEM.peer, linear_before_reset=0), TRUTH) > allowed(torch.float32)


def test_a_planted_order_of_gates_is_caught(monkeypatch):
    honest = competitors._gates
    monkeypatch.setattr(
        competitors, "_gates", lambda model, name: [honest(model, name)[i] for i in (1, 0, 2)]
    )
    assert error(run(PROBLEM.peer), TRUTH) > allowed(torch.float32)
