"""The floor: the least time that the products and the memory of a GRU can take on a machine.

    forward   max( 2TB·3H(I+H) / peak,  T·W_h / bandwidth(W_h),  (W_x+W_h) / L3,  io / DRAM )
    backward  max( twice the operations / peak,  T·W_h / bandwidth(W_h),  2(W_x+W_h) / L3,  io' / DRAM )
    training  forward + backward

W_h = 3H² and W_x = 3HI numbers are the weights. The recurrent ones are read in every step, from L2 if it
holds the share of a thread (filled to 9/10), else from L3 or memory; all of them come out of L3, or of
memory if L3 is smaller, at least once. io = TB(I+H) is what a forward pass reads and writes, io' =
TB(2I+6H) what a backward pass does: x and its gradient, y and its cotangent, four saved numbers a unit; it
counts where it exceeds 3/4 of L3. Peak and bandwidths are those of all threads together. The gates' own
arithmetic is not in it, so no GRU reaches the floor.
"""

from __future__ import annotations

from symgru.benchmark.peak import Peak
from symgru.benchmark.shapes import Shape


def inference(shape: Shape, peak: Peak, item: int = 4, steps: float | None = None) -> float:
    """Seconds that a forward pass takes at least.

    Args:
        item: Bytes of a number: 4 for float32; 2 for bfloat16, at the peak of its dot products if it has one.
        steps: Valid steps of all sequences together, if fewer than T·B.
    """
    return _pass(shape, peak, item, steps, passes=1, io=shape.I + shape.H)


def training(shape: Shape, peak: Peak, item: int = 4, steps: float | None = None) -> float:
    """Seconds that a forward and a backward pass take at least; arguments as of `inference`."""
    backward = _pass(shape, peak, item, steps, passes=2, io=2 * shape.I + 6 * shape.H)
    return inference(shape, peak, item, steps) + backward


def _pass(shape: Shape, peak: Peak, item: int, steps: float | None, passes: int, io: int) -> float:
    valid = shape.T * shape.B if steps is None else steps
    rate = peak.bfloat16 if item == 2 and peak.bfloat16 else peak.float32
    recurrent, every = 3 * shape.H**2 * item, 3 * shape.H * (shape.H + shape.I) * item
    far = "L3" if every <= peak.caches["L3"] else "DRAM"
    traffic = valid * io * item
    return max(
        passes * shape.products * valid / (shape.T * shape.B) / rate,
        shape.T * recurrent / peak.bandwidth[level(recurrent, peak)],
        passes * every / peak.bandwidth[far],
        traffic / peak.bandwidth["DRAM"] if traffic > 0.75 * peak.caches["L3"] else 0.0,
    )


def level(size: float, peak: Peak) -> str:
    """Where `size` bytes are read from in every step: L2 if it holds the share of a thread, L3, or "DRAM"."""
    for name, share in (("L2", peak.threads), ("L3", 1)):
        if size / share <= 0.9 * peak.caches[name]:
            return name
    return "DRAM"
