"""Theorems about cells, proved from their equations step by step, and refutations with witnesses."""

from symgru.proof.evaluation import Arithmetic, evaluate, intervals
from symgru.proof.lemmas import LEMMAS, Lemma, check
from symgru.proof.polarity import MIRRORED, complementary_gates, gradients_mirror, keep_is_update
from symgru.proof.refutations import placements_differ, polarities_differ, refute
from symgru.proof.resets import (
    diagonal_recurrence,
    one_step_from_zero,
    only_diagonal_recurrence,
    with_diagonal,
)
from symgru.proof.simulation import Simulation, simulate, simulate_loop
from symgru.proof.theorem import Interval, ProofError, Refutation, Step, Theorem, Witness
from symgru.proof.theorems import all_theorems
from symgru.proof.training import OPTIMISERS, Optimiser, mirrored_update, training_mirrors

__all__ = [
    "LEMMAS",
    "MIRRORED",
    "OPTIMISERS",
    "Arithmetic",
    "Interval",
    "Lemma",
    "Optimiser",
    "ProofError",
    "Refutation",
    "Simulation",
    "Step",
    "Theorem",
    "Witness",
    "all_theorems",
    "check",
    "complementary_gates",
    "diagonal_recurrence",
    "evaluate",
    "gradients_mirror",
    "intervals",
    "keep_is_update",
    "mirrored_update",
    "one_step_from_zero",
    "only_diagonal_recurrence",
    "placements_differ",
    "polarities_differ",
    "refute",
    "simulate",
    "simulate_loop",
    "training_mirrors",
    "with_diagonal",
]
