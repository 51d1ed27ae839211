"""Who waits where for what, when nobody gets on: threads that do the same in one line, as ranges."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from .errors import Party
from .steps import NOBODY

#: Lines of a message.
MOST = 12
RUNS, POLLS, AT_BARRIER, IN_WARP, ENDED = range(5)  # SIM_RUNS, ...


class ThreadState(ctypes.Structure):
    """What a thread does: SimThreadState of sim.h."""

    _fields_ = [
        *((name, ctypes.c_uint32) for name in ("program", "thread", "state", "site")),
        ("where", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("bytes", "shared")),
        ("value", ctypes.c_uint64),
        ("what", ctypes.c_char * 24),
    ]


@dataclass(frozen=True)
class Group(Party):
    """Threads that do the same: `program` and `thread` are the first of them.

    Attributes:
        programs, threads: All of them, in order; the same threads of each program.
    """

    programs: tuple[int, ...]
    threads: tuple[int, ...]

    def __str__(self) -> str:
        place = f" at {self.place}" if self.place else ""
        return f"{ranges('program', self.programs)}, {ranges('thread', self.threads)}: {self.what}{place}"


def ranges(noun: str, numbers: Sequence[int]) -> str:
    """Numbers in order, in words: "threads 0-31, 64"."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    words = [str(first) if first == last else f"{first}-{last}" for first, last in found]
    if len(words) > 6:
        words = [*words[:5], f"... ({len(numbers)} in all)"]
    return f"{noun}{'s' * (len(numbers) > 1)} {', '.join(words)}"


#: What threads do alike: state, site, where, bytes, shared, value and what of a `ThreadState`.
_Doing = tuple[int, int, int, int, int, int, bytes]


def groups(
    states: Iterable[ThreadState], sites: Callable[[int], str], memory: Callable[[int], str]
) -> tuple[Group, ...]:
    """The threads that wait or poll, and those that have ended in programs where some wait.

    Args:
        states: Of all threads, program by program.
        sites: From the index of a source line to words.
        memory: From an address of global memory to words.
    """
    alike: dict[_Doing, dict[int, list[int]]] = defaultdict(lambda: defaultdict(list))
    waiting, polling = set(), set()
    for one in states:
        key = (one.state, one.site, one.where, one.bytes, one.shared, one.value, one.what)
        alike[key][one.program].append(one.thread)
        if one.state in (AT_BARRIER, IN_WARP):
            waiting.add(one.program)
        if one.state == POLLS:
            polling.add(one.program)
    found = []
    for key, programs in alike.items():
        together: dict[tuple[int, ...], list[int]] = defaultdict(list)
        for program, threads in programs.items():
            # those that can run beside one that polls are in its loop
            if not (key[0] == ENDED and program not in waiting) and not (
                key[0] == RUNS and program in polling
            ):
                together[tuple(threads)].append(program)
        for alike_threads, members in together.items():
            found.append(_group(key, tuple(sorted(members)), alike_threads, sites, memory))
    return tuple(sorted(found, key=lambda group: (group.program, group.thread)))


def shortened(found: Sequence[Group]) -> tuple[str, ...]:
    """The lines of a message."""
    left = len(found) - MOST
    return (*map(str, found[:MOST]), *([f"... and {left} more places where threads are"] if left > 0 else []))


def _group(
    doing: _Doing,
    programs: tuple[int, ...],
    threads: tuple[int, ...],
    sites: Callable[[int], str],
    memory: Callable[[int], str],
) -> Group:
    state, number, where, size, shared, value, what = doing
    one = len(programs) == len(threads) == 1
    site = None if number == NOBODY else number
    if state == AT_BARRIER:
        words = f"wait{'s' * one} at barrier {where} ({value} of {size} threads are there)"
    elif state == IN_WARP:
        words = f"wait{'s' * one} in {what.decode()} for the other lanes"
    elif state == POLLS and where:
        place = f"byte {where} of shared memory" if shared else memory(where)
        words = f"poll{'s' * one} {place} (it holds {value})"
    elif state == POLLS:
        words = f"poll{'s' * one}"
    else:
        words = f"ha{'s' if one else 've'} ended" if state == ENDED else "can run"
    place = "" if site is None else sites(site)
    return Group(programs[0], threads[0], site, place, words, programs, threads)
