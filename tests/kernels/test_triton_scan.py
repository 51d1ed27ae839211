"""The resident Triton loops against the plain loop: same pass, same values, float64 as the oracle.

For float32 and half precision the plain loop in the same dtype is the measure (`symgru.testing.tolerances`),
and results are compared in the dtype of the weights. Where the loops run: see conftest.py.
"""

from dataclasses import replace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from symgru.kernels.scan import last
from symgru.kernels.triton.launch import LARGEST, Target, shared_memory, target_named, unsupported
from symgru.kernels.triton.scan import scan

from symgru.testing.resident import (
    CELLS,
    LOOP_ERRORS,
    PASSES,
    RESETS,
    STAGE_ERRORS,
    Case,
    assert_agrees,
    cases,
    mutant,
    planted_loop,
    values_of,
)


def test_unwritten_memory_is_nan() -> None:
    assert torch.empty(7).isnan().all()
    assert torch.empty_like(torch.ones(2, 3)).isnan().all()


@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("cell", CELLS)
def test_every_cell_and_pass(cell: str, pass_: str, device: torch.device) -> None:
    assert_agrees(Case(cell, pass_, B=17), device)


@pytest.mark.parametrize("storage", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("pass_", PASSES)
@pytest.mark.parametrize("cell", ["keep_after", "update_before_lengths"])
def test_every_storage_dtype(cell: str, pass_: str, storage: torch.dtype, device: torch.device) -> None:
    if storage is torch.bfloat16 and device.type == "cpu":
        with pytest.raises(ValueError, match="interpreter computes bfloat16 wrongly"):
            assert_agrees(Case(cell, pass_, storage=storage), device)
    else:
        assert_agrees(Case(cell, pass_, T=5, B=5, H=33, storage=storage), device)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # `device` is the same for all examples
@given(case=cases((torch.float64, torch.float32, torch.float16)))
def test_any_shape(case: Case, device: torch.device) -> None:
    assert_agrees(case, device)


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


# Planted errors. Every one has to be found.


@pytest.mark.parametrize(("cell", "pass_", "right", "wrong"), STAGE_ERRORS)
def test_wrong_stage_is_found(cell, pass_, right, wrong, device, tmp_path) -> None:
    case = Case(cell, pass_)
    assert_agrees(case, device)
    with pytest.raises(AssertionError, match="against the oracle"):
        assert_agrees(case, device, mutant(case.emitted()[1], right, wrong, tmp_path))


@pytest.mark.parametrize(("module", "cell", "pass_", "right", "wrong"), LOOP_ERRORS)
def test_wrong_loop_is_found(module, cell, pass_, right, wrong, device, tmp_path) -> None:
    case = Case(cell, pass_)
    with (
        planted_loop(module, case, right, wrong, tmp_path),
        pytest.raises(AssertionError, match="against the oracle"),
    ):
        assert_agrees(case, device)


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
    assert "products in ieee precision there, not in tf32" in unsupported(
        torch.float32, 16, target_named("gfx90a", 65536), "tf32"
    )
    mi300 = target_named("gfx942", 65536)
    assert unsupported(torch.float32, 16, mi300, "tf32") is None
    assert unsupported(torch.float16, 16, mi300, "tf32x3") is None  # which has no say there
    assert "ieee and tf32 precision there, not in tf32x3" in unsupported(torch.float32, 16, mi300, "tf32x3")
    for family, table in LARGEST.items():
        for storage, size in table.items():
            assert unsupported(storage, size, Target(family, 2**20)) is None
            assert unsupported(storage, size + 1, Target(family, 2**20)) is not None
