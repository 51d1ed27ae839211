"""Schedules chosen step by step: what every warp does next, and what a step has done.

A step of a warp goes from one operation that other warps may see to the next: atomic and volatile accesses,
and barriers that not all threads of a program wait at (runtime/steps.h). Everything else commutes in a kernel
without a data race, so an order of steps stands for all orders of threads that differ in nothing else.

A warp that has come round to an operation without having changed anything, and to which memory looks as it
did then, waits in a loop. It does not go on before what it looks at changes, or nobody else can go on: the
fair schedules of Musuvathi and Qadeer, "Fair stateless model checking" (PLDI 2008). Else a loop that waits
would have infinitely many schedules.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

NOBODY = 0xFFFFFFFF
STUCK = 0xFFFFFFFE  # all wait in loops for ever
#: Steps in vain of every warp, after which it is a livelock.
PATIENCE = 1000
NEVER, IF_CHANGED, ALWAYS = 0, 1, 2  # SIM_WRITES_...


class Operation(ctypes.Structure):
    """What a lane does next: SimOperation of sim.h."""

    _fields_ = [
        ("address", ctypes.c_uint64),
        ("place", ctypes.c_uint64),
        *((name, ctypes.c_uint32) for name in ("bytes", "warp", "site", "writes")),
    ]


class _Choice(ctypes.Structure):
    _fields_ = [
        ("operations", ctypes.POINTER(Operation)),
        ("meetings", ctypes.POINTER(ctypes.c_uint32)),
        ("operation_count", ctypes.c_uint32),
        ("meeting_words", ctypes.c_uint32),
    ]


CALLBACK = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.POINTER(_Choice))

#: Address, bytes, place in the code, number of the source line, `writes` of each lane's operation.
Operations = tuple[tuple[int, int, int, int, int], ...]
Cells = frozenset[int]


def _cells(operations: Iterable[tuple[int, int, int, int, int]]) -> Cells:
    """The words of four bytes that operations touch."""
    return frozenset(
        cell for address, size, *_ in operations for cell in range(address >> 2, (address + size + 3) >> 2)
    )


@dataclass
class Step:
    """What a warp did from one choice to the next.

    Attributes:
        warp: Its number: that of its program's place times the warps of a program, plus its own.
        operations: Of its lanes.
        read, written: The words that its operations touched and left as they were, and those they changed.
        meetings: The warps that met at a barrier afterwards, and those of a program that began.
    """

    warp: int
    operations: Operations
    read: Cells = frozenset()
    written: Cells = frozenset()
    meetings: list[list[int]] = field(default_factory=list)

    def depends(self, operations: Operations) -> bool:
        """Whether the order of the two may matter."""
        touched = _cells(operations)
        may_write = _cells(one for one in operations if one[4] != NEVER)
        return bool(self.written & touched or self.read & may_write)


@dataclass(frozen=True)
class Situation:
    """Where a launch stands at a choice.

    Attributes:
        able: The warps that can go on; never empty.
        parked: What the warps do next that can go on or look at what has not changed.
        running: The warp of the last step; None before the first.
    """

    able: frozenset[int]
    parked: Mapping[int, Operations]
    running: int | None

    @property
    def usual(self) -> int:
        """The warp that runs where nothing else is said: the one that runs, else the first that can."""
        return self.running if self.running in self.able else min(self.able)

    @property
    def sites(self) -> dict[int, tuple[int, ...]]:
        """Source lines of what the warps do next."""
        return {warp: tuple(one[3] for one in done) for warp, done in self.parked.items()}


@dataclass(frozen=True)
class _Look:
    """A step that changed nothing: its number, what it looked at, and what was there."""

    index: int
    operations: Operations
    contents: Mapping[tuple[int, int], bytes]


Pick = Callable[[Situation], int]


class Chooser:
    """Asks `pick` for every step of a launch, and notes what the steps did."""

    def __init__(self, pick: Pick) -> None:
        self.steps: list[Step] = []
        self.error: BaseException | None = None
        self._pick = pick
        self._before: dict[tuple[int, int], bytes] = {}
        self._looks: dict[int, list[_Look]] = {}  # of every warp since it changed something
        self._in_vain = 0
        self.callback = CALLBACK(self._called)

    def _called(self, pointer: ctypes._Pointer[_Choice]) -> int:
        choice = pointer.contents
        parked: dict[int, list[tuple[int, int, int, int, int]]] = {}
        for one in choice.operations[: choice.operation_count]:
            parked.setdefault(one.warp, []).append((one.address, one.bytes, one.place, one.site, one.writes))
        meetings = choice.meetings[: choice.meeting_words] if choice.meeting_words else []
        try:
            return self.choose({warp: tuple(done) for warp, done in parked.items()}, meetings)
        except BaseException as error:  # noqa: BLE001 - C calls this: `runtime.launch` raises it again
            self.error = error
            return NOBODY

    def choose(self, parked: Mapping[int, Operations], meetings: Sequence[int] = ()) -> int:
        """The warp of the next step.

        Args:
            parked: What every warp does next that can go on.
            meetings: Since the last choice: numbers of warps that met, NOBODY after each meeting.
        """
        self.finish(meetings)
        able = frozenset(warp for warp in parked if not self._looks_again(warp, parked[warp]))
        if not able:  # who has waited longest looks again: a loop may give up
            self._in_vain += 1
            if self._in_vain > PATIENCE * len(parked):
                return STUCK
            able = frozenset([min(parked, key=lambda warp: self._looks[warp][-1].index)])
        running = self.steps[-1].warp if self.steps else None
        warp = self._pick(Situation(able, parked, running))
        if warp not in able:
            raise ValueError(f"expected one of the warps {sorted(able)}, got {warp}")
        self.steps.append(Step(warp, parked[warp]))
        self._before = _contents(parked[warp])
        return warp

    def finish(self, meetings: Sequence[int] = ()) -> None:
        """Note what the last step did."""
        if not self.steps or self.steps[-1].read or self.steps[-1].written:
            return
        step = self.steps[-1]
        after = _contents(step.operations)
        changed = [
            one
            for one in step.operations
            if one[4] == ALWAYS or (one[4] == IF_CHANGED and after[one[:2]] != self._before[one[:2]])
        ]
        step.written = _cells(changed)
        step.read = _cells(step.operations) - step.written
        if changed:
            self._looks[step.warp] = []
            self._in_vain = 0
        else:
            looks = self._looks.setdefault(step.warp, [])
            self._looks[step.warp] = [
                *(one for one in looks if one.operations != step.operations),
                _Look(len(self.steps) - 1, step.operations, after),
            ]
        group: list[int] = []
        for word in meetings:
            if word != NOBODY:
                group.append(word)
            else:
                step.meetings.append(group)
                group = []

    def _looks_again(self, warp: int, operations: Operations) -> bool:
        looks = self._looks.get(warp, [])
        came_round = [i for i, one in enumerate(looks) if one.operations == operations]
        if not came_round:
            return False
        return all(one.contents == _contents(one.operations) for one in looks[came_round[0] :])


def _contents(operations: Operations) -> dict[tuple[int, int], bytes]:
    """What is in memory at the addresses; of barriers nothing is asked."""
    return {
        (address, size): ctypes.string_at(address, size)
        for address, size, *_, writes in operations
        if writes != ALWAYS
    }


class Switches:
    """Replays a launch: the usual warp runs, but for the steps that are said."""

    def __init__(self, switches: Mapping[int, int]) -> None:
        self._switches, self._step = dict(switches), 0

    def __call__(self, situation: Situation) -> int:
        """The warp of the next step.

        Raises:
            LookupError: The one that was said cannot go on.
        """
        wanted = self._switches.pop(self._step, situation.usual)
        if wanted not in situation.able:
            raise LookupError(
                f"step {self._step} of the schedule is warp {wanted}'s, and only {sorted(situation.able)} "
                "can go on: it belongs to another launch"
            )
        self._step += 1
        return wanted

    def check_end(self) -> None:
        """Whether all was taken that was said.

        Raises:
            LookupError: The launch has ended before.
        """
        if self._switches:
            raise LookupError(
                f"the launch has {self._step} steps, and the schedule says who runs at step "
                f"{min(self._switches)}: it belongs to another launch"
            )
