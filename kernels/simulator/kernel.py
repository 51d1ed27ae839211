"""A kernel that Triton compiled for a GPU, as a function that runs here."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Sequence
from typing import Any, Protocol

from . import runtime
from .errors import SimulatorError
from .installation import fences_waves
from .library import library
from .machine import Code, compiled
from .module import ENTRY, Module, translate
from .runtime import Argument
from .text import float_bits

_INTEGERS = {"i1": 1, "i8": 1, "i16": 2, "i32": 4, "i64": 8, "ptr": 8}
_FLOATS = {"half": ("e", 2), "float": ("f", 4), "double": ("d", 8)}
#: The race detector's places have 1, 2 or 4 bytes.
_LARGEST_GRANULE = 4


class Compiled(Protocol):
    """What is needed of Triton's compiled kernels."""

    @property
    def asm(self) -> Any:
        """The text of each stage by its name."""

    @property
    def metadata(self) -> Any:
        """Triton's: shared, num_warps, target."""


class Kernel:
    """The LLVM IR of one compiled kernel, translated and made executable.

    Attributes:
        module: The translation: its text, parameters and source lines.
        target: Name of the GPU, such as sm_90 or gfx942.
    """

    def __init__(self, kernel: Compiled) -> None:
        """Translate.

        Args:
            kernel: `asm["llir"]` is the text, `metadata` Triton's: shared, num_warps, target.

        Raises:
            UnknownInstruction: the kernel has an instruction that the simulator does not know.
        """
        gpu = kernel.metadata.target
        self.target = f"sm_{gpu.arch}" if gpu.backend == "cuda" else str(gpu.arch)
        self.module: Module = translate(kernel.asm["llir"], self.target)
        self._lanes = int(gpu.warp_size)
        self._lockstep = (1 if fences_waves() else 2) if gpu.backend == "hip" else 0
        self._threads = int(kernel.metadata.num_warps) * self._lanes
        self._shared = int(kernel.metadata.shared)
        self._code: Code | None = None

    def launch(
        self,
        grid: Sequence[int],
        arguments: Sequence[Argument],
        buffers: Sequence[runtime.Buffer] = (),
        schedule: runtime.Schedule | None = None,
        checks: runtime.Checks | None = None,
        resident: int | None = None,
        **options: Any,
    ) -> runtime.Counters:
        """Run the kernel.

        Args:
            grid: Number of programs along up to three axes.
            arguments: Name, Triton's type and value of each: an address for a pointer. Surplus ones at the
                end, which are scratch memory that this kernel does not take, are left out.
            buffers: The memory that it may touch.
            schedule: Which thread runs next; the one that has been ready longest if None.
            checks: What is checked; everything if None.
            resident: Programs that are resident at once; all if None.
            options: Further ones of `runtime.launch`.

        Returns:
            What was counted, by name.

        Raises:
            SimulatorError: of the kind that says what is wrong.
        """
        packed = ctypes.create_string_buffer(pack(self.module.parameters, arguments))
        code = self._executable()
        tables = [
            runtime.Buffer(code.addresses[name], size, f"constant {name}")
            for name, size in self.module.constants.items()
        ]
        return runtime.launch(
            code.addresses[ENTRY],
            packed,
            tuple(grid),
            self._threads,
            self._shared,
            [*buffers, *tables],
            runtime.fifo() if schedule is None else schedule,
            runtime.Checks.ALL if checks is None else checks,
            lanes=self._lanes,
            lockstep=self._lockstep,
            granule=self._granule(),
            resident=resident or 0,
            sites=self.site,
            target=self.target,
            **options,
        )

    def site(self, index: int) -> str:
        """The source line and the instruction that an index stands for."""
        return self.module.sites.get(index, "unknown place")

    def _granule(self) -> int:
        smallest = min(self.module.smallest, _LARGEST_GRANULE)
        return smallest if smallest in (1, 2, 4) else 1

    def _executable(self) -> Code:
        if self._code is None:
            self._code = compiled(self.module.text, (ENTRY, *self.module.constants), library())
        return self._code


def pack(parameters: Sequence[str], arguments: Sequence[Argument]) -> bytes:
    """The arguments as the structure that the translated kernel reads: each at a multiple of its size.

    Args:
        parameters: LLVM types.
        arguments: Name, Triton's type, value.

    Raises:
        SimulatorError: there are fewer arguments than parameters, or a type that no argument can have.
    """
    if len(arguments) < len(parameters):
        names = ", ".join(name for name, _, _ in arguments)
        raise SimulatorError(f"expected {len(parameters)} arguments, got {len(arguments)}: {names}")
    packed = bytearray()
    for type_, (name, _, value) in zip(parameters, arguments, strict=False):
        data = _bytes(type_, name, value)
        packed += bytes(-len(packed) % len(data)) + data
    return bytes(packed)


def _bytes(type_: str, name: str, value: int | float) -> bytes:
    try:
        if type_ in _FLOATS:
            return struct.pack(f"<{_FLOATS[type_][0]}", value)
        if type_ == "bfloat":
            return struct.pack("<H", float_bits(value, type_))
    except OverflowError:
        expected = f"expected a number that {type_} holds, or an infinity"
        raise SimulatorError(f"argument {name}: {expected}, got {value!r}") from None
    if type_ not in _INTEGERS:
        raise SimulatorError(f"argument {name}: expected a number or a pointer, the kernel takes {type_}")
    size = _INTEGERS[type_]
    return (int(value) & ((1 << 8 * size) - 1)).to_bytes(size, "little")
