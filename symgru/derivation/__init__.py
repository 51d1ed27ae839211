"""Derivatives of cells as programs, over time, and their schedule: found from the equations, not typed in."""

from symgru.derivation.complement import with_complements
from symgru.derivation.forward_mode import jvp, tangent
from symgru.derivation.loop import Loop, backward, forward, linearised
from symgru.derivation.reverse_mode import cotangent, vjp
from symgru.derivation.schedule import Schedule, schedule

__all__ = [
    "Loop",
    "Schedule",
    "backward",
    "cotangent",
    "forward",
    "jvp",
    "linearised",
    "schedule",
    "tangent",
    "vjp",
    "with_complements",
]
