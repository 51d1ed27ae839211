"""The instruction sets, what each needs of a processor and a compiler; and the compiler of this machine."""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import NoLibraryError

COMPILERS = ("c++", "g++", "clang++")
CPUINFO = Path("/proc/cpuinfo")

# No contraction: a product and a sum are fused where the source says so, alike for every instruction set.
# Hidden: two libraries of one process must not share what is `inline`, for they differ in the vector's width.
FLAGS = (
    "-std=c++17",
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=off",
    "-fvisibility=hidden",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-Wno-psabi",  # functions that take vectors are called from nowhere else
)


@dataclass(frozen=True)
class InstructionSet:
    """What the processor must have, in the words of /proc/cpuinfo, and the compiler's flags."""

    needs: frozenset[str]
    flags: tuple[str, ...] = ()


# x86-64-v3 and -v4 of the System V ABI for x86-64, as far as x86-64-v2 does not have it. "abm" is lzcnt.
V3 = frozenset({"avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"})
V4 = V3 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
V4_FLAGS = ("-march=x86-64-v4", "-mprefer-vector-width=512")

#: In the order of preference.
X86 = {
    "avx512_bf16": InstructionSet(V4 | {"avx512_bf16"}, (*V4_FLAGS, "-mavx512bf16")),
    "avx512": InstructionSet(V4, V4_FLAGS),
    "avx2": InstructionSet(V3, ("-march=x86-64-v3",)),
}
#: Vectors of 128 bits, which every 64-bit x86 (SSE2) and ARM (NEON) processor has.
PORTABLE = {"portable": InstructionSet(frozenset())}


def instruction_sets(machine: str | None = None) -> dict[str, InstructionSet]:
    """All instruction sets of an architecture by name, the best first; of this machine's if none is named."""
    return X86 | PORTABLE if (machine or platform.machine()).lower() in {"x86_64", "amd64"} else PORTABLE


def supported(cpuinfo: str, machine: str) -> tuple[str, ...]:
    """Names of the instruction sets that a processor has, the best first.

    Args:
        cpuinfo: Text of /proc/cpuinfo. Linux leaves out what it has not enabled; without a line of flags,
            the processor counts as having nothing but "portable".
        machine: The architecture, as `platform.machine()` writes it.
    """
    lines = [line.partition(":") for line in cpuinfo.splitlines()]
    cores = [set(flags.split()) for name, _, flags in lines if name.strip() == "flags"]
    common = set.intersection(*cores) if cores else set()
    return tuple(name for name, one in instruction_sets(machine).items() if one.needs <= common)


@cache
def supported_here() -> tuple[str, ...]:
    """Names of the instruction sets that this machine's processor has, the best first."""
    cpuinfo = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.exists() else ""
    return supported(cpuinfo, platform.machine())


@dataclass(frozen=True)
class Compiler:
    """A C++ compiler: the words of its command, and the first line of what it says its version is."""

    command: tuple[str, ...]
    version: str


def compiler_command() -> tuple[str, ...] | None:
    """Command of the user's C++ compiler: $CXX, else c++, g++ or clang++; None if it is not there.

    Looks at the search path alone and starts nothing. $CXX may have arguments ("ccache g++").
    """
    wanted = shlex.split(os.environ.get("CXX", ""))
    for name in wanted[:1] or COMPILERS:
        path = shutil.which(name)
        if path:
            return (path, *wanted[1:])
    return None


def find_compiler() -> Compiler:
    """The user's C++ compiler.

    Raises:
        NoLibraryError: there is none, or it does not run.
    """
    command = compiler_command()
    if command is None:
        raise NoLibraryError(no_compiler())
    try:
        result = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoLibraryError(f"the C++ compiler does not run: {error}") from error
    if result.returncode or not result.stdout.strip():
        raise NoLibraryError(
            f"the C++ compiler does not run: `{shlex.join(command)} --version` ended with status "
            f"{result.returncode} and said {(result.stderr or result.stdout)[-500:]!r}"
        )
    return Compiler(command, result.stdout.splitlines()[0])


def no_compiler() -> str:
    """What is missing and what to install, in words."""
    wanted = os.environ.get("CXX")
    looked_for = f"$CXX ({wanted})" if wanted else ", ".join(COMPILERS[:-1]) + f" or {COMPILERS[-1]}"
    return (
        f"found no C++ compiler, looked for {looked_for}: install GCC 11 or later "
        "(`apt install g++`, `dnf install gcc-c++`, `conda install gxx`)"
    )
