"""A Triton driver without a GPU: `kernel[grid](cpu_tensors)` compiles for a GPU and runs here.

Triton's own JIT does all it does on a device: it specialises, looks into its caches, compiles down to the
machine code of the target, checks the resources, tunes. In place of loading the machine code, the driver runs
the LLVM IR it was made of (`kernel.py`).

Rules. A device is current in the thread that entered it, until it leaves; the innermost counts, and other
threads may have other devices at the same time. Launches run one after another. Triton's driver is replaced
while any thread has a device, and the former one is back after the last has left, also after an error; a
thread without a device cannot launch meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import torch
from triton.backends.driver import DriverBase

from . import amdgcn, runtime, sass
from .arguments import ArgumentError, Storage, convert, leaves, storages
from .binary import Binary, binary_of
from .errors import NotResident, ResourceError, SimulatorError, UnknownInstruction
from .installation import installed
from .targets import TARGETS, Target, target

_current: ContextVar[Device | None] = ContextVar("simulated device", default=None)


@dataclass(frozen=True)
class Launch:
    """What was run.

    Attributes:
        name: Of the kernel.
        grid: Programs along x, y, z.
        target, schedule: Where and in which order; the same again gives the same run.
        counters: What the programs did, by name; empty if the launch failed.
        seconds: How long it took; the first time with compiling the translated kernel for this machine.
        binary: The compiled kernel: texts of each stage and Triton's metadata.
    """

    name: str
    grid: tuple[int, int, int]
    target: str
    schedule: str
    counters: Mapping[str, int]
    seconds: float
    binary: Binary = field(repr=False)


@dataclass
class Device:
    """A simulated GPU: how its launches run, and which have run. Made by `device`."""

    target: Target
    schedule: runtime.Schedule
    races: bool
    coresident: int | None
    uninitialised: frozenset[str]
    rewrite: Callable[[str], str] | None
    launches: list[Launch] = field(default_factory=list)
    _registered: list[tuple[str, torch.Tensor]] = field(default_factory=list)
    #: By address, the memory declared uninitialised that a launch has had; kept, so that no other gets there.
    _given: dict[int, torch.Tensor] = field(default_factory=dict)
    _pointers: set[str] = field(default_factory=set)  # names of what launches have got
    _declared: set[str] = field(default_factory=set)  # of `uninitialised`, what is among them

    def register(self, name: str, tensor: torch.Tensor) -> None:
        """Let kernels access a tensor that is not an argument, only pointed to by one."""
        self._registered.append((name, tensor))

    def launch(self, binary: Binary, grid: tuple[int, int, int], values: tuple[Any, ...]) -> None:
        """Run a compiled kernel on all the arguments of its Python function.

        Raises:
            SimulatorError: What the simulator found; the message says how to see it again.
        """
        named = list(leaves(binary.signature, values))
        arguments = [convert(*leaf) for leaf in named]
        memory = storages([(name, value) for name, _, value in named] + self._registered)
        if getattr(binary.metadata, "num_ctas", 1) != 1:
            raise UnknownInstruction(f"kernel {binary.name}: clusters are not simulated, num_ctas must be 1")
        if getattr(binary.metadata, "tensordesc_meta", None):
            raise UnknownInstruction(
                f"kernel {binary.name}: for {self.target.name} Triton makes tensor descriptors of the host "
                "into those of the Tensor Memory Accelerator, which is not simulated; for sm_80, sm_86, "
                "sm_89 and AMD it takes them apart"
            )
        kernel = binary.kernel(self.rewrite)
        record = Launch(binary.name, grid, self.target.name, str(self.schedule), {}, 0.0, binary)
        started = time.perf_counter()
        try:
            counters = self._run(kernel, binary, grid, arguments, memory)
        except SimulatorError as error:
            self.launches.append(record)
            limit = [self._limit(binary)] if isinstance(error, NotResident) else []
            error.happened_in(f"kernel {binary.name}, grid {grid}", self.again(), *limit)
            raise
        seconds = time.perf_counter() - started
        self.launches.append(Launch(**{**vars(record), "counters": dict(counters), "seconds": seconds}))

    def _run(
        self,
        kernel: Any,
        binary: Binary,
        grid: tuple[int, int, int],
        arguments: list[runtime.Argument],
        memory: list[Storage],
    ) -> Mapping[str, int]:
        buffers = [runtime.Buffer(m.address, m.size, m.name, self._unwritten(m)) for m in memory]
        scratch = _scratch(binary, grid)
        for name, tensor in scratch.items():
            arguments.append((name, "*i8", tensor.data_ptr()))
            buffers.append(runtime.Buffer(tensor.data_ptr(), tensor.numel(), name, uninitialised=True))
        counters: Mapping[str, int] = kernel.launch(
            grid,
            arguments,
            buffers=[buffer for buffer in buffers if buffer.bytes],
            schedule=self.schedule,
            checks=runtime.Checks.ALL if self.races else runtime.Checks.FAST,
            resident=self.coresident or self._fitting(binary),
            number=len(self.launches),
        )
        return counters

    def _fitting(self, binary: Binary) -> int:
        """How many programs the target holds at once, by threads, registers and shared memory."""
        threads, shared = binary.metadata.num_warps * self.target.warp_size, binary.metadata.shared
        registers = _usage(self.target.backend, binary.machine_code).registers
        count = self.target.programs_at_once(threads, registers, shared)
        if count == 0:
            raise ResourceError(
                f"kernel {binary.name}: no program of {threads} threads with {registers} registers each and "
                f"{shared} bytes of shared memory fits on {self.target.name}"
            )
        return count

    def _limit(self, binary: Binary) -> str:
        if self.coresident is not None:
            return f"{self.coresident} programs are resident at once, as coresident= says"
        product, program = self.target.product, binary.metadata
        return (
            f"{self.target.name} ({product}) holds {self._fitting(binary)} programs at once, by the "
            f"{program.num_warps} warps, registers and {program.shared} bytes of shared memory of each"
        )

    def _unwritten(self, memory: Storage) -> bool:
        """Whether a launch gets memory that is declared uninitialised; the first one may write it.

        Raises:
            ArgumentError: One of the arguments that share it was declared so, and another one not.
        """
        self._pointers |= set(memory.names)
        declared = self.uninitialised.intersection(memory.names)
        self._declared |= declared
        if declared and declared != set(memory.names):
            raise ArgumentError(
                f"arguments {memory.name} share their memory: expected all or none of them in "
                f"uninitialised=, got {sorted(declared)}"
            )
        if not declared or memory.address in self._given:
            return False
        self._given[memory.address] = memory.tensor
        return True

    def check_names(self) -> None:
        """Whether every name in `uninitialised` was that of an argument.

        Raises:
            ArgumentError: One was not, although something was launched.
        """
        unknown = sorted(self.uninitialised - self._declared)
        if self.launches and unknown:
            raise ArgumentError(
                f"uninitialised={unknown}: expected names of pointer arguments of what was launched, which "
                f"has {', '.join(sorted(self._pointers)) or 'none'}"
            )

    def again(self) -> str:
        """What enters the same device again, as a user writes it; a rewrite is named, to be passed again."""
        options = f'"{self.target.name}", schedule={self.schedule}'
        if not self.races:
            options += ", races=False"
        if self.coresident is not None:
            options += f", coresident={self.coresident}"
        if self.uninitialised:
            options += f", uninitialised={sorted(self.uninitialised)}"
        if self.rewrite is None:
            return f"simulator.device({options})"
        return f"simulator.device({options}, rewrite=rewrite), where rewrite = {_name(self.rewrite)}"


@lru_cache(maxsize=256)
def _usage(backend: str, code: bytes) -> sass.Usage | amdgcn.Usage:
    """What a thread of a kernel takes, from its machine code."""
    return sass.usage(code) if backend == "cuda" else amdgcn.usage_of_binary(code)


def _name(function: Callable[..., object]) -> str:
    """Where a function is found; for what has no name of its own, what it says it is."""
    name = getattr(function, "__qualname__", "<")
    return repr(function) if "<" in name or hasattr(function, "__self__") else f"{function.__module__}.{name}"


def _scratch(binary: Binary, grid: tuple[int, int, int]) -> dict[str, torch.Tensor]:
    """The hidden arguments: memory that the compiler asks for, a share for each program."""
    metadata, programs = binary.metadata, grid[0] * grid[1] * grid[2]
    shares = {
        name: getattr(metadata, f"{name}_size", None) or 0 for name in ("global_scratch", "profile_scratch")
    }
    return {name: torch.empty(size * programs, dtype=torch.int8) for name, size in shares.items()}


@contextmanager
def device(
    name: str,
    *,
    seed: int | None = None,
    schedule: str | runtime.Schedule | None = None,
    races: bool = True,
    coresident: int | None = None,
    uninitialised: Collection[str] = (),
    rewrite: Callable[[str], str] | None = None,
) -> Iterator[Device]:
    """Let Triton kernels run on a simulated GPU in this thread.

        with simulator.device("sm_90", seed=3) as device:
            kernel[grid](x, y, x.numel(), BLOCK=128)      # tensors on the CPU
        print(device.launches[0].counters)

    Args:
        name: sm_80, ..., gfx1201; `targets.TARGETS` has all.
        seed: Which of the schedules of a kind.
        schedule: "fifo", "random" or "pct", or a schedule made by the functions of these names; without
            it, fifo if there is no seed and random if there is one.
        races: Look for data races, at the cost of time.
        coresident: How many programs are resident at once; if None, as many as the target's multiprocessors
            have room for, by threads, registers and shared memory (targets.py has the sources).
        uninitialised: Names of kernel arguments whose memory counts as not written, in the first launch that
            gets it; later ones find what that has left.
        rewrite: Applied to the text of the LLVM IR before it runs: plants an error.
    Yields:
        The device; its `launches` grow.
    Raises:
        ValueError: An unknown name of a target or schedule, or a count under 1.
        SimulatorError: From a launch. From here: this version of Triton, or its interpreter in the way. At
            the end: a name in `uninitialised` that no launch has.
    """
    if coresident is not None and coresident < 1:
        raise ValueError(f"expected coresident >= 1 or None, got {coresident}")
    if isinstance(uninitialised, str):
        raise ValueError(f"expected names of arguments, such as ({uninitialised!r},), got one string")
    chosen = _schedule(schedule, seed)
    made = Device(target(name), chosen, races, coresident, frozenset(uninitialised), rewrite)
    with installed(_DRIVER, lambda: current().target.name):
        token = _current.set(made)
        try:
            yield made
        finally:
            _current.reset(token)
    made.check_names()


def _schedule(chosen: str | runtime.Schedule | None, seed: int | None) -> runtime.Schedule:
    if isinstance(chosen, runtime.Schedule):
        if seed is not None:
            raise ValueError(f"expected a schedule by name beside a seed, got {chosen}, which has its own")
        return chosen
    if seed is not None and (type(seed) is not int or not 0 <= seed < 2**64):
        raise ValueError(f"expected a seed from 0 to 2**64 - 1, got {seed!r}")
    name = ("fifo" if seed is None else "random") if chosen is None else chosen
    if name not in ("fifo", "random", "pct"):
        raise ValueError(f"expected the schedule fifo, random or pct, got {name!r}")
    return runtime.fifo() if name == "fifo" else getattr(runtime, name)(seed or 0)


def current() -> Device:
    """The device of this thread.

    Raises:
        SimulatorError: It has none.
    """
    found = _current.get()
    if found is None:
        raise SimulatorError(
            "Triton's driver is the simulator's, because another thread has entered a simulated device, and "
            "this thread has none: enter simulator.device(...) here too"
        )
    return found


class _Launcher:
    """What Triton calls to launch a kernel; it serves every later device of the target too."""

    def __init__(self, source: Any, metadata: Any) -> None:
        self.binary = binary_of(source, metadata)

    def __call__(
        self,
        x: int,
        y: int,
        z: int,
        stream: Any,
        function: Any,
        packed: Any,
        metadata: Any,
        enter: Any,
        leave: Any,
        *values: Any,
    ) -> None:
        if x * y * z <= 0:
            return
        if enter is not None:
            enter(metadata)
        current().launch(self.binary, (x, y, z), values)
        if leave is not None:
            leave(metadata)


class _Utilities:
    """What Triton asks of a vendor's driver library."""

    @staticmethod
    def get_device_properties(number: int) -> dict[str, int]:
        """The limits that Triton compares a kernel with. A simulated device has no clocks."""
        gpu = current().target
        return {
            "max_shared_mem": gpu.shared_memory,
            "max_num_regs": gpu.registers_per_lane * gpu.partitions * gpu.warp_size,
            "multiprocessor_count": gpu.processors,
            "max_threads_per_sm": gpu.threads_per_processor,
            "warpSize": gpu.warp_size,
        }

    @staticmethod
    def load_binary(name: str, kernel: bytes, shared: int, number: int) -> tuple[None, None, int, int, int]:
        """(module, function, registers, spilled registers, threads that a program may have).

        There is no module, so Triton has nothing to unload when the device is gone. As the vendors' drivers,
        this one takes all local memory of a thread for spilled registers.
        """
        gpu = current().target
        used = _usage(gpu.backend, kernel)
        return None, None, used.registers, used.stack // 4, gpu.threads_per_program


class _SimulatedDriver(DriverBase):
    """Serves every simulated device; which one, `current` says."""

    #: Triton keeps one compiled kernel for each number of a device; a GPU of this machine has a small one.
    numbers: Mapping[str, int] = {name: 1000 + i for i, name in enumerate(TARGETS)}

    def __init__(self) -> None:
        super().__init__()
        self.utils = _Utilities()
        self.launcher_cls = _Launcher

    @classmethod
    def is_active(cls) -> bool:
        """Never chosen by Triton itself."""
        return False

    @property
    def simulated(self) -> Target | None:
        """The GPU that this thread simulates, for code that asks Triton's active driver; None without one."""
        found = _current.get()
        return None if found is None else found.target

    def map_python_to_cpp_type(self, ty: str) -> str:
        """Triton's launchers are C, this one is not."""
        return ty

    def get_current_target(self) -> Any:
        """What Triton compiles for."""
        return current().target.triton

    def get_current_device(self) -> int:
        """A number for each target."""
        return self.numbers[current().target.name]

    def set_current_device(self, number: int) -> None:
        """`device` chooses."""
        if number != self.get_current_device():
            raise SimulatorError(
                f"expected device {self.get_current_device()}, the simulated one, got {number}"
            )

    def get_current_stream(self, number: int) -> int:
        """The default one: launches run at once."""
        return 0

    def get_active_torch_device(self) -> torch.device:
        """Where its memory is."""
        return torch.device("cpu")

    def get_device_interface(self) -> Any:
        """Streams and events, which `triton.testing.do_bench` measures with: a simulated device has none."""
        raise SimulatorError("a simulated device has no clock: nothing can be timed on it")

    def get_benchmarker(self) -> Callable[..., Any]:
        """For the autotuner: every configuration runs once, all take as long, the first valid one wins."""

        def run_once(call: Callable[[], Any], quantiles: Any = None, **ignored: Any) -> Any:
            call()
            return [1.0] * len(quantiles) if quantiles else 1.0

        return run_once


_DRIVER = _SimulatedDriver()
