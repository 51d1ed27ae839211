"""The runtime's library: what cannot be used is refused, and a forked process finds open locks."""

import os
import shlex
import signal
import threading
import warnings

import pytest
from symgru.kernels.cache import VARIABLE as CACHE
from symgru.kernels.cpu import toolchain
from symgru.kernels.cpu.errors import BuildError
from symgru.kernels.simulator import installation, library, machine, runtime

COMPILER = toolchain.compiler_command()
pytestmark = pytest.mark.skipif(COMPILER is None, reason="there is no C compiler, which the runtime needs")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A library of one function, in an empty cache."""
    sources = tmp_path / "runtime"
    sources.mkdir()
    (sources / "one.c").write_text('__attribute__((visibility("default"))) int one(void) { return 1; }\n')
    monkeypatch.setenv(CACHE, str(tmp_path / "cache"))
    monkeypatch.setattr(library, "ROOT", sources)
    monkeypatch.setattr(library, "_loaded", {})
    return sources


@pytest.fixture
def compiler(tmp_path, monkeypatch):
    """Lets $CXX be a shell script; the true compiler is in $REAL."""

    def become(body):
        path = tmp_path / "cxx"
        path.write_text(f"#!/bin/sh\nREAL={shlex.quote(shlex.join(COMPILER))}\n{body}\n")
        path.chmod(0o755)
        monkeypatch.setenv("CXX", str(path))

    return become


def test_it_is_built_once_and_again_when_it_was_changed(root):
    path = library.library_path()
    assert library.library().one() == 1
    before = path.stat().st_mtime_ns
    assert library.library_path() == path
    assert path.stat().st_mtime_ns == before
    other = root / "other"
    other.write_bytes(path.read_bytes() + b"more")
    other.replace(path)  # the file itself is in this process's memory
    library.library_path()
    assert not path.read_bytes().endswith(b"more")
    (root / "one.c").write_text("int two(void) { return 2; }\n")
    assert library.library_path() != path


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("echo C++", "the compiler wrote nothing"),
        ('echo "// changed" >> ROOT/one.c; exec $REAL "$@"', "have changed while they were compiled"),
        (
            'echo C++; for o; do case $last in -o) echo no > "$o";; esac; last=$o; done',
            "cannot be used: .* was not made for the simulator from the sources that are here",
        ),
    ],
    ids=["nothing", "changed", "garbage"],
)
def test_what_a_compiler_did_wrong_is_said(root, compiler, body, message):
    compiler(body.replace("ROOT", shlex.quote(str(root))))
    with pytest.raises(BuildError, match=message):
        library.library_path()


@pytest.mark.parametrize("lock", [library._lock, machine._lock, runtime._one_at_a_time, installation._lock])
def test_a_fork_does_not_wait_for_a_thread_that_it_does_not_have(lock):
    held, enough = threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            enough.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python warns of fork beside threads: that is the test
        child = os.fork()
    if child == 0:
        signal.alarm(10)  # ends a child that waits
        with lock:
            os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    enough.set()
    thread.join()
    assert status == 0
