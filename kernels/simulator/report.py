"""One record for each launch: what its code is, and what it did.

    with simulator.device("sm_90") as device:
        kernel[grid](...)
    print("\\n".join(report.table(device.launches)))

Static figures are those of the machine code, counters those of the run. Nothing in it was measured on a GPU,
and every record says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from .driver import Launch
from .static import Static, read
from .targets import TARGETS

NOTICE = "not run on a GPU"


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
    made: dict[str, Any] = {
        "notice": NOTICE,
        "kernel": launch.name,
        "target": launch.target,
        "product": TARGETS[launch.target].product,
        "grid": list(launch.grid),
        "schedule": launch.schedule,
        "seconds": launch.seconds,
        "static": asdict(read(launch.binary)),
        "counters": dict(launch.counters),
    }
    if steps > 1:
        made["counters per step"] = {name: count / steps for name, count in launch.counters.items()}
    return made


def table(launches: Iterable[Launch]) -> Iterator[str]:
    """A line for each launch, under a header: registers, spilled bytes, shared memory, the longest loop."""
    yield f"static figures of the compiled code; {NOTICE}"
    yield (
        f"{'kernel':28} {'target':8} {'warps':>5} {'regs':>5} {'spill':>5} {'shared':>7} {'limit':>7} "
        f"{'at once':>7} {'loop':>5} {'barriers':>8} {'cycles':>7}  matrix instructions"
    )
    for launch in launches:
        yield _line(read(launch.binary))


def _line(found: Static) -> str:
    loop = found.longest_loop
    modelled = str(loop.cycles.total) if loop and loop.cycles else "-"
    matrix = ", ".join(f"{count} {name}" for name, count in found.code.matrix.items()) or "none"
    size, barriers = (loop.size, loop.barriers) if loop else (0, found.code.barriers)
    return (
        f"{found.kernel[:28]:28} {found.target:8} {found.warps:5} {found.registers:5} {found.spilled:5} "
        f"{found.shared_memory:7} {found.shared_memory_limit:7} {found.programs_at_once:7} "
        f"{size:5} {barriers:8} {modelled:>7}  {matrix}"
    )
