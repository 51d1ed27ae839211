"""What can be read off a compiled kernel without running it, the same for both vendors.

    read(device.launches[0].binary).registers

NVIDIA from the cubin, with the tools in Triton's wheel; AMD from the assembler's text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import amdgcn, sass, timeline
from .targets import TARGETS

MEMORY = ("global load", "global store", "shared load", "shared store", "asynchronous copy")


@dataclass(frozen=True)
class Code:
    """A piece of code: the kernel, or one of its loops.

    Attributes:
        instructions: How many of each kind; the kinds are those of `sass.UNITS` and `amdgcn.KINDS`.
        matrix: How many matrix instructions of each mnemonic.
        widths: Loads and stores: how many of each kind and bytes a thread, as "global load 16".
        cycles: Modelled cycles of an iteration (`timeline.py` says how far to trust them); None for AMD, and
            for what is not a loop.
    """

    instructions: Mapping[str, int]
    matrix: Mapping[str, int]
    widths: Mapping[str, int]
    cycles: timeline.Cycles | None = None

    @property
    def size(self) -> int:
        """Instructions in all."""
        return sum(self.instructions.values())

    @property
    def barriers(self) -> int:
        """Barriers of the program."""
        return self.instructions.get("barrier", 0)

    @property
    def global_bytes(self) -> int:
        """Bytes of a thread that loads, stores and asynchronous copies of global memory move."""
        moved = (
            int(name.rpartition(" ")[2]) * count
            for name, count in self.widths.items()
            if not name.startswith("shared")
        )
        return sum(moved)


@dataclass(frozen=True)
class Static:
    """A compiled kernel.

    Attributes:
        registers: Of a thread, of 32 bits.
        spilled: Bytes of a thread: for NVIDIA what the code stores into local memory, for AMD what the
            assembler says.
        stack: Bytes of a thread.
        shared_memory, shared_memory_limit: Bytes of a program, and how many it may have.
        programs_at_once: The largest grid that is resident at once on the target's product.
        code: All of it.
        loops: Inner loops first.
    """

    kernel: str
    target: str
    warps: int
    registers: int
    spilled: int
    stack: int
    shared_memory: int
    shared_memory_limit: int
    programs_at_once: int
    code: Code
    loops: tuple[Code, ...]

    @property
    def longest_loop(self) -> Code | None:
        """The loop with the most instructions; in a recurrent kernel the one over time."""
        return max(self.loops, key=lambda loop: loop.size, default=None)


def read(compiled: Any) -> Static:
    """Read a kernel: a `Binary` of a launch, or what `triton.compile` returns.

    Raises:
        ValueError: It is for a target that is not in the table.
    """
    architecture = compiled.metadata.target.arch
    name = f"sm_{architecture}" if isinstance(architecture, int) else architecture
    if name not in TARGETS:
        raise ValueError(f"expected a kernel for one of {', '.join(TARGETS)}, got one for {name}")
    target, metadata = TARGETS[name], compiled.metadata
    reader = _nvidia if target.backend == "cuda" else _amd
    registers, spilled, stack, code, loops = reader(compiled.asm)
    threads = metadata.num_warps * target.warp_size
    return Static(
        kernel=compiled.name,
        target=name,
        warps=metadata.num_warps,
        registers=registers,
        spilled=spilled,
        stack=stack,
        shared_memory=metadata.shared,
        shared_memory_limit=target.shared_memory,
        programs_at_once=target.programs_at_once(threads, registers, metadata.shared),
        code=code,
        loops=loops,
    )


def _nvidia(asm: Mapping[str, Any]) -> tuple[int, int, int, Code, tuple[Code, ...]]:
    used = sass.usage(asm["cubin"])
    instructions, found = sass.disassemble(asm["cubin"])
    spilled = sum(sass.width(i.name) for i in instructions if sass.unit(i.name).kind == "local store")

    def code(part: Sequence[sass.Instruction], modelled: timeline.Cycles | None = None) -> Code:
        return _code([i.name for i in part], lambda name: sass.unit(name).kind, sass.width, modelled)

    bodies = [instructions[first : last + 1] for first, last in found]
    loops = tuple(code(body, timeline.cycles(body)) for body in bodies)
    return used.registers, spilled, used.stack, code(instructions), loops


def _amd(asm: Mapping[str, Any]) -> tuple[int, int, int, Code, tuple[Code, ...]]:
    used = amdgcn.usage(asm["amdgcn"])
    instructions, found = amdgcn.parse(asm["amdgcn"])
    names = [i.name for i in instructions]
    loops = tuple(_code(names[first : last + 1], amdgcn.kind, amdgcn.width) for first, last in found)
    return used.registers, 4 * used.spilled, used.stack, _code(names, amdgcn.kind, amdgcn.width), loops


def _code(
    names: Sequence[str],
    kind: Callable[[str], str],
    width: Callable[[str], int],
    cycles: timeline.Cycles | None = None,
) -> Code:
    kinds = [kind(name) for name in names]
    pairs = list(zip(kinds, names, strict=True))
    return Code(
        instructions=dict(Counter(kinds).most_common()),
        matrix=dict(Counter(_short(name) for k, name in pairs if k == "matrix").most_common()),
        widths=dict(Counter(f"{k} {width(name)}" for k, name in pairs if k in MEMORY).most_common()),
        cycles=cycles,
    )


def _short(mnemonic: str) -> str:
    """HMMA.16816.F32 whole, without what does not say which product it is."""
    return re.sub(r"\.(?:gdesc|reuse)\b", "", mnemonic)
