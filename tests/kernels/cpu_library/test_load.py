"""What is loaded as the CPU's library was built from the sources that are here.

What is planted in its place writes a file when it is loaded.
"""

import os
import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from symgru.kernels.cpu import load, toolchain
from symgru.kernels.cpu.build import build, digest_path, label, recorded_digest
from symgru.kernels.cpu.errors import NoLibraryError


def write_right(path: Path, content: bytes) -> None:
    """A library with the digest of it, both as `build` would leave them."""
    for file, text in ((path, content), (digest_path(path), recorded_digest(content))):
        file.unlink(missing_ok=True)
        file.write_bytes(text)
        file.chmod(0o600)


def output(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out.strip()


# Building and keeping.


def test_a_library_is_built_kept_and_found_again(root, tmp_path, cxx, python):
    cxx('exec $REAL "$@"')
    assert load.obstacle() is None
    assert load.library().answer() == 42
    assert load.library() is load.library()
    code = "print(load.library().answer())"
    assert output(python(code)) == "42"
    assert cxx.builds() == 1
    assert not list((tmp_path / "cache").glob("building-*"))
    modes = {oct(path.stat().st_mode & 0o777) for path in (tmp_path / "cache").iterdir()}
    assert modes == {"0o600"}


@pytest.mark.parametrize("file", ["cpu/library.cpp", "cpu/width.h", "cpu/new.h", "generated/cpu_new.h"])
def test_other_sources_are_another_library(root, file):
    before, stale = load._cached("portable"), label("portable", root)
    (root / file).parent.mkdir(exist_ok=True)
    with open(root / file, "a", encoding="utf-8") as source:
        source.write("// changed\n")
    assert label("portable", root) != stale
    assert load._cached("portable") != before


def test_another_compiler_is_another_library(root, cxx):
    before = load._cached("portable")
    cxx('exec $REAL "$@"')
    same_path = load._cached("portable")
    cxx('[ "$*" = --version ] && echo "New C++ 99.1" || exec $REAL "$@"')
    assert len({before, same_path, load._cached("portable")}) == 3


# What lies in the library's place.

FAULTS = {
    "a flipped byte": lambda path, trap: path.write_bytes(
        path.read_bytes()[:5000] + bytes([path.read_bytes()[5000] ^ 1]) + path.read_bytes()[5001:]
    ),
    "cut short": lambda path, trap: path.write_bytes(path.read_bytes()[:-100]),
    "empty": lambda path, trap: path.write_bytes(b""),
    "one byte more": lambda path, trap: path.write_bytes(path.read_bytes() + b"\0"),
    "foreign": lambda path, trap: path.write_bytes(trap),
    "foreign, with its digest": lambda path, trap: write_right(path, trap),
    "digest missing": lambda path, trap: digest_path(path).unlink(),
    "digest empty": lambda path, trap: digest_path(path).write_bytes(b""),
    "digest of garbage": lambda path, trap: digest_path(path).write_bytes(b"\xff\0garbage"),
    "digest of another file": lambda path, trap: digest_path(path).write_bytes(recorded_digest(trap)),
}


def plant_writable(path: Path, forged: bytes) -> None:
    write_right(path, forged)
    path.chmod(0o622)


def plant_writable_digest(path: Path, forged: bytes) -> None:
    write_right(path, forged)
    digest_path(path).chmod(0o620)


def plant_link(path: Path, forged: bytes) -> None:
    elsewhere = path.with_name("elsewhere.so")
    write_right(path, forged)
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def plant_digest_link(path: Path, forged: bytes) -> None:
    elsewhere = path.with_name("elsewhere.sha256")
    write_right(path, forged)
    digest_path(path).rename(elsewhere)
    digest_path(path).symlink_to(elsewhere)


def plant_pipe(path: Path, forged: bytes) -> None:
    path.unlink()
    os.mkfifo(path, 0o600)


def plant_of_another_user(path: Path, forged: bytes) -> None:
    write_right(path, forged)
    os.chown(path, 12345, 12345)


# With the right label and the right digest, so that nothing but its kind, owner or mode gives it away.
FORGED = {
    "others can write to it": plant_writable,
    "its group can write to the digest": plant_writable_digest,
    "a link": plant_link,
    "a digest that is a link": plant_digest_link,
    "a named pipe": plant_pipe,
    "of another user": plant_of_another_user,
}


def assert_mended(path: Path, sprung: Path, root: Path) -> None:
    assert load._refusal(path, "portable") is not None
    assert load.library("portable").answer() == 42
    assert not sprung.exists()
    assert load._refusal(path, "portable") is None
    assert not path.is_symlink()


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_not_as_it_was_built_is_built_anew(fault, root, trap, sprung):
    path = load._cached("portable")
    FAULTS[fault](path, trap)
    assert_mended(path, sprung, root)


@pytest.mark.parametrize("fault", FORGED)
def test_what_somebody_else_can_change_is_built_anew(fault, root, trap, sprung):
    if fault == "of another user" and os.getuid() != 0:
        pytest.skip("only root can make a file of another user")
    path = load._cached("portable")
    FORGED[fault](path, trap + label("portable", root))
    assert_mended(path, sprung, root)


def test_a_library_for_another_instruction_set_is_built_anew(root, sprung):
    if "avx2" not in toolchain.supported_here():
        pytest.skip("this processor has one instruction set alone")
    path = load._cached("portable")
    write_right(path, load._cached("avx2").read_bytes())
    assert_mended(path, sprung, root)


def test_the_trap_works(root, trap, sprung):
    """It writes its file when it is loaded, and is loaded if all is right: the user's own, digest, label."""
    path = load._cached("portable")
    write_right(path, trap + label("portable", root))
    assert load.library("portable").answer() == 42
    assert sprung.exists()


def test_a_cache_folder_that_others_can_write_to_is_refused(root, tmp_path):
    load._cached("portable")
    (tmp_path / "cache").chmod(0o777)
    with pytest.raises(NoLibraryError, match="nobody else can write to"):
        load.library("portable")


# Shipped with the package.


@pytest.fixture
def shipped(root) -> Path:
    path = root / "cpu" / "libraries" / "portable.so"
    path.parent.mkdir()
    build("portable", path, root)
    return path


def test_a_shipped_library_needs_no_compiler(shipped, no_compiler, tmp_path):
    assert load.obstacle("portable") is None
    assert load.library("portable").answer() == 42
    assert not (tmp_path / "cache").exists()


def damage(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def change_sources(path: Path) -> None:
    (path.parents[1] / "width.h").write_text("#define VECTOR 8\n", encoding="utf-8")


def let_others_write(path: Path) -> None:
    path.chmod(0o666)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (damage, "does not have the digest recorded beside it"),
        (change_sources, "was not made for portable from the sources that are here"),
        (let_others_write, "nobody else can write to"),
        (Path.unlink, "is not there"),
    ],
)
def test_a_shipped_library_that_is_wrong_is_refused(fault, reason, shipped, tmp_path, monkeypatch):
    fault(shipped)
    with monkeypatch.context() as without:
        without.setenv("PATH", str(tmp_path / "nowhere"))
        assert re.search(f"install GCC .*{reason}", load.obstacle("portable"))
        with pytest.raises(NoLibraryError, match=f"install GCC .*{reason}"):
            load.library("portable")
    load._found.clear()
    assert load.library("portable").answer() == 42
    assert list((tmp_path / "cache").glob("cpu_portable_*.so"))


def test_a_shipped_library_that_does_not_load_is_built_instead(shipped, tmp_path):
    write_right(shipped, b"for a newer C library" + label("portable", load.ROOT))
    assert load.library("portable").answer() == 42
    assert list((tmp_path / "cache").glob("cpu_portable_*.so"))


# Several at once.


def test_two_processes_build_once(root, cxx, python):
    cxx('sleep 1; exec $REAL "$@"')
    both = [python("print(load.library().answer())") for _ in range(2)]
    assert [output(one) for one in both] == ["42", "42"]
    assert cxx.builds() == 1


def test_many_threads_build_once(root, cxx):
    cxx('exec $REAL "$@"')
    with ThreadPoolExecutor(8) as pool:
        libraries = list(pool.map(lambda _: load.library(), range(16)))
    assert len(set(map(id, libraries))) == 1
    assert cxx.builds() == 1


def test_a_process_that_was_killed_leaves_no_lock(root, tmp_path, cxx, python):
    waiting, go = tmp_path / "waiting", tmp_path / "go"
    wait = f"[ -e {go} ] || {{ echo $$ > {waiting}.new; mv {waiting}.new {waiting}; sleep 60; exit 1; }}"
    cxx(f'case "$*" in *library.cpp*) {wait};; esac\nexec $REAL "$@"')
    process = python("load.library()")
    while not waiting.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    go.touch()
    process.kill()
    process.wait()
    assert load.library().answer() == 42
    os.killpg(int(waiting.read_text()), signal.SIGKILL)  # the compiler, which outlived its process
    process.communicate()


def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have(root, python):
    code = """
import os
with load._lock:
    child = os.fork()
    if child == 0:
        os._exit(load.library().answer())
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert output(python(code)) == "42"


# One pool of threads.


@pytest.mark.parametrize("first", ["torch", "library"])
def test_torch_and_the_library_have_one_openmp(first, root, python):
    code = f"""
if {first!r} == "torch": import torch
library = load.library()
import torch
torch.set_num_threads(3)
maps = pathlib.Path("/proc/self/maps").read_text().splitlines()
names = {{line.split()[-1] for line in maps if "omp" in line.rpartition("/")[2] and ".so" in line}}
print(library.threads(), len({{name for name in names if "libgomp" in name or "libomp" in name}}))
"""
    assert output(python(code)) == "3 1"
