"""Decide a certificate again, without trusting who wrote it.

Programs, relations and claims are read from the file. What has to be shown for each claim is computed from
them anew (`symgru.certificates.obligations`), compared with the equation that the file has, and given to the
judges. Nothing is searched for: a certificate that leaves something out is refused. What no calculation
shows, rules of inference and words, has to be what this version of symgru says, and is reported as stated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from symgru.certificates.comparison import compare
from symgru.certificates.document import (
    ReadCertificate,
    ReadRefutation,
    ReadTheorem,
    certificate_from_json,
    lemma_to_json,
)
from symgru.certificates.judging import decide, decide_lemma
from symgru.certificates.obligations import obligations
from symgru.certificates.reading import CertificateError, parse
from symgru.certificates.verdicts import Judge
from symgru.certificates.witnesses import check_witness
from symgru.proof import LEMMAS, ProofError, Refutation, Theorem

Known = Mapping[str, Callable[[], Theorem | Refutation]]


@dataclass(frozen=True)
class Verified:
    """What was found of one claim.

    Attributes:
        name, kind: Of the claim.
        calculations: Replayed and decided by every judge.
        rules: Stated, not checked.
        complaint: Why the claim is refused; empty if it is not.
    """

    name: str
    kind: str
    calculations: int = 0
    rules: int = 0
    complaint: str = ""


@dataclass(frozen=True)
class Verification:
    """What was found of a whole certificate.

    Attributes:
        versions: Of the software that wrote it, as the file says.
        recorded: Judges whose verdicts the file has.
        judges: Judges who decided again.
        lemmas: Verdicts of these judges on each lemma that the file lists.
        claims: What was found of each claim, in the order of the file.
    """

    versions: Mapping[str, str]
    recorded: tuple[str, ...]
    judges: tuple[str, ...]
    lemmas: Mapping[str, Mapping[str, str]]
    claims: tuple[Verified, ...]


def verify(text: str, by: Sequence[Judge], known: Known) -> Verification:
    """Every claim of a certificate, decided again.

    Args:
        text: The file.
        by: Judges; the verdicts that the file has of them are compared with theirs.
        known: The theorems and refutations that this version has, by name.
    Raises:
        CertificateError: the file does not have the form of a certificate, or its lemmas are not those that
            this version knows.
    """
    read = certificate_from_json(parse(text))
    lemmas = _check_lemmas(read, by)
    found: list[Verified] = []
    for claim in read.claims:
        if claim.name in {earlier.name for earlier in found}:
            raise CertificateError(claim.path, f"{claim.name} is claimed a second time")
        shown = {earlier.name for earlier in found if not earlier.complaint}
        try:
            result = replay(claim, by, lemmas.keys(), shown)
            _check_known(claim, known)
        except (CertificateError, ProofError) as error:
            kind = "theorem" if isinstance(claim, ReadTheorem) else "refutation"
            where = "" if isinstance(error, CertificateError) else f"{claim.path}: "
            result = Verified(claim.name, kind, complaint=f"{where}{error}")
        found.append(result)
    names = tuple(judge.name for judge in by)
    return Verification(read.versions, read.judges, names, lemmas, tuple(found))


def replay(
    claim: ReadTheorem | ReadRefutation, by: Sequence[Judge], lemmas: Collection[str], shown: Collection[str]
) -> Verified:
    """Decide one claim from what the file says of it alone.

    Args:
        lemmas: Names of the lemmas that the file lists, which are those of this version.
        shown: Names of the claims before it that hold.
    Raises:
        CertificateError: it does not hold, or the file does not say what was decided.
        ProofError: a simulation is not complete, or a judge does not agree.
    """
    if isinstance(claim, ReadRefutation):
        check_witness(claim)
        return Verified(claim.name, "refutation")
    for premise in claim.premises:
        if premise not in shown:
            raise CertificateError(claim.path, f"rests on {premise}, which is not shown before it")
    decided = _replayed(claim, by, lemmas)
    if not any(decided):
        raise CertificateError(claim.path, "expected at least one calculation")
    return Verified(claim.name, "theorem", sum(decided), len(decided) - sum(decided))


def _replayed(claim: ReadTheorem, by: Sequence[Judge], lemmas: Collection[str]) -> list[bool]:
    """Of each step, in order, whether it is a calculation."""
    found: list[bool] = []
    places = {id(step): f"{claim.path}.steps[{i}]" for i, step in enumerate(claim.steps)}
    for step, obligation in obligations(claim.steps):
        path = places[id(step)]
        for lemma in step.lemmas:
            if lemma not in lemmas:
                raise CertificateError(path, f"uses the lemma '{lemma}', which the file does not list")
        found.append(obligation is not None)
        if (obligation is None) != (step.equation is None):
            kinds = ("a rule of inference", "a calculation")
            raise CertificateError(path, f"expected {kinds[obligation is not None]}, got the other kind")
        if obligation is None:
            continue
        if step.equation != (obligation.left, obligation.right):
            expected = f"{obligation.left} = {obligation.right}"
            raise CertificateError(path, f"expected the equation {expected}, got another one")
        try:
            verdicts = decide(f"'{step.claim}'", obligation, by)
        except ProofError as error:
            raise CertificateError(path, str(error)) from None
        _compare_verdicts(path, dict(step.verdicts), {n: verdict.status for n, verdict in verdicts.items()})
    return found


def _compare_verdicts(path: str, recorded: Mapping[str, str], found: Mapping[str, str]) -> None:
    for name, verdict in found.items():
        if recorded.get(name, verdict) != verdict:
            raise CertificateError(path, f"by {name} it is {verdict}, the file says {recorded[name]}")


def _check_lemmas(read: ReadCertificate, by: Sequence[Judge]) -> dict[str, dict[str, str]]:
    """Verdicts on the lemmas in the file, each of which is the same as the one that this version has."""
    known = {lemma.name: lemma for lemma in LEMMAS}
    theorems = (claim for claim in read.claims if isinstance(claim, ReadTheorem))
    used = {lemma for theorem in theorems for step in theorem.steps for lemma in step.lemmas}
    found: dict[str, dict[str, str]] = {}
    for i, data in enumerate(read.lemmas):
        path, name = f"lemmas[{i}]", data["name"]
        if name not in known:
            raise CertificateError(path, f"there is no lemma '{name}'")
        if name in found or name not in used:
            why = "is listed a second time" if name in found else "is used by no step"
            raise CertificateError(path, f"the lemma '{name}' {why}")
        for part, value in lemma_to_json(known[name], data["verdicts"]).items():
            if data[part] != value:
                raise CertificateError(f"{path}.{part}", f"is not that of the lemma '{name}'")
        found[name] = decide_lemma(known[name], by)
        _compare_verdicts(path, data["verdicts"], found[name])
    if list(found) != [name for name in known if name in found]:
        raise CertificateError("lemmas", "expected them in the order of symgru's own table")
    return found


def _check_known(claim: ReadTheorem | ReadRefutation, known: Known) -> None:
    if claim.name not in known:
        raise CertificateError(
            claim.path,
            f"its calculations hold, but symgru has no theorem called '{claim.name}': nothing connects them "
            "with its statement",
        )
    compare(claim, known[claim.name]())
