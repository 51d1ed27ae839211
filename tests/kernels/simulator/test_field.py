"""Kernels as people write them (field_kernels.py) agree with float64 on every target, with all checks on."""

import re

import pytest
import torch
import triton
from symgru.kernels import simulator
from symgru.kernels.simulator import amdgcn, sass

from symgru.testing.simulated import field
from symgru.testing.simulated.field import FIELD, agree

NVIDIA = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_120")
AMD = ("gfx90a", "gfx942", "gfx1100", "gfx1201")
QUICK = ("sm_90", "gfx1201")
#: What the simulator does not have, by kernel and target; docs/simulator.md says so.
LIMITS = {
    **{
        (name, target): "tensor"
        for name in ("descriptors", "made_descriptors")
        for target in ("sm_90", "sm_120")
    },
    ("scaled_product", "sm_120"): "mma.sync.*block_scale",
    **{("told", target): r"one-as|not inlined|\{ i64, i64, i32, i32 \}" for target in AMD},
}
if triton.__version__ < "3.9":
    LIMITS["scaled_product", "gfx1201"] = "fdot2"
EVERYWHERE = [
    pytest.param(
        name, target, id=f"{name}, {target}", marks=[] if target in QUICK else [pytest.mark.thorough]
    )
    for name in FIELD
    for target in (*NVIDIA, *AMD)
    if name != "rotate" or target in NVIDIA  # its assembly is NVIDIA's
]


@pytest.mark.parametrize(("name", "target"), EVERYWHERE)
def test_agrees_with_float64(name, target):
    torch.manual_seed(0)
    with simulator.device(target, seed=1):
        if (name, target) in LIMITS:
            with pytest.raises(simulator.SimulatorError, match=LIMITS[name, target]):
                FIELD[name]()
        else:
            FIELD[name]()


@pytest.mark.parametrize("order", [{"schedule": "fifo"}, {"schedule": "pct", "seed": 2}])
def test_a_lock_between_programs_agrees_under_other_schedules(order):
    torch.manual_seed(0)
    with simulator.device("sm_80", **order):
        FIELD["stream_k"]()


def test_a_wrong_result_is_seen():
    with pytest.raises(AssertionError, match=r"error 1.00e\+00, allowed 0"):
        agree(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))


def test_a_kernel_prints(capfd):
    with simulator.device("sm_80"):
        field.told(32)
    printed = capfd.readouterr().out.splitlines()
    assert len(printed) == 32
    assert printed[7].startswith("pid (0, 0, 0) idx ( 7)")
    assert [int(re.findall(r"\d+", line)[-1]) for line in printed] == [*range(32)]


def test_an_assertion_of_a_kernel_is_raised():
    with simulator.device("sm_90"), pytest.raises(simulator.Trapped, match="x is too large") as raised:
        field.told(20)
    (party,) = raised.value.parties
    assert party.thread == 20
    assert "field_kernels.py" in party.place


@pytest.mark.parametrize("target", ["sm_80", "sm_120", "gfx942", "gfx1201"])
def test_registers_are_those_of_the_machine_code(target):
    """What a launch wrapper reads off Triton's compiled kernel to choose its grid."""
    with simulator.device(target):
        compiled = field.kernels.softmax.warmup(
            torch.empty(4, 64), torch.empty(4, 64), 64, 4, 64, BLOCK=64, STAGES=2, grid=(1,)
        )
        compiled._init_handles()
    if target.startswith("sm"):
        used = sass.usage(compiled.asm["cubin"])
    else:
        used = amdgcn.usage(compiled.asm["amdgcn"])
        assert amdgcn.usage_of_binary(compiled.asm["hsaco"]) == used
    assert compiled.n_regs == used.registers > 0
    assert compiled.n_spills == used.stack // 4
