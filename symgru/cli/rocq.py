"""`symgru rocq`: the polarity theorems for the proof assistant Rocq (Coq)."""

from __future__ import annotations

from pathlib import Path

import click

from symgru.cli.output import refuse_existing, say, write


@click.command("rocq", short_help="The polarity theorems for the proof assistant Rocq (Coq).")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@click.option("--check", "checked", is_flag=True, help="Let coqc check the file, and print what it accepts.")
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write; standard output if not given."
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(names: tuple[str, ...], checked: bool, output: Path | None, force: bool) -> None:
    """Write the theorems keep-is-update and gradients-mirror, with their proofs, as one file for Rocq.

    Statements and proofs are generated from the equations, for every number of units, inputs, examples and
    steps. With NAMEs: only these.

    `--check` runs coqc (Coq 8.16) and prints each theorem that it accepts with the axioms that it rests on,
    in place of the file. The exit status is 1 if coqc refuses one or is not installed.
    """
    if output is not None:
        refuse_existing(output, force)
    from symgru.rocq import RocqError, check, claims, export

    known = claims()
    unknown = [name for name in names if name not in known]
    if unknown:
        raise click.UsageError(
            f"no theorem is called {', '.join(unknown)}; there are\n  " + "\n  ".join(known)
        )
    text = export(make() for name, make in known.items() if name in names or not names)
    if output is not None:
        write(output, text, force)
        click.echo(f"{output} written", err=True)
    if checked:
        try:
            accepted = check(text)
        except RocqError as error:
            raise click.ClickException(str(error)) from error
        for theorem, axioms in accepted.items():
            say(f"{theorem}: accepted by coqc, rests on {', '.join(axioms) or 'no axiom'}")
    elif output is None:
        say(text, nl=False)
