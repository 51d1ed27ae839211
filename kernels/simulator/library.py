"""The runtime's library: compiled from runtime/ into the cache folder, verified before it is loaded."""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path

from ..cache import cache_folder
from ..cpu import toolchain
from ..cpu.build import digest_of, make, run_compiler
from ..cpu.load import ensure, refusal
from ..locks import Lock

ROOT = Path(__file__).parent / "runtime"
SOURCES = ("*.c", "*.h")

# No contraction: a matrix product's rounding is written out. Aligned, so that the time of an access does not
# depend on what stands before it.
FLAGS = (
    *("-std=c11", "-O3", "-ffp-contract=off", "-fno-math-errno", "-falign-functions=64"),
    *("-fvisibility=hidden", "-fPIC", "-shared"),
)
LINKING = ("-lm", "-Wl,-Bsymbolic")  # within the library, calls go straight to its own functions
AS_C = ("-x", "c")  # for the next file: the compiler is the C++ compiler, which the CPU kernels need too
WARNINGS = ("-Wall", "-Wextra")

LABEL = '__attribute__((visibility("default"))) const char symgru_label[] = "{label}";\n'

_lock = Lock()
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

    def label() -> bytes:
        made_by = _key(repr((flags, LINKING, compiler)))
        return f"symgru simulator, sources {digest_of(ROOT, SOURCES)}, {made_by};".encode()

    def compiled(text: str, made: Path) -> str:
        sources = sorted(path.name for path in ROOT.glob("*.c"))
        files = [word for name in (*sources, "-") for word in (*AS_C, name)]
        return run_compiler(compiler, [*flags, *files, "-o", str(made), *LINKING], text, ROOT, made.parent)

    path = cache_folder() / f"simulator_{_key(label().decode())[:32]}.so"
    ensure(
        path,
        lambda: refusal(path, "the simulator", label()),
        lambda: make(path, ROOT, compiler, LABEL, label, compiled),
    )
    return path


def _flags(extra: tuple[str, ...]) -> tuple[str, ...]:
    processor = toolchain.instruction_sets()[toolchain.supported_here()[0]].flags
    return (*FLAGS, *WARNINGS, *processor, *extra)


def _key(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
