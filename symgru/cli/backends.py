"""`symgru backends`: what can run a GRU on this machine."""

from __future__ import annotations

import click

from symgru.cli.output import say


@click.command("backends", short_help="What can run a GRU on this machine.")
@click.option(
    "--device", help="Of the tensors, e.g. cpu or cuda; the first GPU if there is one, else the CPU."
)
@click.option("--hidden-size", type=click.IntRange(min=1), default=64, show_default=True, help="H.")
def command(device: str | None, hidden_size: int) -> None:
    """List the backends, whether each can serve such a call, and which one is taken."""
    try:
        from symgru import backends

        statuses = backends(device, hidden_size=hidden_size)
    except (
        ImportError,
        RuntimeError,
        ValueError,
    ) as error:  # what is wrong with the device, in words
        raise click.ClickException(str(error)) from error
    for status in statuses:
        say(status)
