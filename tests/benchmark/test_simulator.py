"""How the simulator's cost grows, from made-up times. Measuring is tested by tests/cli/test_bench.py."""

import pytest

from symgru.benchmark.simulator import CHECKS, Measured, Report, Size, growth, text
from symgru.benchmark.timing import Times


def row(axis, size, threads, seconds):
    return Measured(axis, size, threads, {name: Times(seconds, seconds, 3) for name in CHECKS}, 1.0, 0.0, {})


def test_growth_is_that_of_the_last_doubling():
    rows = [row("steps", Size(T, 1, 1), 128, 1e-3 * T**2) for T in (1, 4, 8)]
    rows += [row("threads", Size(8, B, 1), 8 * B, 1e-3 * B) for B in (1, 2)]
    assert growth(rows, "steps", "with races") == pytest.approx((2, 2))
    assert growth(rows, "threads", "without races") == pytest.approx((1, 1))
    report = Report({"processor": "any"}, ("it is busy",), "sm_90", "float16", tuple(rows))
    assert "steps, with races: time by size at the largest is 2.00 of that before it" in text(report)
    assert "WARNING: it is busy" in text(report)
