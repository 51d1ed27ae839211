"""Whether a certificate is about what this version of symgru proves under that name.

A calculation that holds says nothing of the words beside it. So for the theorems that symgru has, the words,
the programs, the relations and the rules of inference in a file have to be those that symgru derives today.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from symgru.certificates.document import (
    ReadRefutation,
    ReadTheorem,
    claim_from_json,
    refutation_to_json,
    theorem_to_json,
)
from symgru.certificates.obligations import obligations
from symgru.certificates.reading import CertificateError, Node
from symgru.proof import Refutation, Step, Theorem
from symgru.proof.setting import Setting

EQUATIONS = "these are not the equations of this version of symgru"
WORDS = "these are not the words of this version of symgru"
RELATIONS = "these are not the relations of this version of symgru"
STEPS = "these are not the steps of this version of symgru"


def compare(claim: ReadTheorem | ReadRefutation, own: Theorem | Refutation) -> None:
    """Check that a claim is the theorem or refutation of that name.

    Raises:
        CertificateError: it is not; the message says where they differ, equations first.
    """
    data = _as_json(own)
    for where, found, expected, complaint in _pairs(claim, claim_from_json(Node(data))):
        if found != expected:
            raise CertificateError(f"{claim.path}{where}", complaint)


def _as_json(own: Theorem | Refutation) -> dict[str, Any]:
    if isinstance(own, Refutation):
        return refutation_to_json(own)
    return theorem_to_json(own, list(obligations(own.steps)))


def _pairs(
    claim: ReadTheorem | ReadRefutation, own: ReadTheorem | ReadRefutation
) -> Iterator[tuple[str, Any, Any, str]]:
    """Place, what the file has, what this version has, and the complaint if they differ."""
    if isinstance(claim, ReadRefutation) or isinstance(own, ReadRefutation):
        yield "", type(claim), type(own), "is not of the kind that this version of symgru has"
    if isinstance(claim, ReadTheorem) and isinstance(own, ReadTheorem):
        yield from _theorem_pairs(claim, own)
    if isinstance(claim, ReadRefutation) and isinstance(own, ReadRefutation):
        yield ".programs", claim.programs, own.programs, EQUATIONS
        yield ".relation", claim.relation, own.relation, RELATIONS
        yield ".witness", (claim.witness, claim.values), (own.witness, own.values), "is another witness"
    for name, text in own.words.items():
        yield f".{name}", claim.words.get(name), text, WORDS


def _theorem_pairs(claim: ReadTheorem, own: ReadTheorem) -> Iterator[tuple[str, Any, Any, str]]:
    found, expected = _settings(claim), _settings(own)
    yield ".simulations", [s[:2] for s in found], [s[:2] for s in expected], EQUATIONS
    yield ".simulations", found, expected, RELATIONS
    yield ".premises", claim.premises, own.premises, "these are not the premises of this version of symgru"
    yield ".steps", len(claim.steps), len(own.steps), STEPS
    for i, (step, mine) in enumerate(zip(claim.steps, own.steps, strict=True)):
        yield f".steps[{i}]", _step(step), _step(mine), STEPS


def _settings(claim: ReadTheorem) -> list[tuple[Any, ...]]:
    found: dict[int, Setting] = {id(s.place.setting): s.place.setting for s in claim.steps if s.place}
    return [
        (s.reference, s.program, dict(s.relation), dict(s.given), dict(s.goal), s.tied, s.carry, s.reverse)
        for s in found.values()
    ]


def _step(step: Step) -> tuple[Any, ...]:
    shows = step.place and (step.place.role, step.place.symbol, step.place.image)
    return (step.case, step.claim, step.justification, step.lemmas, step.equation, shows)
