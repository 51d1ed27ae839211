"""`symgru prove`: the theorems about the two polarities and the reset placements, with their proofs.

The JSON object has `schema` ("symgru.proofs"), `schema_version`, `theorems` (each as its `to_json` gives it,
with `kind` theorem or refutation) and `failures` ({name, message} for each claim that is not proved).
Certificates are described in `docs/certificates.md`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from symgru.cli.output import refuse_existing, say, write

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from symgru.certificates import Judge, Judged
    from symgru.proof import Refutation, Theorem

    Proved = Judged | Refutation
    Claims = Sequence[tuple[str, Callable[[], Theorem | Refutation]]]

SCHEMA, SCHEMA_VERSION = "symgru.proofs", 1
FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    "prove", short_help="The two polarities are one model; reset placements differ with the same weights."
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--steps", is_flag=True, help="Print every proof in full, as for those that are named.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
@click.option("--judges", metavar="LIST", help="Who checks: sympy, z3 or sympy,z3; by default all installed.")
@click.option("--certificate", type=FILE, help="Also write a certificate, with all that the claims rest on.")
@click.option("--force", is_flag=True, help="Overwrite the file of the certificate.")
@click.option("--verify", type=FILE, help="Prove nothing: decide a certificate again.")
def command(
    names: tuple[str, ...],
    steps: bool,
    as_json: bool,
    judges: str | None,
    certificate: Path | None,
    force: bool,
    verify: Path | None,
) -> None:
    """Prove that keep and update are one model, and that reset placements differ with the same weights.

    Prints the statement of each theorem with the claims of its steps, numbered. With NAMES: only these, in
    full, with assumptions and calculations.

    Every calculation is checked while the command runs: by SymPy and, on its own and from the equations as
    they stand, by Z3 if that is installed. Rules such as induction are stated. The exit status is 1 if a
    proof fails.

    With --verify, a certificate is replayed without trusting who wrote it; the exit status is 1 if any of it
    is refused.
    """
    by = _judges(judges)
    if verify is not None:
        if names or steps or as_json or certificate:
            raise click.UsageError("--verify takes a certificate and, at most, --judges")
        _verify(verify, by)
        return
    if certificate is not None:
        refuse_existing(certificate, force)
    from symgru.proof import all_theorems

    claims = list(all_theorems())
    chosen = _chosen(claims, names)
    only_sympy = [judge.name for judge in by] == ["SymPy"]  # who has checked a theorem when it is made
    proved, failures = _prove(chosen, () if only_sympy and certificate is None else by)
    _print(proved, failures, by, names, steps, as_json)
    if certificate is not None and not failures:
        _write_certificate(certificate, force, claims, proved, by)
    for failure in failures:
        click.echo(f"Error: {failure['name']} is not proved: {failure['message']}", err=True)
    if failures:
        raise SystemExit(1)


def _judges(names: str | None) -> tuple[Judge, ...]:
    """The judges of a list with commas.

    Raises:
        click.UsageError: one is unknown or not installed.
    """
    from symgru.certificates import judges
    from symgru.proof import ProofError

    try:
        return judges(names.split(",") if names is not None else None)
    except ProofError as error:
        raise click.UsageError(str(error)) from None


def _chosen(claims: Claims, names: tuple[str, ...]) -> Claims:
    """The claims of these names, all if there are none.

    Raises:
        click.UsageError: a name is unknown; the message lists those that are known.
    """
    known = [name for name, _ in claims]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(f"no claim is called {', '.join(unknown)}; there are\n  " + "\n  ".join(known))
    return [(name, prove) for name, prove in claims if name in names or not names]


def _prove(claims: Claims, by: Sequence[Judge]) -> tuple[list[Proved], list[dict[str, str]]]:
    """What is proved, and name and message of what is not."""
    from tqdm import tqdm

    from symgru.certificates import judge
    from symgru.proof import ProofError, Theorem

    proved: list[Proved] = []
    failures: list[dict[str, str]] = []
    for name, prove in tqdm(claims, desc="proving", disable=not sys.stderr.isatty(), leave=False):
        try:
            claim = prove()
            proved.append(judge(claim, by) if isinstance(claim, Theorem) else claim)
        except ProofError as error:
            failures.append({"name": name, "message": str(error)})
    return proved, failures


def _print(
    proved: list[Proved],
    failures: list[dict[str, str]],
    by: Sequence[Judge],
    names: tuple[str, ...],
    steps: bool,
    as_json: bool,
) -> None:
    from symgru.proof import Refutation

    claims = [item if isinstance(item, Refutation) else item.theorem for item in proved]
    if as_json:
        data = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "theorems": [claim.to_json() for claim in claims],
            "failures": failures,
        }
        say(json.dumps(data, ensure_ascii=False, indent=2))
    elif names or steps:
        say("\n\n".join(claim.to_text() for claim in claims))
    else:
        say(_overview(claims, by))


def _overview(claims: list[Theorem | Refutation], by: Sequence[Judge]) -> str:
    from symgru.documents.proofs import outline

    parts = ["\n".join(outline(claim)) for claim in claims]
    return "\n\n".join([*parts, _totals(claims, by)])


def _totals(claims: list[Theorem | Refutation], by: Sequence[Judge]) -> str:
    """What is proved, how, and who checked it, in one sentence."""
    from symgru.documents.words import counted
    from symgru.proof import Theorem
    from symgru.proof.theorem import checked_by

    theorems = [claim for claim in claims if isinstance(claim, Theorem)]
    calculations, rules = (sum(getattr(t, kind) for t in theorems) for kind in ("calculations", "rules"))
    proved = {judge.name: sum(t.judges.get(judge.name, 0) for t in theorems) for judge in by}
    return (
        f"{counted(len(theorems), 'theorem')} proved, "
        f"{counted(len(claims) - len(theorems), 'equality', 'equalities')} refuted; "
        f"{counted(calculations, 'calculation')} {checked_by(calculations, proved)}{_absent(by)}, "
        f"{counted(rules, 'rule')} of inference (such as induction) stated."
    )


def _absent(by: Sequence[Judge]) -> str:
    """Why only one judge was asked; empty if both were."""
    from symgru.certificates import missing
    from symgru.certificates.judging import NAMES

    absent = [name for name in NAMES.values() if name not in {judge.name for judge in by}]
    if not absent:
        return ""
    return " (Z3 is not installed)" if missing() else f" ({absent[0]} was not asked)"


def _write_certificate(
    path: Path, force: bool, claims: Claims, proved: list[Proved], by: Sequence[Judge]
) -> None:
    """Write what was proved, and what it rests on, in the order in which the claims build on each other.

    Raises:
        click.ClickException: a premise is not proved.
    """
    from symgru.proof import ProofError

    try:
        data = _certificate(claims, proved, by)
    except ProofError as error:
        raise click.ClickException(f"there is no certificate: {error}") from None
    write(path, json.dumps(data, ensure_ascii=False, indent=1) + "\n", force)


def _certificate(claims: Claims, proved: list[Proved], by: Sequence[Judge]) -> dict[str, Any]:
    from symgru.certificates import certificate, judge
    from symgru.proof import Refutation

    found = {(p if isinstance(p, Refutation) else p.theorem).name: p for p in proved}
    for name, prove in reversed(claims):  # premises stand before what rests on them
        if name not in found and any(name in _premises(item) for item in found.values()):
            claim = prove()
            found[name] = claim if isinstance(claim, Refutation) else judge(claim, by)
    return certificate([found[name] for name, _ in claims if name in found], by)


def _premises(item: Proved) -> tuple[str, ...]:
    from symgru.proof import Refutation

    return () if isinstance(item, Refutation) else item.theorem.premises


def _verify(path: Path, by: Sequence[Judge]) -> None:
    """Replay a certificate and say what was found; exit status 1 if any of it is refused."""
    from symgru.certificates import CertificateError, verify
    from symgru.certificates.report import lines
    from symgru.proof import all_theorems

    try:
        found = verify(path.read_text(encoding="utf-8"), by, dict(all_theorems()))
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise click.ClickException(f"{path} is refused: it is not text in UTF-8") from None
    except CertificateError as error:
        raise click.ClickException(f"{path} is refused: {error}") from None
    say("\n".join(lines(found)))
    refused = [claim for claim in found.claims if claim.complaint]
    for claim in refused:
        click.echo(f"Error: {claim.name} is refused: {claim.complaint}", err=True)
    if refused:
        raise SystemExit(1)
