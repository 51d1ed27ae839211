"""`python -m symgru.testing.speed`: how long deriving, proving and emitting take, on one core.

Every task runs in fresh interpreters bound to one core, several times; the figures are the fastest and the
median. Importing is a task of its own, and the others start after it. A limit that the fastest run exceeds is
marked, and the exit status is then 1.

    import      the symbolic half: equations to certificates, no torch
    gru         all conventions with and without lengths: pipelines of first and second order with their
                schedules, every theorem and refutation, every emitted torch and Triton module
    large cell  over 40 statements, 6 gates: the same pipelines, emitted code, the derivation document in all
                formats, and the proof that it is its mirror image
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

import sympy as sp

from symgru.equations import Cell, CellBuilder, Polarity, sigmoid, tanh

RUNS = 5
PACKAGES = (
    "equations", "cells", "derivation", "proof", "equivalence", "certificates", "lowering", "documents",
)  # fmt: skip


def imports() -> None:
    """Load the symbolic half."""
    from importlib import import_module

    for package in PACKAGES:
        import_module(f"symgru.{package}")


def gru() -> None:
    """Derive, prove and emit everything for the GRU."""
    from symgru.lowering.modules import gru_cells, torch_module, triton_module
    from symgru.proof import all_theorems

    for cell in gru_cells():
        _derive(cell)
        torch_module(cell)
        triton_module(cell)
    for _, prove in all_theorems():
        prove()


def large_cell() -> None:
    """The same for a cell of 40 statements and 6 gates."""
    from symgru.derivation import Loop
    from symgru.documents import FORMATS, derivation_of
    from symgru.lowering.layout import Layout
    from symgru.lowering.modules import torch_module
    from symgru.proof import simulate_loop

    keep, update = (six_gates(polarity) for polarity in Polarity)
    _derive(keep)
    torch_module(keep, Layout({}))
    for form in FORMATS.values():
        form(derivation_of(keep))
    mirrored = {s: -s for s in keep.step.parameters if str(s) in ("W_z", "U_z", "b_z")}
    first, second = (Loop(cell.name, cell.step, cell.carry) for cell in (keep, update))
    simulate_loop(first, second, mirrored)


def _derive(cell: Cell) -> None:
    """Both derivatives of first order and both of second, each loop with its schedule and torch functions."""
    from symgru.derivation import double_backward, gradient, hessian_vector, tangent_of
    from symgru.lowering.layout import Layout
    from symgru.lowering.torch_source import torch_functions

    orders = (tangent_of, gradient, hessian_vector, double_backward)
    # Pipelines share loops: each is emitted once.
    stages = {stage.loop: stage for derivative in orders for stage in derivative(cell).stages}
    for loop, stage in stages.items():
        torch_functions(loop.name, stage.schedule, Layout({}))


def six_gates(polarity: Polarity) -> Cell:
    """Five gates that feed each other, a normalised candidate, an update gate, and two states."""
    cell = CellBuilder(f"six_gates_{polarity.value}", "cell of six gates")
    x, h, c = cell.input("x", "I"), cell.state("h", "H"), cell.state("c", "H")
    value = c
    gates = []
    for name in ("a", "b", "d", "e", "f"):
        W, U = cell.weight(f"W_{name}", "H", "I"), cell.weight(f"U_{name}", "H", "H")
        value = cell.let(f"{name}_gate", sigmoid(W @ x + U @ (value * h) + cell.bias(f"b_{name}", "H")))
        gates.append(value)
    W_n, U_n, b_n = cell.weight("W_n", "H", "I"), cell.weight("U_n", "H", "H"), cell.bias("b_n", "H")
    W_z, U_z, b_z = cell.weight("W_z", "H", "I"), cell.weight("U_z", "H", "H"), cell.bias("b_z", "H")
    mixed = W_n @ x + gates[0] * (U_n @ (gates[1] * h)) + gates[2] * c
    (normalised,) = cell.layer_norm("normalised", [mixed], sp.Rational(1, 1000))
    n = cell.let("candidate", tanh(normalised + b_n))
    z = cell.let("update_gate", sigmoid(W_z @ x + U_z @ h + b_z))
    new = cell.update(c, gates[3] * c + gates[4] * n)
    old, proposed = (h, tanh(new)) if polarity is Polarity.KEEP else (tanh(new), h)
    cell.update(h, z * old + (1 - z) * proposed)
    return cell.build()


@dataclass(frozen=True)
class Task:
    """What is timed: a function of this module, and the seconds that it may take."""

    title: str
    function: str
    limit: float


TASKS = (
    Task("import", "imports", 0.7),
    Task("gru", "gru", 3.0),
    Task("large cell", "large_cell", 20.0),
)


def measure(task: Task) -> list[float]:
    """Seconds of each run, without the start of the interpreter."""
    load = "import time; start = time.perf_counter(); from symgru.testing import speed; speed.imports()"
    rest = "" if task.function == "imports" else f"start = time.perf_counter(); speed.{task.function}(); "
    program = f"{load}; {rest}print(time.perf_counter() - start)"
    core = min(os.sched_getaffinity(0))
    seconds = []
    for _ in range(RUNS):
        done = subprocess.run(
            [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{core}}}); {program}"],
            capture_output=True,
            text=True,
            check=True,
        )
        seconds.append(float(done.stdout))
    return seconds


def main() -> int:
    """Print machine, versions and the table; the value is the exit status."""
    from symgru.demo.machine import machine

    print("; ".join(f"{name} {value}" for name, value in machine().items()))
    print(f"statements of the large cell: {len(six_gates(Polarity.KEEP).step.statements)}")
    print(f"load average {os.getloadavg()[0]:.1f}, {RUNS} runs each, {time.strftime('%Y-%m-%d')}")
    print(f"{'task':<12} {'fastest':>8} {'median':>8} {'limit':>6}")
    over = False
    for task in TASKS:
        seconds = measure(task)
        over |= min(seconds) > task.limit
        mark = "  over the limit" if min(seconds) > task.limit else ""
        figures = f"{min(seconds):7.2f}s {statistics.median(seconds):7.2f}s {task.limit:5.1f}s"
        print(f"{task.title:<12} {figures}{mark}")
    return int(over)


if __name__ == "__main__":
    sys.exit(main())
