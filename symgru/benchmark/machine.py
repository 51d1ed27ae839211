"""What was measured on, without names of hosts or users, and whether anything else ran."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import symgru
from symgru.kernels.cpu import errors, toolchain

PACKAGES = ("torch", "onnxruntime", "openvino", "onnx", "numpy")
#: Instruction sets that kernels choose by: x86, then aarch64.
FLAGS = (
    *("sse2", "avx", "avx2", "fma", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16"),
    *("asimd", "sve", "bf16"),
)
BUSY = 0.05  # a larger share of the cores in use by others is reported
_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


def machine() -> dict[str, str]:
    """Processor, caches, load and versions, in words."""
    flags = cpu_flags()
    caches = ", ".join(f"{level} {size // 1024} KiB" for level, size in cache_sizes().items())
    return {
        "processor": _information("model name") or platform.processor() or platform.machine(),
        "cores usable": str(cores()),
        "instruction sets": " ".join(flag for flag in FLAGS if flag in flags) or "unknown",
        "caches": caches or "unknown",
        "load average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "system": f"{platform.system()} {platform.machine()}",
        "compiler": _compiler(),
        "Python": platform.python_version(),
        "symgru": symgru.__version__,
        **{package: _version(package) for package in PACKAGES},
    }


def cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def cpu_flags() -> frozenset[str]:
    """Features that the processor reports; empty where the system does not say."""
    return frozenset((_information("flags") or _information("Features")).split())


def cache_sizes(folder: Path = _CACHES) -> dict[str, int]:
    """Bytes of L1, L2 and L3 as one core sees them, where the system says: {"L1": 32768, …}."""
    sizes = {}
    for index in sorted(folder.glob("index*")):
        level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}"] = int(size[:-1]) * 1024
    return sizes


def busy(seconds: float = 0.5, statistics: Path = Path("/proc/stat")) -> float | None:
    """The share of all cores that others use while this process sleeps; None where nothing says it."""
    before = _ticks(statistics)
    time.sleep(seconds)
    after = _ticks(statistics)
    if before is None or after is None or sum(after) == sum(before):
        return None
    idle, all_of_them = (f(after) - f(before) for f in (lambda t: t[3] + t[4], sum))
    return max(0.0, 1 - idle / all_of_them)


def disturbance(share: float | None, load: float) -> str | None:
    """A warning if the machine is not idle, or if nobody can tell."""
    if share is None:
        return None if load < 0.5 else f"the machine may not be idle: load average {load:.2f}"
    if share <= BUSY:
        return None
    return (
        f"the machine is not idle: others use {share:.0%} of its {os.cpu_count()} cores, so times are wrong"
    )


def _ticks(statistics: Path) -> list[int] | None:
    """Clock ticks of all cores: user, nice, system, idle, iowait, irq, softirq, steal."""
    if not statistics.exists():
        return None
    first = statistics.read_text(encoding="utf-8").partition("\n")[0].split()
    return [int(ticks) for ticks in first[1:9]]


def _information(name: str) -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    found = [line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name]
    return found[0] if found else ""


def _version(package: str) -> str:
    if package == "torch":
        return str(torch.__version__)
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _compiler() -> str:
    try:
        compiler: str = toolchain.find_compiler().version
    except errors.NoLibraryError:
        return "none"
    return compiler
