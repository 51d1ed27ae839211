"""How long the simulator takes for a launch of the fused GRU, and how that grows with threads and steps."""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from symgru.benchmark.accuracy import error
from symgru.benchmark.machine import busy, disturbance, machine
from symgru.benchmark.timing import Effort, Times, times
from symgru.kernels import simulator
from symgru.testing.tolerances import TOLERANCES
from symgru.torch_api import GRU

#: What is checked at every access, by the name in the table.
CHECKS = {"without races": False, "with races": True}
STEPS = (4, 8, 16, 32, 64, 128)
BATCHES = (16, 32, 64, 128, 256)
Progress = Callable[[Sequence["Size"], str], Iterable["Size"]]


@dataclass(frozen=True)
class Size:
    """Steps, sequences, units."""

    T: int
    B: int
    H: int

    def __str__(self) -> str:
        return f"{self.T},{self.B},{self.H}"


@dataclass(frozen=True)
class Measured:
    """One size: the GPU's threads, seconds of a launch by kind of check, and the error of the result.

    Attributes:
        slowdown: Time with the race detector over that without: the median of the ratios within a round.
        counters: What a launch counted.
    """

    axis: str
    size: Size
    threads: int
    seconds: Mapping[str, Times]
    slowdown: float
    error: float
    counters: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """Facts of the machine in words, warnings, the target, and what was measured."""

    machine: Mapping[str, str]
    warnings: tuple[str, ...]
    target: str
    dtype: str
    rows: tuple[Measured, ...]


def measure(
    target: str,
    base: Size,
    effort: Effort,
    steps: Sequence[int],
    batches: Sequence[int],
    progress: Progress = lambda sizes, name: sizes,
    dtype: torch.dtype = torch.float16,
) -> Report:
    """Time launches at one size, and from there against the steps and against the threads.

    Raises:
        ValueError: a result is wrong, or there is no such target.
        SimulatorError: a launch was reported.
        BackendError: Triton is interpreted, or too small a target.
    """
    facts = machine() | {name: version(name) for name in ("triton", "llvmlite")}
    before = _disturbed("before")
    axes = {
        "launch": [base],
        "steps": [Size(T, base.B, base.H) for T in steps],
        "threads": [Size(base.T, B, base.H) for B in batches],
    }
    rows = tuple(
        _measured(axis, size, target, effort, dtype)
        for axis, sizes in axes.items()
        for size in progress(sizes, axis)
    )
    name = str(dtype).removeprefix("torch.")
    return Report(facts, (*before, *_disturbed("after")), target, name, rows)


def _disturbed(when: str) -> list[str]:
    text = disturbance(busy(), os.getloadavg()[0])
    return [] if text is None else [f"{when} the measurement: {text}"]


def _measured(axis: str, size: Size, target: str, effort: Effort, dtype: torch.dtype) -> Measured:
    generator = torch.Generator().manual_seed(0)
    layer = GRU(size.H, size.H, backend="triton").to(dtype)
    exact = torch.nn.GRU(size.H, size.H, dtype=torch.float64)
    exact.load_state_dict({name: weight.double() for name, weight in layer.state_dict().items()})
    x = torch.randn(size.T, size.B, size.H, generator=generator).to(dtype)
    samples: dict[str, list[float]] = {name: [] for name in CHECKS}
    with torch.inference_mode():
        found = _round(layer, x, target, samples)  # translates, and takes memory
        worst = error([found[0]], [exact(x.double())[0]])
        if not worst <= TOLERANCES[dtype].cap:
            raise ValueError(f"{size}: expected an error of at most {TOLERANCES[dtype].cap}, got {worst}")
        samples = {name: [] for name in CHECKS}
        end, done = time.perf_counter() + effort.seconds, 0
        while done < effort.rounds or (time.perf_counter() < end and done < effort.most):
            last = _round(layer, x, target, samples)[1]
            done += 1
    pairs = zip(samples["with races"], samples["without races"], strict=True)
    lanes = simulator.TARGETS[target].warp_size
    threads = math.prod(last.grid) * int(last.binary.metadata.num_warps) * lanes
    return Measured(
        axis,
        size,
        threads,
        {name: times(values) for name, values in samples.items()},
        statistics.median(a / b for a, b in pairs),
        worst,
        {name: count for name, count in last.counters.items() if count},
    )


def _round(
    layer: torch.nn.Module, x: torch.Tensor, target: str, samples: dict[str, list[float]]
) -> tuple[torch.Tensor, simulator.Launch]:
    """One launch with each kind of check; the states, and the last launch."""
    for name, races in CHECKS.items():
        with simulator.device(target, races=races) as device:
            states, _ = layer(x)
        (launch,) = device.launches
        samples[name].append(launch.seconds)
    return states, launch


def growth(rows: Sequence[Measured], axis: str, check: str) -> tuple[float, float]:
    """Of time over size along an axis: that of the largest size by that of half as much, and the exponent.

    Linear cost has 1 and, but for what every launch costs, 1.
    """
    found = [(_along(row), row.seconds[check].minimum) for row in rows if row.axis == axis]
    (small, fast), (large, slow) = found[-2:]
    exponent = math.log(slow / fast) / math.log(large / small)
    return slow / large / (fast / small), exponent


def _along(row: Measured) -> int:
    return row.threads if row.axis == "threads" else row.size.T


def text(report: Report) -> str:
    """For a terminal."""
    lines = [f"{name:18} {value}" for name, value in report.machine.items()]
    lines += [f"WARNING: {warning}" for warning in report.warnings]
    lines += [
        "",
        f"A launch of the fused GRU, {report.dtype}, as compiled for {report.target}, in the simulator: "
        "milliseconds. Not run on a GPU.",
        "",
        f"{'':8} {'T,B,H':>12} {'threads':>8}"
        + "".join(f" {name + ', median':>22} {'minimum':>8}" for name in CHECKS)
        + f" {'ratio':>6} {'error':>8}",
    ]
    for row in report.rows:
        taken = [row.seconds[name] for name in CHECKS]
        cells = "".join(f" {1e3 * t.median:22.1f} {1e3 * t.minimum:8.1f}" for t in taken)
        head = f"{row.axis:8} {row.size!s:>12} {row.threads:8}"
        lines.append(f"{head}{cells} {row.slowdown:6.2f} {row.error:8.1e}")
    lines.append("")
    for axis in ("steps", "threads"):
        for check in CHECKS:
            if sum(row.axis == axis for row in report.rows) > 1:
                ratio, exponent = growth(report.rows, axis, check)
                lines.append(
                    f"{axis}, {check}: time by size at the largest is {ratio:.2f} of that before it "
                    f"(exponent {exponent:.2f}; linear is 1)"
                )
    return "\n".join(lines) + "\n"


def as_json(report: Report) -> str:
    """All figures, in seconds."""
    content = {"format": "symgru-benchmark-simulator", "version": 1, **asdict(report)}
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def plot(report: Report, path: Path) -> None:
    """Draw time against steps and threads; the form is that of the file's suffix (png, svg, pdf).

    Raises:
        ValueError: matplotlib does not know the suffix.
    """
    from matplotlib.figure import Figure

    axes = ("steps", "threads")
    figure = Figure(figsize=(4 * len(axes), 3), layout="constrained")
    for area, axis in zip(figure.subplots(1, len(axes)), axes, strict=True):
        rows = [row for row in report.rows if row.axis == axis]
        sizes = [_along(row) for row in rows]
        for name, style in zip(CHECKS, ("o-", "s--"), strict=True):
            seconds = [row.seconds[name].minimum for row in rows]
            area.plot(sizes, seconds, style, markersize=3, label=name)
            area.plot(sizes, [seconds[-1] * size / sizes[-1] for size in sizes], "k:", linewidth=1)
        area.set(xscale="log", yscale="log", xlabel=axis, ylabel="seconds of a launch")
        area.set_xticks(sizes, labels=map(str, sizes))
        area.minorticks_off()
        area.grid(alpha=0.3)
    area.plot([], [], "k:", label="linear")
    area.legend(fontsize="small")
    figure.savefig(path)
