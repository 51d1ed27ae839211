"""Launches that fail under few schedules, to be found by exploration, and the same without the error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch

from symgru.testing.simulated import schedule_kernels as kernels


@dataclass(frozen=True)
class Scheduled:
    """Checks of one launch, and what its error needs.

    Attributes:
        check: Launches and raises AssertionError if the result is wrong; told whether without the error.
        preemptions: How often programs must be interrupted for it.
        rare: Neither fifo nor random schedules find it.
    """

    check: Callable[[bool], None]
    preemptions: int
    rare: bool = True


def _words(*values: int) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.int32)


def _ticket(late: int, right: bool) -> None:
    counter, taken = _words(0), _words(0, 0)
    kernels.ticket[(2,)](counter, taken, _words(0, 0), late, RIGHT=right, num_warps=1)
    assert taken.tolist() == [1, 1], f"tickets were taken {taken.tolist()} times"


def _stack(late: int, right: bool) -> None:
    head, owners = _words(0), _words(0, 0, 0, 0)
    kernels.stack[(2,)](head, _words(1, 2, 3, 3), owners, _words(0, 0), late, RIGHT=right, num_warps=1)
    left = head.item() % 256
    assert owners[int(left)] == 0, f"{left} lies on the stack, and it has been taken: {owners.tolist()}"


def _torn(late: int, right: bool) -> None:
    pair, out = _words(1, 1), _words(0, 0)
    kernels.torn[(2,)](_words(0), _words(0), pair, out, _words(0, 0), late, RIGHT=right, num_warps=1)
    assert out[0] == out[1], f"read {out.tolist()}, which was never written as a pair"


def _locked(programs: int, right: bool) -> None:
    most = _words(0)
    kernels.locked[(programs,)](_words(0), _words(0), most, RIGHT=right, num_warps=1)
    assert most.item() == 1, f"{most.item()} programs were inside at once"


#: By what is wrong.
SCHEDULED: Mapping[str, Scheduled] = {
    "ticket looked at, then taken": Scheduled(partial(_ticket, 200), 1),
    "stack that takes a number for what it was": Scheduled(partial(_stack, 12), 1),
    "version that changes afterwards alone": Scheduled(partial(_torn, 12), 2),
    "lock looked at, then taken": Scheduled(partial(_locked, 2), 2, rare=False),
}
