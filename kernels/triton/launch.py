"""How the resident loops are launched, and what they cannot serve: one small table, no tuning at run time.

A resident program holds the three recurrent matrices for all steps. How far that goes is read off compiled
kernels (`matrix.py`): the largest padded hidden size within the budget of spilled registers, for each
family of devices, and the shared memory that NVIDIA kernels ask for. Nothing here was timed on a GPU.

Settings, the same for every B and T:

    rows a program owns   16, the least that a matrix instruction takes: the most programs for a given batch
    warps, NVIDIA         HP/8, so that every warp of a product has 8 units to itself
    warps, AMD CDNA       1: for a product whose result enters the next one, Triton gives every warp the whole
                          tile of 16 rows, so further warps would repeat the work of the first
    warps, AMD RDNA       4, or 8 for 32 units in float32: the registers of fewer waves would not do
    floating-point fusion off: sums and products round one by one, so both polarities of the update gate give
                          mirror images to the last bit; matrix products are fused multiply-adds regardless
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from triton import knobs, next_power_of_2
from triton.runtime import driver

from ..names import PRECISIONS
from ..tensor_ops import compute_dtype

BATCH_TILE = 16
SMALLEST_TILE = 16

#: Largest padded hidden size for each storage dtype whose kernels keep to the budget of spilled registers
#: (`budgets.json`).
LARGEST = {
    "cuda": {torch.float16: 128, torch.bfloat16: 128, torch.float32: 64, torch.float64: 64},
    "cdna": {torch.float16: 64, torch.bfloat16: 64, torch.float32: 64, torch.float64: 32},
    "rdna": {torch.float16: 32, torch.bfloat16: 32, torch.float32: 32, torch.float64: 16},
}


@dataclass(frozen=True)
class Target:
    """A device as far as a launch depends on it.

    Attributes:
        family: cuda, cdna, rdna, or interpreter, which has no limits.
        shared_memory: Bytes that one program may have.
        precisions: Of float32 products, those that Triton has there.
    """

    family: str
    shared_memory: int
    precisions: tuple[str, ...] = PRECISIONS


INTERPRETER = Target("interpreter", 0)


@dataclass(frozen=True)
class Settings:
    """Launch settings: padded hidden size, batch rows of a program, warps, pipeline stages, fusion."""

    padded_hidden_size: int
    batch_tile: int
    num_warps: int
    num_stages: int = 1  # each loop requests its own next step
    enable_fp_fusion: bool = False


def simulated() -> Target | None:
    """The GPU that stands in for one, with tensors on the CPU, or None.

    The hook for simulators such as `symgru.kernels.simulator`: Triton's active driver may have an attribute
    `simulated`, which is None, or has a `name` (sm_90, gfx942) and `shared_memory`, the bytes of a program.
    """
    gpu = getattr(driver._active, "simulated", None)  # `driver.active` would look for a GPU
    return None if gpu is None else target_named(gpu.name, gpu.shared_memory)


def target_of(device: torch.device) -> Target:
    """The target that a tensor's device is; a CPU is the GPU that it simulates, or else the interpreter."""
    if device.type == "cpu":
        return simulated() or INTERPRETER
    properties = torch.cuda.get_device_properties(device)
    if torch.version.hip is None:
        return Target("cuda", properties.shared_memory_per_block_optin)
    architecture = properties.gcnArchName.partition(":")[0]  # gfx942:sramecc+:xnack-
    return target_named(architecture, properties.shared_memory_per_block)


def target_named(name: str, shared_memory: int) -> Target:
    """The target of a name such as sm_90 or gfx942, with so many bytes of shared memory for a program."""
    if name.startswith("sm_"):
        return Target("cuda", shared_memory)
    precisions = ("ieee", "tf32") if name == "gfx942" else ("ieee",)  # as in Triton's backend for AMD
    return Target(amd_family(name), shared_memory, precisions)


def amd_family(architecture: str) -> str:
    """Of gfx908, gfx90a, gfx942, … it is CDNA, of gfx10, gfx11, gfx12 RDNA."""
    return "cdna" if architecture.startswith("gfx9") else "rdna"


def padded(hidden_size: int) -> int:
    """The hidden size of a tile: the next power of two, at least 16."""
    return max(SMALLEST_TILE, next_power_of_2(hidden_size))


def settings(storage: torch.dtype, hidden_size: int, family: str) -> Settings:
    """The launch settings of a resident loop."""
    size = padded(hidden_size)
    rdna = size // 4 if storage is torch.float32 else 4
    warps = {"cuda": size // 8, "cdna": 1, "rdna": rdna, "interpreter": 1}[family]
    return Settings(size, BATCH_TILE, warps)


def shared_memory(storage: torch.dtype, hidden_size: int, precision: str = "ieee") -> int:
    """Bytes of shared memory that no resident loop exceeds: three matrices, and three tiles on their way.

    tf32x3 keeps each matrix as two of tf32.
    """
    size = padded(hidden_size)
    matrices = 6 if precision == "tf32x3" and storage is torch.float32 else 3
    return matrices * size * size * storage.itemsize + 3 * BATCH_TILE * size * compute_dtype(storage).itemsize


def obstacle(
    device: torch.device,
    storage: torch.dtype,
    hidden_size: int,
    precision: str = "ieee",
) -> str | None:
    """Why no Triton loop can serve a call on a device, or None; the same for every reset placement."""
    if simulated() is not None:
        if device.type != "cpu":
            return f"a simulated GPU takes tensors on the CPU, not on {device.type}"
    elif device.type == "cpu" and not knobs.runtime.interpret:
        return "a CPU takes Triton's interpreter: TRITON_INTERPRET=1, before triton is imported"
    if device.type != "cpu" and knobs.runtime.interpret:
        return "TRITON_INTERPRET=1 runs Triton on the CPU"
    return unsupported(storage, hidden_size, target_of(device), precision)


def unsupported(
    storage: torch.dtype, hidden_size: int, target: Target, precision: str = "ieee"
) -> str | None:
    """Why the resident strategy cannot serve a call, in words, or None.

    Args:
        storage: Dtype of the recurrent weights.
        hidden_size: H.
        target: The device, from `target_of`.
        precision: Of float32 products.
    """
    if storage not in LARGEST["cuda"]:
        return f"the resident Triton loop takes float64, float32, float16 or bfloat16 weights, not {storage}"
    if target.family == "interpreter":
        return "Triton's interpreter computes bfloat16 wrongly" if storage is torch.bfloat16 else None
    if target.family not in LARGEST:
        return f"the resident Triton loop knows {', '.join(LARGEST)}, not {target.family}"
    largest = LARGEST[target.family][storage]
    if padded(hidden_size) > largest:
        return (
            f"the resident Triton loop keeps all recurrent weights in one program, which in {storage} on "
            f"{target.family} goes to hidden size {largest}; this one is {hidden_size}"
        )
    if storage is torch.float32 and precision not in target.precisions:
        return (
            f"Triton has float32 products in {' and '.join(target.precisions)} precision there, "
            f"not in {precision}"
        )
    needed = shared_memory(storage, hidden_size, precision)
    if target.family == "cuda" and needed > target.shared_memory:
        return (
            f"the resident Triton loop needs up to {needed} bytes of shared memory for hidden size "
            f"{hidden_size} in {storage}; the device has {target.shared_memory}"
        )
    return None
