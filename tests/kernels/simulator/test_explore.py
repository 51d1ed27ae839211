"""Exploration of schedules: it finds what there is, and leaves out nothing that can make a difference."""

import contextlib
import itertools

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from symgru.kernels import simulator
from symgru.kernels.simulator import steps
from symgru.kernels.simulator.explore import Known, Search
from symgru.kernels.simulator.steps import ALWAYS, IF_CHANGED, NEVER, NOBODY, STUCK, Chooser

from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.pasting import pasted
from symgru.testing.simulated.planted import PLANTED
from symgru.testing.simulated.scheduled import SCHEDULED


class Machine:
    """Warps that are lists of atomic operations on a few words; in the place of the library."""

    def __init__(self, warps):
        self.warps, self.memory = warps, np.zeros(3, dtype=np.uint32)
        self.at, self.seen = [0] * len(warps), [[] for _ in warps]
        self.meetings = []

    def next(self, warp):
        """What the warp does next; nothing if it has ended or waits for all others."""
        if self.at[warp] == len(self.warps[warp]) or self.warps[warp][self.at[warp]][0] == "all":
            return None
        kind, word = self.warps[warp][self.at[warp]][:2]
        writes = {"load": NEVER, "wait": NEVER, "named": ALWAYS}.get(kind, IF_CHANGED)
        words = (word, (word + 1) % 3) if kind == "both" else (word,)
        at = self.at[warp]
        return tuple((self.memory.ctypes.data + 4 * w, 4, at, at, writes) for w in words)

    def meet(self):
        """If all are at the barrier, they go on."""
        if all(self.warps[w][at:] and self.warps[w][at][0] == "all" for w, at in enumerate(self.at)):
            self.at = [at + 1 for at in self.at]
            self.meetings += [*range(len(self.warps)), NOBODY]

    def do(self, warp):
        kind, word, *values = self.warps[warp][self.at[warp]]
        old = int(self.memory[word])
        if kind == "wait" and old != values[0]:
            return
        self.at[warp] += 1
        if kind == "store":
            self.memory[word] = values[0]
        elif kind == "add":
            self.memory[word] += values[0]
        elif kind == "both":  # two lanes
            self.memory[word] += values[0]
            self.memory[(word + 1) % 3] += 1
        elif kind == "named":  # who comes first can be seen
            self.memory[word] = 2 * old + warp
        elif kind == "cas" and old == values[0]:
            self.memory[word] = values[1]
        elif kind == "last":  # what was seen last, and one more
            self.memory[word] = (self.seen[warp] or [0])[-1] + 1
        self.seen[warp].append(old)

    def run(self, chooser):
        """What all warps have seen, and the memory at the end."""
        self.meet()
        while parked := {w: self.next(w) for w in range(len(self.warps)) if self.next(w)}:
            warp = chooser.choose(parked, self.meetings)
            self.meetings = []
            if warp == STUCK:
                return "stuck", tuple(self.at), tuple(self.memory.tolist())
            self.do(warp)
            self.meet()
        chooser.finish(self.meetings)
        return tuple(map(tuple, self.seen)), tuple(self.memory.tolist())


def searched(warps, bound=None):
    """The outcomes that the search finds, how many runs that took, whether the bound left something out."""
    search, found, runs = Search(bound), set(), 0
    while search.unfinished:
        runs += 1
        with contextlib.suppress(Known):
            found.add(Machine(warps).run(search.launch()))
        search.next()
    return found, runs, search.cut


class Every:
    """Tries every choice within a bound: `plans` has those that are left."""

    def __init__(self, bound):
        self.bound, self.plans = bound, [()]

    def begin(self):
        self.plan, self.taken, self.spent = self.plans.pop(), [], 0
        return self

    def __call__(self, situation):
        at, interrupts = len(self.taken), situation.running in situation.able
        chosen = self.plan[at] if at < len(self.plan) else situation.usual
        for other in sorted(situation.able - {chosen}) if at >= len(self.plan) else ():
            if self.bound is None or self.spent + interrupts <= self.bound:
                self.plans.append((*self.taken, other))
        self.spent += interrupts and chosen != situation.running
        self.taken.append(chosen)
        return chosen


def everything(warps, bound=None):
    """The outcomes of all schedules within the bound."""
    every, found = Every(bound), set()
    while every.plans:
        found.add(Machine(warps).run(Chooser(every.begin())))
    return found


WORDS = st.integers(0, 2)
OPERATIONS = st.one_of(
    st.tuples(st.just("load"), WORDS),
    st.tuples(st.just("store"), WORDS, st.integers(0, 2)),
    st.tuples(st.just("last"), WORDS),
    st.tuples(st.just("add"), WORDS, st.integers(0, 1)),
    st.tuples(st.just("cas"), WORDS, st.integers(0, 1), st.integers(0, 2)),
    st.tuples(st.just("wait"), WORDS, st.integers(0, 2)),
    st.tuples(st.just("both"), WORDS, st.integers(0, 1)),
    st.tuples(st.just("named"), WORDS),
    st.tuples(st.just("all"), st.just(0)),
)
PROGRAMS = st.lists(st.lists(OPERATIONS, min_size=1, max_size=4), min_size=2, max_size=3)


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(steps, "PATIENCE", 2)


@pytest.mark.usefixtures("impatient")
@given(warps=PROGRAMS.filter(lambda warps: sum(map(len, warps)) <= 7), bound=st.sampled_from([0, 1, 2, None]))
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_left_out_makes_no_difference(warps, bound):
    found, _, cut = searched(warps, bound)
    assert found == everything(warps, bound)
    if not cut:
        assert found == everything(warps)


def test_orders_that_differ_in_nothing_are_run_once():
    assert searched([[("add", i, 1)] * 4 for i in range(3)])[1:] == (1, False)
    assert searched([[("load", 0)] * 4 for _ in range(3)])[1:] == (1, False)
    assert searched([[("add", 0, 1)]] * 4)[1] == 24
    assert searched([[("add", 0, 1)] * 2] * 2)[1] == 6


def test_what_a_barrier_orders_is_not_reversed():
    assert searched([[("add", 0, 1), ("all", 0)], [("all", 0), ("add", 0, 1)]])[1] == 1


def test_bound_is_on_interruptions():
    """What warp 1 sees is 1, then 2, if warp 0 stops after the first store and warp 1 between its loads."""
    warps = [[("store", 0, 1), ("store", 0, 2)], [("wait", 0, 1), ("load", 0)]]
    wanted = (((0, 1), (1, 2)), (2, 0, 0))
    assert [wanted in searched(warps, bound)[0] for bound in (0, 1, 2, None)] == [False, False, True, True]
    assert [searched(warps, bound)[2] for bound in (0, 1, 2)] == [True, True, False]


@pytest.mark.usefixtures("impatient")
def test_warps_that_wait_for_each_other_are_stuck():
    warps = [[("wait", 0, 1), ("store", 1, 1)], [("wait", 1, 1), ("store", 0, 1)]]
    assert searched(warps) == ({("stuck", (0, 0), (0, 0, 0))}, 1, False)


# kernels


@pytest.mark.parametrize("name", [name for name, one in SCHEDULED.items() if one.rare])
def test_fifo_and_random_schedules_miss(name):
    for options in ({}, *({"seed": seed} for seed in range(20))):
        with simulator.device("sm_90", **options):
            SCHEDULED[name].check(False)


@pytest.mark.parametrize("name", SCHEDULED)
@pytest.mark.parametrize("target", ["sm_90", "gfx942"])
def test_exploration_finds_and_replays(name, target, tmp_path):
    wrong = SCHEDULED[name]
    fewer = simulator.explore(lambda: wrong.check(False), target, preemptions=wrong.preemptions - 1)
    assert fewer.complete
    assert not fewer.exhaustive
    for bound in (wrong.preemptions, None):
        with pytest.raises(simulator.ScheduleFailed) as failed:
            simulator.explore(lambda: wrong.check(False), target, preemptions=bound)
        assert isinstance(failed.value.__cause__, AssertionError)
        assert failed.value.schedule in str(failed.value)
        with pasted(str(failed.value), tmp_path), pytest.raises(AssertionError) as replayed:
            wrong.check(False)
        assert str(replayed.value) == str(failed.value.__cause__)


@triton.jit
def count(counter):
    tl.atomic_add(counter, 1)


def test_example_of_the_documentation():
    def check():
        counter = torch.zeros(1, dtype=torch.int32)
        count[(3,)](counter)
        assert counter.item() == 3

    assert str(simulator.explore(check, "sm_90", preemptions=2)) == "6 schedules: all that there are"


@pytest.mark.parametrize("name", SCHEDULED)
def test_right_kernel_is_explored_without_alarm(name):
    found = simulator.explore(lambda: SCHEDULED[name].check(True), "sm_90", preemptions=None)
    assert (found.complete, found.exhaustive) == (True, True)
    assert str(found) == f"{found.schedules} schedules: all that there are"
    found = simulator.explore(lambda: SCHEDULED[name].check(True), "sm_90")
    assert found.complete
    assert found.preemptions == 2


def test_grid_barrier_is_explored_without_alarm():
    def check():
        launch = Case("diffuse", torch.float32, (200, 2)).launch()
        launch.run()
        launch.assert_agrees()

    assert simulator.explore(check, "sm_90", preemptions=None).exhaustive
    stopped = simulator.explore(check, "sm_90", most=5)
    assert (stopped.schedules, stopped.complete) == (5, False)
    assert str(stopped) == "5 schedules: not all with at most 1 preemption"
    # with the bound that was reached: that of no preemption is done


def test_report_of_the_simulator_is_a_failure_too(tmp_path):
    def check():
        PLANTED["grid barrier that waits relaxed"].launch(False).run()

    with pytest.raises(simulator.ScheduleFailed, match="data race") as failed:
        simulator.explore(check, "sm_90")
    with pasted(str(failed.value), tmp_path), pytest.raises(simulator.DataRace) as replayed:
        check()
    assert str(replayed.value) == str(failed.value.__cause__)


def test_every_launch_of_a_check_has_its_own_steps(tmp_path):
    def check():
        SCHEDULED["stack that takes a number for what it was"].check(True)
        SCHEDULED["ticket looked at, then taken"].check(False)

    with pytest.raises(simulator.ScheduleFailed) as failed:
        simulator.explore(check, "sm_90", preemptions=1)
    assert "simulator.replay({}, {1: 1})" in str(failed.value)
    with pasted(str(failed.value), tmp_path), pytest.raises(AssertionError, match="tickets"):
        check()


def test_waiting_for_ever_is_a_livelock(monkeypatch):
    monkeypatch.setattr(steps, "PATIENCE", 10)
    with pytest.raises(simulator.ScheduleFailed, match="in vain") as failed:
        simulator.explore(PLANTED["grid barrier for too many programs"].launch(False).run, "sm_90")
    assert isinstance(failed.value.__cause__, simulator.Livelock)


def test_check_that_is_not_the_same_each_time_is_refused():
    calls = itertools.count()

    def check():
        SCHEDULED[
            ["stack that takes a number for what it was", "ticket looked at, then taken"][next(calls) % 2]
        ].check(True)

    with pytest.raises(
        simulator.ReplayError, match="expected the same steps every time, got others at step 0"
    ):
        simulator.explore(check, "sm_90")


def test_errors_that_are_no_finding_pass():
    with pytest.raises(ZeroDivisionError):
        simulator.explore(lambda: 1 // 0, "sm_90")
    for options in ({"preemptions": -1}, {"most": 0}):
        with pytest.raises(ValueError, match="expected preemptions"):
            simulator.explore(lambda: None, "sm_90", **options)
