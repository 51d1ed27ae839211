"""Ask judges about a theorem, and write the certificate of what they said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

from symgru.certificates.document import (
    Json,
    header,
    lemma_to_json,
    refutation_to_json,
    theorem_to_json,
)
from symgru.certificates.obligations import Obligation, obligations
from symgru.certificates.sympy_judge import SympyJudge
from symgru.certificates.verdicts import PROVED, REFUTED, Judge, Verdict
from symgru.proof import LEMMAS, Lemma, ProofError, Refutation, Step, Theorem

NAMES = {"sympy": "SymPy", "z3": "Z3"}


@dataclass(frozen=True)
class Judged:
    """A theorem whose steps carry verdicts, and what was decided for each of them."""

    theorem: Theorem
    obligations: tuple[Obligation | None, ...]


def missing() -> str:
    """Which judge is not installed, and what installs it; empty if all are."""
    return "" if find_spec("z3") else 'Z3 is not installed: pip install "symgru[proof]"'


def judges(names: Sequence[str] | None = None) -> tuple[Judge, ...]:
    """The judges with these names (sympy, z3); by default all that are installed.

    Raises:
        ProofError: a name is unknown, or Z3 is asked for and not installed.
    """
    if names is None:
        names = ("sympy",) if missing() else ("sympy", "z3")
    if unknown := [name for name in names if name not in NAMES]:
        raise ProofError(f"there is no judge {unknown[0]!r}; there are {', '.join(NAMES)}")
    if "z3" in names and missing():
        raise ProofError(missing())
    return tuple(map(_made, dict.fromkeys(names)))


def _made(name: str) -> Judge:
    if name == "sympy":
        return SympyJudge()
    from symgru.certificates.z3_judge import Z3Judge  # Z3 is loaded only if it is asked for

    return Z3Judge()


def judge(theorem: Theorem, by: Sequence[Judge]) -> Judged:
    """Every calculation of the theorem, decided by every judge from the programs and claims alone.

    Args:
        by: Judges; with none it stays as SymPy has checked it when it was made, after rewriting.
    Raises:
        ProofError: a judge refutes a step, or none proves it; or a simulation is not complete.
    """
    if not by:
        return Judged(theorem, ())
    decided = list(obligations(theorem.steps))
    steps = tuple(_judged(theorem.name, step, obligation, by) for step, obligation in decided)
    return Judged(replace(theorem, steps=steps), tuple(obligation for _, obligation in decided))


def _judged(name: str, step: Step, obligation: Obligation | None, by: Sequence[Judge]) -> Step:
    if obligation is None:
        return step
    found = decide(f"{name}: '{step.claim}'", obligation, by)
    return step.judged(tuple((name, verdict.status) for name, verdict in found.items()))


def decide(what: str, obligation: Obligation, by: Sequence[Judge]) -> dict[str, Verdict]:
    """The verdict of every judge.

    Raises:
        ProofError: one refutes the equation, or none proves it; the message says what each of them found.
    """
    found = {judge.name: judge.decide(obligation) for judge in by}
    statuses = [verdict.status for verdict in found.values()]
    if REFUTED in statuses or PROVED not in statuses:
        raise ProofError(f"{what} is not shown; " + "; ".join(f"{n}: {v}" for n, v in found.items()))
    return found


def decide_lemma(lemma: Lemma, by: Sequence[Judge]) -> dict[str, str]:
    """What every judge says of a lemma from the definition of what it is about."""
    return {judge.name: judge.decide_lemma(lemma).status for judge in by}


def certificate(proved: Sequence[Judged | Refutation], by: Sequence[Judge]) -> Json:
    """The certificate of what was proved, premises first.

    Raises:
        ProofError: a premise of a theorem is not among what was proved before it, or a refutation does not
            say what its programs are.
    """
    seen: set[str] = set()
    claims: list[Json] = []
    used: dict[str, None] = {}
    for item in proved:
        if isinstance(item, Refutation):
            if len(item.programs) != 2:
                raise ProofError(f"{item.name}: expected its two programs, which a certificate has to hold")
            claims.append(refutation_to_json(item))
            seen.add(item.name)
            continue
        theorem = item.theorem
        if absent := [premise for premise in theorem.premises if premise not in seen]:
            raise ProofError(f"{theorem.name} rests on {absent[0]}, which was not proved before it")
        seen.add(theorem.name)
        used.update(dict.fromkeys(theorem.lemmas))
        claims.append(theorem_to_json(theorem, list(zip(theorem.steps, item.obligations, strict=True))))
    lemmas = [lemma for lemma in LEMMAS if lemma.name in used]
    return {
        **header({judge.name: judge.version for judge in by}),
        "lemmas": [lemma_to_json(lemma, decide_lemma(lemma, by)) for lemma in lemmas],
        "claims": claims,
    }
