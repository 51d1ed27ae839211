"""Are two cells the same model? A reparametrisation with a proof, or a witness, or neither."""

from symgru.equivalence.outcomes import (
    Comparison,
    Different,
    Equal,
    Outcome,
    Refuted,
    Reparametrisation,
    Undecided,
    Verdict,
)
from symgru.equivalence.pairing import PairingError
from symgru.equivalence.search import compare, contained, embedded

__all__ = [
    "Comparison",
    "Different",
    "Equal",
    "Outcome",
    "PairingError",
    "Refuted",
    "Reparametrisation",
    "Undecided",
    "Verdict",
    "compare",
    "contained",
    "embedded",
]
