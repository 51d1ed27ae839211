"""What a verification found, in words that say no more than that."""

from __future__ import annotations

from collections.abc import Iterator

from symgru.certificates.verdicts import PROVED
from symgru.certificates.verification import Verification, Verified
from symgru.proof.text import count


def lines(found: Verification) -> Iterator[str]:
    """One line for each claim that holds, and what all of it rests on."""
    versions = ", ".join(f"{name} {version}" for name, version in found.versions.items())
    yield f"Written, as the file says, by {versions}."
    good = [claim for claim in found.claims if not claim.complaint]
    yield from (f"{claim.name}: {_evidence(claim)}" for claim in good)
    yield _totals(found, good)
    yield from _lemmas(found)
    for name in found.recorded:
        if name not in found.judges:
            yield f"{name} was not asked: what the file says of its verdicts is not checked."


def _evidence(claim: Verified) -> str:
    if claim.kind == "refutation":
        return "refuted, the witness evaluated again in intervals"
    return f"{count(claim.calculations, 'calculation')} replayed, {_stated(claim.rules)}"


def _stated(rules: int) -> str:
    return f"{count(rules, 'rule')} of inference {'is' if rules == 1 else 'are'} stated, not checked"


def _totals(found: Verification, good: list[Verified]) -> str:
    theorems = [claim for claim in good if claim.kind == "theorem"]
    calculations, rules = (sum(getattr(c, name) for c in theorems) for name in ("calculations", "rules"))
    refused = len(found.claims) - len(good)
    return (
        f"{count(len(theorems), 'theorem')} and {count(len(good) - len(theorems), 'refutation')} verified, "
        f"{count(refused, 'claim')} refused; {count(calculations, 'calculation')} replayed by "
        f"{' and '.join(found.judges)}, {_stated(rules)}."
    )


def _lemmas(found: Verification) -> Iterator[str]:
    """Which lemmas a judge decides from definitions, and which are axioms to it."""
    for judge in found.judges:
        proved = [name for name, verdicts in found.lemmas.items() if verdicts.get(judge) == PROVED]
        axioms = [name for name in found.lemmas if name not in proved]
        if found.lemmas:
            rest = f"; axioms to it: {', '.join(axioms)}" if axioms else ""
            yield f"Lemmas that {judge} decides from definitions: {', '.join(proved) or 'none'}{rest}."
