"""What the demo ran with: versions and machine, without names of hosts or users."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

import symgru

PACKAGES = ("sympy", "numpy", "torch", "triton")


def machine() -> dict[str, str]:
    """Versions, processor and GPU, by what they are."""
    facts = {"symgru": symgru.__version__, "Python": platform.python_version()}
    facts |= {package: _version(package) for package in PACKAGES}
    facts["system"] = f"{platform.system()} {platform.machine()}"
    facts["processor"] = f"{_processor()}, {_cores()} cores usable"
    facts["GPU"] = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return facts


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
