"""Every kind of error is reported when it is planted, on every target, and nothing is without it."""

import pytest
import torch
import triton
from symgru.kernels import simulator
from triton.runtime.errors import OutOfResources

from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.planted import PLANTED

EVERYWHERE = [
    pytest.param(
        name,
        target,
        id=f"{name}, {target}",
        marks=[] if target in (planted.targets[0], "gfx942") else [pytest.mark.thorough],
    )
    for name, planted in PLANTED.items()
    for target in planted.targets
    if target != "gfx950" or triton.__version__ >= "3.9"  # before, these copies are none of the wave's
]


@pytest.mark.parametrize(("name", "target"), EVERYWHERE)
def test_planted_error_is_reported(name, target):
    planted = PLANTED[name]
    planted.run(target, right=True)
    with pytest.raises(planted.report):
        planted.run(target, right=False)


HANDED_OVER = (
    "state handed over without a barrier",
    "state handed over through a product",
    "read and written in two layouts",
)


@pytest.mark.parametrize("name", HANDED_OVER)
@pytest.mark.parametrize(("schedule", "seed"), [("fifo", 0), ("random", 5), ("pct", 6)])
def test_a_race_is_reported_under_any_schedule_with_both_places(name, schedule, seed):
    """The races of published recurrent kernels: a program reads from global memory what it wrote."""
    with pytest.raises(simulator.DataRace) as raised:
        PLANTED[name].run("sm_80", right=False, schedule=schedule, seed=seed)
    assert len(raised.value.parties) == 2
    for party in raised.value.parties:
        assert "planted_kernels.py:" in party.place
    assert len({(party.program, party.thread) for party in raised.value.parties}) == 2


def test_an_access_out_of_bounds_is_located():
    with pytest.raises(simulator.OutOfBounds) as raised:
        PLANTED["store out of bounds"].run("sm_80", right=False)
    assert "out" in str(raised.value)
    (party,) = raised.value.parties
    assert (party.program, party.what) == (1, "store")
    assert party.thread >= 200 - 128
    assert "planted_kernels.py:" in party.place


def test_shared_memory_over_the_limit_is_refused():
    launch = Case("matmul", torch.float32, (64, 64, 64, 128, 128, 128), warps=8, stages=3).launch()
    limit = simulator.TARGETS["sm_86"].shared_memory
    with simulator.device("sm_86"), pytest.raises(OutOfResources, match=f"shared memory.*limit: {limit}"):
        launch.run()
