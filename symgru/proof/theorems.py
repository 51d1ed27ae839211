"""All theorems and refutations, in the order in which they build on each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from symgru.equations import Reset
from symgru.proof.activations import clipped, gate_offset, hard_gates, keras_hard_sigmoid, keras_unscaled
from symgru.proof.biases import (
    constant_reset_absorbs,
    no_three_are_four,
    six_are_four,
    six_are_three,
    two_biases_double_the_step,
)
from symgru.proof.bounds import bounded_states, lipschitz, unbounded_cells
from symgru.proof.cell_polarity import cells_mirror, mirrored_start, unmirrored_start
from symgru.proof.coefficients import only_diagonal_recurrence
from symgru.proof.complements import no_mirror, only_complementary
from symgru.proof.conversions import CASES, no_conversion
from symgru.proof.normalisation import (
    batch_norm_is_plain,
    joint_layer_norm,
    separate_norms,
    weights_negated,
)
from symgru.proof.outside import clipped_is_plain, no_gru_is_clipped, no_gru_is_layer_norm
from symgru.proof.polarity import complementary_gates, gradients_mirror, keep_is_update
from symgru.proof.refutations import placements_differ, polarities_differ
from symgru.proof.resets import diagonal_recurrence, one_step_from_zero, shared_reset_gate
from symgru.proof.shared_gates import (
    augru_paper_is_not_code,
    augru_polarity,
    fastgrnn_mirrors,
    fastgrnn_polarities_differ,
    mgu_polarity,
    p_norm_polarities_differ,
)
from symgru.proof.structure import (
    blocks_are_dense,
    concatenated,
    permutations_of_units,
    scaled_tanh,
    sign_flips,
)
from symgru.proof.support import converts_exactly
from symgru.proof.theorem import Theorem
from symgru.proof.training import OPTIMISERS, training_mirrors
from symgru.proof.witness import Refutation

Prove = Callable[[], Theorem | Refutation]
Named = tuple[str, Prove]


def all_theorems() -> Iterator[Named]:
    """Name and proof of every theorem and refutation; calling the second proves it or raises ProofError."""
    yield from _polarity()
    yield from _activations()
    yield from _shared_gates()
    yield from _placements()
    yield from _biases()
    yield from _storage()
    yield from _bounds()


def _polarity() -> Iterator[Named]:
    """Keep and update."""
    yield "complementary-gates", complementary_gates
    for lengths in (False, True):
        ending = "-lengths" if lengths else ""
        for reset in Reset:
            yield f"keep-is-update-{reset.value}{ending}", partial(keep_is_update, reset, lengths)
            yield f"gradients-mirror-{reset.value}{ending}", partial(gradients_mirror, reset, lengths)
    for name in OPTIMISERS:
        yield f"training-mirrors-{name}", partial(training_mirrors, name)
    yield "keep-is-not-update-unmirrored", polarities_differ
    yield "gate-bias-starts-mirrored", mirrored_start
    yield "gate-bias-start-is-not-mirrored", unmirrored_start
    yield "keep-is-update-cells", cells_mirror
    yield "keep-is-update-layer-norm", joint_layer_norm
    yield "layer-norm-is-not-mirrored-by-weights", weights_negated
    yield "keep-is-update-separate-norms", separate_norms


def _activations() -> Iterator[Named]:
    """Other gates than σ."""
    yield "keep-is-update-with-offset", gate_offset
    yield "keep-is-update-hard-sigmoid", hard_gates
    yield "keep-is-update-clipped", clipped
    yield "clipped-is-plain-if-inactive", clipped_is_plain
    yield "no-gru-is-clipped", no_gru_is_clipped
    yield "only-complementary-activations", only_complementary
    for activation in ("relu", "tanh"):
        yield f"no-{activation}-gate-is-its-mirror", partial(no_mirror, activation)
    yield "keras-2-is-keras-3", keras_hard_sigmoid
    yield "keras-2-is-not-keras-3-unscaled", keras_unscaled


def _shared_gates() -> Iterator[Named]:
    """Update gates with a second job."""
    yield "no-mgu-is-its-mirror", mgu_polarity
    yield "no-augru-paper-is-code", augru_paper_is_not_code
    for cell in ("augru_paper", "augru_code"):
        yield f"no-{cell.replace('_', '-')}-is-its-mirror", partial(augru_polarity, cell)
    yield "fastgrnn-is-not-mirrored", fastgrnn_polarities_differ
    yield "fastgrnn-mirrors-with-its-state", fastgrnn_mirrors
    yield "p-norm-is-not-mirrored", p_norm_polarities_differ


def _placements() -> Iterator[Named]:
    """Reset before, after and whole."""
    for left, right in ((Reset.BEFORE, Reset.AFTER), (Reset.WHOLE, Reset.BEFORE), (Reset.WHOLE, Reset.AFTER)):
        yield f"{left.value}-is-not-{right.value}", partial(placements_differ, left, right)
    for target, reset in CASES:
        yield f"no-{reset.value}-is-{target.value}", partial(no_conversion, reset, target)
    yield "one-step-from-zero", one_step_from_zero
    yield "diagonal-recurrence", diagonal_recurrence
    yield "shared-reset-gate", shared_reset_gate
    yield "only-diagonal-recurrence", only_diagonal_recurrence
    for one, other in ((Reset.BEFORE, Reset.AFTER), (Reset.AFTER, Reset.BEFORE)):
        yield f"{one.value}-is-{other.value}-if-gates-are-shared", partial(converts_exactly, one)


def _biases() -> Iterator[Named]:
    """3H, 4H and 6H."""
    yield "six-biases-are-three", six_are_three
    yield "six-biases-are-four", six_are_four
    yield "four-biases-are-three-if", constant_reset_absorbs
    yield "no-three-biases-are-four", no_three_are_four
    yield "two-biases-double-the-step", two_biases_double_the_step


def _storage() -> Iterator[Named]:
    """The same model in other coordinates or another storage."""
    yield "signs-of-units-are-free", sign_flips
    yield "order-of-units-is-free", permutations_of_units
    yield "storage-is-lossless", concatenated
    yield "block-diagonal-is-dense", blocks_are_dense
    yield "scaled-tanh-is-tanh", scaled_tanh
    yield "batch-norm-is-plain", batch_norm_is_plain
    yield "no-gru-is-layer-norm", no_gru_is_layer_norm


def _bounds() -> Iterator[Named]:
    """What holds for all weights."""
    yield "bounded-states", bounded_states
    yield "no-gru-is-mingru-or-ligru", unbounded_cells
    for reset in Reset:
        yield f"lipschitz-{reset.value}", partial(lipschitz, reset)
