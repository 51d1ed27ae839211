"""All theorems and refutations, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from symgru.equations import Reset
from symgru.proof.coefficients import only_diagonal_recurrence
from symgru.proof.conversions import CASES, no_conversion
from symgru.proof.polarity import complementary_gates, gradients_mirror, keep_is_update
from symgru.proof.refutations import placements_differ, polarities_differ
from symgru.proof.resets import diagonal_recurrence, one_step_from_zero, shared_reset_gate
from symgru.proof.theorem import Theorem
from symgru.proof.training import OPTIMISERS, training_mirrors
from symgru.proof.witness import Refutation

Prove = Callable[[], Theorem | Refutation]


def all_theorems() -> Iterator[tuple[str, Prove]]:
    """Name and proof of every theorem and refutation; calling the second proves it or raises ProofError."""
    yield "complementary-gates", complementary_gates
    for lengths in (False, True):
        ending = "-lengths" if lengths else ""
        for reset in Reset:
            yield f"keep-is-update-{reset.value}{ending}", partial(keep_is_update, reset, lengths)
            yield f"gradients-mirror-{reset.value}{ending}", partial(gradients_mirror, reset, lengths)
    for name in OPTIMISERS:
        yield f"training-mirrors-{name}", partial(training_mirrors, name)
    yield "keep-is-not-update-unmirrored", polarities_differ
    for left, right in ((Reset.BEFORE, Reset.AFTER), (Reset.WHOLE, Reset.BEFORE), (Reset.WHOLE, Reset.AFTER)):
        yield f"{left.value}-is-not-{right.value}", partial(placements_differ, left, right)
    for target, reset in CASES:
        yield f"no-{reset.value}-is-{target.value}", partial(no_conversion, reset, target)
    yield "one-step-from-zero", one_step_from_zero
    yield "diagonal-recurrence", diagonal_recurrence
    yield "shared-reset-gate", shared_reset_gate
    yield "only-diagonal-recurrence", only_diagonal_recurrence
