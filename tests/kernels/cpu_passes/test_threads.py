"""Calls from many threads, in forked children, and the threads that they use themselves."""

import dataclasses
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest
import torch
from symgru.kernels.cpu.passes import Steps, dense, plans, release

from symgru.testing.cpu_passes import Problem, Tensors, run

LARGE = Problem("keep", "after", (48,) * 6, 60, 96, dtype=torch.float32)
#: Work for a team, in tensors so small that torch's own operations use one thread: a forked child would hang.
SMALL = Problem("keep", "after", (16,) * 4, 32, 64, dtype=torch.float32)
FORWARD = "gru_keep_after_forward"
TASKS = Path("/proc/self/task")


def same(found: Tensors, expected: Tensors) -> bool:
    return found.keys() == expected.keys() and all(torch.equal(found[n], expected[n]) for n in found)


def test_many_callers_at_once(library):
    """Calls share nothing that they write. Every caller has a team of its own."""
    problems = [dataclasses.replace(LARGE, seed=seed, reverse=seed % 2 == 1) for seed in range(6)]
    expected = [run(library, problem) for problem in problems]
    with ThreadPoolExecutor(6) as pool:
        for _ in range(5):
            found = list(pool.map(lambda problem: run(library, problem), problems))
            assert all(map(same, found, expected))


def test_other_python_threads_run_during_a_call(library):
    """The interpreter's lock is released: there are moments of the other thread in the middle of the call."""
    problem = Problem("keep", "after", (128,) * 100, 128, 256, dtype=torch.float32)
    during = []

    def call() -> None:
        start = time.monotonic()
        run(library, problem, passes=("forward",), inputs=inputs)
        during.append((start, time.monotonic()))

    inputs, moments = problem.inputs(), []
    caller = Thread(target=call)
    caller.start()
    while caller.is_alive():
        moments.append(time.monotonic())
        time.sleep(0.001)
    ((start, end),) = during
    fifth = (end - start) / 5
    assert any(start + 2 * fifth < moment < end - 2 * fifth for moment in moments)


def test_no_memory_is_an_error_in_words(library):
    """A batch whose chunk no machine has room for; nothing is read before the memory is there."""
    values = {name: torch.zeros(4) for name in library[FORWARD].arguments}
    rows = 2**44
    offsets = torch.tensor([0, rows])
    steps = Steps(1, rows, rows, offsets.data_ptr(), offsets)
    with pytest.raises(MemoryError, match=f"{FORWARD}: no memory for a chunk of {rows} rows"):
        library[FORWARD](values, (("I", 1), ("H", 1)), steps, torch.float32)


def test_large_memory_is_used_again_and_never_by_two(library):
    """Different calls at once, over and over, of a size that is kept: each has its own results."""
    names = ("x", "weight_ih", "weight_hh")
    sizes, steps = (("I", 3), ("H", 300)), dense(3, 20)
    generator = torch.Generator().manual_seed(1)
    shapes = ((60, 3), (900, 3), (900, 300))

    def results(number: int) -> list[torch.Tensor]:
        values = {n: given[number][n] for n in names} | {"h_new": torch.empty(60, 300)}
        library[FORWARD](values, sizes, steps, torch.float32)
        return [values["h_new"]]

    given = [
        {n: torch.randn(s, generator=generator) / 20 for n, s in zip(names, shapes, strict=True)}
        for _ in range(6)
    ]
    expected = [results(i)[0] for i in range(6)]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda i: results(i % 6)[0], range(120)))
    release()
    assert all(torch.equal(one, expected[i % 6]) for i, one in enumerate(found))


def in_a_fresh_process(function: str) -> None:
    """Run a function of this file in an interpreter that has made no threads."""
    done = subprocess.run(
        [sys.executable, __file__, function],
        capture_output=True,
        text=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_number_of_threads_is_that_of_torch(library):
    in_a_fresh_process("count_threads")


def test_a_forked_child_computes(library):
    in_a_fresh_process("fork")


def count_threads() -> None:
    library = plans()

    def more_after(problem: Problem, threads: int) -> int:
        before = len(os.listdir(TASKS))
        run(library, problem, threads=threads)
        return len(os.listdir(TASKS)) - before

    small = dataclasses.replace(SMALL, batch_sizes=(1,))
    more_after(SMALL, 1)  # what torch makes for itself
    assert more_after(SMALL, 1) == 0
    assert more_after(small, 4) == 0  # no work for a team
    assert more_after(SMALL, 3) == 2  # and the caller
    assert more_after(SMALL, 3) == 0


def fork() -> None:
    library = plans()
    expected = run(library, SMALL, threads=3)
    child = os.fork()
    if child == 0:
        found = run(library, SMALL)  # torch makes threads of its own, which do nothing here
        before = len(os.listdir(TASKS))
        again = run(library, SMALL, threads=3)
        right = same(found, expected) and same(again, expected)
        os._exit(0 if right and len(os.listdir(TASKS)) == before else 1)
    for _ in range(200):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        time.sleep(0.1)
    else:
        os.kill(child, 9)
        raise AssertionError("the child does not end")
    assert os.waitstatus_to_exitcode(status) == 0
    assert same(run(library, SMALL, threads=3), expected)


if __name__ == "__main__":
    {"count_threads": count_threads, "fork": fork}[sys.argv[1]]()
