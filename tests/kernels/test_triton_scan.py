"""The resident Triton loops against the plain loop: same pass, same values, float64 as the oracle.

For float32 and half precision the plain loop in the same dtype is the measure (`symgru.testing.tolerances`),
and results are compared in the dtype of the weights. Where the loops run: see conftest.py.
"""

import importlib
import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from symgru.kernels import scan as plain
from symgru.kernels.passes import Pass
from symgru.kernels.scan import last
from symgru.kernels.tensor_ops import compute_dtype
from symgru.kernels.triton import ahead, back, loops
from symgru.kernels.triton.launch import LARGEST, Target, shared_memory, unsupported
from symgru.kernels.triton.scan import scan
from torch import Tensor

from symgru.testing.tolerances import assert_close

RESETS = ("after", "before", "whole")
CELLS = [f"{p}_{r}{s}" for p in ("keep", "update") for r in RESETS for s in ("", "_lengths")]
PASSES = ("forward", "backward", "tangent")
INPUT_SIZE = 3
HIDDEN_SIZES = (1, 2, 5, 15, 16, 17, 31, 32, 33)  # both sides of 16 and 32, where tiles end


@dataclass(frozen=True)
class Case:
    """One pass of one cell: sizes, storage dtype, and the seed of its values."""

    cell: str
    pass_: str
    G: int = 2
    T: int = 4
    B: int = 3
    H: int = 5
    storage: torch.dtype = torch.float64
    seed: int = 0

    def emitted(self) -> tuple[Pass, ModuleType]:
        """The pass in tensor operations, and the stages that the loops call."""
        torch_module, stages = (
            importlib.import_module(f"symgru.kernels.generated.{kind}_gru_{self.cell}")
            for kind in ("torch", "triton")
        )
        return getattr(torch_module, self.pass_.upper()), stages


def values_of(case: Case, device: torch.device) -> dict[str, Tensor]:
    """What the inside of the pass reads, [G, …]: drawn inputs, and what the phase before makes of them."""
    pass_, _ = case.emitted()
    generator = torch.Generator().manual_seed(case.seed)
    groups = [_of_group(case, pass_, generator) for _ in range(case.G)]
    ((entering, _),) = pass_.carry
    names = (entering, *pass_.sequences, *pass_.parameters)
    values = {name: torch.stack([group[name] for group in groups]).to(device) for name in names}
    compute = compute_dtype(case.storage)
    rounded = {n: v if v.dtype is torch.bool else v.to(compute) for n, v in values.items()}
    return rounded | {"weight_hh": values["weight_hh"].to(case.storage)}


def _of_group(case: Case, pass_: Pass, generator: torch.Generator) -> dict[str, Tensor]:
    T, B, H = case.T, case.B, case.H
    shapes = {
        "x": (T, B, INPUT_SIZE),
        "h_prev": (T, B, H) if pass_.before.reads.count("h_prev") else (B, H),
        "weight_ih": (3 * H, INPUT_SIZE),
        "weight_hh": (3 * H, H),
        "bias": (3 * H,),
        "c_n": (H,),
        "d_h_new_output": (T, B, H),
        "d_h_new_carried": (B, H),
        "tangent_h_prev": (B, H),
    }
    values = {}
    for name in sorted({pass_.carry[0][0], *pass_.before.reads, *pass_.sequences, *pass_.parameters}):
        shape = shapes.get(name) or shapes.get(name.removeprefix("tangent_"))
        if name == "valid":
            values[name] = torch.rand((T, B, 1), generator=generator) < 0.6
        elif shape is not None:
            values[name] = 0.7 * torch.randn(shape, generator=generator, dtype=torch.float64)
    pass_.before(values)
    return values


def assert_scan_agrees(case: Case, device: torch.device, stages: ModuleType | None = None) -> None:
    """The resident loop gives what the plain loop gives, for every group and everything that is stored."""
    pass_, right = case.emitted()
    values = values_of(case, device)
    found = dict(values)
    scan(pass_, stages or right, found)
    ((_, leaving),) = pass_.carry
    for group in range(case.G):
        own = {name: value[group] for name, value in values.items()}
        oracle = {n: v if v.dtype is torch.bool else v.double() for n, v in own.items()}
        plain.scan(pass_, own)
        plain.scan(pass_, oracle)
        for name in (*pass_.stored, last(leaving)):
            result = found[name][group]
            assert result.dtype is compute_dtype(case.storage), f"{name} is {result.dtype}"
            label = f"{case}: {name} of group {group}"
            assert_close(label, result.to(case.storage), oracle[name], own[name].to(case.storage))


def test_unwritten_memory_is_nan() -> None:
    assert torch.empty(7).isnan().all()
    assert torch.empty_like(torch.ones(2, 3)).isnan().all()


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_pass(cell: str, pass_: str, device: torch.device) -> None:
    assert_scan_agrees(Case(cell, pass_, B=17), device)


@pytest.mark.parametrize("storage", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("cell", ["keep_after", "update_before_lengths"])
def test_every_storage_dtype(cell: str, pass_: str, storage: torch.dtype, device: torch.device) -> None:
    if storage is torch.bfloat16 and device.type == "cpu":
        with pytest.raises(ValueError, match="interpreter computes bfloat16 wrongly"):
            assert_scan_agrees(Case(cell, pass_, storage=storage), device)
    else:
        assert_scan_agrees(Case(cell, pass_, T=5, B=5, H=33, storage=storage), device)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # `device` is the same for all examples
@given(
    case=st.builds(
        Case,
        cell=st.sampled_from(CELLS),
        pass_=st.sampled_from(PASSES),
        G=st.integers(1, 3),
        T=st.integers(1, 5),
        B=st.sampled_from((1, 2, 3, 15, 16, 17)),
        H=st.sampled_from(HIDDEN_SIZES),
        storage=st.sampled_from((torch.float64, torch.float32, torch.float16)),
        seed=st.integers(0, 2**31),
    )
)
def test_any_shape(case: Case, device: torch.device) -> None:
    assert_scan_agrees(case, device)


@pytest.mark.parametrize("empty", ["G", "T", "B"])
@pytest.mark.parametrize("pass_", PASSES)
def test_nothing_to_do(pass_: str, empty: str, device: torch.device) -> None:
    case = Case("keep_after", pass_)
    emitted, stages = case.emitted()
    ((entering, leaving),) = emitted.carry
    values = values_of(case, device)
    for name in (entering, *emitted.sequences, *emitted.parameters):
        axes = {"G": 0} if name in emitted.parameters else {"G": 0, "B": 1} if name == entering else {}
        axis = axes.get(empty) if axes else {"G": 0, "T": 1, "B": 2}[empty]
        values[name] = values[name] if axis is None else values[name].narrow(axis, 0, 0)
    scan(emitted, stages, values)
    assert torch.equal(values[last(leaving)], values[entering])
    assert values[last(leaving)].data_ptr() != values[entering].data_ptr() or values[entering].numel() == 0
    for name in emitted.stored:
        assert values[name].shape == values[emitted.sequences[0]].shape


@pytest.mark.parametrize("pass_", PASSES)
def test_strides_are_free_and_inputs_untouched(pass_: str, device: torch.device) -> None:
    case = Case("keep_before_lengths", pass_)
    emitted, stages = case.emitted()
    dense = values_of(case, device)
    strided = {n: v.movedim(0, -1).contiguous().movedim(-1, 0) for n, v in dense.items()}
    if "valid" in strided:
        strided["valid"] = strided["valid"][:1].expand_as(dense["valid"])
        dense["valid"] = strided["valid"].contiguous()
    before = {n: v.clone() for n, v in strided.items()}
    given_names = set(strided)
    scan(emitted, stages, dense)
    scan(emitted, stages, strided)
    for name, value in strided.items():
        assert torch.equal(value, before[name] if name in given_names else dense[name]), name


@pytest.mark.parametrize("pass_", ["forward", "tangent"])
def test_one_mask_for_all_groups(pass_: str, device: torch.device) -> None:
    case = Case("update_after_lengths", pass_)
    emitted, stages = case.emitted()
    shared = values_of(case, device)
    shared["valid"] = shared["valid"][0]
    repeated = shared | {"valid": shared["valid"].expand(case.G, -1, -1, -1)}
    scan(emitted, stages, shared)
    scan(emitted, stages, repeated)
    for name in emitted.stored:
        assert torch.equal(shared[name], repeated[name]), name


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("storage", [torch.float64, torch.float32], ids=str)
def test_polarities_are_mirror_images(reset: str, storage: torch.dtype, device: torch.device) -> None:
    """Negating what enters the update gate maps one polarity to the other, to the last bit."""
    keep = Case(f"keep_{reset}", "forward", T=5, B=5, H=17, storage=storage)
    values = values_of(keep, device)
    mirrored = {name: value.clone() for name, value in values.items()}
    mirrored["update_preactivation_invariant"].neg_()
    mirrored["weight_hh"][:, 17:34].neg_()
    scan(*keep.emitted(), values)
    scan(*replace(keep, cell=f"update_{reset}").emitted(), mirrored)
    assert torch.equal(values["h_new"], mirrored["h_new"])


# Planted errors: emitted stages and loops with one mistake each. Every one has to be found.

STAGE_ERRORS = [
    ("keep_after", "forward", "gate_complement + h_prev", "gate_complement - h_prev"),
    ("keep_after", "forward", "complement + h_prev*update_gate", "complement + h_prev*reset_gate"),
    ("keep_after", "forward", "candidate*update_gate_complement", "candidate*update_gate"),
    ("keep_after", "forward", "reset_gate*(c_n + candidate_from_h)", "reset_gate*candidate_from_h"),
    ("keep_after", "forward", "reset_gate*(c_n + candidate_from_h)", "c_n + reset_gate*candidate_from_h"),
    ("keep_after", "forward", "reset_preactivation = reset_from_h", "reset_preactivation = update_from_h"),
    ("keep_after", "backward", "d_h_new_carried + d_h_new_output", "d_h_new_output"),
    ("keep_after", "backward", "= d_candidate_from_h_per_d_h_new*", "= d_reset_preactivation_per_d_h_new*"),
    ("keep_after", "backward", "per_d_h_new + d_h_prev_through", "per_d_h_new - d_h_prev_through"),
    ("keep_after", "tangent", "tangent_h_new_per_tangent_h_prev*tangent_h_prev +", ""),
    ("keep_after", "tangent", "= tangent_reset_from_h_varying", "= tangent_update_from_h_varying"),
    ("update_before", "forward", "reset_state = h_prev*reset_gate", "reset_state = h_prev*update_gate"),
    ("update_before", "backward", "+ d_h_prev_per_d_reset_state*d_reset_state", ""),
    ("update_before", "tangent", "tangent_h_prev*tangent_reset_state_per_tangent_h_prev +", ""),
    ("keep_after_lengths", "forward", "tl.where(valid, h_new_proposed, h_prev)", "h_new_proposed"),
    ("keep_after_lengths", "forward", "valid, h_new_proposed, h_prev)", "valid, h_prev, h_new_proposed)"),
]
LOOP_ERRORS = [
    (ahead, "keep_after", "forward", "TRANSPOSED=True", "TRANSPOSED=False"),
    (ahead, "keep_after", "forward", "load_matrix(weight, group, 1,", "load_matrix(weight, group, 0,"),
    (ahead, "keep_after", "forward", "load_matrix(weight, group, 2,", "load_matrix(weight, 0, 2,"),
    (ahead, "keep_after", "forward", "minimum(t + 1, T - 1)", "minimum(t, T - 1)"),
    (ahead, "keep_after", "forward", "store_tile(last, state, group", "store_tile(states, state, group"),
    (ahead, "keep_before", "forward", "reset_from_h=reset", "reset_from_h=update"),
    (ahead, "update_before", "tangent", "product(reset_state, u_n", "product(state, u_n"),
    (back, "keep_after", "backward", "maximum(T - 2 - i, 0)", "maximum(T - 1 - i, 0)"),
    (back, "keep_after", "backward", "product(d_update, u_z, PRECISION)", "0.0"),
    (back, "update_before", "backward", "row + (T - 1 - i) * batch, rows_left", "row + i * batch, rows_left"),
    (back, "update_before", "backward", "product(d_candidate, u_n", "product(d_candidate, u_r"),
]


def _mutant(module: ModuleType, right: str, wrong: str, folder: Path) -> ModuleType:
    """The module with every occurrence of `right` in its source replaced."""
    source = Path(module.__file__).read_text()
    assert right in source, f"{right!r} is not in {module.__name__}"
    path = folder / "mutant.py"
    path.write_text(source.replace(right, wrong))
    spec = importlib.util.spec_from_file_location(f"{module.__package__}.mutant", path)
    mutant = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(mutant)
    return mutant


@pytest.mark.parametrize(("cell", "pass_", "right", "wrong"), STAGE_ERRORS)
def test_wrong_stage_is_found(cell, pass_, right, wrong, device, tmp_path) -> None:
    case = Case(cell, pass_)
    assert_scan_agrees(case, device)
    with pytest.raises(AssertionError, match="against the oracle"):
        assert_scan_agrees(case, device, _mutant(case.emitted()[1], right, wrong, tmp_path))


@pytest.mark.parametrize(("module", "cell", "pass_", "right", "wrong"), LOOP_ERRORS)
def test_wrong_loop_is_found(module, cell, pass_, right, wrong, device, tmp_path, monkeypatch) -> None:
    case = Case(cell, pass_)
    table = loops._TWO_PRODUCTS if "before" in cell else loops._ONE_PRODUCT
    mutant = _mutant(module, right, wrong, tmp_path)
    monkeypatch.setitem(table, pass_, getattr(mutant, table[pass_].__name__))
    with pytest.raises(AssertionError, match="against the oracle"):
        assert_scan_agrees(case, device)


# Refusals.


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("h_prev", lambda v: v[:, :-1], "h_prev: expected shape"),
        ("c_n", lambda v: v.float(), "c_n: expected torch.float64 beside torch.float64 weights"),
        ("weight_hh", lambda v: v.mT, "weight_hh: expected shape"),
        ("weight_hh", lambda v: v.to(torch.int8), "expected torch.int8|not torch.int8"),
        ("reset_preactivation_invariant", lambda v: v[0], r"expected \[G, T, B, H\]|expected shape"),
    ],
)
def test_refuses_what_does_not_fit(name, change, message, device) -> None:
    case = Case("keep_after", "forward")
    values = values_of(case, device)
    values[name] = change(values[name])
    with pytest.raises(ValueError, match=message):
        scan(*case.emitted(), values)


def test_refuses_stages_of_another_pass(device) -> None:
    forward, _ = Case("keep_after", "forward").emitted()
    _, stages = Case("keep_before", "forward").emitted()
    with pytest.raises(ValueError, match="but the pass hands over"):
        scan(forward, stages, values_of(Case("keep_after", "forward"), device))
    with pytest.raises(ValueError, match="expected a precision of ieee, tf32, tf32x3, got 'fp8'"):
        scan(forward, stages, {}, precision="fp8")


def test_says_why_it_cannot_serve() -> None:
    a100 = Target("cuda", 166912)
    assert unsupported(torch.float16, 128, a100) is None
    assert "goes to hidden size 128; this one is 129" in unsupported(torch.float16, 129, a100)
    small = Target("cuda", 101376)
    needed = shared_memory(torch.float64, 64)
    assert f"needs up to {needed} bytes" in unsupported(torch.float64, 64, small)
    assert unsupported(torch.float32, 64, small) is None
    assert "bytes of shared memory" in unsupported(torch.float32, 64, small, "tf32x3")
    assert "not torch.int8" in unsupported(torch.int8, 8, a100)
    for family, table in LARGEST.items():
        for storage, size in table.items():
            assert unsupported(storage, size, Target(family, 2**20)) is None
            assert unsupported(storage, size + 1, Target(family, 2**20)) is not None
