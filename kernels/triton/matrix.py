"""The compile matrix: which kernels are compiled for which GPUs, and what must hold of each.

A kernel is a loop of `ahead.py` or `back.py` with one target, dtype, precision and hidden size. The matrix
has every one that `launch.py` serves, but
- one polarity, and `after` for `whole`: the same loop with the same operations in another order,
- bfloat16 and the TF32 precisions at the largest hidden size only: their settings are those of float16, ieee,
- lengths with the reset gate after the product, in float16 and float32, at the largest hidden size.

What was found, with Triton 3.9.0:
- `tl.dot` takes float64 on every target: DMMA (not on sm_100 with Triton 3.7.1), MFMA, or plain fused
  multiply-adds.
- A tile of 16 rows never becomes wgmma (sm_90) or tcgen05 (sm_100): those want 64. It becomes mma.sync.
- float32 in ieee precision is fused multiply-adds on NVIDIA and matrix instructions on CDNA.
- Fused multiply-adds stay in the products with enable_fp_fusion=False; only the pointwise part rounds twice.
- NVIDIA kernels keep the three matrices in shared memory, AMD kernels in registers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import triton

from ..simulator.static import Static
from ..simulator.targets import TARGETS
from .compile import DTYPES, PASSES, Kernel, precisions, served
from .launch import shared_memory

RESETS = ("after", "before")
HALF = ("float16", "bfloat16")
NO_DOUBLE_MMA = ("sm_86", "sm_89", "sm_120")
#: Releases of Triton that do without it on others.
NO_DOUBLE_MMA_IN = {"3.7.1": ("sm_100", "sm_103")}


def matrix(targets: Sequence[str] = tuple(TARGETS)) -> Iterator[Kernel]:
    """All kernels of the matrix."""
    for target, storage in product(targets, DTYPES):
        for precision in precisions(storage):
            sizes = tuple(served(target, storage, precision))
            largest_only = storage == "bfloat16" or precision != "ieee"
            for size, reset, pass_ in product(sizes[-1:] if largest_only else sizes, RESETS, PASSES):
                yield Kernel(target, pass_, reset, storage, size, precision)
            if sizes and precision == "ieee" and storage in ("float16", "float32"):
                for pass_ in ("forward", "tangent"):
                    yield Kernel(target, pass_, "after", storage, sizes[-1], lengths=True)


def fast(targets: Sequence[str] = tuple(TARGETS)) -> Iterator[Kernel]:
    """A part of the matrix that takes seconds: for each target two kernels, dtypes and loops in turn."""
    for i, target in enumerate(targets):
        for j, storage in enumerate(("float16", "float32")):
            sizes = tuple(served(target, storage, "ieee"))
            pass_, reset = PASSES[(i + j) % 3], RESETS[(i + j) % 2]
            yield Kernel(target, pass_, reset, storage, sizes[min(1, len(sizes) - 1)])


def expected_instruction(kernel: Kernel) -> str | None:
    """How the matrix instruction begins that the products should become; None for plain multiply-adds."""
    if kernel.family == "cdna":
        return "v_mfma"
    if kernel.family == "rdna":
        return "v_wmma" if kernel.storage in HALF else None
    if kernel.storage == "float64":
        without = NO_DOUBLE_MMA + NO_DOUBLE_MMA_IN.get(triton.__version__, ())
        return None if kernel.target in without else "DMMA"
    return None if (kernel.storage, kernel.precision) == ("float32", "ieee") else "HMMA"


def problems(kernel: Kernel, found: Static) -> list[str]:
    """What is wrong with a compiled kernel whatever its budget says, in sentences."""
    complaints = []
    if found.shared_memory > found.shared_memory_limit:
        complaints.append(
            f"{kernel}: needs {found.shared_memory} bytes of shared memory, "
            f"the target has {found.shared_memory_limit}"
        )
    promised = shared_memory(DTYPES[kernel.storage][0], kernel.hidden_size, kernel.precision)
    if found.shared_memory > promised:
        complaints.append(
            f"{kernel}: needs {found.shared_memory} bytes of shared memory, "
            f"launch.shared_memory promises {promised}"
        )
    wanted, present = expected_instruction(kernel), sorted(found.code.matrix)
    if bool(wanted) != bool(present) or not all(name.startswith(str(wanted)) for name in present):
        complaints.append(
            f"{kernel}: expected {wanted or 'no'} matrix instructions, got {', '.join(present) or 'none'}"
        )
    return complaints
