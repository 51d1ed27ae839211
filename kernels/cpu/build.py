"""From the sources to a shared library, by the user's compiler.

A library carries a label in its bytes: the instruction set and a digest of the sources. It can be read
without loading the library, and survives `strip`.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import BuildError
from .toolchain import FLAGS, Compiler, find_compiler, instruction_sets

#: kernels/, which the sources are in.
ROOT = Path(__file__).parents[1]
MAIN = "cpu/library.cpp"
SOURCES = (MAIN, "cpu/*.h", "generated/cpu_*.h")
TIMEOUT = 900  # seconds, for a busy machine

LABEL = """
extern "C" __attribute__((visibility("default"))) const char symgru_label[];
const char symgru_label[] = "{label}";
"""
OPENMP = "-fopenmp"
OPENMP_TEST = """
#include <omp.h>
extern "C" int threads() { return omp_get_max_threads(); }
"""


def source_digest(root: Path = ROOT) -> str:
    """SHA-256 of the names and bytes of all sources, in hexadecimal digits."""
    return digest_of(root, SOURCES)


def digest_of(root: Path, patterns: Sequence[str]) -> str:
    """SHA-256 of the names and bytes of the files of a folder that fit one of the patterns."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in patterns for path in root.glob(pattern)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(root).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()


def label(instruction_set: str, root: Path = ROOT) -> bytes:
    """What a library made of the sources of today for an instruction set carries in its bytes."""
    return f"symgru library, {instruction_set}, sources {source_digest(root)};".encode()


def build(
    instruction_set: str,
    target: Path,
    root: Path = ROOT,
    compiler: Compiler | None = None,
    extra_flags: Sequence[str] = (),
) -> str:
    """Compile the sources for an instruction set into the file `target`, with its digest beside it.

    Either is put in place in one step, mode 0600.

    Args:
        instruction_set: Its name in `toolchain.instruction_sets()`; this processor need not have it.
        target: The file to make or replace; its folder is there.
        root: What has cpu/ and generated/ in it.
        compiler: Which one; the user's if it is None.
        extra_flags: For the compiler, after all others.

    Returns:
        What the compiler said: its warnings.

    Raises:
        NoLibraryError: there is no compiler.
        BuildError: it failed, or the sources have changed meanwhile.
    """
    compiler = compiler or find_compiler()
    flags = (*FLAGS, *instruction_sets()[instruction_set].flags)

    def compiled(text: str, made: Path) -> str:
        work = made.parent
        openmp = (OPENMP,) if _has_openmp(compiler, work) else ("-Wno-unknown-pragmas",)
        options = [*flags, *openmp, *extra_flags]
        return run_compiler(compiler, [*options, MAIN, "-x", "c++", "-", "-o", str(made)], text, root, work)

    return make(target, root, compiler, LABEL, lambda: label(instruction_set, root), compiled)


def make(
    target: Path,
    root: Path,
    compiler: Compiler,
    declaration: str,
    carried: Callable[[], bytes],
    compiled: Callable[[str, Path], str],
) -> str:
    """Make a library and put it in place.

    Args:
        target: The file to make or replace; its folder is there.
        root: Folder of the sources.
        compiler: Which one makes it.
        declaration: Source text with {label} in it.
        carried: The label, of the sources as they are when it is called.
        compiled: Given that text and the file to make, in a folder of its own, runs the compiler; gives what
            it said.

    Returns:
        What the compiler said.

    Raises:
        BuildError: it failed or wrote nothing, or the sources have changed meanwhile.
    """
    before = carried()
    # A folder of mode 0700 for what the compiler writes, which nobody sees until it is complete.
    with tempfile.TemporaryDirectory(dir=target.parent.absolute(), prefix="building-") as folder:
        made = Path(folder) / "library.so"
        said = compiled(declaration.format(label=before.decode()), made)
        if not made.exists():
            raise BuildError(f"the compiler wrote nothing: {shlex.join(compiler.command)}")
        if carried() != before:
            raise BuildError(f"the sources in {root} have changed while they were compiled: try again")
        put_in_place(made, target)
    return said


def put_in_place(made: Path, target: Path) -> None:
    """Move a library to `target`, with its digest beside it; either in one step, mode 0600."""
    recorded = digest_path(made)
    recorded.write_bytes(recorded_digest(made.read_bytes()))
    for path in (made, recorded):
        path.chmod(0o600)
    os.replace(recorded, digest_path(target))
    os.replace(made, target)


def digest_path(library: Path) -> Path:
    """The file beside a library that records its digest."""
    return library.with_name(f"{library.name}.sha256")


def recorded_digest(library: bytes) -> bytes:
    """What that file holds: SHA-256 in hexadecimal digits and a line feed."""
    return f"{hashlib.sha256(library).hexdigest()}\n".encode()


def _has_openmp(compiler: Compiler, work: Path) -> bool:
    """Does the compiler take the flag, and use the OpenMP library that PyTorch uses?

    Clang's own library would be a second pool of threads beside it, so then there is none.
    """
    made = work / "openmp.so"
    try:
        options = ["-fPIC", "-shared", OPENMP, "-x", "c++", "-", "-o", str(made)]
        run_compiler(compiler, options, OPENMP_TEST, work, work)
    except BuildError:
        return False
    return made.exists() and b"libgomp.so" in made.read_bytes()


def run_compiler(compiler: Compiler, arguments: list[str], text: str, folder: Path, temporary: Path) -> str:
    """Run the compiler with a text as its standard input; what it says on standard error."""
    command = [*compiler.command, *arguments]
    environment = os.environ | {"LC_ALL": "C", "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,  # a compiler is several processes, which end together
    )
    try:
        _, said = process.communicate(text, timeout=TIMEOUT)
    except subprocess.TimeoutExpired as error:
        raise BuildError(f"no end after {TIMEOUT} s: {shlex.join(command)}") from error
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    if process.returncode:
        raise BuildError(f"status {process.returncode} of: {shlex.join(command)}\n{said[-4000:]}")
    return said
