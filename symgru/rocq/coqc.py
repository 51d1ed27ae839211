"""Let coqc check a file, and read from its output what each theorem rests on."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from symgru.rocq.terms import RocqError

#: What Rocq's library of real numbers rests on, theories/Reals of Coq 8.16; roots and logarithms on the last.
REALS = frozenset(
    {
        "ClassicalDedekindReals.sig_not_dec",
        "ClassicalDedekindReals.sig_forall_dec",
        "FunctionalExtensionality.functional_extensionality_dep",
        "Classical_Prop.classic",
    }
)

_PRINTED = re.compile(r"^Print Assumptions (\S+)\.$", re.MULTILINE)
_ANSWER = re.compile(r"^(Axioms:|Closed under the global context)$", re.MULTILINE)
_AXIOM = re.compile(r"^([A-Za-z_][\w.']*)", re.MULTILINE)
_ERROR = re.compile(r"line (\d+), characters [\d-]+:\s*Error:(.*)", re.DOTALL)
_PLACE = re.compile(r"^(Module|Definition|Record|Lemma|Theorem) ([\w']+)", re.MULTILINE)

#: The two modules inside the one of a theorem.
LOOPS = ("Reference", "Program")

Axioms = Mapping[str, tuple[str, ...]]


def check(text: str, seconds: float = 600) -> Axioms:
    """The axioms that each theorem rests on, by its name, once coqc has accepted the file.

    Args:
        text: What `export` gives.
        seconds: Time limit.
    Raises:
        RocqError: coqc is not installed, or takes too long, or refuses the file, in which case the message
            names theorem and lemma; or a theorem rests on more than the library of real numbers does.
    """
    found = _assumptions(text, _run(text, seconds))
    for theorem, axioms in found.items():
        foreign = sorted(set(axioms) - REALS)
        if foreign:
            raise RocqError(
                f"{theorem} rests on {', '.join(foreign)}, expected the axioms of the reals alone"
            )
    return found


def _run(text: str, seconds: float) -> str:
    """Standard output of coqc for a file of this text."""
    coqc = shutil.which("coqc")
    if coqc is None:
        raise RocqError("coqc is not installed; Debian and Ubuntu have it in the package coq")
    with TemporaryDirectory(prefix="symgru-rocq-") as folder:
        path = Path(folder, "exported.v")
        path.write_text(text, encoding="utf-8")
        command = [coqc, "-q", path.name]  # -q: nobody's coqrc
        try:
            done = subprocess.run(
                command, cwd=folder, capture_output=True, encoding="utf-8", timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RocqError(f"coqc has not finished after {seconds} s") from error
    if done.returncode != 0:
        raise RocqError(_refusal(text, done.stderr))
    return done.stdout


def _refusal(text: str, complaint: str) -> str:
    error = _ERROR.search(complaint)
    if error is None:
        return f"coqc fails: {complaint.strip()}"
    before = "\n".join(text.split("\n")[: int(error[1])])
    places = [(place[1], place[2]) for place in _PLACE.finditer(before)]
    modules = (name for kind, name in reversed(places) if kind == "Module" and name not in LOOPS)
    kind, name = places[-1]
    where = f"{kind.lower()} {name} of {next(modules, 'the prelude')}"
    return f"coqc refuses {where}: {' '.join(error[2].split())}"


def _assumptions(text: str, output: str) -> dict[str, tuple[str, ...]]:
    """One answer for each question, in the same order."""
    theorems = [name.rpartition(".")[2] for name in _PRINTED.findall(text)]
    answers = _ANSWER.split(output)[1:]
    kinds, lists = answers[::2], answers[1::2]
    if len(kinds) != len(theorems):
        raise RocqError(f"expected the assumptions of {len(theorems)} theorems, coqc printed {len(kinds)}")
    axioms = (tuple(_AXIOM.findall(listed)) for listed in lists)
    return dict(zip(theorems, axioms, strict=True))
