"""A lock that is open in a forked process, for the thread that held it is not there."""

from __future__ import annotations

import os
import threading
import weakref
from types import TracebackType


class Lock:
    """A lock of a process's own; the thread that holds it may take it again."""

    def __init__(self) -> None:
        """Make one, open."""
        self._open()
        renew = weakref.WeakMethod(self._open)
        os.register_at_fork(after_in_child=lambda: (made := renew()) and made())

    def _open(self) -> None:
        self._lock = threading.RLock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()
