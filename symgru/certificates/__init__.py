"""Judges who decide the calculations of a proof independently, and certificates that anybody can replay."""

from symgru.certificates.judging import (
    Judged,
    certificate,
    decide,
    judge,
    judges,
    missing,
)
from symgru.certificates.obligations import Obligation, obligations
from symgru.certificates.reading import CertificateError
from symgru.certificates.verdicts import PROVED, REFUTED, UNDECIDED, Judge, Verdict
from symgru.certificates.verification import Verification, Verified, verify

__all__ = [
    "PROVED",
    "REFUTED",
    "UNDECIDED",
    "CertificateError",
    "Judge",
    "Judged",
    "Obligation",
    "Verdict",
    "Verification",
    "Verified",
    "certificate",
    "decide",
    "judge",
    "judges",
    "missing",
    "obligations",
    "verify",
]
