"""What a file is to show: two loops, how their inputs are related, and which relation of outputs follows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import product

from symgru.derivation import Loop, backward, forward
from symgru.equations import Reset
from symgru.proof import polarity
from symgru.proof.simulation import Relation, simulate, simulate_loop


@dataclass(frozen=True)
class Claim:
    """A theorem about two loops, with the lemmas that lead to it: one for each statement.

    Attributes:
        name, text: As the theorem of `symgru.proof` is called, and what it says.
        reference, program: The two loops.
        images: Inputs and statements of `program` as expressions in the values of `reference`.
        goal: Outputs of `program` as expressions in the values of `reference`: what the theorem says.
        aliases: Values of `reference` as expressions in earlier ones, those that are.
    """

    name: str
    text: str
    reference: Loop
    program: Loop
    images: Relation
    goal: Relation
    aliases: Relation = field(default_factory=dict)


def claim(name: str, text: str, reference: Loop, program: Loop, relation: Relation, goal: Relation) -> Claim:
    """The claim whose lemmas are the steps by which `simulate_loop` shows it.

    Args:
        name, text: What the theorem is called, and what it says.
        reference, program: The two loops.
        relation: Inputs of `program` as expressions in inputs of `reference`; those not named are equal.
        goal: Outputs of `program` as expressions in values of `reference`.
    Raises:
        ProofError: the relation does not lead to the goal.
    """
    images = simulate_loop(reference, program, relation, goal).relation
    own = simulate(reference.step, reference.step, {}).relation
    aliases = {symbol: image for symbol, image in own.items() if image != symbol}
    return Claim(name, text, reference, program, images, goal, aliases)


def states(reset: Reset | str, lengths: bool = False) -> Claim:
    """keep-is-update: the states of keep are those of update with (W_z, U_z, b_z) negated."""
    keep, update = map(polarity.published, polarity.cells(reset, lengths))
    theorem = polarity.keep_is_update(reset, lengths)
    goal = {leaving: leaving for _, leaving in keep.carry}
    return claim(theorem.name, theorem.statement, keep, update, polarity.MIRRORED, goal)


def gradients(reset: Reset | str, lengths: bool = False) -> Claim:
    """gradients-mirror: those of (W_z, U_z, b_z) are negated, and all the others are equal."""
    keep, update = (backward(forward(cell)) for cell in polarity.cells(reset, lengths))
    theorem = polarity.gradients_mirror(reset, lengths)
    goal = polarity.mirrored_gradients(keep.step)
    return claim(theorem.name, theorem.statement, keep, update, polarity.MIRRORED, goal)


def claims() -> Mapping[str, Callable[[], Claim]]:
    """Every claim that can be exported, by the name of its theorem."""
    found: dict[str, Callable[[], Claim]] = {}
    for prefix, make in (("keep-is-update", states), ("gradients-mirror", gradients)):
        for lengths, reset in product((False, True), Reset):
            name = f"{prefix}-{reset.value}{'-lengths' if lengths else ''}"
            found[name] = partial(make, reset, lengths)
    return found
