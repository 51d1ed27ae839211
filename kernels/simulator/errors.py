"""What can be wrong with a launch in the simulator."""

# ruff: noqa: N818 - named by what is wrong; the base class says that they are errors
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Party:
    """A thread that has to do with an error, and what it did or does.

    Attributes:
        program: Number of its program in the grid, the first axis fastest.
        thread: Its number in the program.
        site: Index of the source line; None if it is not known.
        place: The source line in words; empty if it is not known.
        what: What it did: "store", "waits at barrier 0 (96 threads alike)", ...
    """

    program: int
    thread: int
    site: int | None
    place: str
    what: str

    def __str__(self) -> str:
        place = f" at {self.place}" if self.place else ""
        return f"program {self.program}, thread {self.thread}: {self.what}{place}"


class SimulatorError(RuntimeError):
    """A launch that failed in the simulator.

    Attributes:
        parties: The threads that have to do with it: who caused it, and with whom.
        schedule: The schedule that gives the same error again, as a user writes it.
        target: The simulated device; empty if it is not known.
    """

    def __init__(
        self, message: str, parties: tuple[Party, ...] = (), schedule: str = "", target: str = ""
    ) -> None:
        """Make one; the message then says who the parties are."""
        self._lines = [message, *(f"  {party}" for party in parties)]
        super().__init__("\n".join(self._lines))
        self.parties = parties
        self.schedule = schedule
        self.target = target

    def happened_in(self, launch: str, device: str, *notes: str) -> None:
        """Say which launch failed, and on which device it fails in the same way again, as an expression."""
        lines = [*self._lines, *(f"  {note}" for note in notes), f"  in {launch}; again with {device}"]
        self.args = ("\n".join(lines),)


class OutOfBounds(SimulatorError):
    """An access outside every buffer of the launch, or outside the program's shared memory."""


class Misaligned(SimulatorError):
    """An access whose address is no multiple of its size."""


class Uninitialised(SimulatorError):
    """A read of memory that nothing has written."""


class DataRace(SimulatorError):
    """Two accesses of one place, one of them a write, that nothing orders."""


class Deadlock(SimulatorError):
    """All threads wait for each other."""


class Livelock(SimulatorError):
    """Threads poll, and nothing that they could see has changed for a long time."""


class Divergence(SimulatorError):
    """Threads that must meet are at different places, or some of them have ended."""


class NotResident(SimulatorError):
    """Programs wait for others that cannot start before they end: the grid does not fit on the device."""


class ResourceError(SimulatorError):
    """A launch that asks for more than there is, of the device or of this machine."""


class UnknownInstruction(SimulatorError):
    """An instruction that the simulator does not know."""


class Trapped(SimulatorError):
    """An assertion of the kernel, or an instruction used as it must not be."""


class ReplayError(SimulatorError):
    """A schedule that was found for another launch."""


class ScheduleFailed(SimulatorError):
    """An exploration has found a schedule under which what it checks fails; `__cause__` is the failure."""
