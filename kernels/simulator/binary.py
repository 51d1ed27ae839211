"""A compiled kernel as the launcher finds it: Triton's metadata, and every stage's text from its cache."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from triton.runtime.cache import get_cache_manager

from .errors import SimulatorError

#: Stages that are files of bytes.
MACHINE_CODE = ("cubin", "hsaco")

#: Texts of one kernel that are kept executable; a mutant is one.
KEPT = 16

#: Those that Triton's launchers hold. Triton makes a launcher anew at each launch that has a hook.
_binaries: WeakValueDictionary[tuple[str, str], Binary] = WeakValueDictionary()


@dataclass(frozen=True, eq=False)
class Binary:
    """What the compiler made of a kernel for one target and one specialisation.

    Attributes:
        name: Of the function in the LLVM IR.
        metadata: Triton's: shared, num_warps, target and so on.
        signature: The type of every argument of the Python function, by name.
        asm: The text of each stage, by its name; "llir" and the machine code's among them.
    """

    name: str
    metadata: Any
    signature: Mapping[Any, Any]
    asm: Mapping[str, Any]
    _kernels: dict[str, Any] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def machine_code(self) -> bytes:
        """The code object, for NVIDIA or AMD."""
        code: bytes = next(self.asm[stage] for stage in MACHINE_CODE if stage in self.asm)
        return code

    def kernel(self, rewrite: Callable[[str], str] | None = None) -> Any:
        """The kernel made executable; once for each text that `rewrite` returns.

        Raises:
            SimulatorError: The LLVM IR has what the simulator does not know, or llvmlite is not installed.
        """
        try:
            from .kernel import Kernel
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] != "llvmlite":
                raise
            missing = 'expected llvmlite, which is not installed: pip install "symgru[simulator]"'
            raise SimulatorError(missing) from error
        text = self.asm["llir"] if rewrite is None else rewrite(self.asm["llir"])
        with self._lock:
            if text not in self._kernels:
                if len(self._kernels) == KEPT:
                    del self._kernels[next(iter(self._kernels))]
                rewritten = Binary(self.name, self.metadata, self.signature, {**self.asm, "llir": text})
                self._kernels[text] = Kernel(rewritten)
            return self._kernels[text]


def binary_of(source: Any, metadata: Any) -> Binary:
    """The kernel that Triton has compiled, or loaded from its cache, a moment ago.

    Args:
        source: Triton's ASTSource or IRSource.
        metadata: Of the compiled kernel; its hash is the key in the cache.
    Raises:
        SimulatorError: The cache does not hold the LLVM IR.
    """
    key = (metadata.hash, source.name)
    known = _binaries.get(key)
    return known or _binaries.setdefault(key, _read(source, metadata))


def _read(source: Any, metadata: Any) -> Binary:
    found = get_cache_manager(metadata.hash).get_group(f"{source.name[:150]}.json") or {}
    files = {Path(path).suffix[1:]: Path(path) for path in found.values()}
    if "llir" not in files:
        raise SimulatorError(
            f"kernel {source.name}: Triton's cache has no LLVM IR of it, only {sorted(files) or 'nothing'}; "
            "unset TRITON_STORE_BINARY_ONLY and clear the cache"
        )
    asm = {s: f.read_bytes() if s in MACHINE_CODE else f.read_text() for s, f in files.items() if s != "json"}
    return Binary(metadata.name, metadata, dict(source.signature), asm)
