"""`symgru derive`: the derivation of a cell as a document."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from symgru.cli.output import refuse_existing, say, write

if TYPE_CHECKING:
    from symgru.documents import Document

POLARITY, RESET = "keep", "after"


@click.command("derive", short_help="The derivation of a GRU, or of another cell, as a document.")
@click.argument("cell", metavar="[CELL]", required=False)
@click.option(
    "--polarity",
    type=click.Choice(["keep", "update"]),
    help=f"What the update gate multiplies: the old state (keep) or the candidate (update). [{POLARITY}]",
)
@click.option(
    "--reset",
    type=click.Choice(["before", "after", "whole"]),
    help=f"Where the reset gate acts: on the state, on the recurrent product, or on all of it. [{RESET}]",
)
@click.option("--lengths", is_flag=True, help="For sequences of different lengths: the cell with a mask.")
@click.option("--resets", is_flag=True, help="With resets to a given state inside a sequence.")
@click.option("--zoneout", is_flag=True, help="With zoneout, as in training.")
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
def command(
    cell: str | None,
    polarity: str | None,
    reset: str | None,
    lengths: bool,
    resets: bool,
    zoneout: bool,
    form: str,
    output: Path | None,
    force: bool,
) -> None:
    """Derive gradient, tangent and schedule of a cell, and print them.

    CELL is one of `symgru cells`; without it, the GRU of --polarity and --reset.
    """
    if output is not None:
        refuse_existing(output, force)
    if cell is not None and (polarity or reset):
        raise click.UsageError(f"--polarity and --reset choose a GRU, and the cell is {cell} already")
    from symgru.documents import FORMATS

    wrappers = {"with_zoneout": zoneout, "with_resets": resets, "with_lengths": lengths}
    chosen = [name for name, wanted in wrappers.items() if wanted]
    if cell is None and chosen in ([], ["with_lengths"]):
        document = _gru(polarity or POLARITY, reset or RESET, lengths)
    else:
        document = _cell(cell or f"gru_{polarity or POLARITY}_{reset or RESET}", chosen)
    text = FORMATS[form](document)
    if output is None:
        say(text, nl=False)
    else:
        write(output, text, force)
        click.echo(f"{output} written", err=True)


def _gru(polarity: str, reset: str, lengths: bool) -> Document:
    from symgru.documents import derivation

    return derivation(polarity, reset, lengths)


def _cell(name: str, wrappers: list[str]) -> Document:
    """The document of a cell of the registry, wrapped.

    Raises:
        click.UsageError: there is no such cell; the message lists those that there are.
    """
    from symgru import equations
    from symgru.cells import CELLS
    from symgru.documents import derivation_of

    if name not in CELLS:
        raise click.UsageError(f"no cell is called {name}; there are\n  " + "\n  ".join(CELLS))
    cell = CELLS[name]()
    for wrapper in wrappers:
        cell = getattr(equations, wrapper)(cell)
    return derivation_of(cell)
