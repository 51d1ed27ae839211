"""What a command needs beyond symgru's own dependencies."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import click


def require(command: str, extra: str, modules: Iterable[str]) -> None:
    """Check that optional dependencies are installed, without importing them.

    Raises:
        click.ClickException: some are not; the message says which extra has them.
    """
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise click.ClickException(
            f"symgru {command} needs {', '.join(missing)}, which {verb} not installed: "
            f'pip install "symgru[{extra}]"'
        )
