"""Double backward in C++ against PyTorch's double backward, of torch.nn.GRU and of the torch backend."""

from collections.abc import Callable, Iterable
from contextlib import nullcontext

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from symgru.kernels.cpu import pipelines, toolchain
from symgru.kernels.cpu.passes import Steps, begun, dense, packed, plans
from symgru.kernels.cpu.pipelines import double_backward
from symgru.kernels.names import POLARITIES, RESETS
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

import symgru
from symgru.testing.cpu_libraries import SMALL_TILES, Edit, compiled, variant
from symgru.testing.cpu_passes import huge_numbers_in_fresh_memory, team

NAMES = ("x", "h_prev", "weight_ih", "weight_hh", "bias_ih", "bias_hh")
RESULTS = (*NAMES, "d_h_new", "d_h_new_last")
TOLERANCE = 1e-11  # in float64, of the largest element
OUTER = (("x",), ("x", "h_prev"), ("weight_hh",), ("bias_ih",), NAMES)
#: Rows of the steps, inputs n, units m: one row and many, more than one chunk, no multiple of a register.
SIZES = (
    ((3, 3, 3, 3), 4, 5),
    ((1,) * 40, 7, 9),
    ((37,) * 8, 3, 17),
    ((5, 5, 3, 3, 1), 6, 33),
    ((140, 130, 2), 2, 8),
)
SECOND_ORDER = ("backward_recording", "double_backward_inputs", "double_backward_end")
CELLS = [(polarity, reset) for polarity in POLARITIES for reset in RESETS]

pytestmark = pytest.mark.skipif(toolchain.compiler_command() is None, reason="there is no C++ compiler")
Values = dict[str, Tensor]
Expected = dict[str, Tensor | None]
Layer = Callable[[PackedSequence, Tensor, list[Tensor]], tuple[PackedSequence, Tensor]]


@pytest.fixture(autouse=True)
def nothing_in_fresh_memory_is_zero():
    with huge_numbers_in_fresh_memory():
        yield


def steps_of(batch_sizes: tuple[int, ...]) -> Steps:
    even = batch_sizes[0] == batch_sizes[-1]
    return dense(len(batch_sizes), batch_sizes[0]) if even else packed(batch_sizes)


def drawn(batch_sizes: tuple[int, ...], n: int, m: int, seed: int = 0) -> tuple[Values, Values]:
    """The inputs of the backward pass, and cotangents of its results: none is zero, no two are alike."""
    generator = torch.Generator().manual_seed(seed)
    rows, batch = sum(batch_sizes), batch_sizes[0]
    shapes = {
        "x": (rows, n), "h_prev": (batch, m), "weight_ih": (3 * m, n), "weight_hh": (3 * m, m),
        "bias_ih": (3 * m,), "bias_hh": (3 * m,), "d_h_new": (rows, m), "d_h_new_last": (batch, m),
    }  # fmt: skip

    def normal(name: str) -> Tensor:
        scale = 0.8 / shapes[name][-1] ** 0.5 if name.startswith("weight") else 0.7
        return scale * torch.randn(shapes[name], generator=generator, dtype=torch.float64)

    return {name: normal(name) for name in shapes}, {name: normal(name) for name in NAMES}


def assert_same(found: Values, expected: Expected, tolerance: float = TOLERANCE) -> None:
    for name in RESULTS:
        wanted = expected[name]
        wanted = torch.zeros_like(found[name]) if wanted is None else wanted
        error = (found[name] - wanted).abs().max().item()
        assert error <= tolerance * (1 + wanted.abs().max().item()), f"{name} is off by {error:.1e}"


def reference(
    polarity: str, reset: str, inputs: Values, outer: Values, steps: Steps, reverse: bool
) -> Expected:
    """PyTorch's derivatives of `symgru.gru` on the torch backend."""
    begins = None
    if steps.resets is not None:
        begins = PackedSequence(steps.resets, torch.tensor(list(steps.first_rows)).diff())

    def layer(x: PackedSequence, h0: Tensor, weights: list[Tensor]) -> tuple[PackedSequence, Tensor]:
        options = {"polarity": polarity, "reset": reset, "bidirectional": True, "backend": "torch"}
        options |= {"resets": begins}
        output, last = symgru.gru(x, h0, [*weights, *weights], **options)
        assert isinstance(output, PackedSequence)
        return output, last

    return twice(layer, inputs, outer, steps, reverse)


def twice(layer: Layer, inputs: Values, outer: Values, steps: Steps, reverse: bool) -> Expected:
    """PyTorch's derivatives of a layer in both directions, of which one counts."""
    values = {name: value.clone().requires_grad_() for name, value in inputs.items()}
    x, h0, *weights = (values[name] for name in NAMES)
    sizes = torch.tensor(list(steps.first_rows)).diff()
    output, last = layer(PackedSequence(x, sizes), torch.stack((h0, h0)), weights)
    states = output.data.chunk(2, dim=1)[int(reverse)]
    cotangents = [values["d_h_new"], values["d_h_new_last"]]
    asked = [values[name] for name in outer]
    first = torch.autograd.grad([states, last[int(reverse)]], asked, cotangents, create_graph=True)
    every = [values[name] for name in RESULTS]
    second = torch.autograd.grad(first, every, list(outer.values()), allow_unused=True)
    return dict(zip(RESULTS, second, strict=True))


def chosen(outer: Values, names: Iterable[str]) -> Values:
    return {name: outer[name] for name in names}


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_agrees_with_the_torch_backend(polarity, reset):
    for reverse, (sizes, n, m) in enumerate(SIZES):
        inputs, outer = drawn(sizes, n, m)
        steps = steps_of(sizes)
        for names in OUTER:
            bars = chosen(outer, names)
            found = double_backward(f"gru_{polarity}_{reset}", inputs, bars, steps, bool(reverse % 2))
            assert_same(found, reference(polarity, reset, inputs, bars, steps, bool(reverse % 2)))


@given(
    sizes=st.lists(st.integers(1, 14), min_size=1, max_size=6).map(lambda s: tuple(sorted(s, reverse=True))),
    n=st.integers(1, 35),
    m=st.integers(1, 35),
    cell=st.sampled_from(CELLS),
    reverse=st.booleans(),
    names=st.sets(st.sampled_from(NAMES), min_size=1),
    threads=st.integers(1, 3),
    resets=st.booleans(),
)
def test_agrees_on_any_sizes(sizes, n, m, cell, reverse, names, threads, resets):
    inputs, outer = drawn(sizes, n, m)
    steps, bars = steps_of(sizes), chosen(outer, names)
    if resets:
        steps = begun(steps, torch.rand(steps.rows, generator=torch.Generator().manual_seed(n)) < 1 / 3)
    with team(threads):
        found = double_backward("gru_{}_{}".format(*cell), inputs, bars, steps, reverse)
    assert_same(found, reference(*cell, inputs, bars, steps, reverse))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("batch_sizes", [(4, 4, 4), (5, 4, 2, 2, 1)])
def test_agrees_with_torch_gru_in_both_directions(batch_sizes, dtype):
    n, m = 6, 19
    module = torch.nn.GRU(n, m, bidirectional=True, dtype=torch.float64)
    names = [f"{name}_{suffix}" for suffix in ("l0", "l0_reverse") for name in NAMES[2:]]

    def layer(x: PackedSequence, h0: Tensor, weights: list[Tensor]) -> tuple[PackedSequence, Tensor]:
        named = dict(zip(names, [*weights, *weights], strict=True))
        output, last = torch.func.functional_call(module, named, (x, h0))
        return output, last

    for reverse in (False, True):
        inputs, outer = drawn(batch_sizes, n, m, seed=int(reverse))
        expected = twice(layer, inputs, outer, steps_of(batch_sizes), reverse)
        given = {name: value.to(dtype) for name, value in inputs.items()}
        bars = {name: value.to(dtype) for name, value in outer.items()}
        found = double_backward("gru_keep_after", given, bars, steps_of(batch_sizes), reverse)
        tolerance = TOLERANCE if dtype == torch.float64 else 1e-5
        assert_same({name: f.double() for name, f in found.items()}, expected, tolerance)


@pytest.mark.parametrize(("polarity", "reset"), CELLS)
def test_what_is_at_hand_is_not_computed_again(polarity, reset, monkeypatch):
    """Forward and backward pass hand on what they kept; the results are the same to the last bit."""
    cell, batch_sizes, n, m = f"gru_{polarity}_{reset}", (3, 3, 2), 4, 5
    inputs, outer = drawn(batch_sizes, n, m)
    steps, sizes, rows = steps_of(batch_sizes), (("I", n), ("H", m)), sum(batch_sizes)
    whole = double_backward(cell, inputs, outer, steps)
    ahead, back = (plans()[f"{cell}_{name}"] for name in ("forward_saving", "backward_recording"))
    more = {
        name: torch.empty(rows, m, dtype=torch.float64) for name in ("h_new", "d_h_new_carried_trajectory")
    }
    more["saved"] = torch.empty(ahead.saved, rows, m, dtype=torch.float64)
    ahead({**inputs, **more}, sizes, steps, torch.float64)
    arriving = {"d_h_new_output": inputs["d_h_new"], "d_h_new_carried": inputs["d_h_new_last"]}
    back({**inputs, **more, **arriving}, sizes, steps, torch.float64)
    left = {n: p for n, p in plans().items() if p not in (ahead, back)}
    monkeypatch.setattr(pipelines, "plans", lambda: left)
    again = double_backward(cell, inputs | more, outer, steps)
    assert all(torch.equal(again[name], whole[name]) for name in RESULTS)


def test_what_is_not_wanted_changes_nothing():
    inputs, outer = drawn((3, 3, 2), 4, 5)
    steps = steps_of((3, 3, 2))
    for bars in (outer, {"x": outer["x"]}):
        whole = double_backward("gru_keep_after", inputs, bars, steps)
        for name in RESULTS:
            (found,) = double_backward("gru_keep_after", inputs, bars, steps, wanted={name}).items()
            assert found[0] == name
            assert torch.equal(found[1], whole[name])


@pytest.mark.parametrize("absent", ["h_prev", "bias_ih", "bias_hh", "d_h_new", "d_h_new_last"])
def test_what_is_absent_is_zero(absent):
    inputs, outer = drawn((3, 3, 2), 4, 5)
    steps = steps_of((3, 3, 2))
    whole = double_backward(
        "gru_keep_after", inputs | {absent: torch.zeros_like(inputs[absent])}, outer, steps
    )
    wanted = set(RESULTS) - {absent}
    found = double_backward("gru_keep_after", inputs | {absent: None}, outer, steps, wanted=wanted)
    assert found.keys() == wanted
    assert all(torch.equal(found[name], whole[name]) for name in wanted)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("dd_h_prev = shared_4*shared_7;", "dd_h_prev = shared_4*shared_7;"),
        ("dd_h_prev = shared_4*shared_7;", "dd_h_prev = -shared_4*shared_7;"),
        ("dd_c_n_per_step = shared_2;", "dd_c_n_per_step = -shared_2;"),
    ],
)
def test_a_planted_sign_error_is_found(right, wrong, tmp_path, monkeypatch):
    cell = "gru_keep_after"
    saved, *second = (f"&{cell}::{plan}<T>" for plan in ("backward_saved", *SECOND_ORDER))
    edits = (
        SMALL_TILES,
        Edit(f"generated/cpu_{cell}.h", f" {right}", f" {wrong}"),
        Edit(
            "generated/cpu_plans.h", saved, ", ".join((saved, *second))
        ),  # a variant has the first order alone
    )
    planted = compiled(variant(tmp_path, (cell,), edits, only="double"), "portable", ("-O0",))
    monkeypatch.setattr(pipelines, "plans", lambda: planted)
    inputs, outer = drawn((3, 3, 2), 4, 5)
    steps, bars = steps_of((3, 3, 2)), {"x": outer["x"]}
    found = double_backward(cell, inputs, bars, steps)
    expected = reference("keep", "after", inputs, bars, steps, False)
    with nullcontext() if wrong == right else pytest.raises(AssertionError, match="is off by"):
        assert_same(found, expected)
