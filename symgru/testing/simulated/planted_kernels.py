"""Triton kernels with an error, and the same without it: `RIGHT` says which."""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# The bodies below are Triton's language, not Python's.

import triton
import triton.language as tl


@triton.jit
def crowded(x, weights, out, counter, K: tl.constexpr, N: tl.constexpr):
    """out[p] = x·weights, and all programs wait for each other; K·N·2 bytes of shared memory for the tile."""
    i, k, n = tl.arange(0, 16)[:, None], tl.arange(0, K), tl.arange(0, N)[None, :]
    tile = tl.dot(tl.load(x + i * K + k[None, :]), tl.load(weights + k[:, None] * N + n))
    tl.store(out + tl.program_id(0) * 16 * N + i * N + n, tile)
    tl.debug_barrier()
    tl.atomic_add(counter, 1)
    while tl.atomic_add(counter, 0) < tl.num_programs(0):
        pass


@triton.jit
def unmasked_store(x, out, n, BLOCK: tl.constexpr, RIGHT: tl.constexpr):
    """out[n] = x; stores past the end."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n)
    tl.store(out + i, value, mask=(i < n) if RIGHT else (i >= 0))


@triton.jit
def unmasked_load(x, out, n, BLOCK: tl.constexpr, RIGHT: tl.constexpr):
    """out[n] = x; loads past the end."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=(i < n) if RIGHT else (i >= 0))
    tl.store(out + i, value, mask=i < n)


@triton.jit
def misaligned(x, out, shift, BLOCK: tl.constexpr, RIGHT: tl.constexpr):
    """out[BLOCK] = x[shift:]; tells the compiler that shift is a multiple of 4."""
    i = tl.arange(0, BLOCK)
    at = shift + i
    if not RIGHT:
        at = tl.max_contiguous(tl.multiple_of(at, 4), 4)
    tl.store(out + i, tl.load(x + at))


@triton.jit
def leaking_mask(x, out, columns, stride, BLOCK: tl.constexpr, RIGHT: tl.constexpr):
    """out[r] = sum of x[r, :columns]; multiplies by the mask, and 0·NaN is NaN."""
    row, i = tl.program_id(0), tl.arange(0, BLOCK)
    value = tl.load(x + row * stride + i)
    kept = tl.where(i < columns, value, 0) if RIGHT else value * (i < columns).to(tl.float32)
    tl.store(out + row, tl.sum(kept, 0))


@triton.jit
def handed_over(states, steps, B: tl.constexpr, H: tl.constexpr, RIGHT: tl.constexpr):
    """states[t + 1, B, H] = states[t]·W for a W that moves units by one, as a recurrent net hands h on.

    A step reads what other threads wrote to global memory in the step before, and the compiler puts barriers
    for shared memory only.
    """
    row = tl.arange(0, B)[:, None]
    unit = tl.arange(0, H)[None, :]
    for t in range(steps):
        h = tl.load(states + t * B * H + row * H + (unit + H - 1) % H)
        tl.store(states + (t + 1) * B * H + row * H + unit, h + 1)
        if RIGHT:
            tl.debug_barrier()


@triton.jit
def multiplied(states, w, steps, B: tl.constexpr, H: tl.constexpr, BK: tl.constexpr, RIGHT: tl.constexpr):
    """states[t + 1, B, H] = states[t]·w + 1: the same with a product, whose factor is loaded by tiles of BK.

    The pipeline of the product brings barriers for its shared memory; none of them stands between the store
    of a step and the first load of the next.
    """
    row, unit, k = tl.arange(0, B)[:, None], tl.arange(0, H)[None, :], tl.arange(0, BK)
    for t in range(steps):
        total = tl.zeros((B, H), tl.float32)
        for first in range(0, H, BK):
            h = tl.load(states + t * B * H + row * H + first + k[None, :])
            weights = tl.load(w + (first + k)[:, None] * H + unit)
            total = tl.dot(h, weights, total, input_precision="tf32")
        tl.store(states + (t + 1) * B * H + row * H + unit, total + 1)
        if RIGHT:
            tl.debug_barrier()


@triton.jit
def in_two_tiles(d, steps, TILE: tl.constexpr, TILES: tl.constexpr, RIGHT: tl.constexpr):
    """d[TILES·TILE] = 2·(d + 1), `steps` times in place, added by tiles and doubled as a whole.

    The layout of a tile depends on its size, so a number is added to by one thread and doubled by another.
    """
    i = tl.arange(0, TILE)
    whole = tl.arange(0, TILE * TILES)
    for _ in range(steps):
        for tile in range(TILES):
            at = d + tile * TILE + i
            tl.store(at, tl.load(at) + 1)
        if RIGHT:
            tl.debug_barrier()
        tl.store(d + whole, tl.load(d + whole) * 2)
        if RIGHT:
            tl.debug_barrier()


@triton.jit
def read_before_write(x, out, n, BLOCK: tl.constexpr, RIGHT: tl.constexpr):
    """out[n] = x, in torch.empty; adds to what is there."""
    i = tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n)
    if not RIGHT:
        value += tl.load(out + i, mask=i < n)
    tl.store(out + i, value, mask=i < n)
