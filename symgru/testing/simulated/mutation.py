"""How many errors in compiled code the simulator reports.

`python -m symgru.testing.simulated.mutation [TARGET ...]` compiles the kernels of subjects.py for each
target, makes every mutant of each (mutants.py), runs it under several schedules until one reports it, and
prints how many were reported, and why the others survive (explained.py). Exit status 1 if a survivor is not
explained, or, of a whole run, fewer than 95 % of the errors were reported on a target.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

from symgru.kernels import simulator
from symgru.kernels.cpu.build import digest_of
from symgru.kernels.simulator import machine
from symgru.testing.simulated.figures import Outcome, good, tables
from symgru.testing.simulated.mutants import Mutant, mutants
from symgru.testing.simulated.subjects import SUBJECTS, Subject

#: A wrong result, or a report, on any of these counts. The order of threads does not matter to most reports.
SCHEDULES: tuple[tuple[str, int], ...] = (("fifo", 0), ("random", 1), ("pct", 2), ("random", 3), ("pct", 4))
TARGETS = ("sm_80", "sm_90", "gfx942", "gfx1201")
#: Files that a report depends on, beside the compiled code: the simulator, and what is launched.
_SOURCES = {
    Path(simulator.__path__[0]): ("*.py", "runtime/*.[ch]"),
    Path(__file__).parents[1]: (
        "resident.py",
        *(f"simulated/{n}.py" for n in ("cases", "gru", "guarded", "subjects")),
    ),
}


def report_of(target: str, subject: Subject, mutant: Mutant) -> str | None:
    """Run a mutant under the schedules until one reports it; the report's first line, None if it survives."""
    for (schedule, seed), launch in product(SCHEDULES, subject):
        made = launch()
        try:
            with simulator.device(target, schedule=schedule, seed=seed, rewrite=mutant.apply):
                made.run()
            made.assert_agrees()
        except (simulator.SimulatorError, AssertionError) as error:
            return f"{type(error).__name__}: {error}".partition("\n")[0]
    return None


def code_of(target: str, subject: Subject) -> str:
    """The compiled code that the launches of a subject have in common, after each has run as it should.

    Raises:
        AssertionError, SimulatorError: The kernel itself is reported, so nothing can be said of its mutants.
        ValueError: The launches are of different code.
    """
    texts: set[str] = set()
    for (schedule, seed), launch in product(SCHEDULES, subject):
        made = launch()
        with simulator.device(target, schedule=schedule, seed=seed) as device:
            made.run()
        made.assert_agrees()
        texts.update(launched.binary.asm["llir"] for launched in device.launches)
    if len(texts) != 1:
        raise ValueError(f"expected launches of the same code, got {len(texts)} codes")
    return texts.pop()


@dataclass
class Known:
    """Reports of former runs, a line of JSON each, to which those of this run are added at once."""

    reports: dict[str, str | None]
    path: Path | None = None

    @classmethod
    def of(cls, path: Path | None) -> Known:
        """What a file holds, which is made if it is not there. A line that was cut off is taken out."""
        text = path.read_text() if path is not None and path.exists() else ""
        whole = text[: text.rfind("\n") + 1]
        if path is not None and whole != text:
            path.write_text(whole)
        records = map(json.loads, whole.splitlines())
        return cls({record["key"]: record["report"] for record in records}, path)

    def outcome(self, target: str, name: str, code: str, mutant: Mutant) -> Outcome:
        """The outcome of a mutant; it runs if the same has not run before."""
        said = repr((_sources(), SCHEDULES, target, name, code, mutant))
        key = hashlib.sha256(said.encode()).hexdigest()
        if key not in self.reports:
            report = self.reports[key] = report_of(target, SUBJECTS[name], mutant)
            record = {"target": target, "kernel": name, "mutant": str(mutant), "report": report, "key": key}
            if self.path is not None:
                with self.path.open("a") as file:
                    print(json.dumps(record), file=file)
        return Outcome(target, name, mutant, self.reports[key])


@cache
def _sources() -> str:
    return "".join(digest_of(folder, patterns) for folder, patterns in _SOURCES.items())


def outcomes(
    targets: Sequence[str], names: Sequence[str], sample: int | None, seed: int, known: Known
) -> Iterator[Outcome]:
    """What became of every mutant of some kernels, or of as many as `sample` says on each target."""
    for target in targets:
        codes = {name: code_of(target, SUBJECTS[name]) for name in names}
        made = [(name, mutant) for name, code in codes.items() for mutant in mutants(code)]
        if sample is not None:
            made = random.Random(seed).sample(made, min(sample, len(made)))
        for i, (name, mutant) in enumerate(made, 1):
            outcome = known.outcome(target, name, codes[name], mutant)
            fate = outcome.report or "survived"
            print(f"{target} {i}/{len(made)} {name}: {mutant}: {fate}", file=sys.stderr, flush=True)
            yield outcome


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; 1 if they are not good enough."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("targets", nargs="*", default=TARGETS, metavar="TARGET")
    parser.add_argument("--kernels", default="", metavar="REGEX", help="those whose names it is found in")
    parser.add_argument("--sample", type=int, metavar="N", help="so many mutants of each target, by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="reports, added line by line; those it has do not run again"
    )
    chosen = parser.parse_args(arguments)
    names = [name for name in SUBJECTS if re.search(chosen.kernels, name)]
    if not names:
        parser.error(f"expected --kernels to fit one of {', '.join(SUBJECTS)}, got {chosen.kernels!r}")
    machine.LEVEL = 0  # a mutant runs for milliseconds; to optimise it would take longer
    found = list(outcomes(chosen.targets, names, chosen.sample, chosen.seed, Known.of(chosen.json)))
    print(tables(found))
    return int(not good(found, whole=chosen.sample is None))


if __name__ == "__main__":
    sys.exit(main())
