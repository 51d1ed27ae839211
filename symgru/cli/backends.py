"""`symgru backends`: what can run a GRU on this machine."""

from __future__ import annotations

import click


@click.command("backends", short_help="What can run a GRU on this machine.")
@click.option(
    "--device", help="Of the tensors, e.g. cpu or cuda; the first GPU if there is one, else the CPU."
)
@click.option("--hidden-size", type=click.IntRange(min=1), default=64, show_default=True, help="H.")
@click.option(
    "--reset",
    type=click.Choice(["before", "after", "whole"]),
    default="after",
    show_default=True,
    help="Where the reset gate acts.",
)
def command(device: str | None, hidden_size: int, reset: str) -> None:
    """List the backends, whether each can serve such a call, and which one is taken."""
    try:
        from symgru import backends

        statuses = backends(device, hidden_size=hidden_size, reset=reset)
    except (ImportError, RuntimeError) as error:  # torch says with a RuntimeError that it has no such device
        raise click.ClickException(str(error)) from error
    for status in statuses:
        click.echo(status)
