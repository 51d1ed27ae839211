"""The runtime's library: compiled from runtime/ into the cache folder, verified before it is loaded."""

from __future__ import annotations

import ctypes
import hashlib
import tempfile
import threading
from pathlib import Path

from ..cache import cache_folder, read_own
from ..cpu import toolchain
from ..cpu.build import digest_of, digest_path, put_in_place, recorded_digest, run_compiler
from ..cpu.errors import BuildError
from ..cpu.load import one_process

ROOT = Path(__file__).parent / "runtime"
SOURCES = ("*.c", "*.h")

# No contraction: a matrix product's rounding is written out.
FLAGS = ("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-fvisibility=hidden", "-fPIC", "-shared")
LINKING = ("-lm", "-Wl,-Bsymbolic")  # within the library, calls go straight to its own functions
AS_C = ("-x", "c")  # for the next file: the compiler is the C++ compiler, which the CPU kernels need too
WARNINGS = ("-Wall", "-Wextra")

LABEL = '__attribute__((visibility("default"))) const char symgru_label[] = "{label}";\n'

_lock = threading.Lock()
_loaded: dict[str, ctypes.CDLL] = {}


def library(extra_flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The library, loaded so that code compiled at run time finds its functions; the first call may build it.

    Raises:
        NoLibraryError: there is no compiler.
        BuildError: it failed.
    """
    key = " ".join(extra_flags)
    with _lock:
        if key not in _loaded:
            _loaded[key] = ctypes.CDLL(str(library_path(extra_flags)), mode=ctypes.RTLD_GLOBAL)
        return _loaded[key]


def library_path(extra_flags: tuple[str, ...] = ()) -> Path:
    """Path of the verified library, built if it is not there."""
    compiler = toolchain.find_compiler()
    flags = _flags(extra_flags)
    label = f"symgru simulator, sources {digest_of(ROOT, SOURCES)}, {_key(repr((flags, LINKING, compiler)))};"
    path = cache_folder() / f"simulator_{_key(label)[:32]}.so"
    if not _usable(path, label):
        with one_process(path.with_suffix(".lock")):
            if not _usable(path, label):
                _build(compiler, flags, label, path)
        if not _usable(path, label):
            raise BuildError(f"what was built cannot be used: {path}")
    return path


def _flags(extra: tuple[str, ...]) -> tuple[str, ...]:
    processor = toolchain.instruction_sets()[toolchain.supported_here()[0]].flags
    return (*FLAGS, *WARNINGS, *processor, *extra)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _usable(path: Path, label: str) -> bool:
    """Is it the user's own, as it was built, from the sources that are here?"""
    try:
        content = read_own(path)
        return read_own(digest_path(path)) == recorded_digest(content) and label.encode() in content
    except OSError:  # not there, a link, or a CacheError
        return False


def _build(compiler: toolchain.Compiler, flags: tuple[str, ...], label: str, target: Path) -> None:
    """Compile into the file `target`, with its digest beside it."""
    with tempfile.TemporaryDirectory(dir=target.parent.absolute(), prefix="building-") as folder:
        work = Path(folder)
        made = work / "library.so"
        sources = sorted(path.name for path in ROOT.glob("*.c"))
        files = [word for name in (*sources, "-") for word in (*AS_C, name)]
        options = [*flags, *files, "-o", str(made), *LINKING]
        run_compiler(compiler, options, LABEL.format(label=label), ROOT, work)
        put_in_place(made, target)
