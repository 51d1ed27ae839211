"""One record for each launch: what its code is, and what it did.

    with simulator.device("sm_90") as device:
        kernel[grid](...)
    print("\\n".join(report.table(device.launches)))

Static figures are those of the machine code, counters those of the run. Nothing in it was measured on a GPU,
and every record says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from .driver import Launch
from .static import Static, read
from .targets import TARGETS
from .timeline import RESOLUTION

NOTICE = "not run on a GPU"


#: What a modelled cycle is worth; `timeline.py` says more.
MODEL = (
    f"cycles of one warp and iteration of the longest loop, by a model that was compared with no GPU: "
    f"differences under a factor of {RESOLUTION} mean nothing; none for AMD"
)


def record(launch: Launch, steps: int = 1) -> dict[str, Any]:
    """Everything about a launch, of plain types: what `json.dumps` takes.

    Args:
        launch: Of a device's `launches`.
        steps: Time steps of the launch; the record has the counters of one step too if there are several.
    Raises:
        ValueError: `steps` is under 1.
    """
    if steps < 1:
        raise ValueError(f"expected at least one step, got {steps}")
    static = read(launch.binary)
    loop = static.longest_loop
    made: dict[str, Any] = {
        "notice": NOTICE,
        "kernel": launch.name,
        "target": launch.target,
        "product": TARGETS[launch.target].product,
        "grid": list(launch.grid),
        "schedule": launch.schedule,
        "seconds": launch.seconds,
        "static": asdict(static),
        "modelled cycles": {"total": loop.cycles.total if loop and loop.cycles else None, "model": MODEL},
        "counters": dict(launch.counters),
    }
    if steps > 1:
        made["counters per step"] = {name: count / steps for name, count in launch.counters.items()}
    return made


def table(launches: Sequence[Launch], steps: int = 1, names: Sequence[str] | None = None) -> Iterator[str]:
    """A line of static figures for each launch, then one of its counters, in all and for each time step.

    Args:
        launches: Of a device.
        steps: Time steps of each.
        names: What to call them; by the names of their kernels if None.
    """
    named = list(zip(names or [launch.name for launch in launches], launches, strict=True))
    yield f"static figures of the compiled code; {NOTICE}"
    yield (
        f"{'kernel':28} {'target':8} {'warps':>5} {'regs':>5} {'spill':>5} {'shared':>7} {'limit':>7} "
        f"{'at once':>7} {'loop':>5} {'barriers':>8} {'cycles':>7}  matrix instructions"
    )
    for name, launch in named:
        yield _line(name, read(launch.binary))
    yield MODEL
    yield f"counted in the launch, all programs{' / of one time step' if steps > 1 else ''}; {NOTICE}"
    for name, launch in named:
        yield f"{name[:28]:28} {launch.target:8} {_counted(launch.counters, steps)}"


def _counted(counters: Mapping[str, int], steps: int) -> str:
    """The counters that are not zero."""
    each = (
        f"{name.replace('_', ' ')} {count}{f' / {count / steps:g}' if steps > 1 else ''}"
        for name, count in counters.items()
        if count
    )
    return ", ".join(each) or "nothing"


def _line(name: str, found: Static) -> str:
    loop = found.longest_loop
    modelled = str(loop.cycles.total) if loop and loop.cycles else "-"
    matrix = ", ".join(f"{count} {name}" for name, count in found.code.matrix.items()) or "none"
    size, barriers = (loop.size, loop.barriers) if loop else (0, found.code.barriers)
    return (
        f"{name[:28]:28} {found.target:8} {found.warps:5} {found.registers:5} {found.spilled:5} "
        f"{found.shared_memory:7} {found.shared_memory_limit:7} {found.programs_at_once:7} "
        f"{size:5} {barriers:8} {modelled:>7}  {matrix}"
    )
