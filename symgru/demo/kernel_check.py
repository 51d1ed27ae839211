"""The Triton kernels against the float64 oracle on a few real utterances.

Runs in a process of its own, because Triton's interpreter is chosen by TRITON_INTERPRET=1 before triton is
imported: `python -m symgru.demo.kernel_check SIZES` prints the result as JSON.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import symgru
from symgru.data import CHANNELS, Array, japanese_vowels
from symgru.testing.oracle import OracleGRU
from symgru.testing.tolerances import TOLERANCES, relative_error

VARIANTS = tuple(
    (polarity, reset) for reset in ("after", "before", "whole") for polarity in ("keep", "update")
)


@dataclass(frozen=True)
class Error:
    """The largest error of one result over all variants, beside that of symgru's torch backend.

    Attributes:
        quantity: output, h_n, or what the gradient is taken by.
        kernel, plain: max |result − oracle| / max(1, max |oracle|) in float32, of the kernel and of the
            torch backend.
    """

    quantity: str
    kernel: float
    plain: float

    @property
    def bound(self) -> float:
        """The cap of `symgru.testing.tolerances`."""
        return TOLERANCES[torch.float32].cap

    @property
    def passed(self) -> bool:
        """Whether the kernel is as exact as that; False for NaN."""
        return self.kernel <= self.bound


@dataclass(frozen=True)
class KernelCheck:
    """What was checked, where, and how far it was from the oracle."""

    backend: str
    device: str
    on_gpu: bool
    sizes: str
    errors: tuple[Error, ...]

    @property
    def passed(self) -> bool:
        """Whether every error is within its bound."""
        return bool(self.errors) and all(error.passed for error in self.errors)


class KernelCheckError(RuntimeError):
    """The check could not run; the message says why."""


def check_in_subprocess(batch: int = 4, steps: int = 8, hidden_size: int = 20) -> KernelCheck:
    """Run the check on the GPU if there is one, else in Triton's interpreter.

    Raises:
        KernelCheckError: the process failed; the message ends with the last line that it wrote.
    """
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    if not torch.cuda.is_available():
        environment["TRITON_INTERPRET"] = "1"
    sizes = [str(size) for size in (batch, steps, hidden_size)]
    process = subprocess.run(
        [sys.executable, "-m", "symgru.demo.kernel_check", *sizes],
        env=environment,
        capture_output=True,
        text=True,
    )
    if process.returncode != 0:
        lines = process.stderr.strip().splitlines() or [f"exit status {process.returncode}"]
        raise KernelCheckError(f"the kernels could not be checked: {lines[-1]}")
    return from_json(process.stdout)


def from_json(text: str) -> KernelCheck:
    """Read what the process printed."""
    data = json.loads(text)
    return KernelCheck(**(data | {"errors": tuple(Error(**error) for error in data["errors"])}))


def check(backend: str, device: str, batch: int, steps: int, hidden_size: int) -> KernelCheck:
    """Compare every variant with the oracle on utterances cut to different lengths."""
    utterances = [
        values[: max(1, steps - b)] for b, values in enumerate(japanese_vowels("train").first(batch).values)
    ]
    errors: dict[str, Error] = {}
    for polarity, reset in VARIANTS:
        for error in _errors(polarity, reset, backend, device, utterances, hidden_size):
            worst = errors.get(error.quantity, error)
            kernel, plain = max(worst.kernel, error.kernel), max(worst.plain, error.plain)
            errors[error.quantity] = Error(error.quantity, kernel, plain)
    return KernelCheck(
        backend=backend,
        device=torch.cuda.get_device_name() if device == "cuda" else "CPU",
        on_gpu=device == "cuda",
        sizes=f"B = {len(utterances)}, T ≤ {len(utterances[0])}, I = {CHANNELS}, H = {hidden_size}",
        errors=tuple(errors.values()),
    )


def _errors(
    polarity: str, reset: str, backend: str, device: str, utterances: Sequence[Array], hidden_size: int
) -> list[Error]:
    torch.manual_seed(0)
    module = symgru.GRU(CHANNELS, hidden_size, polarity=polarity, reset=reset)
    lengths = tuple(len(u) for u in utterances)
    x, _ = pad_packed_sequence(pack_sequence([torch.from_numpy(u) for u in utterances]))
    h0 = torch.randn(1, len(utterances), hidden_size)
    oracle = OracleGRU(module, lengths)
    output, final = oracle.forward(x, h0)
    cotangents = torch.randn(output.shape), torch.randn(final.shape)
    exact = {"output": output, "h_n": final, **oracle.backward(*cotangents)}
    call = Call(module, x, h0, lengths, cotangents)
    kernel, plain = results(call, backend, device), results(call, "torch", "cpu")
    return [
        Error(name, relative_error(kernel[name], value), relative_error(plain[name], value))
        for name, value in exact.items()
    ]


@dataclass(frozen=True)
class Call:
    """A call of a GRU on padded sequences [T, B, I], and the cotangents of its output and final state."""

    module: symgru.GRU
    x: Tensor
    h0: Tensor
    lengths: tuple[int, ...]
    cotangents: tuple[Tensor, Tensor]


def results(call: Call, backend: str, device: str) -> dict[str, Tensor]:
    """Output, final state and every gradient in float32, by the names of the oracle, on the CPU."""
    own = symgru.GRU(
        call.module.input_size,
        call.module.hidden_size,
        polarity=call.module.polarity,
        reset=call.module.reset,
        backend=backend,
    )
    own.load_state_dict(call.module.state_dict())
    own.to(device)
    x, h0 = (value.clone().to(device).requires_grad_() for value in (call.x, call.h0))
    packed, final = own(pack_padded_sequence(x, torch.tensor(call.lengths)), h0)
    output, _ = pad_packed_sequence(packed)
    wanted = {"x": x, "h0": h0, **dict(own.named_parameters())}
    cotangents = [value.to(device) for value in call.cotangents]
    gradients = torch.autograd.grad((output, final), list(wanted.values()), cotangents)
    found = {"output": output, "h_n": final, **dict(zip(wanted, gradients, strict=True))}
    return {name: value.detach().cpu() for name, value in found.items()}


def main(arguments: Sequence[str]) -> int:
    """Check, and print the result as JSON."""
    batch, steps, hidden_size = map(int, arguments)
    on_gpu = torch.cuda.is_available()
    found = check(
        "triton" if on_gpu else "interpreter", "cuda" if on_gpu else "cpu", batch, steps, hidden_size
    )
    print(json.dumps(asdict(found)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
