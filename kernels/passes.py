"""What an emitted pass over time is: three functions and the names of what goes in and out of them.

A pass runs `before` once on whole sequences, `inside` once for every step, `after` once on whole sequences.
Values are handed on by name, in a dictionary; an executor of the loop reads the sequences and parameters of
`inside` from it and adds what `inside` stores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Phase:
    """A function of positional arguments `reads` that returns a tuple in the order of `writes`."""

    run: Callable[..., tuple[Any, ...]]
    reads: tuple[str, ...]
    writes: tuple[str, ...]

    def __call__(self, values: dict[str, Any]) -> None:
        """Read the arguments from `values` and add the results to it."""
        if self.writes:
            values.update(zip(self.writes, self.run(*(values[name] for name in self.reads)), strict=True))


@dataclass(frozen=True)
class Pass:
    """One scheduled loop over time.

    Attributes:
        before, inside, after: The three phases. `inside` reads entering + sequences + parameters and writes
            leaving + what else is stored.
        carry: Pairs (name entering a step, name leaving it).
        sequences: Values that `inside` reads one step at a time, [T, B, n].
        parameters: Values that `inside` reads whole.
        stored: Values that `inside` writes and that are kept for every step.
        reverse: Whether time runs from T − 1 to 0.
    """

    before: Phase
    inside: Phase
    after: Phase
    carry: tuple[tuple[str, str], ...]
    sequences: tuple[str, ...]
    parameters: tuple[str, ...]
    stored: tuple[str, ...]
    reverse: bool
