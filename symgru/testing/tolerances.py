"""How far a GRU's result may be from the float64 oracle: measured, and in this one table.

The rule, after flash-attention: the error may be FACTOR times that of torch.nn.GRU in the same dtype, plus a
floor for cases in which nn.GRU happens to be exact, and never above the cap. Where there is no nn.GRU of the
convention, only the cap holds. Errors are relative to the largest value of the oracle, or to 1.

Measured with `python -m symgru.testing.measure` (its output is in docs/numerics.md): the caps are about
three times the largest error seen (float64: 40 times, 1e-13), the floors the rounding of one result.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

FACTOR = 2.0


@dataclass(frozen=True)
class Tolerance:
    """Floor and cap of the error in one dtype."""

    floor: float
    cap: float


TOLERANCES = {
    torch.float64: Tolerance(floor=5e-15, cap=1e-13),
    torch.float32: Tolerance(floor=1e-6, cap=4e-6),
    torch.float16: Tolerance(floor=1e-3, cap=4e-3),
    torch.bfloat16: Tolerance(floor=8e-3, cap=3e-2),
}
#: float32 weights, products in TF32, measured against float16 ones: the factors keep as many digits, but what
#: is beyond them is cut off and not rounded, so twice the floor and the cap of float16. Of 304 results on
#: simulated sm_80, sm_90 and gfx942 with 5 to 63 units the largest error is 5.4e-3, the largest excess over
#: twice that with float16 weights 2.2e-3: one draw in some hundreds may be beyond the floor.
TF32 = Tolerance(floor=2e-3, cap=8e-3)

#: Absolute difference of emitted passes from the oracle in float64 on drawn values of size 1: another order
#: of summation over at most 6 steps and 4 examples; the largest seen is 3e-15.
EMITTED = 1e-13


def assert_close(
    name: str,
    found: torch.Tensor,
    oracle: torch.Tensor,
    peer: torch.Tensor | None = None,
    tolerance: Tolerance | None = None,
) -> None:
    """The rule above.

    Args:
        name: What is compared, for the message.
        found: The result, in the dtype whose tolerance holds.
        oracle: The same in float64.
        peer: What torch.nn.GRU gives in the dtype of `found`.
        tolerance: In place of that of the dtype of `found`.
    Raises:
        AssertionError: another shape, too far, or NaN; the message has error and limit.
    """
    assert found.shape == oracle.shape, f"{name} has shape {list(found.shape)}, not {list(oracle.shape)}"
    error, tolerance = relative_error(found, oracle), tolerance or TOLERANCES[found.dtype]
    allowed = tolerance.cap
    if peer is not None:
        allowed = min(allowed, FACTOR * relative_error(peer, oracle) + tolerance.floor)
    message = f"{name}: error {error:.2e} against the oracle, allowed {allowed:.2e} ({found.dtype})"
    assert error <= allowed, message


def relative_error(found: torch.Tensor, oracle: torch.Tensor) -> float:
    """max|found − oracle| over max(1, max|oracle|); 0 for empty tensors, NaN if either has one."""
    if oracle.numel() == 0:
        return 0.0
    scale = max(1.0, float(oracle.abs().max()))
    return float((found.double() - oracle.double()).abs().max()) / scale
