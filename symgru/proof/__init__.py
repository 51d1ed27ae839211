"""Theorems about cells, proved from their equations step by step, and refutations with witnesses."""

from symgru.proof.activations import with_clipping, with_hard_gates, with_offset
from symgru.proof.bounds import bounded_states, lipschitz, lipschitz_bound, state_bound
from symgru.proof.coefficients import only_diagonal_recurrence
from symgru.proof.conversions import no_conversion
from symgru.proof.evaluation import Arithmetic, evaluate, intervals
from symgru.proof.groups import in_groups
from symgru.proof.inequalities import Inequalities
from symgru.proof.lemmas import LEMMAS, Lemma, check
from symgru.proof.magnitudes import Magnitudes
from symgru.proof.polarity import MIRRORED, complementary_gates, gradients_mirror, keep_is_update
from symgru.proof.refutations import placements_differ, polarities_differ, refute
from symgru.proof.resets import diagonal_recurrence, one_step_from_zero, shared_reset_gate, with_diagonal
from symgru.proof.simulation import Simulation, simulate, simulate_loop
from symgru.proof.support import converts_exactly
from symgru.proof.theorem import Kind, ProofError, Step, Theorem
from symgru.proof.theorems import all_theorems
from symgru.proof.training import OPTIMISERS, Optimiser, mirrored_update, training_mirrors
from symgru.proof.witness import Interval, Refutation, Witness

__all__ = [
    "LEMMAS",
    "MIRRORED",
    "OPTIMISERS",
    "Arithmetic",
    "Inequalities",
    "Interval",
    "Kind",
    "Lemma",
    "Magnitudes",
    "Optimiser",
    "ProofError",
    "Refutation",
    "Simulation",
    "Step",
    "Theorem",
    "Witness",
    "all_theorems",
    "bounded_states",
    "check",
    "complementary_gates",
    "converts_exactly",
    "diagonal_recurrence",
    "evaluate",
    "gradients_mirror",
    "in_groups",
    "intervals",
    "keep_is_update",
    "lipschitz",
    "lipschitz_bound",
    "mirrored_update",
    "no_conversion",
    "one_step_from_zero",
    "only_diagonal_recurrence",
    "placements_differ",
    "polarities_differ",
    "refute",
    "shared_reset_gate",
    "simulate",
    "simulate_loop",
    "state_bound",
    "training_mirrors",
    "with_clipping",
    "with_diagonal",
    "with_hard_gates",
    "with_offset",
]
