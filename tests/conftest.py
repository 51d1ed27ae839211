"""What holds for every test: how many examples Hypothesis draws, and how Triton runs."""

import os
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from symgru.derivation.caching import clear

# `ci` draws the same examples every time, so a red test stays red; `thorough` draws new ones on every run and
# prints how to get a failing one back. No deadline: no test is timed.
settings.register_profile("ci", deadline=None, max_examples=25, derandomize=True, print_blob=True)
settings.register_profile(
    "thorough",
    deadline=None,
    max_examples=300,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],  # 300 large examples are slow on purpose
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# One thread a worker: the tensors are small, and pytest-xdist already fills the cores.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Before anything imports triton: kernels run in its interpreter, on the CPU, unless the caller chose
# otherwise (TRITON_INTERPRET=0 runs them on a GPU), and what they compile goes into a folder of this process.
os.environ.setdefault("TRITON_INTERPRET", "1")
_TRITON_CACHE = tempfile.mkdtemp(prefix="symgru-triton-")
os.environ["TRITON_CACHE_DIR"] = _TRITON_CACHE


def pytest_unconfigure() -> None:
    shutil.rmtree(_TRITON_CACHE, ignore_errors=True)


@pytest.fixture
def forgetful() -> Iterator[None]:
    """Derivations are made anew, so that an error planted in the rules is used, and leaves nothing behind."""
    clear()
    yield
    clear()
