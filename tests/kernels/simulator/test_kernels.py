"""Kernels that are not GRUs agree with float64 in the simulator, and none of them is accused of anything."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from symgru.kernels import simulator

from symgru.testing.simulated.cases import FAMILIES, OFF, Case, Expected, Launch, cases

SMALL = {
    "add": (300,),
    "matmul": (40, 50, 96),
    "split_k": (16, 32, 100, 3),
    "softmax": (3, 300),
    "cumsum": (6, 200, 1),
    "recurrence": (200,),
    "reduce": (20, 60, 0),
    "histogram": (500, 20),
    "locked": (4, 256),
    "diffuse": (500, 3),
    "attention": (50, 70, 32),
}
TARGETS = ("sm_80", "sm_86", "sm_89", "sm_90", "sm_120", "gfx90a", "gfx942", "gfx1100", "gfx1201")
SCHEDULES = st.tuples(st.sampled_from(["fifo", "random", "pct"]), st.integers(0, 2**16))


def check(case, target, schedule="random", seed=1):
    launch = case.launch()
    with simulator.device(target, schedule=schedule, seed=seed):
        launch.run()
    launch.assert_agrees()


def fitting(case, target):
    """The case with products in a precision that the target has: of AMD only CDNA3 knows TF32."""
    known = target.startswith("sm") or (target == "gfx942" and case.precision == "tf32")
    return case if known else replace(case, precision="ieee")


EVERY_TYPE = [Case(name, dtype, SMALL[name]) for name, family in FAMILIES.items() for dtype in family.dtypes]


def everywhere(*quick):
    """All targets; the tests of others than the quick ones are thorough."""
    return [t if t in quick else pytest.param(t, marks=pytest.mark.thorough) for t in TARGETS]


@pytest.mark.parametrize("case", EVERY_TYPE, ids=lambda case: f"{case.family}, {case.dtype}")
@pytest.mark.parametrize("target", everywhere("sm_80", "gfx942"))
def test_every_type(case, target):
    check(case, target)


@pytest.mark.parametrize("target", everywhere("sm_80", "sm_90"))
@pytest.mark.parametrize("precision", sorted(OFF))
def test_every_precision_of_products(target, precision):
    case = Case("matmul", torch.float32, (64, 64, 96, 64, 64, 32), stages=3, precision=precision)
    check(fitting(case, target), target)


@pytest.mark.parametrize(("target", "instruction"), [("sm_80", "cp.async"), ("sm_90", "wgmma.mma_async")])
def test_products_are_pipelined_as_on_the_device(target, instruction):
    launch = Case("matmul", torch.float16, (128, 64, 128, 64, 64, 32), stages=3).launch()
    with simulator.device(target, seed=1):
        compiled = launch.run()
    assert instruction in compiled.asm["llir"]
    launch.assert_agrees()


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942", "gfx1201"])
@given(case=cases(), order=SCHEDULES)
@settings(max_examples=5)
def test_random_launches(target, case, order):
    check(fitting(case, target), target, *order)


@pytest.mark.thorough
@pytest.mark.parametrize("target", ["sm_80", "sm_90", "gfx942", "gfx1201"])
@given(case=cases(), order=SCHEDULES)
@settings(max_examples=250)
def test_no_false_alarm_in_a_thousand_random_launches(target, case, order):
    check(fitting(case, target), target, *order)


def test_a_wrong_result_is_named():
    expected = {"out": Expected(torch.tensor([1.0, 2.0]), torch.tensor([0.1, 0.1]))}
    launch = Launch(None, (1,), {"out": torch.tensor([1.05, torch.nan])}, expected, 4, 2)
    with pytest.raises(AssertionError, match=r"out\[1\] is nan, must be 2.0 ± 1.0e-01; 1 of 2 are wrong"):
        launch.assert_agrees()
