"""Run what Triton compiles for a GPU on a CPU, and find what is wrong with it.

    with simulator.device("sm_90", seed=3) as device:
        kernel[grid](x, y, n, BLOCK=128)              # tensors on the CPU

The kernel goes through Triton's own JIT to the machine code of the target; the LLVM IR on the way there is
executed with every GPU thread as a thread of its own, in an order that a seed chooses. Errors of the kernel
are exceptions, all of them `SimulatorError`.
"""

from .driver import Device, Launch, device
from .errors import (
    DataRace,
    Deadlock,
    Divergence,
    Livelock,
    Misaligned,
    NotResident,
    OutOfBounds,
    ReplayError,
    ResourceError,
    ScheduleFailed,
    SimulatorError,
    Trapped,
    Uninitialised,
    UnknownInstruction,
)
from .explore import Exploration, explore
from .schedules import Schedule, fifo, pct, random, replay
from .targets import TARGETS, Target

__all__ = [
    "TARGETS",
    "DataRace",
    "Deadlock",
    "Device",
    "Divergence",
    "Exploration",
    "Launch",
    "Livelock",
    "Misaligned",
    "NotResident",
    "OutOfBounds",
    "ReplayError",
    "ResourceError",
    "Schedule",
    "ScheduleFailed",
    "SimulatorError",
    "Target",
    "Trapped",
    "Uninitialised",
    "UnknownInstruction",
    "device",
    "explore",
    "fifo",
    "pct",
    "random",
    "replay",
]
