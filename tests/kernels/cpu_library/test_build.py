"""The CPU's library builds with what compilers there are, and says why if it does not."""

import ctypes
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from symgru.kernels.cpu import load, toolchain
from symgru.kernels.cpu.build import build, label
from symgru.kernels.cpu.errors import BuildError, NoLibraryError

HERE = load.ROOT
COMPILER = toolchain.compiler_command()


def test_sources_that_change_during_the_build_are_refused(root, tmp_path, cxx):
    cxx(f'echo "// changed" >> {root}/cpu/width.h; exec $REAL "$@"')
    with pytest.raises(BuildError, match="have changed while they were compiled"):
        build("portable", tmp_path / "x.so", root)
    assert not (tmp_path / "x.so").exists()


def test_libraries_for_two_instruction_sets_share_nothing(root):
    """Inline variables would be one for the whole process, with the width of the library that came first."""
    if "avx2" not in toolchain.supported_here():
        pytest.skip("this processor has one instruction set alone")
    first, second = load.library("avx2"), load.library("portable")
    for one in (first, second):
        one.address.restype = ctypes.c_void_p
    assert first.address() != second.address()


def test_the_label_survives_strip(root, cxx):
    path = load._cached("portable")
    subprocess.run(["strip", str(path)], check=True)
    assert label("portable", root) in path.read_bytes()


# Compilers.


@pytest.mark.parametrize("cxx", [None, "no-such-compiler"])
def test_without_a_compiler_the_error_says_what_to_install(cxx, root, no_compiler, monkeypatch):
    if cxx:
        monkeypatch.setenv("CXX", cxx)
    looked_for = rf"\$CXX \({cxx}\)" if cxx else r"c\+\+, g\+\+ or clang\+\+"
    sentence = f"found no C\\+\\+ compiler, looked for {looked_for}: install GCC 11"
    assert re.match(sentence, load.obstacle())
    with pytest.raises(NoLibraryError, match=sentence):
        load.library()


def test_the_compiler_of_the_environment_may_have_arguments(root, monkeypatch):
    monkeypatch.setenv("CXX", f"{shutil.which('env')} {COMPILER[0]}")
    assert load.library().answer() == 42


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        ("exit 3", NoLibraryError, "ended with status 3"),
        ("exit 0", NoLibraryError, "does not run"),
        ("echo C++; echo no licence >&2; [ $# = 1 ]", BuildError, "(?s)status 1 of: .*no licence"),
        ("echo C++", BuildError, "the compiler wrote nothing"),
        (
            'echo C++; for o; do :; done; [ $# = 1 ] || echo no > "$o"',
            BuildError,
            "cannot be used: .* was not made",
        ),
    ],
    ids=["fails", "is silent", "has no licence", "writes nothing", "writes garbage"],
)
def test_a_wrong_compiler_is_told_from_none(body, error, message, root, cxx):
    cxx(body)
    assert load.obstacle() is None  # which runs nothing
    with pytest.raises(error, match=message):
        load.library()


def test_a_failure_is_remembered(root, tmp_path, cxx):
    cxx('exec $REAL "$@"')
    (root / "cpu" / "library.cpp").write_text("int answer() { return forty_two; }\n", encoding="utf-8")
    for _ in range(2):
        with pytest.raises(BuildError, match=r"(?s)status 1 of: .*forty_two"):
            load.library()
    assert cxx.builds() == 1
    assert "forty_two" in load.obstacle()
    assert not list((tmp_path / "cache").glob("building-*"))


def test_a_compiler_that_does_not_end_is_ended_with_its_children(root, tmp_path, monkeypatch, cxx):
    cxx(f"sleep 300 & echo $! > {tmp_path}/child; wait")
    monkeypatch.setattr("symgru.kernels.cpu.build.TIMEOUT", 1)
    compiler = toolchain.Compiler(toolchain.compiler_command(), "C++")
    with pytest.raises(BuildError, match="no end after 1 s"):
        build("portable", tmp_path / "x.so", root, compiler)
    process = Path(f"/proc/{(tmp_path / 'child').read_text().strip()}/stat")
    for _ in range(200):  # until the system has removed it, or at least marked it as ended
        if not process.exists() or ") Z" in process.read_text():
            return
        time.sleep(0.05)
    pytest.fail("the compiler's child is still running")


def test_a_compiler_without_openmp_makes_one_thread(root, monkeypatch, cxx):
    cxx('case "$*" in *-fopenmp*) exit 1;; esac\nexec $REAL "$@"')
    assert load.library().threads() == -1
    load._found.clear()
    monkeypatch.delenv("CXX")
    assert load.library().threads() >= 1


# The library itself.


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[] if name == "portable" else pytest.mark.thorough)
        for name in toolchain.instruction_sets()
    ],
)
def test_the_library_builds_without_warnings(name, tmp_path):
    path = tmp_path / "library.so"
    assert build(name, path, HERE) == ""
    assert load._refusal(path, name) is None
    symbols = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True, text=True)
    assert shared_names(symbols.stdout) == []


def shared_names(symbols: str) -> list[str]:
    """Names in the output of `nm -D` that a library for another instruction set could end up with.

    "u" is unique in the process. What comes from std is a weak function of this library alone, and works on
    every width of a vector.
    """
    lines = [line.split()[-2:] for line in symbols.splitlines()]
    return [name for kind, name in lines if kind == "u" or not re.match("symgru_|_ZN?K?St", name)]


def test_planted_names_are_caught():
    names = "0 T symgru_run\n0 W _ZNSt6vectorIfE1fEv\n0 u _ZNSt1xE\n0 W _ZN6symgru1fEv\n0 T answer\n"
    assert shared_names(names) == ["_ZNSt1xE", "_ZN6symgru1fEv", "answer"]


def test_a_planted_warning_is_caught(root, tmp_path):
    assert build("portable", tmp_path / "x.so", root) == ""
    with open(root / "cpu" / "library.cpp", "a", encoding="utf-8") as source:
        source.write("static int unused;\n")
    assert "unused" in build("portable", tmp_path / "x.so", root)
