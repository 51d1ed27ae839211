"""Where results go: never over an existing file unless that was asked for."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from itertools import chain, count
from pathlib import Path
from typing import TextIO

import click


def refuse_existing(path: Path, force: bool) -> None:
    """Check before any work is done that a file may be written.

    Raises:
        click.ClickException: the path is a folder, its folder does not exist, or it exists and `force` is
            not set.
    """
    if path.is_dir():
        raise click.ClickException(f"{path} is a folder, expected the name of a file")
    if not path.parent.is_dir():
        raise click.ClickException(f"{path} cannot be written: the folder {path.parent} does not exist")
    if path.exists() and not force:
        raise click.ClickException(f"{path} exists; --force overwrites it")


def write(path: Path, text: str, force: bool) -> None:
    """Write a text file in UTF-8.

    Raises:
        click.ClickException: it cannot be written, or exists by now and `force` is not set.
    """
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise click.ClickException(f"{path} exists; --force overwrites it") from None
    except OSError as error:
        raise click.ClickException(f"{path} cannot be written: {os.strerror(error.errno or 0)}") from error


def unused(path: Path, beside: Callable[[Path], Path] = lambda path: path) -> Path:
    """The path itself if nothing is there, else the first of name-2, name-3, … that is free.

    Args:
        beside: What else is written with a path, and has to be free too.
    """
    numbered = (path.with_name(f"{path.stem}-{i}{path.suffix}") for i in count(2))
    return next(p for p in chain([path], numbered) if not (p.exists() or beside(p).exists()))


def say(text: object, nl: bool = True) -> None:
    """Print to standard output.

    Raises:
        click.ClickException: it cannot be written, for instance because the disk is full.
    """
    try:
        click.echo(text, nl=nl)
    except BrokenPipeError:  # nobody reads on; click ends the command without a word
        raise
    except OSError as error:
        _discard(sys.stdout)
        reason = os.strerror(error.errno or 0)
        raise click.ClickException(f"standard output cannot be written: {reason}") from error


def _discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, or it would be tried again at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
