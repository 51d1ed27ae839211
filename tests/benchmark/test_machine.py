"""The floor against figures worked out elsewhere, the machine's facts from planted files, shapes."""

import os

import pytest
from symgru.kernels.cpu import toolchain

from symgru.benchmark import floor
from symgru.benchmark.machine import busy, cache_sizes, disturbance, machine
from symgru.benchmark.peak import Peak, PeakError, peak
from symgru.benchmark.shapes import SHAPES, SWEEP, Shape, parse

KIB = 1 << 10
CACHES = {"L1": 32 * KIB, "L2": 1000 * KIB, "L3": 32_000 * KIB}
#: A Zen 4 processor with two cores.
ONE = Peak(1, 126.8e9, 233.5e9, {"L1": 207e9, "L2": 113e9, "L3": 92e9, "DRAM": 26e9}, CACHES)
TWO = Peak(2, 252.8e9, 467e9, {"L1": 380e9, "L2": 205e9, "L3": 180e9, "DRAM": 34e9}, CACHES)
#: Microseconds at SHAPES, worked out apart from the code, with one and two threads.
FLOORS = {
    (1, "inference"): (22, 3720, 29770, 59540, 3390, 17, 2330, 238_000),
    (2, "inference"): (12, 1870, 14930, 29860, 1700, 8.7, 1170, 119_000),
    (1, "training"): (61, 11160, 89310, 179_000, 10160, 51, 6980, 714_000),
    (2, "training"): (31, 5600, 44800, 89590, 5100, 26, 3500, 358_000),
}


@pytest.mark.parametrize(("threads", "name"), FLOORS)
def test_the_floor(threads, name):
    least = getattr(floor, name)
    found = [1e6 * least(shape, ONE if threads == 1 else TWO) for shape in SHAPES]
    assert found == pytest.approx(FLOORS[threads, name], rel=0.04)


def test_the_floor_of_fewer_steps_and_of_bfloat16():
    shape = Shape(100, 64, 128, 256)
    full = floor.inference(shape, ONE)
    assert floor.inference(shape, ONE, steps=4800) == pytest.approx(0.75 * full)
    assert floor.inference(shape, ONE, item=2) == pytest.approx(126.8 / 233.5 * full)
    plain = Peak(1, ONE.float32, 0.0, ONE.bandwidth, CACHES)
    assert floor.inference(shape, plain, item=2) == pytest.approx(full)


@pytest.mark.parametrize(
    ("size", "one", "two"),
    [(20, "L2", "L2"), (900, "L2", "L2"), (1500, "L3", "L2"), (30_000, "DRAM", "DRAM")],
)
def test_weights_come_from_the_cache_that_holds_the_share_of_a_thread(size, one, two):
    assert (floor.level(size * KIB, ONE), floor.level(size * KIB, TWO)) == (one, two)


def test_the_peak_of_this_machine_is_a_processors():
    if toolchain.compiler_command() is None:
        with pytest.raises(PeakError, match="found no C"):
            peak(1)
        return
    found = peak(1)
    assert 1e8 < found.float32 < 1e13
    # A sum that the compiler left out would show as a multiple of what the units can do.
    assert found.bfloat16 < 5 * found.float32
    assert list(found.bandwidth) == ["L1", "L2", "L3", "DRAM"]
    assert all(1e8 < rate < 1e13 for rate in found.bandwidth.values())
    assert "GFLOP/s" in str(found)


# the machine


def plant_cache(folder, index, level, kind, size):
    one = folder / f"index{index}"
    one.mkdir()
    for name, content in (("level", level), ("type", kind), ("size", size)):
        (one / name).write_text(f"{content}\n")


def test_caches_are_read_from_the_system(tmp_path):
    for index, cache in enumerate([(1, "Data", "48K"), (1, "Instruction", "32K"), (2, "Unified", "2048K")]):
        plant_cache(tmp_path, index, *cache)
    assert cache_sizes(tmp_path) == {"L1": 48 * KIB, "L2": 2048 * KIB}
    assert cache_sizes(tmp_path / "none") == {}


def test_the_share_of_the_cores_that_others_use(tmp_path, monkeypatch):
    file = tmp_path / "stat"
    file.write_text("cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 1 1 1 1\n")
    after = "cpu  120 0 110 1060 10 0 0 0 0 0\n"
    monkeypatch.setattr("symgru.benchmark.machine.time.sleep", lambda seconds: file.write_text(after))
    assert busy(0.1, file) == pytest.approx(0.3)
    assert busy(0.1, tmp_path / "none") is None


def test_a_machine_that_is_not_idle_is_reported():
    assert disturbance(0.01, 3.0) is None
    assert "others use 50% of its" in disturbance(0.5, 0.0)
    assert "may not be idle: load average 2.00" in disturbance(None, 2.0)
    assert disturbance(None, 0.1) is None


def test_the_facts_name_versions_and_what_is_missing():
    facts = machine()
    assert {"processor", "caches", "load average", "torch", "onnxruntime", "openvino"} <= set(facts)
    assert all(facts.values())
    assert os.uname().nodename not in " ".join(facts.values()).split()


# shapes


def test_shapes_are_read_with_or_without_brackets():
    assert parse("50,1,64,64 (2, 3, 4, 5)") == (Shape(50, 1, 64, 64), Shape(2, 3, 4, 5))
    assert parse("1 2 3 4; 5 6 7 8") == (Shape(1, 2, 3, 4), Shape(5, 6, 7, 8))
    assert [parse(str(shape)) for shape in SHAPES] == [(shape,) for shape in SHAPES]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("1,2,3", "there are 3 numbers"),
        ("", "there are 0 numbers"),
        ("1,2,3,x", "one of them is 'x'"),
        ("1,2,3,-4", "one of them is '-4'"),
        ("1,2,3,²", "one of them is '²'"),
        ("0,2,3,4", "must be positive"),
    ],
)
def test_what_is_no_shape_is_refused(words, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse(words)


def test_the_products_of_a_forward_pass():
    assert Shape(2, 3, 5, 7).products == 2 * 2 * 3 * (3 * 7) * (5 + 7)
    assert len(SWEEP) ** 4 == 625
