"""The library of this machine: shipped with the package, else in the user's cache folder, where it is built.

What is loaded is executed, so it is verified before: the file is the user's own (one that is shipped may also
belong to root or to the owner of this package), its digest is the one recorded beside it, and it carries the
label of the sources that are here. A file that is not so is built anew, never loaded.

The library asks for libgomp.so.1, as PyTorch's own libraries do. A process has one library of a name, so both
have the same pool of threads, whichever is loaded first.
"""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..cache import cache_folder, read_own
from ..locks import Lock
from . import toolchain
from .build import ROOT, build, digest_path, label, recorded_digest, source_digest
from .errors import BuildError, NoLibraryError

__all__ = ["BuildError", "NoLibraryError", "instruction_set", "library", "obstacle"]

#: Sets the instruction set in place of the best that the processor has.
VARIABLE = "SYMGRU_CPU_ISA"

_lock = Lock()
_found: dict[str, ctypes.CDLL | NoLibraryError] = {}


def instruction_set(name: str | None = None) -> str:
    """The instruction set to use: the one named, else $SYMGRU_CPU_ISA, else the best that the processor has.

    Raises:
        ValueError: there is none of this name, or the processor lacks it.
    """
    has = toolchain.supported_here()
    wanted = name or os.environ.get(VARIABLE) or has[0]
    if wanted not in has:
        known = wanted in toolchain.X86 | toolchain.PORTABLE
        problem = "this processor lacks it" if known else "there is none of this name"
        raise ValueError(f"instruction set {wanted!r}: {problem}, expected one of {', '.join(has)}")
    return wanted


def library(name: str | None = None) -> ctypes.CDLL:
    """The library for an instruction set, loaded; the first call may take the time of a build.

    Its functions are called with the GIL released. A failure is remembered: later calls raise it again.

    Args:
        name: As for `instruction_set`.

    Raises:
        NoLibraryError: nothing is shipped, and nothing can be built or kept.
        ValueError: the processor has no such instruction set.
    """
    name = instruction_set(name)
    found = _found.get(name)
    if found is None:
        with _lock:
            if name not in _found:
                _found[name] = _find(name)
            found = _found[name]
    if isinstance(found, NoLibraryError):
        raise found
    return found


def loaded() -> list[ctypes.CDLL]:
    """The libraries that have been loaded so far."""
    return [found for found in _found.values() if isinstance(found, ctypes.CDLL)]


def obstacle(name: str | None = None) -> str | None:
    """Why `library` would find nothing, in words; None if nothing is known to stand in its way.

    Cheap: it compiles and loads nothing, so a compiler that does not work is found by `library` alone.
    """
    name = instruction_set(name)
    found = _found.get(name)
    if found is not None:
        return str(found) if isinstance(found, NoLibraryError) else None
    refusal = _refusal(_shipped(name), name, _owners())
    if refusal is None or toolchain.compiler_command():
        return None
    return _and_nothing_shipped(toolchain.no_compiler(), refusal)


def _find(name: str) -> ctypes.CDLL | NoLibraryError:
    """The library that is shipped, else the one of the cache, else the reason why there is none."""
    shipped = _shipped(name)
    refusal = _refusal(shipped, name, _owners())
    if refusal is None:
        try:
            return ctypes.CDLL(str(shipped))
        except OSError as error:  # built for a newer C library, for example
            refusal = str(error)
    try:
        return ctypes.CDLL(str(_cached(name)))
    except BuildError as error:
        return error
    except NoLibraryError as error:
        return NoLibraryError(_and_nothing_shipped(str(error), refusal))
    except OSError as error:  # CacheError is one
        return NoLibraryError(f"no library of the CPU kernels can be built, kept and loaded: {error}")


def _and_nothing_shipped(problem: str, refusal: str) -> str:
    return f"{problem}. What came with the package is no help: {refusal}"


def _shipped(name: str) -> Path:
    return ROOT / "cpu" / "libraries" / f"{name}.so"


def _owners() -> set[int]:
    """Whoever could change this file as well."""
    return {0, Path(__file__).stat().st_uid}


def _cached(name: str) -> Path:
    """Path of a verified library in the cache folder."""
    compiler = toolchain.find_compiler()
    flags = (*toolchain.FLAGS, *toolchain.instruction_sets()[name].flags)
    key = hashlib.sha256(repr((name, source_digest(ROOT), flags, compiler)).encode()).hexdigest()
    path = cache_folder() / f"cpu_{name}_{key[:32]}.so"
    ensure(path, lambda: _refusal(path, name), lambda: build(name, path, ROOT, compiler))
    return path


def ensure(path: Path, refusal: Callable[[], str | None], make: Callable[[], object]) -> None:
    """Make a library if it is refused; one process at a time.

    Args:
        path: Its file.
        refusal: Why it is not to be loaded, None if it may be.
        make: Makes the file.

    Raises:
        BuildError: it is refused also after it was made.
    """
    if refusal() is None:
        return
    with one_process(path.with_suffix(".lock")):
        if refusal() is not None:  # another process may have built it meanwhile
            make()
    still = refusal()
    if still is not None:  # a file system without modes, a compiler that is none
        raise BuildError(f"what was built cannot be used: {still}")


def _refusal(path: Path, name: str, owners: Collection[int] = ()) -> str | None:
    return refusal(path, name, label(name, ROOT), owners)


def refusal(path: Path, name: str, carried: bytes, owners: Collection[int] = ()) -> str | None:
    """Why a file is not to be loaded as a library; None if it may be.

    Args:
        path: The file.
        name: What it was made for, in words.
        carried: Its label: what it must have among its bytes.
        owners: Numbers of the users whose file it may be, beside this one's.
    """
    try:
        content = read_own(path, owners)
        recorded = read_own(digest_path(path), owners)
    except FileNotFoundError as error:
        return f"{error.filename} is not there"
    except OSError as error:  # a link, or a CacheError
        return str(error)
    if recorded != recorded_digest(content):
        return f"{path} does not have the digest recorded beside it"
    if carried not in content:
        return f"{path} was not made for {name} from the sources that are here"
    return None


@contextmanager
def one_process(path: Path) -> Iterator[None]:
    """One process at a time; the lock ends with its process."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
