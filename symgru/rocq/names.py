"""Names of symbols as identifiers of Gallina: injective, and never one that the text itself uses."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Those of the reference manual of Coq 8.16, "Lexical conventions", and of Ltac; a test tries many words.
KEYWORDS = _words(
    "_ as at by cofix do else end exists exists2 fix for forall fun if in lazymatch let match mod multimatch "
    "return then using where with Axiom CoFixpoint Definition Fixpoint Hypothesis IF Parameter Prop SProp "
    "Set Theorem Type Variable"
)
#: What the generated modules call their own things, and single letters of the library.
OWN = _words(
    "IH INR Inputs O Program R Reference Related S Sizes Step at_every_step at_step before e every examples "
    "i inputs j nat program r reference related steps t v"
)

SIZE = "size_"
PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_]*\Z")
_TAKEN = re.compile(rf"(escaped_|{SIZE}).*|.*_(alias|given|related|shown)\Z", re.DOTALL)


@cache
def prelude() -> str:
    """The library that every exported file opens with: vectors, sums, gates, and the lemmas about them."""
    return files(__package__).joinpath("prelude.v").read_text(encoding="utf-8")


@cache
def reserved() -> frozenset[str]:
    """Words that no symbol may be called: those above, and the words of the prelude, not its letters."""
    return KEYWORDS | OWN | frozenset(re.findall(r"[A-Za-z_][A-Za-z0-9_']+", prelude()))


def identifier(name: str) -> str:
    """The name itself if it can stand as it is, else `escaped_` and its characters, others as `_code_`.

    Different names give different identifiers: in an escaped one, underscores enclose codes and nothing else.
    """
    if PLAIN.match(name) and name not in reserved() and not _TAKEN.match(name):
        return name
    return "escaped_" + "".join(c if c.isascii() and c.isalnum() else f"_{ord(c):x}_" for c in name)


def size(axis: str) -> str:
    """The number of units of an axis."""
    return SIZE + identifier(axis)
