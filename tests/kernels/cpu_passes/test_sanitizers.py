"""driver.cpp under AddressSanitizer and UndefinedBehaviorSanitizer, and under ThreadSanitizer.

Memory: arguments are buffers of exactly their size, and between the parts of a call's scratch lie gaps that
may not be touched. Threads: the team is made of threads of the C++ library, since ThreadSanitizer cannot see
into OpenMP's. Every check has to find errors that are planted.
"""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from symgru.kernels.cpu import toolchain

from symgru.testing.cpu_libraries import ALWAYS_A_TEAM, SMALL_TILES, Edit, variant

DRIVER = Path(__file__).with_name("driver.cpp")
CELL = "gru_keep_before"  # two stages inside, the second reads what the first publishes
CELLS = [
    f"gru_{polarity}_{reset}" for polarity in ("keep", "update") for reset in ("after", "before", "whole")
]
SETS = toolchain.supported_here()
#: Its partial loads are loops that the sanitizer sees; masked loads of AVX-512 it does not.
MEMORY_SET = "avx2" if "avx2" in SETS else "portable"
GAPS = (
    Edit("cpu/engine.h", '#include "stage.h"', '#include "stage.h"\n#include <sanitizer/asan_interface.h>'),
    Edit(
        "cpu/engine.h", "  T* memory = nullptr;\n", "  T* memory = nullptr;\n  std::vector<int64_t> gaps;\n"
    ),
    Edit(
        "cpu/engine.h",
        "elements += round_up(n, 16);",
        "elements += round_up(n, 16), gaps.push_back(elements), elements += 64;",
    ),
    Edit(
        "cpu/engine.h",
        "all.memory = memory.get();",
        "all.memory = memory.get();\n"
        "  for (int64_t at : all.gaps) ASAN_POISON_MEMORY_REGION(all.memory + at, 64 * sizeof(T));",
    ),
)
MEMORY = ("-fopenmp", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
ADDRESSES = ("-fopenmp", "-fsanitize=address")
THREADS = ("-DSYMGRU_PTHREADS", "-pthread", "-fsanitize=thread")


def program(root: Path, flags: tuple[str, ...], instruction_set: str, type_: str = "float") -> Path:
    """The driver with the sources of the folder."""
    compiler = toolchain.find_compiler()
    common = [flag for flag in toolchain.FLAGS if flag not in ("-O3", "-fPIC", "-shared")]
    isa = toolchain.instruction_sets()[instruction_set].flags
    options = [*common, "-O1", "-g", *isa, *flags, f"-DSYMGRU_TYPE={type_}", "-I", str(root)]
    made = root / "driver"
    done = subprocess.run(
        [*compiler.command, *options, str(DRIVER), "-o", str(made)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    if "cannot find" in done.stderr and "san" in done.stderr:
        pytest.skip(f"the compiler has no libraries for {' '.join(flags)}")
    assert done.returncode == 0, done.stderr
    return made


def run(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the driver; without the randomisation of addresses if the sanitizer cannot live with it."""
    environment = {"TSAN_OPTIONS": "halt_on_error=1", "OMP_NUM_THREADS": "4"}
    command = [str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=environment)
    if "unexpected memory mapping" in done.stderr:
        setarch = shutil.which("setarch")
        done = subprocess.run(
            [str(setarch), "-R", *command], capture_output=True, text=True, timeout=900, env=environment
        )
        if "failed to set personality" in done.stderr:
            pytest.skip("ThreadSanitizer needs addresses that are not random, and this system keeps them so")
    return done


def assert_clean(done: subprocess.CompletedProcess[str]) -> None:
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    assert re.search(r"^[1-9]\d* plans, 0 failures$", done.stdout, re.MULTILINE), done.stdout


@pytest.fixture(scope="module")
def memory_program(tmp_path_factory) -> Path:
    edits = (ALWAYS_A_TEAM, SMALL_TILES, *GAPS)
    root = variant(tmp_path_factory.mktemp("memory"), [CELL], edits, only="float")
    return program(root, MEMORY, MEMORY_SET)


def test_memory(memory_program):
    assert_clean(run(memory_program))


def test_memory_of_planted_buffers_that_are_one_number_short(memory_program):
    done = run(memory_program, "short")
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr


def test_threads(tmp_path):
    root = variant(tmp_path, [CELL], (ALWAYS_A_TEAM, SMALL_TILES), only="float")
    assert_clean(run(program(root, THREADS, "portable")))


def test_threads_with_a_planted_missing_barrier(tmp_path):
    """Units of the first stage have to be there before the second reads them."""
    edit = Edit("cpu/engine.h", "if (stage.publishes) wait();", "")
    root = variant(tmp_path, [CELL], (ALWAYS_A_TEAM, SMALL_TILES, edit), only="float")
    done = run(program(root, THREADS, "portable"))
    assert done.returncode != 0
    assert "data race" in done.stderr, done.stdout + done.stderr


BARRIER = "wait();"
ENGINE = (Path(toolchain.__file__).parent / "engine.h").read_text(encoding="utf-8")
BARRIERS = [match.start() for match in re.finditer(rf"\b{re.escape(BARRIER)}", ENGINE)]


@pytest.mark.thorough
@pytest.mark.parametrize("number", range(len(BARRIERS)))
def test_every_barrier_is_needed(number, tmp_path):
    root = variant(tmp_path, [CELL], only="float")
    at = BARRIERS[number]
    (root / "cpu" / "engine.h").write_text(ENGINE[:at] + ";" + ENGINE[at + len(BARRIER) :], encoding="utf-8")
    for edit in (ALWAYS_A_TEAM, SMALL_TILES):
        edit.apply(root)
    assert "data race" in run(program(root, THREADS, "portable")).stderr


@pytest.mark.thorough
@pytest.mark.parametrize("type_", ["float", "double"])
@pytest.mark.parametrize("instruction_set", SETS)
def test_memory_of_every_cell(instruction_set, type_, tmp_path):
    root = variant(tmp_path, CELLS, (ALWAYS_A_TEAM, *GAPS))
    assert_clean(run(program(root, ADDRESSES, instruction_set, type_)))


@pytest.mark.thorough
@pytest.mark.parametrize("cell", CELLS)
def test_threads_of_every_cell(cell, tmp_path):
    root = variant(tmp_path, [cell], (ALWAYS_A_TEAM, SMALL_TILES), only="double")
    assert_clean(run(program(root, THREADS, "portable", "double")))
