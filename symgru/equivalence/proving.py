"""From a candidate to a theorem: the right loop, with these parameters, has the states of the left one."""

from __future__ import annotations

from symgru.derivation import Loop
from symgru.equations import Program
from symgru.equivalence.forms import flattened
from symgru.equivalence.pairing import Pairing
from symgru.equivalence.unify import Candidate
from symgru.proof import ProofError, Step, Theorem, simulate_loop
from symgru.proof.simulation import Relation
from symgru.proof.terms import equations, masks
from symgru.proof.theorem import in_case


def prove(pairing: Pairing, candidate: Candidate) -> Theorem:
    """The theorem that the right loop computes the states of the left, step by step.

    Raises:
        ProofError: it is not shown; the message says what was tried.
    """
    relation = {**candidate.parameters, **pairing.states}
    given, failures = dict(candidate.conditions), []
    for how in (_statement_by_statement, _by_definitions, _written_out):
        try:
            steps = how(pairing, relation, given)
        except ProofError as error:
            failures.append(f"{how.__name__[1:].replace('_', ' ')}: {error}")
        else:
            return _theorem(pairing, candidate, steps)
    raise ProofError("; ".join(failures))


def _statement_by_statement(pairing: Pairing, relation: Relation, given: Relation) -> tuple[Step, ...]:
    return simulate_loop(pairing.left, pairing.right, relation, given=given).steps


def _by_definitions(pairing: Pairing, relation: Relation, given: Relation) -> tuple[Step, ...]:
    return simulate_loop(pairing.left, pairing.right, relation, given=given, inline=True).steps


def _written_out(pairing: Pairing, relation: Relation, given: Relation) -> tuple[Step, ...]:
    """Each loop is the one with its polynomials written out, and those two are compared."""
    left, right = pairing.left, pairing.right
    ours, theirs = (_flat(loop) for loop in (left, right))
    first = simulate_loop(ours, left, {}, given=given, inline=True).steps
    second = simulate_loop(theirs, right, {}, inline=True).steps
    between = simulate_loop(ours, theirs, relation, given=given, inline=True).steps
    return (
        *in_case(f"{left.name}, polynomials written out", first),
        *in_case(f"{right.name}, polynomials written out", second),
        *in_case("one written out in terms of the other", between),
        Step(
            f"{right.name} in terms of {left.name}",
            "equality is transitive: each is what it is written out, and the third case relates those two",
        ),
    )


def _flat(loop: Loop) -> Loop:
    step = flattened(loop.step).without_dead_statements()
    missing = {s: shape for s, shape in loop.step.inputs.items() if s not in step.inputs}
    return Loop(loop.name, Program({**step.inputs, **missing}, step.statements, step.outputs), loop.carry)


def _theorem(pairing: Pairing, candidate: Candidate, steps: tuple[Step, ...]) -> Theorem:
    left, right = pairing.left, pairing.right
    primed = _equations(candidate.parameters) or "no parameters"
    states = _equations(pairing.states)
    conditions = _equations(candidate.conditions)
    renamed = ", ".join(f"{new} for {old}" for old, new in pairing.names.items())
    where = f" with {conditions}".replace("′", "") if conditions else ""
    return Theorem(
        name=f"{left.name}-in-{right.name}{'-if' if conditions else ''}",
        statement=f"Every {left.name}{where} is a {right.name}: with {primed}, the states are related by "
        f"{states} at every time step, for every number of units.",
        latex=rf"h^{{\mathrm{{{_latex(right.name)}}}}}_t(\varphi(\theta)) = "
        rf"h^{{\mathrm{{{_latex(left.name)}}}}}_t(\theta)\quad\text{{for all }} t",
        assumptions=(
            f"the parameters of {right.name}, with primes, are {primed}",
            *((f"the parameters of {left.name} are such that{where[5:]}",) if where else ()),
            *((f"names of {right.name} as used here: {renamed}",) if renamed else ()),
            f"the inputs are equal, and the initial states are related by {states}",
            *(
                f"the mask {mask} is true or false, and the same in both"
                for mask in sorted(masks(left.step), key=str)
            ),
            "exact arithmetic",
        ),
        steps=steps,
        conclusion="All states are related as stated, for every number of units, inputs, examples and steps.",
        equations=equations({left.name: left.step, right.name: right.step}),
    )


def _equations(relation: Relation) -> str:
    return ", ".join(f"{name}′ = {value}" for name, value in relation.items())


def _latex(name: str) -> str:
    return name.replace("_", r"\_")
