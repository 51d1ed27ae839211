"""The folder of the user's own for what symgru makes at run time, and the check that it is the user's own.

What is in it gets executed, so it belongs to the user alone (mode 0700), and so does every file (0600); those
that somebody else can write to are refused.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Collection
from pathlib import Path

#: Sets the folder in place of the user's cache folder.
VARIABLE = "SYMGRU_CACHE"

IS_KIND = {"folder": stat.S_ISDIR, "file": stat.S_ISREG}


class CacheError(OSError):
    """A folder or file that is not the user's own; the message names it."""


def cache_folder() -> Path:
    """The folder for what is made at run time, made if it is not there.

    $SYMGRU_CACHE, else symgru in $XDG_CACHE_HOME, else ~/.cache/symgru.

    Raises:
        CacheError: it is a link, belongs to another user, or others can write to it.
    """
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(os.environ.get(VARIABLE) or Path(base) / "symgru")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_own(folder, "folder")
    return folder


def check_own(path: Path, kind: str) -> None:
    """Demand a "file" or a "folder" (no link to one) of this user that nobody else can write to.

    Raises:
        CacheError: it is not.
    """
    _check(path.lstat(), path, kind, {os.getuid()})


def read_own(path: Path, others: Collection[int] = ()) -> bytes:
    """The bytes of a file that nobody else can write to; what is checked is what is read.

    Args:
        path: The file; a link to one is refused.
        others: Numbers of the users whose file it may be, beside this one's.

    Raises:
        CacheError: it belongs to somebody else, or others can write to it.
        OSError: it is not there, or a link.
    """
    # Without O_NONBLOCK, opening a named pipe would wait for its writer.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
        _check(os.fstat(file.fileno()), path, "file", {os.getuid(), *others})
        return file.read()


def write(path: Path, content: bytes) -> None:
    """Replace the file in one step, so that no other process reads half of it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent)  # mode 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    os.replace(temporary, path)


def _check(found: os.stat_result, path: Path, kind: str, users: Collection[int]) -> None:
    right = IS_KIND[kind](found.st_mode) and found.st_uid in users
    if not right or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        names = " or ".join(map(str, sorted(users)))
        raise CacheError(
            f"{path}: expected a {kind} of the user {names} that nobody else can write to, got one of "
            f"user {found.st_uid} with mode {stat.filemode(found.st_mode)}"
        )
