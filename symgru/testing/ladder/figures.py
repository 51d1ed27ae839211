"""Static figures and counters of the resident loops on simulated GPUs: `symgru kernels report`.

Each loop runs once on each target, is compared with the oracle, and told only if it agrees.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import product

import torch
import triton

from symgru.kernels.names import PRECISIONS
from symgru.kernels.simulator import SimulatorError, report
from symgru.kernels.triton.compile import DTYPES
from symgru.testing.resident import CELLS, PASSES, Case
from symgru.testing.simulated.resident import Run


def runs(chosen: argparse.Namespace) -> list[Run]:
    """What the options ask for."""
    T, B, H = chosen.sizes
    storage = DTYPES[chosen.dtype][0]
    return [
        Run(target, Case(chosen.cell, pass_, G=1, T=T, B=B, H=H, storage=storage, precision=chosen.precision))
        for target, pass_ in product(chosen.targets, chosen.passes)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print a table, or JSON; 1 if a loop is not served, or wrong."""
    parser = argparse.ArgumentParser(prog="python -m symgru.testing.ladder.figures", description=__doc__)
    parser.add_argument("--targets", nargs="+", required=True)
    parser.add_argument("--passes", nargs="+", choices=PASSES, default=PASSES)
    parser.add_argument("--cell", choices=CELLS, default=CELLS[0])
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--precision", choices=PRECISIONS, default=PRECISIONS[0])
    parser.add_argument("--sizes", nargs=3, type=int, default=(8, 16, 32), metavar=("T", "B", "H"))
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args(arguments)
    steps = chosen.sizes[0]
    asked = runs(chosen)
    try:
        launches = [run.check().launches[0] for run in asked]
    except (AssertionError, SimulatorError, ValueError) as error:  # wrong, found by the simulator, not served
        print(error, file=sys.stderr)
        return 1
    versions = f"triton {triton.__version__}, torch {torch.__version__}"
    names = [f"{run.case.pass_} {run.case.cell}" for run in asked]
    if chosen.json:
        records = [
            {"name": name, **report.record(launch, steps)}
            for name, launch in zip(names, launches, strict=True)
        ]
        document = {"versions": versions, "notice": report.NOTICE, "steps": steps, "launches": records}
        print(json.dumps(document))
    else:
        title = f"T={steps} B={chosen.sizes[1]} H={chosen.sizes[2]} {chosen.dtype} {chosen.precision}"
        print("\n".join([f"{title}; {versions}; {report.NOTICE}", *report.table(launches, steps, names)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
