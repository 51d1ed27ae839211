"""The polarity theorem in Rocq (Coq): its statement and proof as text, generated from the programs.

text = export([states("after"), gradients("after")])
check(text)                       # coqc accepts it; nothing is assumed but the real numbers
"""

from symgru.rocq.claim import Claim, claim, claims, gradients, states
from symgru.rocq.coqc import REALS, check
from symgru.rocq.script import export, theorem_name
from symgru.rocq.terms import RocqError

__all__ = [
    "REALS",
    "Claim",
    "RocqError",
    "check",
    "claim",
    "claims",
    "export",
    "gradients",
    "states",
    "theorem_name",
]
