"""Other runtimes for inference with the same weights, where they are installed: ONNX Runtime and OpenVINO."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from symgru.benchmark.model import Absent, Call
from symgru.benchmark.shapes import Shape

#: A forward pass: x [T, B, I] and h0 [1, B, H] -> y [T, B, H] and the last state [1, B, H].
Session = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
_NEEDS = {"ONNX Runtime": ("onnx", "onnxruntime"), "OpenVINO": ("onnx", "openvino")}
_OPSET, _IR = 14, 8  # the newest GRU of ONNX before bfloat16, in a format that older runtimes read


def sessions(model: nn.GRU, shape: Shape, threads: int) -> tuple[dict[str, Session], list[Absent]]:
    """The runtimes that are installed, ready to run the model, and those that are not.

    Args:
        model: One layer in float32, with biases.
        shape: Of the inputs; graphs are compiled for it alone, which is best for them.
        threads: As many as torch may use.
    """
    ready, absent = {}, []
    for name, make in (("ONNX Runtime", _onnx_runtime), ("OpenVINO", _openvino)):
        missing = [module for module in _NEEDS[name] if find_spec(module) is None]
        if missing:
            why = f'not installed ({", ".join(missing)}): pip install "symgru[bench]"'
            absent.append(Absent(name, why))
        else:
            ready[name] = make(onnx_graph(model, shape), threads)
    return ready, absent


def inference(session: Session, x: Tensor, h0: Tensor) -> Call:
    """All steps in one call."""
    return lambda: session(x, h0)


def streaming(session: Session, x: Tensor, h0: Tensor) -> Call:
    """One call for each step; the session is for shapes with T = 1."""
    steps = torch.split(x, 1)

    def call() -> Sequence[Tensor]:
        h = h0
        for step in steps:
            _, h = session(step, h)
        return (h,)

    return call


def onnx_graph(model: nn.GRU, shape: Shape) -> bytes:
    """The layer as a serialised ONNX graph: X [T, B, I], H0 [1, B, H] -> Y [T, 1, B, H], Y_h [1, B, H].

    ONNX has the gates in the order z, r, h, torch in the order r, z, n; its z multiplies the old state, as in
    torch; linear_before_reset puts the reset gate after the recurrent product and its bias.

    Source: https://onnx.ai/onnx/operators/onnx__GRU.html (version 14)
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    def stacked(*names: str) -> Tensor:
        rows = [torch.cat([part[i] for i in (1, 0, 2)]) for part in (_gates(model, name) for name in names)]
        return torch.cat(rows).unsqueeze(0)

    weights = {
        "W": stacked("weight_ih_l0"),
        "R": stacked("weight_hh_l0"),
        "b": stacked("bias_ih_l0", "bias_hh_l0"),
    }
    T, B, I, H = shape.T, shape.B, shape.I, shape.H  # noqa: E741 - the size's name everywhere in the project

    def value(name: str, *sizes: int) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, sizes)

    node = helper.make_node(
        "GRU", ["X", "W", "R", "b", "", "H0"], ["Y", "Y_h"], hidden_size=H, linear_before_reset=1
    )
    graph = helper.make_graph(
        [node],
        "gru",
        [value("X", T, B, I), value("H0", 1, B, H)],
        [value("Y", T, 1, B, H), value("Y_h", 1, B, H)],
        [numpy_helper.from_array(weight.numpy(), name) for name, weight in weights.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    onnx.checker.check_model(proto)
    serialised: bytes = proto.SerializeToString()
    return serialised


def _gates(model: nn.GRU, name: str) -> tuple[Tensor, ...]:
    return torch.chunk(getattr(model, name).detach(), 3)


def _onnx_runtime(graph: bytes, threads: int) -> Session:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # A pool that spins between its calls would take a core from whatever is timed next.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def run(x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        y, h = session.run(None, {"X": x.numpy(), "H0": h0.numpy()})
        return torch.from_numpy(y)[:, 0], torch.from_numpy(h)

    return run


def _openvino(graph: bytes, threads: int) -> Session:
    import openvino

    core = openvino.Core()
    settings = {
        "INFERENCE_NUM_THREADS": threads,
        "INFERENCE_PRECISION_HINT": "f32",  # it would take bfloat16 by itself where the processor has it
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(core.read_model(graph, b""), "CPU", settings).create_infer_request()

    def run(x: Tensor, h0: Tensor) -> tuple[Tensor, Tensor]:
        found = request.infer({"X": x.numpy(), "H0": h0.numpy()}, share_inputs=True, share_outputs=True)
        y, h = (torch.from_numpy(found[name]) for name in ("Y", "Y_h"))
        return y[:, 0], h.clone()  # the request writes its next result over this one

    return run
