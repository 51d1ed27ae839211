"""Backends: what there is, what each can serve, and which one `auto` takes."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import torch

from symgru.kernels.cpu import load
from symgru.kernels.cpu.errors import NoLibraryError
from symgru.kernels.cpu.passes import plans
from symgru.torch_api.check import FLOATING
from symgru.torch_api.errors import BackendError
from symgru.torch_api.options import Options


@dataclass(frozen=True)
class Request:
    """What a call asks of a backend."""

    device: torch.device
    dtype: torch.dtype
    hidden_size: int
    options: Options
    resets: bool = False


@dataclass(frozen=True)
class Backend:
    """A way to run the time loop.

    Attributes:
        name: As given in `backend=`.
        what: One line.
        obstacle: Why it cannot serve a request, in words, or None if it can.
    """

    name: str
    what: str
    obstacle: Callable[[Request], str | None]


@dataclass(frozen=True)
class Status:
    """One line of `symgru.backends()`."""

    name: str
    what: str
    available: bool
    chosen: bool
    why: str

    def __str__(self) -> str:
        mark = "*" if self.chosen else " "
        return f"{mark} {self.name:12} {'yes' if self.available else 'no':4} {self.why} ({self.what})"


def _missing_gpu(request: Request) -> str | None:
    if request.device.type != "cuda" or torch.cuda.is_available():
        return None
    return f"torch {torch.__version__} finds no GPU here"


def _torch_obstacle(request: Request) -> str | None:
    if request.dtype not in FLOATING:
        return f"it computes in {', '.join(map(str, FLOATING))}, not in {request.dtype}"
    return _missing_gpu(request)


#: What the cpu backend computes in; half precision it converts.
_ON_CPU = (torch.float64, torch.float32, torch.bfloat16)


def _cpu_obstacle(request: Request) -> str | None:
    if request.device.type != "cpu":
        return f"it runs on CPU tensors, not on {request.device.type}"
    if request.dtype not in _ON_CPU:
        return f"it computes in {', '.join(map(str, _ON_CPU))}, not in {request.dtype}"
    why: str | None = load.obstacle()
    return why


def _triton_obstacle(request: Request) -> str | None:
    if request.device.type != "cuda" and not _simulates_gpu(request.device):
        return f"it runs on GPU tensors, not on {request.device.type}"
    return _missing_gpu(request) or _loop_obstacle(request)


def _interpreter_obstacle(request: Request) -> str | None:
    if request.device.type != "cpu":
        return f"it runs on CPU tensors, not on {request.device.type}"
    if _simulates_gpu(request.device):
        return "a simulated GPU runs compiled loops, not interpreted ones"
    return _loop_obstacle(request)


def _simulates_gpu(device: torch.device) -> bool:
    """Whether tensors on the CPU are in the memory of a simulated GPU (`symgru.kernels.simulator`)."""
    if device.type != "cpu" or "triton" not in sys.modules:
        return False
    from symgru.kernels.triton import launch

    return launch.simulated() is not None


def _loop_obstacle(request: Request) -> str | None:
    if request.resets:
        return "its loops carry the state through, without resets"
    if importlib.util.find_spec("triton") is None:
        return 'triton is not installed (pip install "symgru[torch]")'
    from symgru.kernels.triton import launch

    why: str | None = launch.obstacle(
        request.device, request.dtype, request.hidden_size, request.options.precision
    )
    return why


BACKENDS = (
    Backend("triton", "fused time loops on a GPU, or a simulated one", _triton_obstacle),
    Backend("cpu", "fused time loops in C++", _cpu_obstacle),
    Backend("torch", "emitted tensor operations, on any device", _torch_obstacle),
    Backend("interpreter", "the Triton loops run by Triton's interpreter, for tests", _interpreter_obstacle),
)
_AUTOMATIC = ("triton", "cpu", "torch")
#: The same where C++ cannot be called: for tracers and functional transforms.
_TRACEABLE = ("triton", "torch")


def choose(request: Request, automatic: tuple[str, ...] = _AUTOMATIC) -> str:
    """The name of the backend that serves a request; `auto` takes the first of `automatic` that can.

    Raises:
        BackendError: the backend asked for is unknown or cannot serve it.
    """
    known = {backend.name: backend for backend in BACKENDS}
    asked = request.options.backend
    if asked == "auto":
        able = _able(request, automatic)
        if not able:
            raise BackendError(f"no backend can serve the call: {known['torch'].obstacle(request)}")
        return able[0]
    if asked not in known:
        raise BackendError(f"backend must be auto, {', '.join(known)}, but is {asked!r}")
    obstacle = known[asked].obstacle(request)
    if obstacle is not None:
        able = [backend.name for backend in BACKENDS if backend.obstacle(request) is None]
        advice = f"backend {able[0]!r} can" if able else "no other backend can either"
        raise BackendError(f"backend {asked!r} cannot serve this call: {obstacle}; {advice}")
    return asked


def _able(request: Request, names: tuple[str, ...]) -> list[str]:
    """Those that can serve a request that asks for none; what a GPU simulates is for those who ask for it."""
    on_cpu = request.device.type == "cpu"
    return [
        b.name
        for b in BACKENDS
        if b.name in names and not (on_cpu and b.name == "triton") and b.obstacle(request) is None
    ]


def resolve(
    options: Options, x: torch.Tensor, weight_hh: torch.Tensor, traceable: bool = False, resets: bool = False
) -> Options:
    """The options with the name of the backend that serves x [..., I] and weight_hh [3H, H].

    Args:
        options: What the caller asks for.
        x: The input.
        weight_hh: The recurrent weights.
        traceable: Whether a tracer or a functional transform is looking, to which C++ is closed.
        resets: Whether sequences begin inside.
    Raises:
        BackendError: see `choose`.
    """
    request = Request(x.device, x.dtype, weight_hh.shape[-1], options, resets)
    return replace(options, backend=choose(request, _TRACEABLE if traceable else _AUTOMATIC))


@lru_cache(maxsize=256)
def on_cpu(options: Options, dtype: torch.dtype) -> bool:
    """Whether the cpu backend serves a call on a CPU, in eager mode.

    Where `auto` finds that no library can be built, it takes the torch backend and says so once.

    Raises:
        BackendError: the cpu backend was asked for, and cannot serve it.
    """
    if choose(Request(torch.device("cpu"), dtype, 1, options)) != "cpu":
        return False
    try:
        plans()
    except NoLibraryError as error:
        if options.backend == "cpu":
            raise BackendError(
                f"backend 'cpu' cannot serve this call: {error}; backend 'torch' can"
            ) from error
        warnings.warn(f"symgru runs on the torch backend, which is slower: {error}", stacklevel=2)
        return False
    return True


def backends(
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    hidden_size: int = 64,
) -> tuple[Status, ...]:
    """Which backends can serve a call of this kind, which one `backend="auto"` takes, and why.

    Args:
        device: Of the tensors; the first GPU if there is one, else the CPU.
        dtype: Of the tensors.
        hidden_size: H.
    """
    if device is None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
    request = Request(torch.device(device), dtype, hidden_size, Options())
    obstacles = {backend.name: backend.obstacle(request) for backend in BACKENDS}
    chosen = next(iter(_able(request, _AUTOMATIC)), None)
    lines = []
    for backend in BACKENDS:
        taken, obstacle = backend.name == chosen, obstacles[backend.name]
        why = obstacle or ("taken by auto" if taken else "can serve it if asked for")
        lines.append(Status(backend.name, backend.what, obstacle is None, taken, why))
    return tuple(lines)
