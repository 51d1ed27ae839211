"""For debugging under TRITON_INTERPRET=1: grids whose programs wait for each other, bfloat16 and TF32.

    with interpreter.repaired(seed=1):
        kernel[grid](...)               # an interpreted kernel, with a breakpoint or a print in it

Triton's interpreter runs one program after another, so one that waits for a later one waits for ever. Here
each program is a thread, and one of them runs at a time: at an atomic operation or a volatile load it hands
over to another, round robin or in an order that a seed chooses. Plain loads and stores do not hand over, so a
missing barrier may go unseen: the simulator is what finds it. `interpreter_numerics.py` has the numbers.
"""

from __future__ import annotations

import contextvars
import inspect
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from triton import knobs
from triton.runtime import interpreter as triton_interpreter
from triton.runtime.errors import InterpreterError

from .errors import Livelock, NotResident, SimulatorError
from .interpreter_numerics import NumericsBuilder

#: Hand-overs of every resident program in which no memory has changed, after which they wait for nothing.
PATIENCE = 1000

Index = tuple[int, int, int]


class _AbandonedError(BaseException):
    """Ends a program of a launch that has failed; no kernel catches it."""


class _Program:
    """A program of the grid, in a thread that runs only while it has been handed the turn."""

    ended = False

    def __init__(self, index: Index, body: Callable[[], object], done: threading.Semaphore) -> None:
        self.index = index
        self.error: BaseException | None = None
        self._body, self._turn, self._back = body, threading.Semaphore(0), done
        context = contextvars.copy_context()
        self._thread = threading.Thread(target=context.run, args=(self._run,), daemon=True)
        self._thread.start()

    def _run(self) -> None:
        self._turn.acquire()
        try:
            self._body()
        except BaseException as error:  # noqa: BLE001 - it is raised again in the thread that launched
            self.error = error
        finally:  # else that thread waits for ever
            self.ended = True
            self._back.release()

    def resume(self) -> None:
        """Let it run until it hands over or ends."""
        self._turn.release()
        self._back.acquire()
        if self.ended:
            self._thread.join()

    def pause(self) -> None:
        """Hand over; called in its own thread."""
        self._back.release()
        self._turn.acquire()


class _Grid:
    """The programs of a launch: those that are resident, and those that wait for a place."""

    def __init__(self, seed: int | None, coresident: int | None) -> None:
        self._choose = None if seed is None else random.Random(seed).randrange
        self._coresident = coresident
        self._idle, self._failed = 0, False
        self._running: _Program | None = None

    def run(self, bodies: list[tuple[Index, Callable[[], object]]]) -> None:
        """Run all of them; raises the first error, after the others have been ended."""
        back = threading.Semaphore(0)
        waiting = list(reversed(bodies))
        room = self._coresident or len(bodies)
        resident: list[_Program] = []
        turn = 0
        try:
            while resident or waiting:
                while waiting and len(resident) < room:
                    resident.append(_Program(*self._unless_failed(*waiting.pop()), back))
                turn = self._choose(len(resident)) if self._choose else turn % len(resident)
                program = resident[turn]
                self._resume(program)
                if not program.ended:
                    turn += 1
                else:
                    resident.pop(turn)
                    if program.error is not None:
                        raise program.error
                if self._idle > PATIENCE * len(resident):
                    raise _stuck(len(resident), len(waiting))
        finally:  # also when the user interrupts
            self._failed = True
            for program in resident:
                while not program.ended:
                    self._resume(program)

    def _unless_failed(self, index: Index, body: Callable[[], object]) -> tuple[Index, Callable[[], object]]:
        return index, lambda: None if self._failed else body()

    def _resume(self, program: _Program) -> None:
        triton_interpreter.interpreter_builder.grid_idx = program.index
        self._running = program
        program.resume()
        self._running = None
        if program.ended:
            self._idle = 0

    def hand_over(self) -> None:
        """Called by the running program where another may be what it waits for."""
        program = self._running
        if program is None:
            return
        self._idle += 1
        program.pause()
        if self._failed:
            raise _AbandonedError

    def changed(self) -> None:
        """The running program has changed memory: those that poll may see it."""
        self._idle = 0


def _stuck(resident: int, waiting: int) -> SimulatorError:
    if waiting:
        return NotResident(
            f"{resident} resident programs only poll, {waiting} have not started: they are not co-resident"
        )
    return Livelock(f"{resident} programs only poll: what they wait for is written by none")


_grid: _Grid | None = None


class _Builder(NumericsBuilder):
    """Hands over at what synchronises."""

    def create_masked_load(self, *arguments: Any) -> Any:
        """A volatile load, and so every atomic one, is a poll; `is_volatile` comes last."""
        if _grid is not None and arguments[-1] is True:
            _grid.hand_over()
        return super().create_masked_load(*arguments)

    def create_masked_store(self, *arguments: Any) -> Any:
        """Others may wait for what is stored."""
        if _grid is not None:
            _grid.changed()
        return super().create_masked_store(*arguments)

    def create_atomic_rmw(self, *arguments: Any) -> Any:
        """A poll too, if it changes nothing."""
        return self._atomic(super().create_atomic_rmw, arguments[1], arguments)

    def create_atomic_cas(self, *arguments: Any) -> Any:
        """The same."""
        return self._atomic(super().create_atomic_cas, arguments[0], arguments)

    def _atomic(self, operation: Callable[..., Any], pointer: Any, arguments: tuple[Any, ...]) -> Any:
        if _grid is None:
            return operation(*arguments)
        _grid.hand_over()
        before = operation(*arguments)
        mask = arguments[3].data if len(arguments) == 6 else np.ones(pointer.data.shape, bool)
        if np.any((before.data != self._read(pointer, before)) & mask):
            _grid.changed()
        return before

    @staticmethod
    def _read(pointer: Any, like: Any) -> Any:
        return triton_interpreter._interpreter.load(
            pointer.data, np.ones(pointer.data.shape, bool), np.zeros_like(like.data), like.data.dtype
        )


class _Together:
    """In place of a kernel's function: keeps the calls of a grid, and makes all of them at the last."""

    def __init__(self, function: Callable[..., object], grid: _Grid) -> None:
        self.__name__, self.__globals__ = function.__name__, function.__globals__
        self.__signature__ = inspect.signature(function)
        self._function, self._grid = function, grid
        self._bodies: list[tuple[Index, Callable[[], object]]] = []

    def __call__(self, **arguments: Any) -> None:
        builder = triton_interpreter.interpreter_builder
        self._bodies.append((builder.grid_idx, lambda: self._function(**arguments)))
        x, y, z = builder.grid_dim
        if builder.grid_idx == (x - 1, y - 1, z - 1):
            self._grid.run(self._bodies)


@contextmanager
def repaired(*, seed: int | None = None, coresident: int | None = None) -> Iterator[None]:
    """Interpreted kernels run with all programs at once, and with a GPU's bfloat16 and TF32.

    Args:
        seed: Of the order of hand-overs; round robin if None.
        coresident: How many programs are resident at once, the next starts when one ends; all if None.
    Raises:
        ValueError: `coresident` is under 1.
        SimulatorError: Triton's interpreter is not active, or another thread or block has it.
            From a launch: Livelock or NotResident.
    """
    if coresident is not None and coresident < 1:
        raise ValueError(f"expected coresident >= 1 or None, got {coresident}")
    if not knobs.runtime.interpret:
        raise SimulatorError("expected interpreted kernels: set TRITON_INTERPRET=1 before importing triton")
    builder, executor = triton_interpreter.interpreter_builder, triton_interpreter.GridExecutor
    if type(builder) is not triton_interpreter.InterpreterBuilder:
        raise SimulatorError("the interpreter is repaired already")

    class Executor(executor):  # type: ignore[misc, valid-type]  # chosen at run time
        def __call__(self, *args: Any, **kwargs: Any) -> None:
            _launch(super().__call__, self, _Grid(seed, coresident), args, kwargs)

    triton_interpreter.GridExecutor = Executor
    builder.__class__ = _Builder
    try:
        yield
    finally:
        builder.__class__ = triton_interpreter.InterpreterBuilder
        triton_interpreter.GridExecutor = executor


def _launch(
    run: Callable[..., None], executor: Any, grid: _Grid, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    global _grid
    executor.fn = _Together(executor.fn, grid)
    _grid = grid
    try:
        run(*args, **kwargs)
    except InterpreterError as error:
        if isinstance(error.__cause__, SimulatorError):  # Triton turns every error into one of its own
            raise error.__cause__ from None
        raise
    finally:
        _grid = None
