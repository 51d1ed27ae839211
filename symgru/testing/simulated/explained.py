"""Why a mutant of compiled code may survive: it is not an error, or not one that the simulator can see."""

from __future__ import annotations

import re
from dataclasses import dataclass

from symgru.testing.simulated.mutants import Mutant


@dataclass(frozen=True)
class Explanation:
    """Why mutants survive: patterns for the kernel's name, the target, and the mutant in words.

    `error` says whether the mutant is one at all; most that survive do what the kernel does.
    """

    kernel: str
    target: str
    mutant: str
    reason: str
    error: bool = False

    def covers(self, kernel: str, target: str, mutant: Mutant) -> bool:
        """Whether this is the reason for a survivor."""
        pairs = ((self.kernel, kernel), (self.target, target), (self.mutant, str(mutant)))
        return all(re.search(pattern, text) for pattern, text in pairs)


EXPLANATIONS: tuple[Explanation, ...] = (
    Explanation(
        "matmul|split_k|attention",
        "sm_80",
        r"^wait: .*left, not 0",
        "it is the wait behind the loop, and nobody reads what the last copies bring",
    ),
    Explanation(
        "matmul|split_k",
        "sm_80",
        r"^(wait: .*left, not 2|barrier: .*kernels\.py:32)",
        "in the loop another wait and barrier go before, and no copy is begun between them",
    ),
    Explanation(
        "reduce",
        "sm_",
        r"^barrier: .*standard\.py:206",
        "what is written behind the barrier was read before an earlier one, and nothing of it since",
    ),
    Explanation("histogram", "sm_", r"^mask: .*\.max\.s32", "the maximum is taken by every thread"),
    Explanation(
        "locked|diffuse",
        ".",
        r"^barrier: .*kernels\.py:(132|145)",
        "the barrier is behind a loop that ends with one, and only registers are used between",
    ),
    Explanation(
        "diffuse",
        "sm_",
        r"^mask: .*kernels\.py:(163|164) ",
        "the place is taken modulo n, and what is computed from the number is not stored",
    ),
    Explanation(
        "diffuse",
        "sm_",
        r"^mask: .*ld\.global\.gpu\.acquire",
        "every thread polls the counter, and one passes on what it saw",
    ),
    Explanation(
        "split_k",
        "sm_",
        r"^mask: .*\.add\.f32",
        "the factors there are 0, so 0 is added to numbers of the matrix",
    ),
)


def why(kernel: str, target: str, mutant: Mutant) -> Explanation | None:
    """The reason why a mutant survived, None if there is none yet."""
    return next((e for e in EXPLANATIONS if e.covers(kernel, target, mutant)), None)
