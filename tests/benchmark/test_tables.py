"""Every table has its rows and columns at tiny sizes; nothing asserts a time."""

import pytest
import torch
from torch import nn

from symgru.benchmark import dense, problem, ranges
from symgru.benchmark.dense import lengths
from symgru.benchmark.model import BASELINE, OURS, Row
from symgru.benchmark.plot import plot
from symgru.benchmark.run import TABLES
from symgru.benchmark.setting import Setting
from symgru.benchmark.shapes import Shape
from symgru.benchmark.timing import Effort
from symgru.cli.bench import NAMES

SHAPE = Shape(4, 3, 2, 5)
ONCE = Effort(seconds=0, rounds=1, most=1, sample=0)
SETTING = Setting((SHAPE,), backend="torch", effort=ONCE)
COMPETITORS = ["ONNX Runtime", "OpenVINO"]
VARIANTS = {
    "forward": [OURS, BASELINE, *COMPETITORS],
    "training": [OURS, BASELINE],
    "packed": [f"{OURS} packed", f"{BASELINE} packed", f"{OURS} dense", f"{BASELINE} dense"],
    "bf16": [OURS, BASELINE, f"{OURS} bf16", f"{BASELINE} bf16"],
    "double-backward": [OURS, BASELINE],
    "memory": [OURS, BASELINE, f"{OURS} recompute"],
    "streaming": [OURS, BASELINE, "torch.nn.GRUCell", *COMPETITORS],
}


def test_the_command_knows_every_table():
    assert tuple(TABLES) == NAMES


@pytest.mark.parametrize("name", VARIANTS)
def test_a_table_has_every_variant_right_and_timed_or_with_a_reason(name):
    table = TABLES[name](SETTING)
    assert table.name == name
    assert [str(row.shape) for row in table.rows] == [str(SHAPE)] * (4 if name == "packed" else 1)
    for row in table.rows:
        assert sorted(entry.variant for entry in row.entries) == sorted(VARIANTS[name])
        for entry in row.entries:
            assert not entry.refused, entry.why
            assert (entry.times is None) == (entry.error is None)
            assert entry.times is not None or entry.why


def test_threads_are_set_for_a_case_and_restored():
    before = torch.get_num_threads()
    cases = Setting((SHAPE,), threads=(1, 2)).cases([SHAPE], "x")
    assert [(case.threads, torch.get_num_threads()) for case in cases] == [(1, 1), (2, 2)]
    assert torch.get_num_threads() == before


def test_the_sweep_leaves_out_what_is_too_large_and_says_so():
    setting = Setting(backend="torch", effort=ONCE, sizes=(1, 3), work=Shape(3, 3, 1, 3).products)
    table = ranges.sweep(setting)
    every = {Shape(T, B, i, H) for T in (1, 3) for B in (1, 3) for i in (1, 3) for H in (1, 3)}
    assert {row.shape for row in table.rows} == every - {Shape(3, 3, 3, 3)}
    assert {row.label for row in table.rows} == {"forward", "training"}
    assert len(table.rows) == 2 * 15
    assert table.notes[0].startswith("1 of 16 shapes are left out")
    assert not table.refused()


def test_a_sample_of_the_sweep_is_the_same_every_time():
    setting = Setting(backend="torch", effort=ONCE, sizes=(1, 2), sample=2)
    first, second = ([row.shape for row in ranges.sweep(setting).rows] for _ in range(2))
    assert first == second
    assert len(set(first)) == 2


def test_scaling_varies_one_size_and_is_drawn(monkeypatch, tmp_path):
    pytest.importorskip("matplotlib", reason="the extra `bench` is not installed")
    monkeypatch.setattr(ranges, "BASE", SHAPE)
    for axis in "TBH":
        monkeypatch.setitem(ranges.AXES, axis, (1, 2, 3))
    table = ranges.scaling(SETTING)
    shapes = [row.shape for row in table.rows if row.label == "training, H"]
    assert shapes == [Shape(4, 3, 2, H) for H in (1, 2, 3)]
    sizes, seconds = ranges.curve(table.rows, "training, H")
    assert sizes == [1, 2, 3]
    assert len(seconds) == 3
    plot(table, tmp_path / "plot.svg")
    assert "<svg" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_a_planted_cliff_is_reported(monkeypatch):
    def curve(rows, label):
        return [15, 16, 17], [8.0, 2.0, 3.0]

    monkeypatch.setattr(ranges, "curve", curve)
    (note,) = ranges._cliff("forward, H", 1, [Row(SHAPE, 1, ())])
    assert "time at 15 is 4.00 of that at 16" in note


@pytest.mark.parametrize("in_order", [True, False])
def test_lengths_are_between_half_of_all_steps_and_all(in_order):
    drawn = lengths(Shape(9, 50, 1, 1), in_order).tolist()
    assert set(drawn) == {5, 6, 7, 8, 9}
    assert (drawn == sorted(drawn, reverse=True)) == in_order


# what is saved


class Doubled(nn.Module):
    """Saves its output (tanh), and the same number of bytes again if it is told to."""

    def __init__(self, twice):
        super().__init__()
        self.weight, self.twice = nn.Parameter(torch.ones(6)), twice

    def forward(self, x, h0):
        y = torch.tanh(x * self.weight)
        return (y.exp() if self.twice else y), h0


@pytest.mark.parametrize(("twice", "outputs"), [(False, 1), (True, 2)])
def test_saved_bytes_are_those_of_distinct_tensors_but_weights_and_inputs(twice, outputs):
    x, h0 = torch.ones(5, 4, 6), torch.zeros(1, 4, 6)
    assert problem.saved_bytes(Doubled(twice), x, h0) == outputs * 5 * 4 * 6 * 4


def test_a_layer_that_recomputes_is_measured_when_there_is_one(monkeypatch):
    class Recomputing(problem.GRU):
        def __init__(self, *sizes, recompute=False, **options):
            super().__init__(*sizes, **options)

    monkeypatch.setattr(problem, "GRU", Recomputing)
    (row,) = dense.memory(SETTING).rows
    timed = {entry.variant: entry.times for entry in row.entries}
    assert list(timed) == [OURS, f"{OURS} recompute", BASELINE]
    assert all(timed.values())
