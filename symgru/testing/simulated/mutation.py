"""How many errors in compiled code the simulator reports.

`python -m symgru.testing.simulated.mutation [TARGET ...] [--only FAMILY]` compiles the kernels for each
target, makes every mutant of each (mutants.py), runs it under several schedules, and prints how many were
reported, and each survivor with why it survives (explained.py); one that does what the kernel does is no
error. Exit status 1 if fewer than 95 % of the errors were reported or a survivor is not explained.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass
from itertools import product
from typing import Any, Protocol

import torch

from symgru.kernels import simulator
from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.explained import why
from symgru.testing.simulated.mutants import Mutant, mutants


class Launch(Protocol):
    """A launch that can be checked; one object for one run."""

    def run(self) -> Any:
        """Launch it on the device that is entered."""

    def compile(self) -> Any:
        """The compiled kernel, not launched."""

    def assert_agrees(self) -> None:
        """AssertionError if a result is wrong."""


#: A wrong result, or a report, on any of these counts. The order of threads does not matter to most reports.
SCHEDULES: tuple[tuple[str, int], ...] = (("fifo", 0), ("random", 1), ("pct", 2), ("random", 3), ("pct", 4))
TARGETS = ("sm_80", "sm_90", "gfx942", "gfx1201")
#: The launches of each kernel; all of the same code. Their sizes are such that no mask is always true, and
#: for products such that copies are asynchronous.
SUBJECTS: Mapping[str, tuple[Case, ...]] = {
    "add": (Case("add", torch.float32, (300,)),),
    "softmax": (Case("softmax", torch.float32, (3, 60), least=512),),
    "cumsum": (
        Case("cumsum", torch.float32, (6, 30, 0), least=256),
        Case("cumsum", torch.float32, (2, 30, 0), least=256),
        Case("cumsum", torch.float32, (6, 250, 0), least=256),
    ),
    "recurrence": (Case("recurrence", torch.float32, (60,), least=256),),
    "reduce": (Case("reduce", torch.float32, (3, 10, 0), least=32),),
    "histogram": (Case("histogram", torch.int32, (500, 20)),),
    "locked": (Case("locked", torch.float32, (4, 256)),),
    "diffuse": (Case("diffuse", torch.float32, (500, 3)),),
    "split_k": tuple(
        Case("split_k", torch.float16, (*n, 2), stages=3) for n in ((32, 48, 128), (16, 16, 16))
    ),
    "attention": tuple(Case("attention", torch.float16, (*n, 32), stages=3) for n in ((40, 80), (8, 16))),
    "matmul": tuple(Case("matmul", torch.float16, n, stages=3) for n in ((48, 48, 80), (16, 16, 16))),
    "matmul of 64 rows": tuple(
        Case("matmul", torch.float16, (*n, 64, 64, 32), stages=3) for n in ((80, 80, 160), (16, 16, 16))
    ),
}


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: the first report, or None if it survived."""

    mutant: Mutant
    report: str | None


def outcome(target: str, launches: Sequence[Callable[[], Launch]], mutant: Mutant) -> Outcome:
    """Run a mutant under the schedules until one reports it."""
    for (schedule, seed), launch in product(SCHEDULES, launches):
        made = launch()
        try:
            with simulator.device(target, schedule=schedule, seed=seed, rewrite=mutant.apply):
                made.run()
            made.assert_agrees()
        except (simulator.SimulatorError, AssertionError) as error:
            return Outcome(mutant, f"{type(error).__name__}: {error}".partition("\n")[0])
    return Outcome(mutant, None)


def outcomes(target: str, launches: Sequence[Callable[[], Launch]]) -> list[Outcome]:
    """The outcome of every mutant of a kernel; `launches` are of the same compiled code.

    Raises:
        AssertionError, SimulatorError: The kernel itself is reported, so nothing can be said of its mutants.
        ValueError: The launches are of different code.
    """
    texts = set()
    for (schedule, seed), launch in product(SCHEDULES, launches):
        made = launch()
        with simulator.device(target, schedule=schedule, seed=seed):
            made.run()
            made.assert_agrees()
            texts.add(made.compile().asm["llir"])
    if len(texts) != 1:
        raise ValueError(f"expected launches of the same code, got {len(texts)} codes")
    return [outcome(target, launches, mutant) for mutant in mutants(texts.pop())]


@dataclass(frozen=True)
class Figures:
    """How many mutants there are; are reported; are no errors; survive without an explanation."""

    made: int = 0
    reported: int = 0
    harmless: int = 0
    unexplained: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))

    @property
    def share(self) -> float:
        """The part of the errors that is reported."""
        return self.reported / max(self.made - self.harmless, 1)

    def __str__(self) -> str:
        return (
            f"reported {self.reported} of {self.made - self.harmless} errors, {self.share:.1%}, "
            f"of {self.made} mutants; {self.unexplained} survivors not explained"
        )


def tabulate(name: str, target: str, found: Sequence[Outcome]) -> Figures:
    """Print a kernel's figures, by kinds of mutants, and its survivors."""
    made = Counter(o.mutant.kind for o in found)
    reported = Counter(o.mutant.kind for o in found if o.report)
    kinds = ", ".join(f"{kind} {reported[kind]}/{made[kind]}" for kind in made)
    print(f"{target:8} {name:18} reported {reported.total()} of {made.total()}: {kinds}", flush=True)
    harmless = unexplained = 0
    for o in found:
        if o.report is None:
            reason = why(name, target, o.mutant)
            unexplained += reason is None
            harmless += reason is not None and not reason.error
            head = "survived" if reason is None or reason.error else "no error"
            print(f"    {head}: {o.mutant}\n        {'NOT EXPLAINED' if reason is None else reason.reason}")
    return Figures(made.total(), reported.total(), harmless, unexplained)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 1 if they are not good enough."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET")
    parser.add_argument("--only", choices=SUBJECTS, help="one kernel")
    chosen = parser.parse_args(arguments)
    total = Figures()
    for target in chosen.targets:
        for name, cases in SUBJECTS.items():
            if chosen.only in (None, name):
                total += tabulate(name, target, outcomes(target, [case.launch for case in cases]))
    print(total)
    return int(total.reported == 0 or total.share < 0.95 or total.unexplained > 0)


if __name__ == "__main__":
    sys.exit(main())
