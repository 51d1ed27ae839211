"""Triton kernels as they are written in the field: what the official tutorials show, and each in a few lines.

Retyped and shortened; what matters is which operations of the language they use.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# The bodies below are Triton's language, not Python's.

import triton
import triton.language as tl
from triton.language.extra import libdevice


@triton.jit
def softmax(out, x, row_stride, rows, columns, BLOCK: tl.constexpr, STAGES: tl.constexpr):
    """out[rows, columns] = softmax(x) by rows, which few programs share; a pipelined loop."""
    i = tl.arange(0, BLOCK)
    for row in tl.range(tl.program_id(0), rows, tl.num_programs(0), num_stages=STAGES):
        value = tl.load(x + row * row_stride + i, mask=i < columns, other=-float("inf"))
        power = tl.exp(value - tl.max(value, 0))
        tl.store(out + row * row_stride + i, power / tl.sum(power, 0), mask=i < columns)


@triton.jit
def grouped_matmul(
    a, b, c, M, N, K, stride_a, stride_b, stride_c,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    """c[M, N] = leaky_relu(a·b): tiles in groups of rows, indices that wrap, pointers that move."""
    pid, tiles_m, tiles_n = tl.program_id(0), tl.cdiv(M, BM), tl.cdiv(N, BN)
    group, inside = pid // (GROUP * tiles_n), pid % (GROUP * tiles_n)
    size = min(tiles_m - group * GROUP, GROUP)
    tile_m, tile_n = group * GROUP + inside % size, inside // size
    row, column, k = tile_m * BM + tl.arange(0, BM), tile_n * BN + tl.arange(0, BN), tl.arange(0, BK)
    left = a + (row % M)[:, None] * stride_a + k[None, :]
    right = b + k[:, None] * stride_b + (column % N)[None, :]
    total = tl.zeros((BM, BN), tl.float32)
    for first in range(0, K, BK):
        x = tl.load(left, mask=k[None, :] < K - first, other=0.0)
        y = tl.load(right, mask=k[:, None] < K - first, other=0.0)
        total = tl.dot(x, y, total)
        left += BK
        right += BK * stride_b
    total = tl.where(total >= 0, total, 0.01 * total)
    place = c + row[:, None] * stride_c + column[None, :]
    tl.store(place, total.to(c.dtype.element_ty), mask=(row < M)[:, None] & (column < N)[None, :])


@triton.jit
def persistent_matmul(
    a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PROGRAMS: tl.constexpr
):
    """c[M, N] = a·b: a few programs take all tiles, in one loop that the compiler flattens."""
    tiles_n, k = tl.cdiv(N, BN), tl.arange(0, BK)
    for tile in tl.range(tl.program_id(0), tl.cdiv(M, BM) * tiles_n, PROGRAMS, flatten=True):
        row, column = (tile // tiles_n) * BM + tl.arange(0, BM), (tile % tiles_n) * BN + tl.arange(0, BN)
        inside_m, inside_n = tl.where(row < M, row, 0), tl.where(column < N, column, 0)
        total = tl.zeros((BM, BN), tl.float32)
        for first in range(0, K, BK):
            across = first + k
            x = tl.load(a + inside_m[:, None] * K + across[None, :], mask=(across < K)[None, :], other=0.0)
            y = tl.load(b + across[:, None] * N + inside_n[None, :], mask=(across < K)[:, None], other=0.0)
            total = tl.dot(x, y, total)
        place = c + row[:, None] * N + column[None, :]
        tl.store(place, total.to(c.dtype.element_ty), mask=(row < M)[:, None] & (column < N)[None, :])


@triton.jit
def group_of_matmuls(addresses, sizes, count, PROGRAMS: tl.constexpr, B: tl.constexpr):
    """c = a·b for triples of float16 matrices whose addresses lie in memory; sizes are multiples of B."""
    tile, last = tl.program_id(0), 0
    for g in range(count):
        m, n, k = tl.load(sizes + 3 * g), tl.load(sizes + 3 * g + 1), tl.load(sizes + 3 * g + 2)
        tiles = (m // B) * (n // B)
        while tile >= last and tile < last + tiles:
            a = tl.load(addresses + 3 * g).to(tl.pointer_type(tl.float16))
            b = tl.load(addresses + 3 * g + 1).to(tl.pointer_type(tl.float16))
            c = tl.load(addresses + 3 * g + 2).to(tl.pointer_type(tl.float16))
            row = (tile - last) // (n // B) * B + tl.arange(0, B)
            column = (tile - last) % (n // B) * B + tl.arange(0, B)
            total = tl.zeros((B, B), tl.float32)
            for first in range(0, k, B):
                across = first + tl.arange(0, B)
                x = tl.load(a + row[:, None] * k + across[None, :])
                y = tl.load(b + across[:, None] * n + column[None, :])
                total += tl.dot(x, y)
            tl.store(c + row[:, None] * n + column[None, :], total.to(tl.float16))
            tile += PROGRAMS
        last += tiles


@triton.jit
def stream_k(a, b, c, ready, K, share, M: tl.constexpr, N: tl.constexpr, B: tl.constexpr, BK: tl.constexpr):
    """c[M, N] = a·b: programs have equal shares of all steps over K. Who has the last step of a tile stores
    and says so in ready; the others wait for that and add."""
    steps = tl.cdiv(K, BK)
    start = tl.program_id(0) * share
    end = tl.minimum(start + share, (M // B) * (N // B) * steps)
    while start < end:
        stop = tl.minimum(start + steps - start % steps, end)
        tile = start // steps
        row, column = tile // (N // B) * B + tl.arange(0, B), tile % (N // B) * B + tl.arange(0, B)
        total = tl.zeros((B, B), tl.float32)
        for step in range(start, stop):
            k = (step % steps) * BK + tl.arange(0, BK)
            x = tl.load(a + row[:, None] * K + k[None, :], mask=(k < K)[None, :], other=0.0)
            y = tl.load(b + k[:, None] * N + column[None, :], mask=(k < K)[:, None], other=0.0)
            total = tl.dot(x, y, total)
        place = c + row[:, None] * N + column[None, :]
        if stop % steps == 0:
            tl.store(place, total)
            tl.debug_barrier()
            tl.atomic_xchg(ready + tile, 1, sem="release")
        else:
            while tl.atomic_cas(ready + tile, 1, 1, sem="acquire") != 1:
                pass
            tl.debug_barrier()
            tl.atomic_add(place, total, sem="relaxed")
        start = stop


@triton.jit
def dropout(x, out, n, p, seed, BLOCK: tl.constexpr):
    """out[n] = x/(1 − p) where Philox's number of the seed and place is above p, else 0."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n)
    tl.store(out + i, tl.where(tl.rand(seed, i) > p, value / (1 - p), 0.0), mask=i < n)


@triton.jit
def functions(x, out, n, BLOCK: tl.constexpr):
    """out[9, n]: functions of x from the vendor's library, and some of Triton's own."""
    i = tl.arange(0, BLOCK)
    mask = i < n
    value = tl.load(x + i, mask=mask)
    tl.store(out + i, libdevice.tanh(value), mask=mask)
    tl.store(out + n + i, libdevice.pow(tl.abs(value) + 0.5, value), mask=mask)
    tl.store(out + 2 * n + i, libdevice.expm1(value), mask=mask)
    tl.store(out + 3 * n + i, libdevice.log1p(tl.abs(value)), mask=mask)
    tl.store(out + 4 * n + i, tl.erf(value), mask=mask)
    tl.store(out + 5 * n + i, libdevice.fmod(value, value * value + 0.25), mask=mask)
    tl.store(out + 6 * n + i, libdevice.atan2(value, 2 - value), mask=mask)
    tl.store(out + 7 * n + i, tl.clamp(value, -0.5, 0.5), mask=mask)
    tl.store(out + 8 * n + i, tl.floor(value) + tl.ceil(value) + libdevice.nearbyint(7 * value), mask=mask)


@triton.jit
def descriptors(x, out, columns, B: tl.constexpr):
    """out = 2·x, both tensor descriptors, by tiles [B, B]."""
    row = tl.program_id(0) * B
    for column in range(0, columns, B):
        out.store([row, column], x.load([row, column]) * 2)


@triton.jit
def made_descriptors(x, out, rows, columns, B: tl.constexpr):
    """The same with descriptors that the kernel makes."""
    source = tl.make_tensor_descriptor(x, [rows, columns], [columns, 1], [B, B])
    target = tl.make_tensor_descriptor(out, [rows, columns], [columns, 1], [B, B])
    row = tl.program_id(0) * B
    for column in range(0, columns, B):
        target.store([row, column], source.load([row, column]) * 2)


@triton.jit
def order(x, ascending, largest, bins, picked, ROWS: tl.constexpr, N: tl.constexpr, TOP: tl.constexpr):
    """Rows of small integers x[ROWS, N] sorted; their TOP largest; how often each occurs in all; x[N−1−i]."""
    row, i = tl.arange(0, ROWS)[:, None], tl.arange(0, N)[None, :]
    value = tl.load(x + row * N + i)
    tl.store(ascending + row * N + i, tl.sort(value, 1))
    tl.store(largest + row * TOP + tl.arange(0, TOP)[None, :], tl.topk(value, TOP, 1))
    tl.store(bins + tl.arange(0, 16), tl.histogram(value.reshape(ROWS * N), 16))
    backwards = tl.broadcast_to(N - 1 - i, [ROWS, N])
    tl.store(picked + row * N + i, tl.gather(value, backwards, 1))


@triton.jit
def _log_add(x, y):
    """log(eˣ + eʸ)."""
    return tl.maximum(x, y) + tl.log(1 + tl.exp(-tl.abs(x - y)))


@triton.jit
def scans(x, sums, products, M: tl.constexpr, N: tl.constexpr):
    """Logarithms of cumulative sums of exponentials down the columns, cumulative products from the right."""
    place = tl.arange(0, M)[:, None] * N + tl.arange(0, N)[None, :]
    value = tl.load(x + place)
    tl.store(sums + place, tl.associative_scan(value, 0, _log_add))
    tl.store(products + place, tl.cumprod(value, 1, reverse=True))


@triton.jit
def int4_matmul(a, packed, scales, c, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, G: tl.constexpr):
    """c[M, N] = a·(q·scales): q[K, N] has two numbers of 4 bits in a byte, a scale for G rows."""
    m, n = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :]
    total = tl.zeros((M, N), tl.float32)
    for first in range(0, K, G):
        x = tl.load(a + m * K + first + tl.arange(0, G)[None, :])
        two = tl.load(packed + (first // 2 + tl.arange(0, G // 2))[:, None] * N + n)
        q = tl.join((two << 4).to(tl.int8) >> 4, two >> 4).permute(0, 2, 1).reshape(G, N)
        total += tl.dot(x, q.to(tl.float16)) * tl.load(scales + first // G * N + n)
    tl.store(c + m * N + n, total)


@triton.jit
def scaled_product(a, a_scales, b, b_scales, c, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    """c[M, N] = a·b for e5m2 numbers with a power of two for each 32 of them along K."""
    m, n, k, s = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K), tl.arange(0, K // 32)
    x, y = tl.load(a + m[:, None] * K + k[None, :]), tl.load(b + k[:, None] * N + n[None, :])
    x_scales = tl.load(a_scales + m[:, None] * (K // 32) + s[None, :])
    y_scales = tl.load(b_scales + n[:, None] * (K // 32) + s[None, :])
    product = tl.dot_scaled(x, x_scales, "e5m2", y, y_scales, "e5m2")
    tl.store(c + m[:, None] * N + n[None, :], product)


@triton.jit
def casts(x, out, N: tl.constexpr, T: tl.constexpr):
    """out[N] = x in the type T and back."""
    i = tl.arange(0, N)
    tl.store(out + i, tl.load(x + i).to(T).to(tl.float32))


@triton.jit
def segment_sums(x, segment, sums, largest, n, D: tl.constexpr, BLOCK: tl.constexpr):
    """sums[s, D] += and largest[s] = max of the rows of x[n, D] of segment s, by atomics."""
    i, d = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.arange(0, D)
    s = tl.load(segment + i, mask=i < n, other=0)
    value = tl.load(x + i[:, None] * D + d[None, :], mask=(i < n)[:, None], other=0)
    tl.atomic_add(sums + s[:, None] * D + d[None, :], value, mask=(i < n)[:, None], sem="relaxed")
    tl.atomic_max(largest + s, tl.max(value, 1), mask=i < n, sem="relaxed")


@triton.jit
def strided(x, steps, out, scale, stride, n, shift, BLOCK: tl.constexpr):
    """out[r, n] = scale·x[r·stride + shift − 2⁴⁰ + i]; steps[r]: of Collatz's sequence from r + 1 to 1."""
    row, i = tl.program_id(0).to(tl.int64), tl.arange(0, BLOCK).to(tl.int64)
    first = row * stride + (shift - (1 << 40))
    tl.store(out + row * n + i, scale * tl.load(x + first + i, mask=i < n), mask=i < n)
    number, count = tl.program_id(0) + 1, 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        count += 1
    tl.store(steps + row, count)


@triton.jit
def rotate(x, y, out, wide, N: tl.constexpr):
    """out = the upper half of (y:x) rotated by 5, wide = the bytes of x as words: PTX in the kernel."""
    i = tl.arange(0, N)
    low, high = tl.load(x + i), tl.load(y + i)
    turned = tl.inline_asm_elementwise(
        "shf.l.wrap.b32 $0, $1, $2, 5;", "=r,r,r", [low, high], dtype=tl.int32, is_pure=True, pack=1
    )
    tl.store(out + i, turned)
    parts = tl.inline_asm_elementwise(
        "{ .reg .b8 t<4>; mov.b32 {t0, t1, t2, t3}, $4; cvt.u32.u8 $0, t0; cvt.u32.u8 $1, t1; "
        "cvt.u32.u8 $2, t2; cvt.u32.u8 $3, t3; }",
        "=r,=r,=r,=r,r",
        [low.to(tl.uint8)],
        dtype=tl.int32,
        is_pure=True,
        pack=4,
    )
    tl.store(wide + i, parts)


@triton.jit
def told(x, limit, N: tl.constexpr):
    """x += 1; prints every x, and stops where it is not under the limit (with the option debug)."""
    i = tl.arange(0, N)
    value = tl.load(x + i)
    tl.device_print("x", value)
    tl.device_assert(value < limit, "x is too large")
    tl.store(x + i, value + 1)
