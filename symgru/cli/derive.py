"""`symgru derive`: the derivation of a GRU as a document."""

from __future__ import annotations

from pathlib import Path

import click

from symgru.cli.output import refuse_existing, say, write


@click.command("derive", short_help="The derivation of a GRU as a document.")
@click.option(
    "--polarity",
    type=click.Choice(["keep", "update"]),
    default="keep",
    show_default=True,
    help="What the update gate multiplies: the old state (keep) or the candidate (update).",
)
@click.option(
    "--reset",
    type=click.Choice(["before", "after", "whole"]),
    default="after",
    show_default=True,
    help="Where the reset gate acts: on the state, on the recurrent product, or on the whole argument.",
)
@click.option("--lengths", is_flag=True, help="For sequences of different lengths: the cell with a mask.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "latex", "json"]),
    default="text",
    show_default=True,
    help="latex is a standalone article.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="File to write; standard output if not given."
)
@click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
def command(polarity: str, reset: str, lengths: bool, form: str, output: Path | None, force: bool) -> None:
    """Derive gradient, tangent and schedule of a GRU, and print them."""
    if output is not None:
        refuse_existing(output, force)
    from symgru.documents import FORMATS, derivation

    document = FORMATS[form](derivation(polarity, reset, lengths))
    if output is None:
        say(document, nl=False)
    else:
        write(output, document, force)
        click.echo(f"{output} written", err=True)
