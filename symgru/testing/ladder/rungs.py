"""The rungs: each makes its checks in this process, which has what it needs (`running.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TypeVar

import torch
import triton
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from symgru.kernels import simulator
from symgru.kernels.simulator import TARGETS, timeline
from symgru.kernels.triton import budgets, matrix
from symgru.kernels.triton.budgets import Figures, NoBudgetsError
from symgru.kernels.triton.compile import DTYPES, Kernel, figures
from symgru.kernels.triton.launch import obstacle
from symgru.lowering.modules import gru_cells
from symgru.testing import resident
from symgru.testing.emitted import assert_emitted_agrees
from symgru.testing.ladder.outcome import NOT_ON_A_GPU, Outcome, Request
from symgru.testing.loops import Sizes
from symgru.testing.resident import CELLS, PASSES, Case
from symgru.testing.simulated.resident import TARGETS as SIMULATED
from symgru.testing.simulated.resident import Run, every_setting, runs, spread
from symgru.testing.tolerances import EMITTED

T = TypeVar("T")
#: What a wrong kernel ends in; anything else is an error of the ladder.
WRONG = (AssertionError, simulator.SimulatorError)
SEEDS = 3
#: Simulated in the fast form: both kinds of matrix product of either vendor.
FEW = ("sm_80", "sm_90", "gfx942", "gfx1201")


@dataclass
class Tally:
    """Counts checks and keeps what failed."""

    checks: int = 0
    failures: list[str] = field(default_factory=list)

    def check(self, name: object, made: Callable[[], object]) -> None:
        """One check."""
        self.checks += 1
        try:
            made()
        except WRONG as error:
            self.failures.append(f"{name}: {error}")

    def examples(self, drawn: st.SearchStrategy[T], check: Callable[[T], object], number: int) -> None:
        """As many checks as Hypothesis draws; the smallest example that fails is told with its error."""

        @settings(
            max_examples=number,
            deadline=None,
            derandomize=True,
            database=None,
            report_multiple_bugs=False,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=tuple(HealthCheck),
        )
        @given(drawn)
        def every(example: T) -> None:
            self.checks += 1
            try:
                check(example)
            except WRONG as error:
                raise AssertionError(f"{example}: {error}") from error

        try:
            every()
        except AssertionError as error:
            self.failures.append(str(error))

    def outcome(self, rung: str, notes: Iterable[str] = ()) -> Outcome:
        """What the rung found."""
        if not self.checks:
            raise RuntimeError(f"rung ({rung}) made no check")
        return Outcome(rung, "failed" if self.failures else "passed", self.checks, self.failures, [*notes])


def oracle(request: Request) -> Outcome:
    """(a) Every emitted pass, run by the plain loop in float64, against the statements of its equations."""
    tally = Tally()
    for cell in gru_cells():
        module = import_module(f"symgru.kernels.generated.torch_{cell.name}")
        for seed in range(SEEDS * (10 if request.thorough else 1)):
            sizes = Sizes(3 + seed % 3, 3, {"I": 2, "H": 3 + seed % 4})
            tally.check(cell.name, partial(assert_emitted_agrees, cell, module, sizes, seed, EMITTED))
    return tally.outcome("a")


def interpreter(request: Request) -> Outcome:
    """(b) The loops in Triton's interpreter, which computes bfloat16 wrongly."""
    return _everywhere("b", request, torch.device("cpu"))


def on_simulated_gpus(request: Request) -> Outcome:
    """(c) The compiled loops on simulated GPUs: every cell, or every launch setting, and any shape."""
    tally = Tally()
    targets = request.targets or (SIMULATED if request.thorough else FEW)
    chosen = every_setting(targets) if request.thorough else spread(targets)
    with resident.nan_in_fresh_memory():
        for run in chosen:
            tally.check(run, run.check)
        tally.examples(runs(targets), Run.check, 200 if request.thorough else 10)
    return tally.outcome("c", [f"simulated: {', '.join(targets)}; {NOT_ON_A_GPU}"])


def on_a_gpu(request: Request) -> Outcome:
    """(f) The same cases on the GPU of this machine, where there is one."""
    if not torch.cuda.is_available():
        return Outcome("f", NOT_ON_A_GPU, 0, notes=[f"torch {torch.__version__} finds no GPU here"])
    device = torch.device("cuda")
    found = _everywhere("f", request, device)
    return Outcome(**{**vars(found), "notes": [f"run on {torch.cuda.get_device_name(device)}"]})


def _everywhere(rung: str, request: Request, device: torch.device) -> Outcome:
    """Every cell and pass, and any shape, on a device."""
    tally = Tally()
    storages = tuple(dtype for dtype, _ in DTYPES.values() if obstacle(device, dtype, 33) is None)
    with resident.nan_in_fresh_memory():
        for i, (cell, pass_) in enumerate((c, p) for c in CELLS for p in PASSES):
            case = Case(cell, pass_, B=17, storage=storages[i % len(storages)])
            tally.check(case, partial(resident.assert_agrees, case, device))
        drawn = resident.cases(storages)
        number = 300 if request.thorough else 25
        tally.examples(drawn, lambda case: resident.assert_agrees(case, device), number)
    return tally.outcome(rung)


def compile_matrix(request: Request) -> Outcome:
    """(d) What the loops compile to, against what must hold and against the budgets."""
    known, release = budgets.load(budgets.FILE), triton.__version__
    kernels = (matrix.matrix if request.thorough else matrix.fast)(request.targets or tuple(TARGETS))
    found = {kernel: figures(kernel) for kernel in kernels}
    failures = [problem for kernel, one in found.items() for problem in matrix.problems(kernel, one)]
    counted = {kernel: Figures.of(one) for kernel, one in found.items()}
    notes = [f"triton {release}; {NOT_ON_A_GPU}"]
    if request.accept is None:
        try:
            failures += [c for kernel, one in counted.items() for c in known.complaints(release, kernel, one)]
        except NoBudgetsError as error:
            notes.append(f"no budget was compared: {error}")
    elif not failures:
        notes.append(_accepted(known, release, counted, request.accept))
    return Outcome("d", "failed" if failures else "passed", len(found), failures, notes)


def _accepted(known: budgets.Budgets, release: str, counted: dict[Kernel, Figures], reason: str) -> str:
    made = known.accept(release, counted, reason)
    if made is known:
        return "nothing to accept: all figures are those of the budgets"
    budgets.save(made, budgets.FILE)
    number = sum(b.reason == len(made.reasons) - 1 for b in made.releases[release].values())
    return f"accepted the figures of {number} kernels in {budgets.FILE}: {reason}"


def static_model(request: Request) -> Outcome:
    """(e) Modelled cycles of a time step, and where they go."""
    notes = [
        f"cycles of one warp and time step by a model that was compared with no GPU: differences under "
        f"a factor of {timeline.RESOLUTION} mean nothing"
    ]
    targets = request.targets or tuple(TARGETS)
    kernels = [kernel for kernel in matrix.fast(targets) if kernel.family == "cuda"]
    for kernel in kernels:
        loop = figures(kernel).longest_loop
        if loop is not None and loop.cycles is not None:
            most = ", ".join(f"{n} {reason}" for reason, n in list(loop.cycles.reasons.items())[:3])
            notes.append(f"{kernel}: {loop.cycles.total} cycles ({most})")
    if any(TARGETS[name].backend != "cuda" for name in targets):
        notes.append("AMD is not modelled")
    return Outcome("e", "advice", 0, notes=notes)


RUNNERS: dict[str, Callable[[Request], Outcome]] = {
    "a": oracle,
    "b": interpreter,
    "c": on_simulated_gpus,
    "d": compile_matrix,
    "e": static_model,
    "f": on_a_gpu,
}
