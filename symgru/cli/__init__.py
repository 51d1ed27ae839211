"""The command line, one file per command; a command's imports happen when it runs."""

from __future__ import annotations

from importlib import import_module

import click

from symgru import __version__

COMMANDS = (
    "cells",
    "derive",
    "prove",
    "compare",
    "check-formulas",
    "rocq",
    "demo",
    "bench",
    "backends",
    "kernels",
)


class _Commands(click.Group):
    """Commands by the name of their file."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="%(prog)s %(version)s")
def main() -> None:
    """From one SymPy equation of a GRU to a proven, fused kernel."""
