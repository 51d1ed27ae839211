"""Theorems and refutations for reading: an outline, how many there are, and steps grouped by reason."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any, Protocol

from symgru.documents.words import counted

Json = dict[str, Any]


class Proved(Protocol):
    """A theorem or a refutation."""

    def to_line(self) -> str:
        """Name, statement and evidence."""

    def to_text(self) -> str:
        """Its statement and how it is shown, in full."""

    def to_json(self) -> Json:
        """The same as values that JSON knows."""


def outline(proved: Proved) -> Iterator[str]:
    """The theorem in one line, and below it the claims of its steps, once for cases that share them."""
    yield proved.to_line()
    titles: dict[tuple[str, ...], list[str]] = {}
    for case, lines in cases(proved.to_json()):
        claims = tuple(f"  {number}. {_claims(line)}" for number, line in enumerate(lines, 1))
        titles.setdefault(claims, []).append(case)
    for claims, found in titles.items():
        if any(found):
            yield f"  Case {'; '.join(found)}"
        yield from claims


def _claims(line: Json) -> str:
    first, *others = line["claims"]
    return f"{first}, and {len(others)} more for the same reason" if others else first


def totals(proofs: Sequence[Json]) -> str:
    """What is proved and how, in one sentence."""
    kinds = [proof["kind"] for proof in proofs]
    calculations, rules = (sum(proof.get(kind, 0) for proof in proofs) for kind in ("calculations", "rules"))
    theorems, refutations = kinds.count("theorem"), kinds.count("refutation")
    return (
        f"{counted(theorems, 'theorem')} proved, {counted(refutations, 'equality', 'equalities')} refuted; "
        f"{counted(calculations, 'calculation')} checked by SymPy, "
        f"{counted(rules, 'rule')} of inference (such as induction) stated."
    )


def cases(proof: Json) -> list[tuple[str, list[Json]]]:
    """The steps of a theorem by case; neighbouring steps that hold for one reason share a line."""
    runs = groupby(proof.get("steps", ()), key=lambda step: step["case"])
    return [(case, list(_lines(run))) for case, run in runs]


def _lines(steps: Iterable[Json]) -> Iterator[Json]:
    def reason(step: Json) -> Json:
        return {name: step[name] for name in ("kind", "justification", "lemmas")}

    for why, run in groupby(steps, key=reason):
        yield {"claims": [step["claim"] for step in run], **why}
