"""Elementary functions on tiles, without overflow or cancellation and with nothing tied to one vendor."""

import triton
import triton.language as tl


@triton.jit
def sigmoid(a):
    """σ(a) from e = exp(−|a|): 1/(1+e) for a ≥ 0, e/(1+e) else; sigmoid(−a) shares e, the exact mirror."""
    e = tl.exp(-tl.abs(a))
    return tl.where(a >= 0, 1.0, e) / (1.0 + e)


@triton.jit
def tanh(a):
    """tanh(a) = ±(1 − e)/(1 + e) with e = exp(−2|a|); odd to the last bit."""
    e = tl.exp(-2.0 * tl.abs(a))
    magnitude = (1.0 - e) / (1.0 + e)
    return tl.where(a >= 0, magnitude, -magnitude)
