"""Everything that was asked for, measured one table after the other."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from symgru.benchmark import dense, ranges
from symgru.benchmark.machine import busy, disturbance, machine
from symgru.benchmark.model import Table
from symgru.benchmark.peak import Peak, PeakError, peak
from symgru.benchmark.setting import Setting, threads_of_torch
from symgru.torch_api import backends

TABLES: dict[str, Callable[[Setting], Table]] = {
    "forward": dense.forward,
    "training": dense.training,
    "packed": dense.packed,
    "bf16": dense.bf16,
    "double-backward": dense.double_backward,
    "memory": dense.memory,
    "streaming": dense.streaming,
    "sweep": ranges.sweep,
    "scaling": ranges.scaling,
}


@dataclass(frozen=True)
class Report:
    """Results with what they were measured on; warnings are sentences."""

    machine: dict[str, str]
    peaks: tuple[Peak, ...]
    tables: tuple[Table, ...]
    warnings: tuple[str, ...]
    date: str

    @property
    def refused(self) -> bool:
        """Whether any result was wrong."""
        return any(table.refused() for table in self.tables)


def run(names: Sequence[str], setting: Setting) -> Report:
    """Measure the peak of the machine, then the tables."""
    facts = machine() | {"backend of symgru": taken(setting.backend)}
    warnings = _disturbed("before")
    peaks, complaints = _peaks(setting.threads)
    setting = replace(setting, peak=peaks.get)
    tables = tuple(TABLES[name](setting) for name in names)
    warnings += complaints + _disturbed("after")
    return Report(facts, tuple(peaks.values()), tables, tuple(warnings), time.strftime("%Y-%m-%d"))


def taken(backend: str) -> str:
    """The backend's name, and what `auto` takes on this machine."""
    if backend != "auto":
        return backend
    return next((f"auto, which takes {s.name}" for s in backends("cpu") if s.chosen), "auto")


def _peaks(threads: Sequence[int]) -> tuple[dict[int, Peak], list[str]]:
    try:
        with threads_of_torch(1):
            return {number: peak(number) for number in threads}, []
    except PeakError as error:
        return {}, [str(error)]


def _disturbed(when: str) -> list[str]:
    text = disturbance(busy(), os.getloadavg()[0])
    return [] if text is None else [f"{when} the measurement: {text}"]
