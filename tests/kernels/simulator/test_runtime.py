"""The simulator's runtime: what it finds in kernels that are wrong in one way, and not in right ones."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest
from symgru.kernels.cpu import toolchain
from symgru.kernels.simulator import errors, runtime, stuck
from symgru.kernels.simulator.library import ROOT, library
from symgru.kernels.simulator.runtime import Buffer, Checks, fifo, pct, random, replay

SOURCE = Path(__file__).with_name("runtime_kernels.c")
SCHEDULES = [fifo(), random(1), random(2), pct(1, 3, 500), pct(2, 2, 500)]


class Arguments(ctypes.Structure):
    """As in runtime_kernels.c."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("x", "y", "out")),
        *((name, ctypes.c_uint32) for name in ("n", "mode")),
        *((name, ctypes.c_void_p) for name in ("flag", "count")),
    ]


@pytest.fixture(scope="module")
def kernels(tmp_path_factory):
    """The kernels of runtime_kernels.c."""
    command = toolchain.compiler_command()
    if command is None:
        pytest.skip("there is no C compiler, which the runtime needs too")
    library()  # whose functions the kernels call
    made = tmp_path_factory.mktemp("kernels") / "kernels.so"
    flags = ["-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror", f"-I{ROOT}"]
    subprocess.run([*command, "-x", "c", *flags, str(SOURCE), "-o", str(made)], check=True)
    return ctypes.CDLL(str(made))


@pytest.fixture
def run(kernels):
    """Launches a kernel by its name; gives its memory by name, and the counters."""

    def start(name, grid=1, threads=64, *, n=0, mode=0, size=None, without=(), uninitialised=(), **options):
        size = size or grid * threads
        memory = {key: np.arange(size, dtype=np.float32) for key in ("x", "y", "out")}
        memory |= {key: np.zeros(1, dtype=np.uint32) for key in ("flag", "count")}
        arguments = Arguments(n=n, mode=mode, **{key: array.ctypes.data for key, array in memory.items()})
        buffers = [
            Buffer(array.ctypes.data, array.nbytes, key, key in uninitialised)
            for key, array in memory.items()
            if key not in without
        ]
        entry = ctypes.cast(getattr(kernels, name), ctypes.c_void_p).value
        options = {"shared": 4096, "granule": 4} | options
        counters = runtime.launch(
            entry, ctypes.addressof(arguments), (grid,), threads, buffers=buffers, **options
        )
        return memory, counters

    return start


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("resident", [0, 1, 3])
def test_programs_of_a_grid_all_run_once(run, schedule, resident):
    memory, counters = run("vector_add", 5, n=300, schedule=schedule, resident=resident)
    assert np.array_equal(memory["out"][:300], 2 * memory["x"][:300])
    assert (counters["global_loads"], counters["global_store_bytes"]) == (600, 1200)


def test_grid_of_three_axes_and_warps_of_64_threads(run):
    _, counters = run("vector_add", 1, n=64, lanes=64)
    assert counters["global_stores"] == 64
    assert run("vector_add", 0, size=1)[1]["switches"] == 0


@pytest.mark.parametrize("checks", [Checks.ALL, Checks.BOUNDS], ids=str)
def test_access_beyond_a_buffer_names_it_and_the_distance(run, checks):
    with pytest.raises(
        errors.OutOfBounds, match=r"byte 512 of buffer \w+ \(512 bytes\): 4 bytes beyond"
    ) as caught:
        run("vector_add", 3, size=128, n=128, mode=64, checks=checks, sites="line {}".format)
    (party,) = caught.value.parties
    assert (party.program, party.site, party.place, party.what) == (2, 1, "line 1", "load")


def test_access_of_shared_memory_beyond_its_end(run):
    with pytest.raises(errors.OutOfBounds, match=r"byte 128 of shared memory \(128 bytes\): 4 bytes beyond"):
        run("exchange", shared=128)


def test_access_without_buffers(run):
    with pytest.raises(errors.OutOfBounds, match=r"buffer (flag|count)"):
        run("vector_add", n=64, without=("x", "y", "out"))


def test_misaligned_vector(run):
    with pytest.raises(errors.Misaligned, match="16 bytes at byte 4 of buffer x"):
        run("misaligned")
    run("misaligned", checks=Checks.BOUNDS)


def test_reads_of_what_nobody_wrote(run):
    with pytest.raises(errors.Uninitialised, match="shared memory"):
        run("uninitialised", threads=32)
    with pytest.raises(errors.Uninitialised, match="buffer y"):
        run("uninitialised", threads=32, mode=1, uninitialised=("y",))
    checks = Checks.FAST & ~Checks.UNINITIALISED
    memory, _ = run("uninitialised", threads=32, checks=checks)
    assert np.isnan(memory["out"][0])  # so a wrong kernel is wrong


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_exchange_through_shared_memory(run, schedule):
    memory, counters = run("exchange", 3, 128, schedule=schedule)
    assert np.array_equal(memory["out"].reshape(3, 128), np.tile(np.arange(127, -1, -1), (3, 1)))
    assert counters["barriers"] == 3
    with pytest.raises(errors.DataRace, match="shared memory") as caught:
        run("exchange", 3, 128, mode=1, schedule=schedule, checks=Checks.RACES)
    first, second = caught.value.parties
    assert {first.what, second.what} == {"load", "store"}
    assert {first.site, second.site} == {1, 3}
    assert first.program == second.program
    assert first.thread // 32 != second.thread // 32


def test_exchange_without_a_barrier_shows_as_uninitialised_or_wrong(run):
    with pytest.raises(errors.Uninitialised):
        run("exchange", 1, 128, mode=1, checks=Checks.FAST)
    memory, _ = run("exchange", 1, 128, mode=1, checks=Checks.BOUNDS)
    assert not np.array_equal(memory["out"], np.arange(127, -1, -1))


def test_stores_of_one_value_to_one_place_are_no_race(run):
    _, counters = run("same_place")
    assert counters["duplicate_writes"] > 0
    with pytest.raises(errors.DataRace) as caught:
        run("same_place", mode=1)
    assert [party.what for party in caught.value.parties] == ["store", "store"]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("mode", [0, 3])
def test_grid_barrier(run, schedule, mode):
    memory, _ = run("grid_barrier", 4, 64, mode=mode, schedule=schedule)
    assert np.array_equal(memory["out"], np.roll(np.arange(256), -64))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize(
    "mode", [1, 2, 4, 5], ids=["relaxed", "scope", "no barrier after", "no barrier before"]
)
def test_grid_barrier_that_orders_too_little(run, schedule, mode):
    with pytest.raises(errors.DataRace):
        run("grid_barrier", 4, 64, mode=mode, schedule=schedule)


def test_atomics_of_too_narrow_a_scope_race_with_each_other(run):
    with pytest.raises(errors.DataRace, match="buffer count") as caught:
        run("grid_barrier", 4, 64, mode=2)
    assert all(party.what.startswith("atomic") for party in caught.value.parties)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_grid_barrier_of_programs_that_are_not_resident(run, schedule):
    with pytest.raises(errors.NotResident, match="2 programs have not been started"):
        run("grid_barrier", 4, 64, schedule=schedule, resident=2, patience=2000)


def test_many_threads_that_wait_take_few_lines(run):
    with pytest.raises(errors.NotResident) as caught:
        run("grid_barrier", 64, 256, resident=63, checks=Checks.FAST)
    assert str(caught.value).split("\n")[1:] == [
        "  programs 0-62, thread 0: poll byte 0 of buffer count (it holds 63) at site 5",
        "  programs 0-62, threads 1-255: wait at barrier 0 (255 of 256 threads are there) at site 7",
    ]
    assert "1 programs have not been started" in str(caught.value)
    polling, waiting = caught.value.parties
    assert (polling.thread, waiting.thread, len(waiting.programs), len(waiting.threads)) == (0, 1, 63, 255)
    with pytest.raises(errors.Deadlock) as caught:
        run("barriers", 64, 256 - 32, mode=2)
    assert str(caught.value).split("\n")[1:] == [
        "  programs 0-63, threads 0-223: wait at barrier 1 (224 of 256 threads are there) at site 3"
    ]


def test_ranges_of_threads():
    assert stuck.ranges("thread", [3]) == "thread 3"
    assert stuck.ranges("thread", [0, 1, 2, 5, 7, 8]) == "threads 0-2, 5, 7-8"
    assert stuck.ranges("thread", range(0, 64, 2)) == "threads 0, 2, 4, 6, 8, ... (32 in all)"


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_asynchronous_copies(run, schedule):
    memory, counters = run("asynchronous", size=256, schedule=schedule)
    rows = np.roll(np.arange(256, dtype=np.float32).reshape(64, 4), -32, axis=0)
    rows[:, 2:] = 0
    assert np.array_equal(memory["out"].reshape(64, 4), rows)
    assert counters["copy_bytes"] == 1024


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("mode", [1, 2, 3])
def test_asynchronous_copies_that_nobody_waits_for(run, schedule, mode):
    with pytest.raises(errors.DataRace) as caught:
        run("asynchronous", size=256, mode=mode, schedule=schedule, checks=Checks.RACES)
    if mode != 3:
        assert "asynchronous copy" in {party.what for party in caught.value.parties}
        # Without the barrier alone, a schedule may hide it.
        with pytest.raises(errors.Uninitialised):
            run("asynchronous", size=256, mode=mode, schedule=schedule, checks=Checks.FAST)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_asynchronous_reads_go_on_until_they_are_waited_for(run, schedule):
    run("product", schedule=schedule)
    for mode in (1, 2):
        with pytest.raises(errors.DataRace) as caught:
            run("product", mode=mode, schedule=schedule)
        # What waits for it may come before the store on this schedule, and is not ordered before it either.
        assert {party.what for party in caught.value.parties} <= {"store", "asynchronous read", "load"}


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_the_asynchronous_proxy_sees_stores_after_a_fence(run, schedule):
    run("product", mode=4, schedule=schedule)
    with pytest.raises(errors.DataRace, match=r"no fence\.proxy\.async between"):
        run("product", mode=3, schedule=schedule)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_threads_that_do_not_meet(run, schedule):
    with pytest.raises(errors.Divergence, match=r"wait at barrier 1 .*\n.*wait at barrier 2"):
        run("barriers", mode=0, schedule=schedule)
    with pytest.raises(errors.Divergence, match="program 0, threads 32-63: have ended"):
        run("barriers", mode=1, schedule=schedule)
    with pytest.raises(
        errors.Deadlock, match=r"threads 0-63: wait at barrier 1 \(64 of 256 threads are there\) at site 3"
    ):
        run("barriers", mode=2, schedule=schedule)
    with pytest.raises(errors.Divergence, match=r"barrier 1 is of (64|96) threads and of (64|96)"):
        run("barriers", mode=3, schedule=schedule)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_named_barriers_of_producer_and_consumer(run, schedule):
    memory, _ = run("producer", n=5, size=160, schedule=schedule)
    assert np.array_equal(memory["out"].reshape(5, 32), np.arange(160).reshape(5, 32)[:, ::-1])
    with pytest.raises((errors.DataRace, errors.Divergence, errors.Uninitialised)):
        run("producer", n=5, size=160, mode=1, schedule=schedule)


@pytest.mark.parametrize("lanes", [32, 64])
def test_collectives_of_a_warp(run, lanes):
    memory, counters = run("collective", threads=128, lanes=lanes)
    assert np.array_equal(memory["out"].reshape(-1, lanes)[:, 0], np.arange(128).reshape(-1, lanes).sum(1))
    assert counters["warp_operations"] == 128 // lanes
    with pytest.raises(errors.Divergence, match="different operations") as caught:
        run("collective", mode=1, lanes=lanes)
    assert {party.what for party in caught.value.parties} == {"sum", "other"}
    with pytest.raises(errors.Divergence, match=r"threads? 5(, 37)?: ha(s|ve) ended"):
        run("collective", mode=2, lanes=lanes)


def test_lanes_of_a_warp_race_in_shared_memory(run):
    memory, counters = run("warp_exchange", threads=32)
    assert np.array_equal(memory["out"], np.arange(31, -1, -1))
    assert counters["warp_conflicts"] == 0
    with pytest.raises(errors.DataRace, match="shared memory") as caught:
        run("warp_exchange", threads=32, mode=1, checks=Checks.RACES)
    assert {party.what for party in caught.value.parties} == {"load", "store"}
    with pytest.raises(errors.DataRace, match="shared memory"):  # which the fences of a wave order
        run("warp_exchange", threads=32, mode=1, checks=Checks.RACES, lockstep=True)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("lockstep", [True, False])
def test_lanes_that_store_different_values_in_one_instruction_race(run, lockstep, schedule):
    run("same_place", threads=32, lockstep=lockstep, schedule=schedule)
    for name, mode in (("same_place", 1), ("wide_store", 0)):
        with pytest.raises(errors.DataRace) as caught:
            run(name, threads=32, mode=mode, lockstep=lockstep, schedule=schedule)
        assert [party.what for party in caught.value.parties] == ["store", "store"]
        assert len({party.site for party in caught.value.parties}) == 1
    run("rows", threads=32, lockstep=lockstep, schedule=schedule)
    with pytest.raises(errors.DataRace):
        run("rows", threads=32, mode=1, lockstep=lockstep, schedule=schedule)


def test_stores_of_different_turns_are_ordered_in_lockstep_only(run):
    run("turns", threads=32, lockstep=True)
    with pytest.raises(errors.DataRace):
        run("turns", threads=32)


def test_all_bytes_of_a_store_are_compared(run):
    with pytest.raises(errors.DataRace, match="32 bytes at byte 0 of shared memory"):
        run("wide_store", mode=1)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_polls(run, schedule):
    for mode in (0, 2):
        assert run("wait_for_last", 6, 32, mode=mode, schedule=schedule)[0]["flag"][0] == 1
    with pytest.raises(
        errors.Livelock,
        match=r"5001 polls in vain(.|\n)*0-4, thread 0: poll byte 0 of buffer flag \(it holds 0\) at",
    ):
        run("wait_for_last", 6, 32, mode=1, schedule=schedule, patience=5000)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("mode", [0, 1])
def test_long_work_that_others_wait_for_is_no_livelock(run, schedule, mode):
    assert run("wait_for_work", 3, 64, n=500, mode=mode, schedule=schedule)[0]["flag"][0] == 1


def test_schedules_differ_and_each_gives_the_same_again(run):
    def count(schedule):
        memory, counters = run("lost_update", 6, 32, schedule=schedule)
        return int(memory["count"][0]), counters["turns"], counters["switches"]

    for kind in (random, lambda seed: pct(seed, 3, 500)):
        found = [count(kind(seed)) for seed in range(8)]
        assert found == [count(kind(seed)) for seed in range(8)]
        assert len(set(found)) > 1
    assert len({value for value, *_ in found}) > 1


@pytest.mark.parametrize(("depth", "chance"), [(1, 1 / 2), (2, 1 / 6), (3, 1 / 72)])
def test_priorities_find_a_bug_as_often_as_they_must(run, depth, chance):
    """`chance`: the share of (order of two warps, turns of changes) that shows it, counted by hand."""
    programs, seeds = 2, 4000
    bug = {"name": "ordering", "grid": programs, "threads": 1, "lanes": 1, "mode": depth}
    turns = run(**bug)[1]["turns"]
    found = [
        sum(int(run(**bug, schedule=pct(seed, d, turns))[0]["flag"][0]) for seed in range(seeds))
        for d in (depth - 1, depth)
        if d
    ]
    assert found[:-1] == [0] * (depth > 1)  # so it is of this depth
    assert chance >= 1 / (programs * turns ** (depth - 1))
    assert abs(found[-1] - seeds * chance) < 3 * (seeds * chance * (1 - chance)) ** 0.5


def test_priorities_that_are_refused():
    for options in ({"depth": 0}, {"depth": 66}, {"steps": 0}):
        with pytest.raises(ValueError, match="expected a depth from 1 to 65 and steps >= 1"):
            pct(1, **options)


def test_replay_of_steps(run):
    """Warps look at the counter, then write it: one that is interrupted between the two undoes the others."""
    update = {"name": "lost_update", "grid": 3, "threads": 32}
    assert run(**update, schedule=replay())[0]["count"][0] == 12
    assert (
        run(**update, schedule=replay({1: 1}))[0]["count"][0] == 8
    )  # the first writes 1 after the second's 4
    with pytest.raises(errors.ReplayError, match=r"step 1 of the schedule is warp 7's, and only \[0, 1, 2\]"):
        run(**update, schedule=replay({1: 7}))
    with pytest.raises(errors.ReplayError, match="has 24 steps, and the schedule says who runs at step 24"):
        run(**update, schedule=replay({24: 0}))
    assert run(**update, schedule=replay({1: 1}), number=1)[0]["count"][0] == 12  # said for another launch


@pytest.mark.parametrize("mode", [0, 2])
def test_steps_of_warps_that_wait(run, mode):
    assert run("wait_for_last", 6, 32, mode=mode, schedule=replay())[0]["flag"][0] == 1
    run("grid_barrier", 4, 64, mode=3 * (mode > 0), schedule=replay())
    run("producer", n=5, size=160, schedule=replay())
    with pytest.raises(errors.Livelock):
        run("wait_for_last", 3, 32, mode=1, schedule=replay())


def test_an_error_says_how_to_get_it_again(run):
    with pytest.raises(errors.DataRace) as caught:
        run("grid_barrier", 4, 64, mode=1, schedule=pct(7, 2, 99), target="sm_90")
    assert caught.value.schedule == "simulator.pct(7, depth=2, steps=99)"
    assert caught.value.target == "sm_90"


def test_launches_that_are_refused(run):
    for options in ({"threads": 48}, {"threads": 2048}, {"shared": 1 << 19}, {"granule": 3}, {"stack": 100}):
        with pytest.raises(errors.ResourceError):
            run("vector_add", **options)
    array = np.zeros(4)
    overlapping = [Buffer(array.ctypes.data, 32), Buffer(array.ctypes.data + 8, 8)]
    with pytest.raises(ValueError, match="overlap"):
        runtime.launch(0, 0, (1,), 32, buffers=overlapping)


def test_stack_that_is_too_small_is_an_error(run):
    memory, _ = run("deep_stack", n=10, stack=16384)
    assert memory["out"][0] == 11
    with pytest.raises(errors.ResourceError, match="more than 16384 bytes of stack"):
        run("deep_stack", n=70, stack=16384)


def test_traps_and_unknown_instructions(run):
    with pytest.raises(errors.Trapped, match="assertion failed"):
        run("traps")
    with pytest.raises(errors.UnknownInstruction, match=r"tcgen05\.mma"):
        run("traps", mode=1)


def test_a_launch_after_a_failed_one_is_right(run):
    for _ in range(3):
        with pytest.raises(errors.SimulatorError):
            run("exchange", 3, 128, mode=1)
        assert run("exchange", 3, 128)[1]["barriers"] == 3


def test_the_runtime_compiles_without_warnings(tmp_path):
    command = toolchain.compiler_command()
    if command is None:
        pytest.skip("there is no C compiler, which the runtime needs too")
    flags = ["-std=c11", "-O1", "-fPIC", "-Wall", "-Wextra", "-Werror"]
    words = [word for path in sorted(ROOT.glob("*.c")) for word in ("-x", "c", str(path))]
    subprocess.run([*command, *flags, "-c", *words], check=True, cwd=tmp_path)
