"""Derivatives of cells as programs, over time, and their schedule: found from the equations, not typed in."""

from symgru.derivation.complement import with_complements
from symgru.derivation.cost import (
    LoopCost,
    PipelineCost,
    StepCost,
    costs,
    fused_step,
    loop_cost,
    orders,
    pipeline_cost,
)
from symgru.derivation.count import Operations, operations
from symgru.derivation.forward_mode import jvp, tangent
from symgru.derivation.loop import Loop, backward, forward, linearised
from symgru.derivation.orders import (
    Pipeline,
    Stage,
    double_backward,
    gradient,
    hessian_vector,
    pullback,
    pushforward,
    states,
    tangent_of,
)
from symgru.derivation.pruning import restricted, without_zeros
from symgru.derivation.reverse_mode import cotangent, vjp
from symgru.derivation.schedule import Schedule, schedule
from symgru.derivation.simplify import simplified

__all__ = [
    "Loop",
    "LoopCost",
    "Operations",
    "Pipeline",
    "PipelineCost",
    "Schedule",
    "Stage",
    "StepCost",
    "backward",
    "costs",
    "cotangent",
    "double_backward",
    "forward",
    "fused_step",
    "gradient",
    "hessian_vector",
    "jvp",
    "linearised",
    "loop_cost",
    "operations",
    "orders",
    "pipeline_cost",
    "pullback",
    "pushforward",
    "restricted",
    "schedule",
    "simplified",
    "states",
    "tangent",
    "tangent_of",
    "vjp",
    "with_complements",
    "without_zeros",
]
