"""A stand-in of a few lines for the CPU's library, and compilers that are shell scripts."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from symgru.kernels.cache import VARIABLE as CACHE
from symgru.kernels.cpu import load, toolchain
from symgru.kernels.cpu.build import build

COMPILER = toolchain.compiler_command()
SOURCE = """
#include <cstdio>
#if defined(_OPENMP)
#include <omp.h>
#endif
#define EXPORTED extern "C" __attribute__((visibility("default")))
EXPORTED int answer() { return 42; }
EXPORTED int threads() {
#if defined(_OPENMP)
  return omp_get_max_threads();
#else
  return -1;
#endif
}
inline int width = sizeof(long) * VECTOR;
EXPORTED int* address() { return &width; }
"""
TRAP = 'namespace { struct Trap { Trap() { fclose(fopen("%s", "w")); } } trap; }\n'


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All but the tests of the processor need a compiler."""
    for item in items:
        if not COMPILER and "root" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="there is no C++ compiler"))


def make_sources(root: Path, extra: str = "") -> Path:
    (root / "cpu").mkdir(parents=True)
    (root / "cpu" / "width.h").write_text("#define VECTOR 4\n", encoding="utf-8")
    text = '#include "width.h"\n' + SOURCE + extra
    (root / "cpu" / "library.cpp").write_text(text, encoding="utf-8")
    return root


@pytest.fixture
def root(tmp_path, monkeypatch) -> Path:
    """Sources of the stand-in, an empty cache, a process that has loaded nothing."""
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.delenv(load.VARIABLE, raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(load, "_found", {})
    monkeypatch.setattr(load, "ROOT", make_sources(tmp_path / "sources"))
    return load.ROOT


@pytest.fixture
def sprung(tmp_path) -> Path:
    """The file that is written when the trap is loaded."""
    return tmp_path / "sprung"


@pytest.fixture
def trap(tmp_path, sprung) -> bytes:
    """A library that writes that file, and answers as the stand-in does."""
    folder = make_sources(tmp_path / "trap", TRAP % sprung)
    build("portable", folder / "trap.so", folder)
    return (folder / "trap.so").read_bytes()


@pytest.fixture
def no_compiler(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))


class Script:
    """Lets $CXX be a shell script that has the true compiler in $REAL, and counts what it compiles."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch):
        self.path, self.calls, self.monkeypatch = folder / "cxx", folder / "calls", monkeypatch

    def __call__(self, body: str) -> None:
        record = f'case "$*" in *library.cpp*) echo build >> "{self.calls}";; esac'
        text = f'#!/bin/sh\nREAL="{" ".join(COMPILER)}"\n{record}\n{body}\n'
        self.path.write_text(text, encoding="utf-8")
        self.path.chmod(0o755)
        self.monkeypatch.setenv("CXX", str(self.path))

    def builds(self) -> int:
        return len(self.calls.read_text().splitlines()) if self.calls.exists() else 0


@pytest.fixture
def cxx(tmp_path, monkeypatch) -> Script:
    return Script(tmp_path, monkeypatch)


@pytest.fixture
def python(root) -> Callable[[str], subprocess.Popen]:
    """Start another process, in which nothing is loaded, with the same sources and the same cache."""
    start = f"import pathlib\nfrom symgru.kernels.cpu import load\nload.ROOT = pathlib.Path({str(root)!r})\n"

    def run(code: str) -> subprocess.Popen:
        command = [sys.executable, "-c", start + code]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    return run
