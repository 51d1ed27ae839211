"""Launches with one error each, for every kind of error that the simulator reports.

Where Triton can say the error, it is a kernel (planted_kernels.py); where Triton's compiler would not make
it, it is an edit of the compiled code. Each has the same launch without the error, of which nothing may be
reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from symgru.kernels import simulator
from symgru.kernels.simulator.targets import TARGETS
from symgru.testing.simulated import planted_kernels as kernels
from symgru.testing.simulated.cases import Case, Expected, Launch
from symgru.testing.simulated.mutants import mutants

NVIDIA = ("sm_80", "sm_90")
ALL = (*NVIDIA, "gfx942", "gfx1201")
#: Those that have products of TF32.
TF32 = (*NVIDIA, "gfx942")


@dataclass(frozen=True)
class Planted:
    """An error: a launch without it (True) and with it (False), what must be reported, and where.

    Attributes:
        launch: Makes the right launch, and the wrong one.
        report: Classes of which one must be raised; AssertionError stands for a wrong result.
        targets: Where it can be planted.
        options: Of the simulated device, in both launches.
        wrong: Further options for the wrong launch.
    """

    launch: Callable[[bool], Launch]
    report: tuple[type[Exception], ...]
    targets: tuple[str, ...] = ALL
    options: Mapping[str, Any] = field(default_factory=dict)
    wrong: Mapping[str, Any] = field(default_factory=dict)

    def run(self, target: str, right: bool, schedule: str = "random", seed: int = 1) -> None:
        """Run the launch and compare its results; raises what is reported."""
        made = self.launch(right)
        options = {**self.options, **({} if right else self.wrong)}
        with simulator.device(target, schedule=schedule, seed=seed, **options):
            made.run()
        made.assert_agrees()


def _exactly(value: torch.Tensor) -> Expected:
    return Expected(value.double(), torch.zeros(value.shape, dtype=torch.float64))


def _launch(
    kernel: Any, grid: tuple[int, ...], arguments: Mapping[str, Any], warps: int = 4, **exact: torch.Tensor
) -> Launch:
    return Launch(kernel, grid, arguments, {k: _exactly(v) for k, v in exact.items()}, warps, 2)


def _normal(n: int) -> torch.Tensor:
    """The same numbers every time."""
    return torch.randn(n, generator=torch.Generator().manual_seed(0))


def _copied(kernel: Any) -> Callable[[bool], Launch]:
    def launch(right: bool) -> Launch:
        x = _normal(200)
        arguments = {"x": x, "out": torch.zeros(200), "n": 200, "BLOCK": 128, "RIGHT": right}
        return _launch(kernel, (2,), arguments, out=x)

    return launch


def _read_before_write(right: bool) -> Launch:
    x = _normal(100)
    arguments = {"x": x, "out": torch.empty(100), "n": 100, "BLOCK": 128, "RIGHT": right}
    return _launch(kernels.read_before_write, (1,), arguments, out=x)


def _misaligned(right: bool) -> Launch:
    x = _normal(1024)
    arguments = {"x": x, "out": torch.zeros(512), "shift": 3, "BLOCK": 512, "RIGHT": right}
    return _launch(kernels.misaligned, (1,), arguments, out=x[3:515])


def _leaking_mask(right: bool) -> Launch:
    x = torch.full((3, 64), torch.nan)
    x[:, :50] = torch.arange(150).reshape(3, 50)
    arguments = {"x": x, "out": torch.zeros(3), "columns": 50, "stride": 64, "BLOCK": 64, "RIGHT": right}
    return _launch(kernels.leaking_mask, (3,), arguments, out=x[:, :50].sum(1))


def _handed_over(right: bool) -> Launch:
    B, H, steps = 2, 256, 3
    states = torch.zeros(steps + 1, B, H)
    states[0] = torch.arange(B * H).reshape(B, H)
    exact = torch.stack([states[0].roll(t, 1) + t for t in range(steps + 1)])
    arguments = {"states": states, "steps": steps, "B": B, "H": H, "RIGHT": right}
    return _launch(kernels.handed_over, (1,), arguments, states=exact)


def _multiplied(right: bool) -> Launch:
    B, H, steps = 16, 64, 3
    states = torch.zeros(steps + 1, B, H)
    states[0] = torch.arange(B * H).reshape(B, H) % 509  # TF32 has 11 bits
    exact = torch.stack([states[0].roll(t, 1) + t for t in range(steps + 1)])
    w = torch.eye(H).roll(1, 1)
    arguments = {"states": states, "w": w, "steps": steps, "B": B, "H": H, "BK": 32, "RIGHT": right}
    return _launch(kernels.multiplied, (1,), arguments, states=exact)


def _in_two_tiles(right: bool) -> Launch:
    d = torch.arange(512.0)
    exact = d.clone()
    for _ in range(3):
        exact = 2 * (exact + 1)
    arguments = {"d": d, "steps": 3, "TILE": 128, "TILES": 4, "RIGHT": right}
    return _launch(kernels.in_two_tiles, (1,), arguments, d=exact)


def _diffuse(**wrong: Any) -> Callable[[bool], Launch]:
    def launch(right: bool) -> Launch:
        made = Case("diffuse", torch.float32, (500, 3)).launch()
        arguments = made.arguments if right else {**made.arguments, **wrong}
        return Launch(made.kernel, made.grid, arguments, made.expected, made.warps, made.stages)

    return launch


def _case(*case: Any, **options: Any) -> Callable[[bool], Launch]:
    def launch(right: bool) -> Launch:
        return Case(*case, **options).launch()

    return launch


def _crowded(right: bool) -> Launch:
    """One program more than an RTX 3090 has multiprocessors, of which each has room for one."""
    programs, K, N = TARGETS["sm_86"].processors + (not right), 256, 128
    x, weights = torch.ones(16, K, dtype=torch.float16), torch.ones(K, N, dtype=torch.float16)
    out = torch.zeros(programs, 16, N)
    arguments: dict[str, Any] = {"x": x, "weights": weights, "out": out, "K": K, "N": N}
    arguments |= {"counter": torch.zeros(1, dtype=torch.int32)}
    return _launch(kernels.crowded, (programs,), arguments, warps=2, out=torch.full(out.shape, float(K)))


def _too_much_shared_memory(right: bool) -> Launch:
    tile = (32, 32, 32) if right else (128, 128, 256)
    return Case("matmul", torch.float32, (64, 64, 64, *tile), warps=8, stages=3).launch()


def mutant(kind: str, index: int = 0) -> Callable[[str], str]:
    """The edit of the compiled code that makes the index-th mutant of a kind."""

    def rewrite(llir: str) -> str:
        return [m for m in mutants(llir) if m.kind == kind][index].apply(llir)

    return rewrite


_THREAD = r"nvvm\.read\.ptx\.sreg\.tid\.x|amdgcn\.workitem\.id\.x"


def weakest_wait(llir: str) -> str:
    """Wait for no copy at all."""
    new, count = re.subn(r"(cp\.async\.wait\.group\(i32 )\d+", r"\g<1>8", llir)
    return _changed(new, count)


def without(instruction: str) -> Callable[[str], str]:
    """The edit that leaves out the first call of an intrinsic."""

    def rewrite(llir: str) -> str:
        pattern = rf"^ .*call void @llvm\.nvvm\.{re.escape(instruction)}.*\n"
        return _changed(*re.subn(pattern, "", llir, count=1, flags=re.MULTILINE))

    return rewrite


def barriers_of_warps(llir: str) -> str:
    """The first barrier has another number in every warp."""
    first = re.search(r"^.*@llvm\.nvvm\.barrier\.cta\.sync\.aligned\.all\(i32 0\).*$", llir, re.MULTILINE)
    assert first is not None
    number = (
        "  %planted.thread = call i32 @llvm.nvvm.read.ptx.sreg.tid.x()\n"
        "  %planted.warp = lshr i32 %planted.thread, 5\n"
    )
    wrong = number + first[0].replace("i32 0", "i32 %planted.warp")
    return llir[: first.start()] + wrong + llir[first.end() :]


def early_exit(llir: str) -> str:
    """The first warp ends at once, and so is missing at every barrier."""
    thread = re.search(rf"^  (%(\d+)) = .*@llvm\.({_THREAD})\(\).*$", llir, re.MULTILINE)
    first = re.search(r"^define .*\n  %(\d+) = ", llir, re.MULTILINE)
    assert thread is not None
    assert first is not None
    leave = (
        f"\n  %planted.early = icmp ult i32 {thread[1]}, 32\n"
        "  br i1 %planted.early, label %planted.end, label %planted.on\n"
        "planted.end:\n  ret void\nplanted.on:"
    )
    # the block that is cut in two had the number before that of its first value
    after = llir[thread.end() :].replace(f", %{int(first[1]) - 1} ]", ", %planted.on ]")
    return llir[: thread.end()] + leave + after


def missing_shared_store(llir: str) -> str:
    """The first store to shared memory is left out."""
    new, count = re.subn(
        r"^  (?:store .*addrspace\(3\)|.*st\.shared).*\n", "", llir, count=1, flags=re.MULTILINE
    )
    return _changed(new, count)


def _changed(text: str, count: int) -> str:
    if count == 0:
        raise ValueError("expected code in which the error can be planted, found none")
    return text


_REDUCE = _case("reduce", torch.float32, (20, 60, 0))
_MATMUL = _case("matmul", torch.float16, (64, 64, 256, 64, 64, 32), stages=3)


_COPIED = _case("matmul", torch.float16, (64, 64, 256, 64, 64, 64), stages=3)


def _product(rewrite: Callable[[str], str]) -> Planted:
    """An error in the use of wgmma, in a pipelined loop with one group in flight."""
    return Planted(_MATMUL, (simulator.DataRace,), ("sm_90",), wrong={"rewrite": rewrite})


#: Every kind of error, by what it is.
PLANTED: Mapping[str, Planted] = {
    "store out of bounds": Planted(_copied(kernels.unmasked_store), (simulator.OutOfBounds,)),
    "load out of bounds": Planted(_copied(kernels.unmasked_load), (simulator.OutOfBounds,)),
    "vector access not aligned": Planted(_misaligned, (simulator.Misaligned,)),
    "NaN past a mask": Planted(_leaking_mask, (AssertionError,)),
    "global memory read before written": Planted(
        _read_before_write, (simulator.Uninitialised,), options={"uninitialised": ("out",)}
    ),
    "shared memory read before written": Planted(
        _REDUCE, (simulator.Uninitialised,), wrong={"rewrite": missing_shared_store}
    ),
    "state handed over without a barrier": Planted(_handed_over, (simulator.DataRace,)),
    "state handed over through a product": Planted(_multiplied, (simulator.DataRace,), TF32),
    "read and written in two layouts": Planted(_in_two_tiles, (simulator.DataRace,)),
    "barrier deleted": Planted(
        _REDUCE, (simulator.DataRace, simulator.Uninitialised), wrong={"rewrite": mutant("barrier")}
    ),
    "barrier before memory is used again deleted": Planted(
        _REDUCE, (simulator.DataRace,), wrong={"rewrite": mutant("barrier", 4)}
    ),
    "wait for copies weakened": Planted(
        _MATMUL, (simulator.DataRace, simulator.Uninitialised), ("sm_80",), wrong={"rewrite": weakest_wait}
    ),
    "wait for the copies of a wave weakened": Planted(
        _COPIED, (simulator.DataRace, simulator.Uninitialised), ("gfx950",), wrong={"rewrite": mutant("wait")}
    ),
    "product without a fence of its registers": _product(without("wgmma.fence")),
    "product in no group": _product(without("wgmma.commit_group")),
    "product that reads what is overwritten": _product(mutant("wait", 1)),
    "product whose registers are read too early": _product(mutant("wait", 2)),
    "product without a fence between the proxies": _product(without("fence.proxy.async")),
    "barrier of each warp": Planted(
        _REDUCE,
        (simulator.Divergence, simulator.Deadlock, simulator.DataRace),
        NVIDIA,
        wrong={"rewrite": barriers_of_warps},
    ),
    "warp that ends before a barrier": Planted(
        _REDUCE,
        (simulator.Divergence, simulator.Deadlock),
        ("sm_80", "sm_90", "gfx1201"),
        wrong={"rewrite": early_exit},
    ),
    "grid barrier that arrives relaxed": Planted(_diffuse(SEM_ARRIVE="relaxed"), (simulator.DataRace,)),
    "grid barrier that waits relaxed": Planted(_diffuse(SEM_WAIT="relaxed"), (simulator.DataRace,)),
    "grid barrier of the scope of a program": Planted(_diffuse(SCOPE="cta"), (simulator.DataRace,)),
    "grid barrier for too many programs": Planted(_diffuse(MISSING=1), (simulator.Livelock,), ("sm_90",)),
    "grid that is larger than the target": Planted(
        _crowded, (simulator.NotResident,), ("sm_86",), options={"races": False}
    ),
    "grid that is not resident": Planted(
        _diffuse(), (simulator.NotResident, simulator.Livelock), ("sm_80", "gfx942"), wrong={"coresident": 2}
    ),
}
