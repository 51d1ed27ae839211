"""Libraries of the passes: the one of this machine, and smaller ones for every instruction set it has."""

import pytest
from symgru.kernels.cpu import toolchain
from symgru.kernels.cpu.passes import plans

from symgru.testing.cpu_libraries import ALWAYS_A_TEAM, NAN_IN_SCRATCH, compiled, variant
from symgru.testing.cpu_passes import Plans, huge_numbers_in_fresh_memory

CELLS = ("gru_keep_after", "gru_keep_before")  # one stage inside, and two

if toolchain.compiler_command() is None:
    collect_ignore_glob = ["test_*.py"]  # `symgru.kernels.cpu.load` says what to install


@pytest.fixture(scope="session")
def library() -> Plans:
    """What users get."""
    return plans()


@pytest.fixture(scope="session")
def by_teams(tmp_path_factory) -> dict[str, Plans]:
    """By instruction set: two cells, computed by a team however small the call, on scratch full of NaN."""
    wanted = [name for name in toolchain.supported_here() if name != "avx512_bf16"]
    root = variant(tmp_path_factory.mktemp("by_teams"), CELLS, (ALWAYS_A_TEAM, NAN_IN_SCRATCH))
    return {name: compiled(root, name) for name in wanted}


@pytest.fixture(autouse=True)
def nothing_in_fresh_memory_is_zero():
    with huge_numbers_in_fresh_memory():
        yield
