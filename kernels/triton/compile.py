"""Compile the loops for a named GPU, on any machine, and read off what the compiler made of them.

    figures(Kernel("sm_90", "forward", "after", "float16", 128)).registers

Nothing runs on a GPU: that a kernel compiles says nothing of its results. Triton's wheel holds the compilers
of both vendors. Not under TRITON_INTERPRET, which replaces the kernels by Python functions.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
import triton
from triton import knobs
from triton.compiler import ASTSource

from ..names import PRECISIONS
from ..simulator.static import Static, read
from ..simulator.targets import target
from .launch import SMALLEST_TILE, Settings, padded, settings, target_named, unsupported
from .loops import Loop, loop_of

PASSES = ("forward", "backward", "tangent")
DTYPES = {
    "float64": (torch.float64, "fp64"),
    "float32": (torch.float32, "fp32"),
    "float16": (torch.float16, "fp16"),
    "bfloat16": (torch.bfloat16, "bf16"),
}


@dataclass(frozen=True)
class Kernel:
    """One kernel to compile: a target, a pass of a cell, and what it is specialised to."""

    target: str
    pass_: str
    reset: str
    storage: str
    hidden_size: int
    precision: str = "ieee"
    polarity: str = "keep"
    lengths: bool = False

    @property
    def cell(self) -> str:
        """The part of a generated module's name that follows the target language."""
        return f"gru_{self.polarity}_{self.reset}{'_lengths' if self.lengths else ''}"

    @property
    def family(self) -> str:
        """cuda, cdna or rdna."""
        return target_named(self.target, 0).family

    @property
    def settings(self) -> Settings:
        """The launch settings of this kernel; its batch tile among them."""
        return settings(DTYPES[self.storage][0], self.hidden_size, self.family)

    def __str__(self) -> str:
        precision = f" {self.precision}" if self.storage == "float32" else ""
        return f"{self.target} {self.cell} {self.pass_} {self.storage}{precision} H={self.hidden_size}"


def compiled(kernel: Kernel, launch: Settings | None = None) -> Any:
    """Compile one kernel for its target: what `triton.compile` returns.

    Args:
        kernel: Which one.
        launch: Launch settings to try; those of `kernels/triton/launch.py` if None.
    Raises:
        RuntimeError: Triton's interpreter is active.
        ValueError: There is no target of this name.
    """
    if knobs.runtime.interpret:
        raise RuntimeError("expected compiled kernels, got interpreted ones: unset TRITON_INTERPRET")
    launch = launch or kernel.settings
    gpu = target(kernel.target).triton
    with knobs.amd.scope():
        knobs.amd.use_buffer_ops = True  # Triton's default, which the simulator does without
        return triton.compile(
            _source(kernel, launch),
            target=gpu,
            options={
                "num_warps": launch.num_warps,
                "num_stages": launch.num_stages,
                "enable_fp_fusion": launch.enable_fp_fusion,
            },
        )


def figures(kernel: Kernel, launch: Settings | None = None) -> Static:
    """Compile one kernel, as `compiled` does, and read off what came out."""
    return read(compiled(kernel, launch))


def served(name: str, storage: str, precision: str) -> Iterator[int]:
    """The padded hidden sizes that the loops serve on a target, in order: each has its launch settings."""
    device = target_named(name, target(name).shared_memory)
    size = SMALLEST_TILE
    while unsupported(DTYPES[storage][0], size, device, precision) is None:
        yield size
        size = padded(size + 1)


def precisions(storage: str) -> tuple[str, ...]:
    """Those that products with weights of a dtype may have."""
    return PRECISIONS if storage == "float32" else PRECISIONS[:1]


def _source(kernel: Kernel, launch: Settings) -> ASTSource:
    """The kernel with the types that `scan` gives it: aligned pointers, 32-bit sizes."""
    loop = _loop(kernel)
    constants = {
        **loop.constants,
        "H": kernel.hidden_size,
        "HP": launch.padded_hidden_size,
        "BT": launch.batch_tile,
        "PRECISION": kernel.precision,
    }
    vector = "*fp64" if kernel.storage == "float64" else "*fp32"
    signature: dict[str, Any] = {}
    values, alignment = {}, {}
    for i, name in enumerate(loop.kernel.arg_names):
        if name in constants:
            signature[name], values[(i,)] = "constexpr", constants[name]
        elif name in loop.tuples:
            signature[name] = tuple("*u8" if n == "valid" else vector for n in loop.tuples[name])
            alignment |= {(i, j): [["tt.divisibility", 16]] for j in range(len(signature[name]))}
        elif name in ("T", "B"):
            signature[name] = "i32"
        else:
            signature[name] = f"*{DTYPES[kernel.storage][1]}" if name == "weight" else vector
            alignment[(i,)] = [["tt.divisibility", 16]]
    return ASTSource(loop.kernel, signature, values, alignment)


def _loop(kernel: Kernel) -> Loop:
    emitted, stages = (
        import_module(f"..generated.{language}_{kernel.cell}", __package__)
        for language in ("torch", "triton")
    )
    return loop_of(getattr(emitted, kernel.pass_.upper()), stages)
