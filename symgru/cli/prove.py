"""`symgru prove`: the theorems about the two polarities and the reset placements, with their proofs.

The JSON object has `schema` ("symgru.proofs"), `schema_version`, `theorems` (each as its `to_json` gives it,
with `kind` theorem or refutation) and `failures` ({name, message} for each claim that is not proved).
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import click

from symgru.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from symgru.documents.proofs import Proved

    Claims = Sequence[tuple[str, Callable[[], Proved]]]

SCHEMA, SCHEMA_VERSION = "symgru.proofs", 1


@click.command(
    "prove", short_help="The two polarities are one model; reset placements differ with the same weights."
)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--steps", is_flag=True, help="Print every proof in full, as for those that are named.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(names: tuple[str, ...], steps: bool, as_json: bool) -> None:
    """Prove that keep and update are one model, and that reset placements differ with the same weights.

    Prints the statement of each theorem with the claims of its steps, numbered. With NAMEs: only these, in
    full, with assumptions and calculations.

    Every calculation is checked by SymPy while the command runs; rules such as induction are stated. The
    exit status is 1 if a proof fails.
    """
    from symgru.proof import all_theorems

    proved, failures = _prove(_chosen(list(all_theorems()), names))
    if as_json:
        data = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "theorems": [theorem.to_json() for theorem in proved],
            "failures": failures,
        }
        say(json.dumps(data, ensure_ascii=False, indent=2))
    elif names or steps:
        say("\n\n".join(theorem.to_text() for theorem in proved))
    else:
        say(_overview(proved))
    for failure in failures:
        click.echo(f"Error: {failure['name']} is not proved: {failure['message']}", err=True)
    if failures:
        raise SystemExit(1)


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


def _prove(claims: Claims) -> tuple[list[Proved], list[dict[str, str]]]:
    """What is proved, and name and message of what is not."""
    from tqdm import tqdm

    from symgru.proof import ProofError

    proved: list[Proved] = []
    failures: list[dict[str, str]] = []
    for name, prove in tqdm(claims, desc="proving", disable=not sys.stderr.isatty(), leave=False):
        try:
            proved.append(prove())
        except ProofError as error:
            failures.append({"name": name, "message": str(error)})
    return proved, failures


def _overview(proved: list[Proved]) -> str:
    from symgru.documents.proofs import outline, totals

    parts = ["\n".join(outline(theorem)) for theorem in proved]
    return "\n\n".join([*parts, totals([theorem.to_json() for theorem in proved])])
