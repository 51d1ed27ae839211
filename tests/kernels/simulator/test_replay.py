"""What a failing launch prints, pasted, fails in the same way: under every kind of schedule."""

import pytest
from symgru.kernels import simulator

from symgru.testing.simulated.pasting import pasted
from symgru.testing.simulated.planted import PLANTED, weakest_wait

RACE = PLANTED["grid barrier that waits relaxed"]


def report(device, run):
    with device, pytest.raises(simulator.SimulatorError) as raised:
        run()
    return raised.value


SCHEDULES = [
    simulator.fifo(),
    simulator.random(3),
    simulator.pct(4),
    simulator.pct(5, depth=2, steps=999),
    simulator.replay(),
    simulator.replay({0: 4}),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_schedule(schedule, tmp_path):
    found = report(simulator.device("sm_90", schedule=schedule), RACE.launch(False).run)
    assert str(schedule) in str(found)
    again = report(pasted(str(found), tmp_path), RACE.launch(False).run)
    assert type(again) is type(found) is simulator.DataRace
    assert again.parties == found.parties
    assert str(again) == str(found)


@pytest.mark.parametrize(
    ("name", "target", "options"),
    [
        ("global memory read before written", "sm_80", {"uninitialised": ("out",), "races": False}),
        ("grid that is not resident", "sm_80", {"coresident": 2}),
        ("wait for copies weakened", "sm_80", {"rewrite": weakest_wait}),
    ],
)
def test_options(name, target, options, tmp_path):
    planted = PLANTED[name]
    found = report(simulator.device(target, seed=2, **options), planted.launch(False).run)
    again = report(pasted(str(found), tmp_path), planted.launch(False).run)
    assert type(again) is type(found)
    assert str(again) == str(found)


def test_rewrite_without_a_name_is_described():
    def rewrite(llir):
        return weakest_wait(llir)

    planted = PLANTED["wait for copies weakened"]
    found = report(simulator.device("sm_80", rewrite=rewrite), planted.launch(False).run)
    assert "rewrite=rewrite), where rewrite = <function test_rewrite_without_a_name" in str(found)
