"""The kernels that are mutated, each by the launches that must tell a mutant from it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Protocol

import torch

from symgru.testing import resident
from symgru.testing.resident import PASSES
from symgru.testing.simulated.cases import Case
from symgru.testing.simulated.gru import GruLaunch
from symgru.testing.simulated.guarded import guarded


class Launch(Protocol):
    """A launch that can be checked; one object for one run."""

    def run(self) -> Any:
        """Launch it on the device that is entered."""

    def assert_agrees(self) -> None:
        """AssertionError if a result is wrong."""


Subject = tuple[Callable[[], Launch], ...]

#: Cells and the types of their weights, with hidden sizes: the matrices are padded to 16 and 32 units. A row
#: of 24 units is loaded in vectors.
_CELLS = (
    ("keep_after", torch.float32, 5),
    ("keep_after_lengths", torch.float16, 17),
    ("update_before_lengths", torch.float32, 5),
    ("keep_whole_lengths", torch.bfloat16, 24),
)


def _gru(pass_: str, cell: str, storage: torch.dtype, hidden_size: int) -> tuple[str, Subject]:
    name = f"gru {cell} {pass_} {str(storage).removeprefix('torch.')}"
    # 17 rows are two programs a group, of which one has a single row. What leaks past a mask of the first
    # step that is loaded lies in the next step, and, if there is one step only, outside of the sequence.
    three, one = (resident.Case(cell, pass_, T=T, B=17, H=hidden_size, storage=storage) for T in (3, 1))
    return name, (*(partial(GruLaunch.of, case) for case in (three, one)), partial(GruLaunch.saturated, one))


def _other(*cases: Case) -> Subject:
    return tuple(partial(_guarded, case) for case in cases)


def _guarded(case: Case) -> Launch:
    launch = case.launch()
    alone = {n: guarded(a) if isinstance(a, torch.Tensor) else a for n, a in launch.arguments.items()}
    return replace(launch, arguments=alone)


#: By name: launches of the same compiled code. Their sizes are such that no mask is always true, and for
#: products such that copies are asynchronous.
SUBJECTS: Mapping[str, Subject] = dict(_gru(pass_, *cell) for cell in _CELLS for pass_ in PASSES) | {
    "add": _other(Case("add", torch.float32, (300,))),
    "softmax": _other(Case("softmax", torch.float32, (3, 60), least=512)),
    "cumsum": _other(
        *(Case("cumsum", torch.float32, (*n, 0), least=256) for n in ((6, 30), (2, 30), (6, 250)))
    ),
    "recurrence": _other(Case("recurrence", torch.float32, (60,), least=256)),
    "reduce": _other(Case("reduce", torch.float32, (3, 10, 0), least=32)),
    "histogram": _other(Case("histogram", torch.int32, (500, 20))),
    "locked": _other(Case("locked", torch.float32, (4, 256))),
    "diffuse": _other(Case("diffuse", torch.float32, (500, 3))),
    "split_k": _other(
        *(Case("split_k", torch.float16, (*n, 2), stages=3) for n in ((32, 48, 256), (16, 16, 16)))
    ),
    "attention": _other(*(Case("attention", torch.float16, (*n, 32), stages=3) for n in ((40, 80), (8, 16)))),
    "matmul": _other(*(Case("matmul", torch.float16, n, stages=3) for n in ((48, 48, 80), (16, 16, 16)))),
    "matmul of 64 rows": _other(
        *(Case("matmul", torch.float16, (*n, 64, 64, 32), stages=3) for n in ((80, 80, 160), (16, 16, 16)))
    ),
}
