"""`symgru prove`: the theorems about the two polarities and the reset placements, with their proofs.

The JSON object has `schema` ("symgru.proofs"), `schema_version`, `theorems` (each as its `to_json` gives it,
with `kind` theorem or refutation) and `failures` ({name, message} for each claim that is not proved).
"""

from __future__ import annotations

import json
import sys

import click

SCHEMA, SCHEMA_VERSION = "symgru.proofs", 1


@click.command("prove", short_help="The two polarities are one model, the reset placements are not.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(as_json: bool) -> None:
    """Prove that keep and update are one model, and that the reset placements are not.

    Every step is checked by SymPy while the command runs. The exit status is 1 if one fails.
    """
    from tqdm import tqdm

    from symgru.proof import ProofError, all_theorems

    proved, failures = [], []
    bar = tqdm(list(all_theorems()), desc="proving", disable=not sys.stderr.isatty(), leave=False)
    for name, prove in bar:
        try:
            proved.append(prove())
        except ProofError as error:
            failures.append({"name": name, "message": str(error)})
    if as_json:
        theorems = [theorem.to_json() for theorem in proved]
        data = {
            "schema": SCHEMA,
            "schema_version": SCHEMA_VERSION,
            "theorems": theorems,
            "failures": failures,
        }
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        click.echo("\n\n".join(theorem.to_text() for theorem in proved))
    for failure in failures:
        click.echo(f"Error: {failure['name']} is not proved: {failure['message']}", err=True)
    if failures:
        raise SystemExit(1)
