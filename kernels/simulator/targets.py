"""The GPUs that are simulated: what Triton compiles for, and how much of everything there is.

Sources. NVIDIA: CUDA C++ Programming Guide, tables "Technical Specifications per Compute Capability" and
"Shared memory per compute capability" (1 KiB of a processor's shared memory goes to each resident program).
AMD: ROCm documentation "AMD GPU specifications" (wavefront, LDS, VGPR file, compute units); waves for each
SIMD, allocation granules and programs for each compute unit from LLVM's AMDGPUBaseInfo. `processors` counts
those of the product that is named: other products of the same architecture have more or fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from triton.backends.compiler import GPUTarget

KIB = 1024


@dataclass(frozen=True)
class Target:
    """A GPU, as far as a kernel can run out of it. Sizes in bytes; registers are of 32 bits.

    A processor is a streaming multiprocessor or a compute unit. Its warps lie in `partitions` (schedulers,
    SIMDs); each has `registers_per_lane` registers for a lane, given to warps by the `register_granule`.

    Attributes:
        name: As the compilers write it: sm_90, gfx942.
        product: The GPU whose `processors` these are.
        warp_size: Threads of a warp or wavefront.
        shared_memory: What one program may have.
        registers_per_thread: What one thread may have; AMD's accumulation registers included.
        threads_per_program: What one program may have.
    """

    name: str
    product: str
    processors: int
    warp_size: int
    shared_memory: int
    shared_memory_per_processor: int
    shared_memory_reserved: int
    registers_per_thread: int
    registers_per_lane: int
    register_granule: int
    partitions: int
    threads_per_processor: int
    programs_per_processor: int
    threads_per_program: int = 1024

    @property
    def backend(self) -> str:
        """Triton's name of the vendor's compiler: cuda or hip."""
        return "cuda" if self.name.startswith("sm_") else "hip"

    @property
    def architecture(self) -> int | str:
        """Triton's name of the architecture: 90 or "gfx942"."""
        return int(self.name.removeprefix("sm_")) if self.backend == "cuda" else self.name

    @property
    def triton(self) -> GPUTarget:
        """The same for `triton.compile`."""
        return GPUTarget(self.backend, self.architecture, self.warp_size)

    def programs_at_once(self, threads: int, registers: int, shared_memory: int) -> int:
        """How many programs the GPU holds at once: the largest grid whose programs may wait for each other.

        Args:
            threads: Threads of a program.
            registers: Registers of a thread.
            shared_memory: Bytes of a program.
        Returns:
            A count; 0 if not even one program fits.
        """
        if threads > self.threads_per_program or registers > self.registers_per_thread:
            return 0
        if shared_memory > self.shared_memory:
            return 0
        warps = -(-threads // self.warp_size)
        given = -(-max(registers, 1) // self.register_granule) * self.register_granule
        slots = min(
            self.partitions * (self.registers_per_lane // given), self.threads_per_processor // self.warp_size
        )
        needed = shared_memory + self.shared_memory_reserved
        by_memory = self.shared_memory_per_processor // needed if needed else self.programs_per_processor
        return self.processors * min(slots // warps, by_memory, self.programs_per_processor)


def _nvidia(name: str, product: str, processors: int, shared: int, threads: int, programs: int) -> Target:
    """`shared`: KiB of a processor, of which a program may have all but one."""
    return Target(
        name=name,
        product=product,
        processors=processors,
        warp_size=32,
        shared_memory=(shared - 1) * KIB,
        shared_memory_per_processor=shared * KIB,
        shared_memory_reserved=KIB,
        registers_per_thread=255,
        registers_per_lane=512,
        register_granule=8,
        partitions=4,
        threads_per_processor=threads,
        programs_per_processor=programs,
    )


def _cdna(name: str, product: str, processors: int, shared: int = 64) -> Target:
    return Target(
        name=name,
        product=product,
        processors=processors,
        warp_size=64,
        shared_memory=shared * KIB,
        shared_memory_per_processor=shared * KIB,
        shared_memory_reserved=0,
        registers_per_thread=512,
        registers_per_lane=512,
        register_granule=8,
        partitions=4,
        threads_per_processor=2048,
        programs_per_processor=16,
    )


def _rdna(name: str, product: str, processors: int) -> Target:
    """Half of a work-group processor, which has 128 KiB of LDS for its two compute units."""
    return Target(
        name=name,
        product=product,
        processors=processors,
        warp_size=32,
        shared_memory=64 * KIB,
        shared_memory_per_processor=64 * KIB,
        shared_memory_reserved=0,
        registers_per_thread=256,
        registers_per_lane=1536,
        register_granule=24,
        partitions=2,
        threads_per_processor=1024,
        programs_per_processor=16,
    )


TARGETS = {
    target.name: target
    for target in (
        _nvidia("sm_80", "A100", 108, shared=164, threads=2048, programs=32),
        _nvidia("sm_86", "RTX 3090", 82, shared=100, threads=1536, programs=16),
        _nvidia("sm_89", "RTX 4090", 128, shared=100, threads=1536, programs=24),
        _nvidia("sm_90", "H100 SXM", 132, shared=228, threads=2048, programs=32),
        _nvidia("sm_100", "B200", 148, shared=228, threads=2048, programs=32),
        _nvidia("sm_103", "B300", 160, shared=228, threads=2048, programs=32),
        _nvidia("sm_120", "RTX 5090", 170, shared=100, threads=1536, programs=24),
        _cdna("gfx90a", "MI250X, one die", 110),
        _cdna("gfx942", "MI300X", 304),
        _cdna("gfx950", "MI355X", 256, shared=160),
        _rdna("gfx1100", "Radeon RX 7900 XTX", 96),
        _rdna("gfx1151", "Radeon 8060S", 40),
        _rdna("gfx1201", "Radeon RX 9070 XT", 64),
    )
}


def target(name: str) -> Target:
    """The GPU of a name.

    Raises:
        ValueError: There is none of this name.
    """
    if name not in TARGETS:
        raise ValueError(f"expected a target of {', '.join(TARGETS)}, got {name!r}")
    return TARGETS[name]
