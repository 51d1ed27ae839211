"""Putting the simulator's driver in the place of Triton's, and everything back.

Besides the driver, two things of Triton are different while a simulated device is entered:
- buffer instructions of AMD GPUs, which take a descriptor in place of a pointer, are not used;
- the autotuner remembers its choice for each target, so that one fits the target it was made for.

The caches on disk and in memory are Triton's.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import triton
from triton import knobs
from triton.backends.driver import DriverBase
from triton.runtime import driver as drivers
from triton.runtime.autotuner import Autotuner

from ..locks import Lock
from .errors import SimulatorError

#: The first and the last release of a package, (major, minor), that the tests ran with.
TESTED = {"triton": ((3, 7), (3, 9)), "llvmlite": ((0, 48), (0, 50))}

_lock = Lock()
_users = 0
_undo: ExitStack | None = None

#: What each autotuner chose, for each target.
_choices: WeakKeyDictionary[Any, dict[str, dict[Any, Any]]] = WeakKeyDictionary()


@contextmanager
def installed(driver: DriverBase, name: Callable[[], str]) -> Iterator[None]:
    """Triton's driver is this one, until the last of those who asked for it has left.

    Args:
        driver: The simulator's.
        name: Of the target that is current in the calling thread.
    Raises:
        SimulatorError: Triton's interpreter is active, or this release of Triton was not tested.
    """
    _check()
    _enter(driver, name)
    try:
        yield
    finally:
        _leave()


def _check() -> None:
    if knobs.runtime.interpret:
        raise SimulatorError(
            "expected compiled kernels, got interpreted ones: unset TRITON_INTERPRET before importing triton"
        )
    check_version("triton", triton.__version__)


def check_version(package: str, version: str) -> None:
    """Refuse a release that was not tested: other compilers write, and other readers take, other LLVM IR.

    Raises:
        SimulatorError: The version is outside of the package's range in TESTED.
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    first, last = TESTED[package]
    if found is None or not first <= (int(found[1]), int(found[2])) <= last:
        low, high, over = (f"{major}.{minor}" for major, minor in (first, last, (last[0], last[1] + 1)))
        raise SimulatorError(
            f"the simulator was tested with {package} {low} to {high}, this is {version}: "
            f'pip install "{package}>={low},<{over}"'
        )


def fences_waves() -> bool:
    """Whether Triton writes fences between what the lanes of an AMD wave hand to each other: from 3.8 on."""
    return not triton.__version__.startswith("3.7.")


def _enter(driver: DriverBase, name: Callable[[], str]) -> None:
    global _users, _undo
    with _lock:
        if _users == 0:
            _undo = ExitStack()
            _undo.enter_context(knobs.amd.scope())
            knobs.amd.use_buffer_ops = False
            _undo.enter_context(_choices_by_target(name))
            _undo.callback(drivers.set_active, drivers._active)  # None if Triton has not looked for a GPU yet
            drivers.set_active(driver)
        _users += 1


def _leave() -> None:
    global _users, _undo
    with _lock:
        _users -= 1
        if _users == 0 and _undo is not None:
            _undo.close()
            _undo = None


@contextmanager
def _choices_by_target(name: Callable[[], str]) -> Iterator[None]:
    """The autotuner's `cache` is another one for each target."""
    original = Autotuner.run

    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _lock:  # also: an autotuner keeps the arguments of a call in itself
            former = self.cache
            self.cache = _choices.setdefault(self, {}).setdefault(name(), {})
            try:
                return original(self, *args, **kwargs)
            finally:
                self.cache = former

    Autotuner.run = run
    try:
        yield
    finally:
        Autotuner.run = original
