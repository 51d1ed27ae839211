"""`symgru check-formulas`: a user's own forward and backward equations against the derivation, line by line.

The JSON object has `schema` ("symgru.formulas"), `schema_version`, `cell` (what was checked against),
`counts` (how many lines have each status) and `lines`. A line has `line`, `column` (where it is not
understood or its shapes do not fit, else 0), `text`, `status` (right, agrees, definition, wrong, inherits an
error, not judged or not understood), `reason`, `right` (the right equation), `difference` (the user's side
minus the right one), `because_of_lines`, `notes` and `witness`: null, or `sizes`, `inputs` (fractions),
`values`, `element`, `user` and `right` (decimals).
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from symgru.cli.output import say

#: A file that cannot be read or understood at all; a line that is not understood gives it too.
NOT_UNDERSTOOD = 2


@click.command("check-formulas", short_help="Check your own GRU equations, line by line.")
@click.argument("path", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")
def command(path: Path, as_json: bool) -> None:
    """Check the equations of a cell and of its backward pass, in plain text or LaTeX, one a line.

    FILE begins with a header: 'cell: gru keep after', or another cell that 'symgru cells' lists, or
    'cell: own' if the file defines the forward pass itself. For each line: right (proved); wrong, with the
    right equation, the difference and numbers that show it; a definition; or not understood, with the place.

    The exit status is 0 if all is right, 1 if a line is wrong, 2 if none is but one is not understood.
    """
    from symgru.formulas import FormulaError, check_formulas, decoded

    try:
        report = check_formulas(decoded(_read(path)))
    except FormulaError as error:
        click.echo(f"Error: {path}: {error}", err=True)
        raise SystemExit(NOT_UNDERSTOOD) from None
    say(json.dumps(report.to_json(), ensure_ascii=False, indent=2) if as_json else report.to_text())
    if report.exit_status:
        raise SystemExit(report.exit_status)


def _read(path: Path) -> bytes:
    """What a file holds, as far as it may be read.

    Raises:
        click.UsageError: it cannot be read.
    """
    from symgru.formulas.document import MAX_BYTES

    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise click.UsageError(f"{path} cannot be read: {os.strerror(error.errno or 0)}") from error
