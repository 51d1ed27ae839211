"""The statistics and the order of the samples, on a clock of their own: nothing here measures time."""

import gc
import math

import pytest

from symgru.benchmark.timing import Effort, Times, calibrate, interleave, ratio, times


class Machine:
    """A clock that a call moves forward by what it costs; it notes which call was made."""

    def __init__(self, **costs):
        self.now, self.costs, self.log, self.collecting = 0.0, costs, [], set()

    def clock(self):
        return self.now

    def calls(self):
        return {name: lambda name=name: self.spend(name) for name in self.costs}

    def spend(self, name):
        self.log.append(name)
        self.collecting.add(gc.isenabled())
        cost = self.costs[name]
        self.now += cost(self.now) if callable(cost) else cost


def test_the_rounds_are_interleaved():
    machine = Machine(a=1.0, b=2.0)
    samples = interleave(machine.calls(), Effort(seconds=0, rounds=4, most=9, sample=0.5), machine.clock)
    assert machine.log == ["a"] * 3 + ["b"] * 3 + ["a", "b"] * 4  # calibration, then A B A B
    assert samples == {"a": [1.0] * 4, "b": [2.0] * 4}


def test_a_short_call_is_repeated_within_a_sample():
    machine = Machine(a=0.25, b=10.0)
    samples = interleave(machine.calls(), Effort(seconds=0, rounds=2, most=2, sample=1.0), machine.clock)
    assert machine.log[6:] == ["a"] * 4 + ["b"] + ["a"] * 4 + ["b"]
    assert samples["a"] == [0.25, 0.25]  # seconds of one call, not of a sample


@pytest.mark.parametrize(
    ("seconds", "rounds", "most", "expected"), [(0, 3, 9, 3), (5, 1, 9, 5), (50, 1, 9, 9)]
)
def test_rounds_end_by_time_within_their_bounds(seconds, rounds, most, expected):
    machine = Machine(a=0.5, b=0.5)
    samples = interleave(machine.calls(), Effort(seconds, rounds, most, sample=0.1), machine.clock)
    assert [len(values) for values in samples.values()] == [expected] * 2


def test_calibration_takes_the_faster_of_two_calls_and_ignores_the_first():
    costs = iter([100.0, 3.0, 1.0])
    machine = Machine(a=lambda now: next(costs))
    assert calibrate(machine.calls()["a"], 7.0, machine.clock) == 7


def test_a_call_that_takes_no_time_is_not_repeated_for_ever():
    assert calibrate(lambda: None, 1.0, lambda: 0.0) == 10_000


def test_no_garbage_is_collected_within_the_rounds():
    machine = Machine(a=1.0)
    interleave(machine.calls(), Effort(seconds=0, rounds=1, most=1, sample=1), machine.clock)
    assert machine.collecting == {True, False}  # on while it calibrates, off in the rounds
    assert gc.isenabled()


def test_collection_is_on_again_after_a_failure():
    calls = iter([None, None, None])

    def fails():
        next(calls)

    with pytest.raises(StopIteration):
        interleave({"a": fails}, Effort(), lambda: 0.0)
    assert gc.isenabled()


def test_median_and_minimum():
    assert times([3.0, 1.0, 2.0, 10.0]) == Times(median=2.5, minimum=1.0, rounds=4)


def test_the_ratio_is_taken_within_rounds():
    # A disturbance of the third round strikes both; medians divided by each other would say 8 / 5.
    samples = {"slow": [4.0, 8.0, 80.0], "fast": [2.0, 5.0, 40.0]}
    assert ratio(samples, "slow", "fast") == 2.0
    assert ratio(samples, "fast", "slow") == 0.5
    assert not math.isclose(ratio(samples, "slow", "fast"), 8 / 5)


def test_samples_of_different_length_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        ratio({"a": [1.0, 2.0], "b": [1.0]}, "a", "b")
