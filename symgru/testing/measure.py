"""`python -m symgru.testing.measure`: the errors that the tolerances are made from.

Prints, for each dtype, the largest error of the torch backend and of torch.nn.GRU against the float64 oracle
over drawn calls, relative to the largest value of the oracle or 1.
"""

from __future__ import annotations

import platform
import random
import sys

import torch
from tqdm import tqdm

from symgru.kernels.names import POLARITIES, RESETS
from symgru.testing.compare import Results, run, run_oracle, run_peer
from symgru.testing.strategies import Case
from symgru.testing.tolerances import TOLERANCES, relative_error

COUNT = 120


def _case(number: int, dtype: torch.dtype) -> Case:
    draw = random.Random(number)
    steps, batch = draw.choice((1, 7, 40)), draw.choice((1, 3, 17))
    return Case(
        steps=steps,
        batch=batch,
        input_size=draw.choice((1, 5, 33)),
        hidden_size=draw.choice((2, 17, 65)),
        layers=draw.choice((1, 2)),
        bidirectional=draw.random() < 0.5,
        bias=draw.random() < 0.8,
        polarity=draw.choice(POLARITIES),
        reset=draw.choice(RESETS),
        dtype=dtype,
        lengths=tuple(draw.randint(1, steps) for _ in range(batch)) if draw.random() < 0.5 else None,
        seed=number,
    )


def _errors(found: Results, oracle: Results) -> tuple[float, float]:
    states = max(relative_error(found.output, oracle.output), relative_error(found.final, oracle.final))
    return states, max(relative_error(g, oracle.gradients[n]) for n, g in found.gradients.items())


def measure(dtype: torch.dtype, count: int) -> dict[str, tuple[float, float]]:
    """Largest errors of states and gradients, ours and nn.GRU's."""
    largest: dict[str, tuple[float, float]] = {"ours": (0.0, 0.0), "nn.GRU": (0.0, 0.0)}
    for number in tqdm(range(count), desc=str(dtype), disable=None):
        case = _case(number, dtype)
        oracle, peer = run_oracle(case), run_peer(case)
        found = {"ours": run(case, case.module()), **({"nn.GRU": peer} if peer else {})}
        for name, results in found.items():
            states, gradients = _errors(results, oracle)
            largest[name] = (max(largest[name][0], states), max(largest[name][1], gradients))
    return largest


def main() -> int:
    """Print the table."""
    print(f"{COUNT} calls a dtype; torch {torch.__version__}, {platform.machine()}, CPU; not run on a GPU")
    print("| dtype | states, ours | states, nn.GRU | gradients, ours | gradients, nn.GRU | cap |")
    print("|---|---|---|---|---|---|")
    for dtype, tolerance in TOLERANCES.items():
        (s1, g1), (s2, g2) = measure(dtype, COUNT).values()
        print(f"| {str(dtype)[6:]} | {s1:.1e} | {s2:.1e} | {g1:.1e} | {g2:.1e} | {tolerance.cap:.0e} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
