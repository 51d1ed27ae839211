"""The table of GPUs against the vendors' limits, and occupancy by published examples."""

import pytest
from symgru.kernels.simulator.targets import TARGETS, target

#: Bytes of shared memory that one program may have, as the vendors' tables print them.
SHARED_MEMORY_LIMITS = {
    "sm_80": 166912,
    "sm_86": 101376,
    "sm_89": 101376,
    "sm_90": 232448,
    "sm_100": 232448,
    "sm_103": 232448,
    "sm_120": 101376,
    "gfx90a": 65536,
    "gfx942": 65536,
    "gfx950": 163840,
    "gfx1100": 65536,
    "gfx1151": 65536,
    "gfx1201": 65536,
}


def test_shared_memory_is_that_of_the_vendors_tables():
    assert {name: gpu.shared_memory for name, gpu in TARGETS.items()} == SHARED_MEMORY_LIMITS


@pytest.mark.parametrize("name", TARGETS)
def test_triton_knows_the_target(name):
    from triton.compiler.compiler import make_backend

    assert make_backend(target(name).triton).binary_ext in ("cubin", "hsaco")


def test_unknown_name_lists_the_known():
    with pytest.raises(ValueError, match=r"sm_80.*got 'sm_70'"):
        target("sm_70")


@pytest.mark.parametrize(
    ("name", "threads", "registers", "shared", "programs"),
    [
        ("sm_80", 128, 32, 0, 108 * 16),  # full: 64 warps
        ("sm_80", 128, 128, 0, 108 * 4),  # 65536 registers / 128 = 512 threads
        ("sm_80", 128, 33, 0, 108 * 12),  # 40 registers are given: 12 warps a scheduler
        ("sm_80", 32, 16, 0, 108 * 32),  # the limit of programs
        ("sm_90", 128, 64, 100 * 1024, 132 * 2),  # 101 KiB of 228
        ("sm_90", 128, 64, 227 * 1024, 132),
        ("sm_90", 128, 64, 114 * 1024, 132),  # two would be all of 228 KiB, and 1 KiB of each is reserved
        ("sm_86", 1024, 32, 0, 82),  # 1536 threads hold one program of 1024
        ("gfx942", 256, 128, 0, 304 * 4),  # 4 waves a SIMD
        ("gfx942", 256, 512, 0, 304),
        ("gfx1100", 128, 256, 0, 96 * 2),  # 264 registers given: 5 waves a SIMD, 10 in all
    ],
)
def test_programs_at_once(name, threads, registers, shared, programs):
    assert target(name).programs_at_once(threads, registers, shared) == programs


@pytest.mark.parametrize(
    ("threads", "registers", "shared"), [(2048, 32, 0), (128, 256, 0), (128, 32, 164 * 1024)]
)
def test_what_does_not_fit_has_no_program(threads, registers, shared):
    assert target("sm_80").programs_at_once(threads, registers, shared) == 0
