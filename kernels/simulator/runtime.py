"""Launches of translated kernels in the runtime: schedules, checks, counters, errors."""

from __future__ import annotations

import ctypes
import enum
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from ..locks import Lock
from . import errors
from .library import library
from .schedules import Schedule, fifo, pct, random, replay
from .steps import CALLBACK, NOBODY
from .stuck import ThreadState, groups, shortened

__all__ = [
    "Buffer",
    "Checks",
    "Counters",
    "Schedule",
    "fifo",
    "launch",
    "pct",
    "random",
    "replay",
]

PARTIES = 16
#: Polls in vain of every resident thread that make a launch a livelock; never less than the second number.
PATIENCE, LEAST_PATIENCE = 2000, 200_000
STACK = 1 << 18  # bytes of a thread; pages that are not touched cost nothing

Counters = dict[str, int]
#: Of a kernel: name, Triton's type, and the integer, float or address.
Argument = tuple[str, str, "int | float"]


@dataclass(frozen=True)
class Buffer:
    """Memory that a kernel may touch: its address, its size in bytes, its name; does it have contents?"""

    start: int
    bytes: int
    name: str = ""
    uninitialised: bool = False


class Checks(enum.IntFlag):
    """What is checked at every access; see the errors of the same names."""

    NONE = 0
    BOUNDS = 1
    ALIGNMENT = 2
    UNINITIALISED = 4
    RACES = 8
    FAST = BOUNDS | ALIGNMENT | UNINITIALISED
    ALL = FAST | RACES


class _Buffer(ctypes.Structure):
    _fields_ = [("start", ctypes.c_uint64), ("bytes", ctypes.c_uint64), ("flags", ctypes.c_uint32 * 2)]


class _Launch(ctypes.Structure):
    _fields_ = [
        ("entry", ctypes.c_void_p),
        ("arguments", ctypes.c_void_p),
        ("buffers", ctypes.POINTER(_Buffer)),
        ("choose", CALLBACK),
        *((name, ctypes.c_uint64) for name in ("seed", "steps", "patience")),
        ("grid", ctypes.c_uint32 * 3),
        *(
            (name, ctypes.c_uint32)
            for name in ("threads", "lanes", "shared_bytes", "buffer_count", "resident")
        ),
        *(
            (name, ctypes.c_uint32)
            for name in ("schedule", "depth", "checks", "granule", "stack_bytes", "lockstep")
        ),
    ]


class _Party(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("program", "thread", "site", "kind")),
        ("what", ctypes.c_char * 48),
    ]


@cache
def counter_names() -> tuple[str, ...]:
    """Names of the counters, in the library's order."""
    function = library().sim_counter_name
    function.restype = ctypes.c_char_p
    names: list[str] = []
    while (name := function(len(names))) is not None:
        names.append(name.decode())
    return tuple(names)


@cache
def _report_type() -> type[ctypes.Structure]:
    class Report(ctypes.Structure):
        _fields_ = [
            *((name, ctypes.c_uint32) for name in ("problem", "parties", "buffer", "bytes")),
            ("address", ctypes.c_uint64),
            ("offset", ctypes.c_int64),
            *((name, ctypes.c_uint64) for name in ("waiting", "started")),
            ("text", ctypes.c_char * 256),
            ("states", ctypes.POINTER(ThreadState)),
            ("state_count", ctypes.c_uint64),
            ("party", _Party * PARTIES),
            ("counters", ctypes.c_uint64 * len(counter_names())),
        ]

    return Report


_one_at_a_time = Lock()  # the runtime has one launch's state


def launch(
    entry: int,
    arguments: int | ctypes.Array[ctypes.c_char],
    grid: Sequence[int],
    threads: int,
    shared: int = 0,
    buffers: Sequence[Buffer] = (),
    schedule: Schedule | None = None,
    checks: Checks = Checks.ALL,
    *,
    lanes: int = 32,
    granule: int = 1,
    lockstep: int = 0,
    resident: int = 0,
    patience: int = 0,
    stack: int = STACK,
    sites: Callable[[int], str] = "site {}".format,
    target: str = "",
    number: int = 0,
) -> Counters:
    """Run a kernel.

    Args:
        entry: Address of the function `void entry(void* arguments, void* shared)`.
        arguments: Address of what it takes.
        grid: Number of programs along up to three axes.
        threads: Of a program.
        shared: Bytes of shared memory of a program.
        buffers: All the memory that the kernel may touch, beside the shared one; they do not overlap.
        schedule: Which thread runs next; `fifo` if None.
        checks: What is checked.
        lanes: Threads of a warp.
        granule: Bytes that the race detector takes as one place: 1, 2, 4; at most the smallest access's.
        lockstep: 0: only bar.warp.sync orders the lanes of a warp. 1: they do every instruction together
            (AMD), so that only what they do in one can conflict in global memory; in shared memory fences
            order them. 2: no fences are needed there either.
        resident: Programs at a time; 0: all.
        patience: Polls in vain after which the launch is a livelock; 0: according to the number of threads.
        stack: Bytes of a thread.
        sites: From the index of a source line to words.
        target: Name of the simulated device, for messages.
        number: Of the launch on its device, for schedules that differ from launch to launch.

    Returns:
        What was counted, by name.

    Raises:
        SimulatorError: of the kind that says what is wrong.
        NoLibraryError: the runtime cannot be built here.
    """
    schedule = schedule or fifo()
    ordered = sorted((buffer for buffer in buffers if buffer.bytes), key=lambda buffer: buffer.start)
    for one, next_one in itertools.pairwise(ordered):
        if one.start + one.bytes > next_one.start:
            raise ValueError(f"buffers overlap: {one} and {next_one}")
    whole_grid = (*grid, 1, 1)[:3]
    programs = whole_grid[0] * whole_grid[1] * whole_grid[2]
    at_a_time = min(resident or programs, programs)
    wanted = _Launch(
        entry=entry,
        arguments=arguments if isinstance(arguments, int) else ctypes.addressof(arguments),
        buffers=(_Buffer * (len(ordered) or 1))(
            *(_Buffer(one.start, one.bytes, (int(one.uninitialised), 0)) for one in ordered)
        ),
        seed=schedule.seed,
        steps=schedule.steps,
        patience=patience or max(LEAST_PATIENCE, PATIENCE * at_a_time * threads),
        grid=whole_grid,
        threads=threads,
        lanes=lanes,
        shared_bytes=shared,
        buffer_count=len(ordered),
        resident=resident,
        schedule=schedule.kind,
        depth=schedule.depth,
        checks=int(checks),
        granule=granule,
        stack_bytes=stack,
        lockstep=lockstep,
    )
    report = _report_type()()
    with schedule.choosing(number) as chooser, _one_at_a_time:
        if chooser:
            wanted.choose = chooser.callback
        problem = library().sim_launch(ctypes.byref(wanted), ctypes.byref(report))
        if chooser:
            chooser.finish()
            if chooser.error:
                raise chooser.error
        if problem:
            raise _error(report, ordered, sites, shared, str(schedule), target)
    return dict(zip(counter_names(), report.counters, strict=True))


#: In the order of sim.h, from SIM_OUT_OF_BOUNDS on.
KINDS: tuple[type[errors.SimulatorError], ...] = (
    errors.OutOfBounds,
    errors.Misaligned,
    errors.Uninitialised,
    errors.DataRace,
    errors.Deadlock,
    errors.Livelock,
    errors.Divergence,
    errors.NotResident,
    errors.ResourceError,
    errors.UnknownInstruction,
    errors.Trapped,
)
SHARED_KIND = 2


def _error(
    report: ctypes.Structure,
    buffers: Sequence[Buffer],
    sites: Callable[[int], str],
    shared: int,
    schedule: str,
    target: str,
) -> errors.SimulatorError:
    kind: type[errors.SimulatorError] = KINDS[report.problem - 1]
    parties = tuple(_party(party, sites) for party in report.party[: report.parties])
    message = report.text.decode(errors="replace")
    if report.state_count:
        found = groups(report.states[: report.state_count], sites, partial(_byte, buffers=buffers))
        lines = [message, *(f"  {line}" for line in (*parties, *shortened(found)))]
        error = kind("\n".join(lines), (), schedule, target)
        error.parties = (*parties, *found)
        return error
    if kind in WORDS:
        where = [_place(report, buffers, shared)] if report.bytes else []
        message = f"{WORDS[kind]} {': '.join(part for part in (*where, message) if part)}"
    return kind(message, parties, schedule, target)


WORDS = {
    errors.OutOfBounds: "out of bounds:",
    errors.Misaligned: "misaligned:",
    errors.Uninitialised: "read before anything was written:",
    errors.DataRace: "data race:",
}


def _byte(address: int, buffers: Sequence[Buffer]) -> str:
    """Where an address of global memory is."""
    for index, buffer in enumerate(buffers):
        if buffer.start <= address < buffer.start + buffer.bytes:
            return f"byte {address - buffer.start} of buffer {buffer.name or index}"
    return f"{address:#x}"


def _party(party: _Party, sites: Callable[[int], str]) -> errors.Party:
    site = None if party.site in {NOBODY, NOBODY >> 12} else party.site  # 20 bits in the race detector
    place = "" if site is None else sites(site)
    return errors.Party(party.program, party.thread, site, place, party.what.decode(errors="replace"))


def _place(report: ctypes.Structure, buffers: Sequence[Buffer], shared: int) -> str:
    """Where the access went: "4 bytes at byte 96 of buffer x (96 bytes): 4 bytes beyond its end"."""
    if report.party[0].kind & SHARED_KIND:
        owner, size = "shared memory", shared
    elif report.buffer != NOBODY:
        owner, size = f"buffer {buffers[report.buffer].name or report.buffer}", buffers[report.buffer].bytes
    else:
        return f"{report.bytes} bytes at {report.address:#x}, the launch has no buffers"
    where = f"{report.bytes} bytes at byte {report.offset} of {owner} ({size} bytes)"
    if report.offset < 0:
        return f"{where}: {-report.offset} bytes before its start"
    beyond = report.offset + report.bytes - size
    return f"{where}: {beyond} bytes beyond its end" if beyond > 0 else where
