"""What derivatives cost: operations of every phase of every loop, and values that outlive their step."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import sympy as sp

from symgru.derivation.complement import with_complements
from symgru.derivation.count import Operations, operations
from symgru.derivation.orders import (
    Pipeline,
    double_backward,
    gradient,
    hessian_vector,
    states,
    tangent_of,
)
from symgru.derivation.reverse_mode import vjp
from symgru.derivation.schedule import Schedule
from symgru.derivation.simplify import cheapest
from symgru.equations import Cell, Pointwise

Json = dict[str, object]


@dataclass(frozen=True)
class LoopCost:
    """What a scheduled loop costs.

    Attributes:
        name: Of the loop.
        reverse: Time runs backwards.
        before, inside, after: Operations of the phases.
        read: Sequences that the inside reads at every step.
        stored: Values that outlive their step: one number for each unit, sequence and step each.
    """

    name: str
    reverse: bool
    before: Operations
    inside: Operations
    after: Operations
    read: tuple[str, ...]
    stored: tuple[str, ...]

    @property
    def total(self) -> Operations:
        """Of the three phases."""
        return self.before + self.inside + self.after


@dataclass(frozen=True)
class PipelineCost:
    """What a derivative costs, loop by loop; `sums` are the additions of contributions between them."""

    name: str
    loops: tuple[LoopCost, ...]
    sums: int

    @property
    def total(self) -> Operations:
        """Of all loops and what adds their results."""
        return sum((loop.total for loop in self.loops), Operations())

    @property
    def before(self) -> Operations:
        """For all steps at once, before their loops."""
        return sum((loop.before for loop in self.loops), Operations())

    @property
    def inside(self) -> Operations:
        """Inside the loops: what cannot be done for all steps at once."""
        return sum((loop.inside for loop in self.loops), Operations())

    @property
    def after(self) -> Operations:
        """For all steps at once, after their loops."""
        return sum((loop.after for loop in self.loops), Operations())

    @property
    def stored(self) -> int:
        """Values for each unit, sequence and step that outlive their step."""
        return sum(len(loop.stored) for loop in self.loops)

    def to_json(self) -> Json:
        """As data for documents: numbers, names and nothing else."""
        return {**asdict(self), "total": asdict(self.total), "stored": self.stored}


def loop_cost(scheduled: Schedule) -> LoopCost:
    """Of one loop as scheduled."""
    return LoopCost(
        scheduled.loop.name,
        scheduled.loop.reverse,
        operations(scheduled.before),
        operations(scheduled.inside),
        operations(scheduled.after),
        tuple(map(str, scheduled.sequences)),
        tuple(map(str, scheduled.stored)),
    )


def pipeline_cost(pipeline: Pipeline, *, simplify: bool = True) -> PipelineCost:
    """Of all its loops, as emitted; with `simplify=False` as derived."""
    loops = tuple(loop_cost(s.simplified if simplify else s.schedule) for s in pipeline.stages)
    terms = [terms for stage in pipeline.stages for terms in stage.reads.values()]
    terms += pipeline.outputs.values()
    return PipelineCost(pipeline.name, loops, sum(max(len(t) - 1, 0) for t in terms))


@dataclass(frozen=True)
class StepCost:
    """What the gradient of one step costs as a fused kernel that reads what the forward step saved.

    Attributes:
        statements: The pointwise statements, from the cotangents of the new states to those of the arguments
            of the matrix products. What comes back through the weights is not added here.
        operations: Their operations.
        saved: Values of the forward step that they read.
    """

    statements: tuple[Pointwise, ...]
    operations: Operations
    saved: tuple[str, ...]


def fused_step(cell: Cell) -> StepCost:
    """The cheapest gradient of one step, nothing moved out of a loop, gates and their complements saved."""
    step = with_complements(cell.step, every=True)
    whole = vjp(step)
    adjoint = [s for s in whole if s not in step.statements]
    zeros = {sp.Symbol(f"{output}_through_weights", real=True): sp.S.Zero for output in whole.outputs}
    local = [
        Pointwise(s.target, s.expression.xreplace(zeros)) if isinstance(s, Pointwise) else s for s in adjoint
    ]
    kept = {*whole.outputs, *step.outputs}
    _, backward_part = cheapest((step.statements, local), kept, {s.name for s in whole.shapes})
    statements = tuple(s for s in backward_part if isinstance(s, Pointwise))
    computed = {s.target for s in backward_part} | (whole.inputs.keys() - step.inputs.keys())
    saved = {str(symbol) for s in statements for symbol in s.reads - computed}
    return StepCost(statements, operations(statements), tuple(sorted(saved)))


def orders(cell: Cell) -> dict[str, Pipeline]:
    """The forward pass and all derivatives of first and second order, by name."""
    return {
        "forward": states(cell),
        "tangent": tangent_of(cell),
        "gradient": gradient(cell),
        "hessian_vector": hessian_vector(cell),
        "double_backward": double_backward(cell),
    }


def costs(cell: Cell, *, simplify: bool = True) -> dict[str, PipelineCost]:
    """What each of them costs, as emitted; with `simplify=False` as derived."""
    return {name: pipeline_cost(pipeline, simplify=simplify) for name, pipeline in orders(cell).items()}
