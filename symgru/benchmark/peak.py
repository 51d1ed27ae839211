"""What the processor can do at most: kernels/cpu/peak.cpp, compiled and measured on the machine at hand."""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from symgru.benchmark.machine import cache_sizes
from symgru.kernels import cpu
from symgru.kernels.cpu import errors, toolchain

SOURCE = Path(cpu.__file__).with_name("peak.cpp")
#: Where the system does not say: small enough for any processor of the last ten years.
_USUAL_CACHES = {"L1": 32 << 10, "L2": 256 << 10, "L3": 4 << 20}


class PeakError(Exception):
    """The peak cannot be measured here; the message says why."""


@dataclass(frozen=True)
class Peak:
    """Rates of some number of threads together.

    Attributes:
        threads: How many.
        float32: Floating-point operations a second.
        bfloat16: The same in dot products of bfloat16 with float32 sums; 0 without such an instruction.
        bandwidth: Bytes read a second by level, {"L1": …, "L2": …, "L3": …, "DRAM": …}.
        caches: Bytes of L1, L2 (each of one core) and L3 (of all).
    """

    threads: int
    float32: float
    bfloat16: float
    bandwidth: dict[str, float]
    caches: dict[str, int]

    def __str__(self) -> str:
        rates = ", ".join(f"{level} {rate / 1e9:.0f}" for level, rate in self.bandwidth.items())
        half = f", bfloat16 {self.bfloat16 / 1e9:.1f}" if self.bfloat16 else ""
        return (
            f"peak of {self.threads} thread{'s' * (self.threads > 1)}: float32 {self.float32 / 1e9:.1f}"
            f"{half} GFLOP/s; read {rates} GB/s"
        )


@cache
def peak(threads: int) -> Peak:
    """Measure; takes about a second for each number of threads, and compiles first.

    Raises:
        PeakError: there is no compiler, or it fails.
    """
    library = _library()
    caches = _USUAL_CACHES | cache_sizes()
    # Half of a level, so that what else lies there does not push it out; all threads share L3 and memory.
    sizes = {level: caches[level] // 2 for level in ("L1", "L2")}
    sizes |= {"L3": max(caches["L3"] // 2 // threads, caches["L2"]), "DRAM": 4 * caches["L3"] // threads}
    return Peak(
        threads,
        library.symgru_peak_float32(threads),
        library.symgru_peak_bfloat16(threads),
        {level: library.symgru_read_bandwidth(threads, size) for level, size in sizes.items()},
        caches,
    )


@cache
def _library() -> ctypes.CDLL:
    try:
        compiler = toolchain.find_compiler()
    except errors.NoLibraryError as error:
        raise PeakError(f"the floor is not measured: {error}") from error
    best = toolchain.instruction_sets()[toolchain.supported_here()[0]]
    with tempfile.TemporaryDirectory(prefix="symgru-peak-") as folder:
        target = Path(folder) / "peak.so"
        options = [*toolchain.FLAGS, "-pthread", *best.flags, str(SOURCE), "-o", str(target)]
        done = subprocess.run([*compiler.command, *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeakError(
                f"the floor is not measured, {SOURCE.name} does not compile:\n{done.stderr[-1000:]}"
            )
        library = ctypes.CDLL(str(target))  # stays mapped when the file is gone
    for name, arguments in (
        ("symgru_peak_float32", [ctypes.c_int]),
        ("symgru_peak_bfloat16", [ctypes.c_int]),
        ("symgru_read_bandwidth", [ctypes.c_int, ctypes.c_long]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = ctypes.c_double, arguments
    return library
