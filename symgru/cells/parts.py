"""What several cells have in common."""

from __future__ import annotations

import sympy as sp

from symgru.equations import Polarity

INPUT, HIDDEN = "I", "H"


def mix(polarity: Polarity | str, gate: sp.Expr, old: sp.Expr, new: sp.Expr) -> sp.Expr:
    """The state update: keep is g⊙old + (1−g)⊙new, update is (1−g)⊙old + g⊙new.

    Raises:
        ValueError: polarity is not keep or update.
    """
    if Polarity(polarity) is Polarity.KEEP:
        return gate * old + (1 - gate) * new
    return (1 - gate) * old + gate * new
