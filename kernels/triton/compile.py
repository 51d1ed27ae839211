"""Compile the loops for a named GPU, on any machine, and read off what the compiler made of them.

    python -m symgru.kernels.triton.compile                         the default matrix
    python -m symgru.kernels.triton.compile --targets sm_90 gfx942 --dtypes float16 --hidden 64 128

Nothing runs on a GPU: that a kernel compiles says nothing of its results. Triton's wheel holds the compilers
of both vendors. Not under TRITON_INTERPRET, which replaces the kernels by Python functions.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import torch
import triton
from triton import knobs
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from ..names import PRECISIONS
from .launch import LARGEST, Settings, amd_family, settings, target_named, unsupported
from .loops import Loop, loop_of

#: Bytes of shared memory that one program may have, from the vendors' tables. `triton.compile` does not look.
SHARED_MEMORY_LIMITS = {
    "sm_80": 166912,
    "sm_86": 101376,
    "sm_89": 101376,
    "sm_90": 232448,
    "sm_100": 232448,
    "sm_103": 232448,
    "sm_120": 101376,
    "gfx90a": 65536,
    "gfx942": 65536,
    "gfx950": 163840,
    "gfx1100": 65536,
    "gfx1151": 65536,
    "gfx1201": 65536,
}
PASSES = ("forward", "backward", "tangent")
RESETS = ("after", "before", "whole")
DTYPES = {
    "float64": (torch.float64, "fp64"),
    "float32": (torch.float32, "fp32"),
    "float16": (torch.float16, "fp16"),
    "bfloat16": (torch.bfloat16, "bf16"),
}
NOTICE = "compiled, not run on a GPU"


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


@dataclass(frozen=True)
class Report:
    """What came out of a compilation.

    Attributes:
        kernel: What was compiled.
        settings: The launch settings it was compiled for.
        shared_memory, shared_memory_limit: Bytes, of the kernel and of the target.
        registers: 32-bit vector registers a thread, accumulation registers of AMD included.
        spilled: Bytes a thread that the registers do not hold.
        matrix_instructions: How many of each mnemonic the binary holds.
    """

    kernel: Kernel
    settings: Settings
    shared_memory: int
    shared_memory_limit: int
    registers: int
    spilled: int
    matrix_instructions: dict[str, int]


def compile_kernel(kernel: Kernel, launch: Settings | None = None) -> Report:
    """Compile one kernel for its target.

    Args:
        kernel: Which one.
        launch: Launch settings to try; those of `kernels/triton/launch.py` if None.
    Raises:
        RuntimeError: Triton's interpreter is active.
    """
    if knobs.runtime.interpret:
        raise RuntimeError("expected compiled kernels, got interpreted ones: unset TRITON_INTERPRET")
    launch = launch or kernel.settings
    compiled = triton.compile(
        _source(kernel, launch),
        target=_target(kernel.target),
        options={
            "num_warps": launch.num_warps,
            "num_stages": launch.num_stages,
            "enable_fp_fusion": launch.enable_fp_fusion,
        },
    )
    read = _read_nvidia if kernel.family == "cuda" else _read_amd
    registers, spilled, instructions = read(compiled, kernel.target)
    return Report(
        kernel,
        launch,
        compiled.metadata.shared,
        SHARED_MEMORY_LIMITS[kernel.target],
        registers,
        spilled,
        instructions,
    )


def _target(name: str) -> GPUTarget:
    if name not in SHARED_MEMORY_LIMITS:
        raise ValueError(f"expected a target of {', '.join(SHARED_MEMORY_LIMITS)}, got {name}")
    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name.removeprefix("sm_")), 32)
    return GPUTarget("hip", name, 64 if amd_family(name) == "cdna" else 32)


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


def _read_nvidia(compiled: Any, target: str) -> tuple[int, int, dict[str, int]]:
    """Registers and spills as ptxas reports them under Triton's flags, and mnemonics of the disassembly."""
    modern = int(target.removeprefix("sm_")) >= 90
    tool = knobs.nvidia.ptxas_blackwell if modern else knobs.nvidia.ptxas
    with tempfile.TemporaryDirectory() as folder:
        ptx, cubin = Path(folder, "kernel.ptx"), Path(folder, "kernel.cubin")
        ptx.write_text(compiled.asm["ptx"])
        cubin.write_bytes(compiled.asm["cubin"])
        flags = ["-v", "-lineinfo", "--regAllocOptLevel=2"]
        if not compiled.metadata.enable_fp_fusion:
            flags.append("--fmad=false")
        log = _output(
            tool.path, *flags, f"--gpu-name={target}{'a' if modern else ''}", str(ptx), "-o", "/dev/null"
        )
        assembly = _output(knobs.nvidia.nvdisasm.path, "-c", str(cubin))
    stores = int(_only(r"(\d+) bytes spill stores", log))
    mnemonics = re.findall(r"\b((?:[HDIQO]|HG|QG|UTC[A-Z]*)MMA)\b", assembly)
    return int(_only(r"Used (\d+) registers", log)), stores, dict(Counter(mnemonics))


def _read_amd(compiled: Any, target: str) -> tuple[int, int, dict[str, int]]:
    """What the assembler writes beside the code; a spilled register is 4 bytes a thread."""
    text = compiled.asm["amdgcn"]
    mnemonics = re.findall(r"\bv_((?:mfma|wmma))_\w+", text)
    spilled = 4 * int(_only(r"\.vgpr_spill_count:\s+(\d+)", text))
    return int(_only(r"\.vgpr_count:\s+(\d+)", text)), spilled, dict(Counter(m.upper() for m in mnemonics))


def _only(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise ValueError(f"expected {pattern!r} in the compiler's report, got {text[:500]!r}")
    return match.group(1)


def _output(*command: str) -> str:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


def problems(report: Report, budget: int = 0) -> list[str]:
    """What is wrong with a compiled kernel, in sentences; `budget` is for the bytes that may be spilled."""
    name = describe(report.kernel)
    found = []
    if report.shared_memory > report.shared_memory_limit:
        found.append(
            f"{name}: needs {report.shared_memory} bytes of shared memory, "
            f"the target has {report.shared_memory_limit}"
        )
    if report.spilled > budget:
        found.append(f"{name}: spills {report.spilled} bytes a thread, the budget is {budget}")
    return found


def describe(kernel: Kernel) -> str:
    """One kernel in words."""
    precision = f" {kernel.precision}" if kernel.storage == "float32" else ""
    return f"{kernel.target} {kernel.cell} {kernel.pass_} {kernel.storage}{precision} H={kernel.hidden_size}"


def rows(reports: Iterable[Report]) -> Iterable[str]:
    """The table, line by line: a header, then one line for each report."""
    columns = f"{'warps':>5} {'shared':>7} {'limit':>7} {'regs':>5} {'spill':>5}"
    yield f"{'kernel':58} {columns}  matrix instructions"
    for r in reports:
        counts = ", ".join(f"{count} {name}" for name, count in r.matrix_instructions.items()) or "none"
        yield (
            f"{describe(r.kernel):58} {r.settings.num_warps:5} {r.shared_memory:7} {r.shared_memory_limit:7} "
            f"{r.registers:5} {r.spilled:5}  {counts}"
        )


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if a kernel needs more shared memory than its target has."""
    chosen = _parser().parse_args(arguments)
    title = f"triton {triton.__version__}, torch {torch.__version__}; {NOTICE}"
    reports = []
    for kernel in _chosen(chosen):
        launch = replace(kernel.settings, num_warps=chosen.warps) if chosen.warps else None
        reports.append(compile_kernel(kernel, launch))
    if chosen.json:
        print(json.dumps({"title": title, "reports": [asdict(report) for report in reports]}))
    else:
        print("\n".join([title, *rows(reports)]))
    return int(any(report.shared_memory > report.shared_memory_limit for report in reports))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    choices = {"targets": SHARED_MEMORY_LIMITS, "dtypes": DTYPES, "passes": PASSES, "resets": RESETS}
    defaults = {"targets": ("sm_80", "sm_90", "sm_100", "gfx942"), "dtypes": ("float32", "float16")}
    for name, known in choices.items():
        metavar = name.removesuffix("s").upper()
        default = defaults.get(name, known)
        parser.add_argument(f"--{name}", nargs="+", default=default, choices=known, metavar=metavar)
    parser.add_argument(
        "--hidden", nargs="+", type=int, metavar="H", help="default: the largest that is served"
    )
    parser.add_argument("--precision", default="ieee", choices=PRECISIONS)
    parser.add_argument("--warps", type=int, help="try this many in place of those of the launch table")
    parser.add_argument("--polarity", default="keep", choices=("keep", "update"))
    parser.add_argument("--lengths", action="store_true", help="the cells with a mask")
    parser.add_argument("--json", action="store_true", help="the same as one JSON document")
    return parser


def _chosen(chosen: argparse.Namespace) -> Iterator[Kernel]:
    for target, dtype in product(chosen.targets, chosen.dtypes):
        for hidden in chosen.hidden or [largest_hidden_size(target, dtype)]:
            for reset, pass_ in product(chosen.resets, chosen.passes):
                kernel = Kernel(target, pass_, reset, dtype, hidden, chosen.precision)
                yield replace(kernel, polarity=chosen.polarity, lengths=chosen.lengths)


def largest_hidden_size(target: str, storage: str) -> int:
    """The largest hidden size that the launch table serves on a target."""
    device = target_named(target, SHARED_MEMORY_LIMITS[target])
    size = LARGEST[device.family][DTYPES[storage][0]]
    while unsupported(DTYPES[storage][0], size, device) is not None:
        size //= 2
    return size


if __name__ == "__main__":
    sys.exit(main())
