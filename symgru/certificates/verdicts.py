"""What a judge says of an obligation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from symgru.certificates.obligations import Obligation
from symgru.proof import Lemma

PROVED, UNDECIDED, REFUTED = "proved", "not proved", "refuted"


@dataclass(frozen=True)
class Verdict:
    """`proved`; `not proved`, because the judge gave up; or `refuted`, with what it found in `detail`."""

    status: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.status}: {self.detail}" if self.detail else self.status


class Judge(Protocol):
    """Decides equations, each on its own."""

    @property
    def name(self) -> str:
        """As it is printed and recorded."""

    @property
    def version(self) -> str:
        """Of the software that decides."""

    def decide(self, obligation: Obligation) -> Verdict:
        """Whether left = right follows from the definitions and the lemmas."""

    def decide_lemma(self, lemma: Lemma) -> Verdict:
        """Whether a lemma follows from the definitions of what it is about."""
