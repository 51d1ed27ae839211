"""`symgru cells`: the cells that ship, with their sources."""

from __future__ import annotations

import click

from symgru.cli.output import say


@click.command("cells", short_help="The cells that ship, with their sources.")
def command() -> None:
    """List the cells by name, with the sources of their equations."""
    from symgru.cells import CELLS

    cells = {name: make() for name, make in CELLS.items()}
    width = max(map(len, cells))
    say(
        "\n".join(
            f"{name:<{width}}  {cell.title}\n{'':<{width}}  {cell.source}" for name, cell in cells.items()
        )
    )
