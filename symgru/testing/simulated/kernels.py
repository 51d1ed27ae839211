"""Triton kernels of the kinds that people write: products, scans, reductions, atomics, grid barriers.

Matrices are contiguous. Everything is masked, so sizes need not be multiples of the tiles.
"""
# mypy: disable-error-code="no-untyped-def, no-untyped-call, untyped-decorator"
# The bodies below are Triton's language, not Python's.

import triton
import triton.language as tl


@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    """out[n] = x + y."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    tl.store(out + i, tl.load(x + i, mask=mask) + tl.load(y + i, mask=mask), mask=mask)


@triton.jit
def _product(
    a, b, M, N, K, first, step,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    """The tile of a·b of this program, summed over every step-th slice of K from the first."""
    row = tl.program_id(0) * BM + tl.arange(0, BM)[:, None]
    column = tl.program_id(1) * BN + tl.arange(0, BN)[None, :]
    total = tl.zeros((BM, BN), SUM)
    for k in range(first * BK, K, step * BK):
        across = k + tl.arange(0, BK)
        left = tl.load(a + row * K + across[None, :], mask=(row < M) & (across < K)[None, :], other=0)
        right = tl.load(b + across[:, None] * N + column, mask=(across < K)[:, None] & (column < N), other=0)
        total = tl.dot(left, right, total, input_precision=PRECISION, out_dtype=SUM)
    return row, column, total


@triton.jit
def matmul(
    a, b, out, M, N, K,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    """out[M, N] = a[M, K]·b[K, N]; the loop over K is pipelined (cp.async on sm_80, wgmma on sm_90)."""
    row, column, total = _product(a, b, M, N, K, 0, 1, BM, BN, BK, PRECISION, SUM)
    tl.store(out + row * N + column, total.to(out.dtype.element_ty), mask=(row < M) & (column < N))


@triton.jit
def split_k(
    a, b, out, M, N, K, parts,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr, SUM: tl.constexpr,
):  # fmt: skip
    """out[M, N] += a·b: program (i, j, p) adds every parts-th slice of K from the p-th, by atomics."""
    row, column, total = _product(a, b, M, N, K, tl.program_id(2), parts, BM, BN, BK, PRECISION, SUM)
    tl.atomic_add(out + row * N + column, total, mask=(row < M) & (column < N), sem="relaxed")


@triton.jit
def softmax(x, out, columns, BLOCK: tl.constexpr):
    """out[r] = softmax(x[r]) for the row r of this program, in float32."""
    i = tl.arange(0, BLOCK)
    offset = tl.program_id(0) * columns + i
    row = tl.load(x + offset, mask=i < columns, other=-float("inf")).to(tl.float32)
    power = tl.exp(row - tl.max(row, 0))
    tl.store(out + offset, (power / tl.sum(power, 0)).to(out.dtype.element_ty), mask=i < columns)


@triton.jit
def cumsum(x, out, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr, REVERSE: tl.constexpr):
    """out[rows, columns] = cumulative sums of x along the columns, in the type of out."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    mask = (row < rows) & (column < columns)
    tile = tl.load(x + row * columns + column, mask=mask, other=0).to(out.dtype.element_ty)
    tl.store(out + row * columns + column, tl.cumsum(tile, 1, reverse=REVERSE), mask=mask)


@triton.jit
def _compose(a, b, c, d):
    """h ↦ a·h + b, then h ↦ c·h + d."""
    return a * c, b * c + d


@triton.jit
def recurrence(a, b, out, n, BLOCK: tl.constexpr):
    """out[t] = a[t]·out[t−1] + b[t] from 0, by an associative scan over n steps."""
    t = tl.arange(0, BLOCK)
    mask = t < n
    factors = tl.load(a + t, mask=mask, other=1)
    terms = tl.load(b + t, mask=mask, other=0)
    _, states = tl.associative_scan((factors, terms), 0, _compose)
    tl.store(out + t, states, mask=mask)


@triton.jit
def reduce(
    x, total, largest, where, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr, AXIS: tl.constexpr
):
    """Sum, maximum and the place of the maximum of x[rows, columns] along an axis; one program."""
    row = tl.arange(0, ROWS)[:, None]
    column = tl.arange(0, COLUMNS)[None, :]
    mask = (row < rows) & (column < columns)
    summands = tl.load(x + row * columns + column, mask=mask, other=0).to(total.dtype.element_ty)
    values = tl.where(mask, summands, -float("inf"))
    i = tl.arange(0, COLUMNS if AXIS == 0 else ROWS)
    kept = i < (columns if AXIS == 0 else rows)
    maximum, place = tl.max(values, AXIS, return_indices=True)
    tl.store(total + i, tl.sum(summands, AXIS), mask=kept)
    tl.store(largest + i, maximum, mask=kept)
    tl.store(where + i, place, mask=kept)


@triton.jit
def histogram(x, counts, largest, n, BINS: tl.constexpr, BLOCK: tl.constexpr):
    """counts[bin] += the number of x in the bin, largest[0] = max(largest[0], x); 0 ≤ x < BINS."""
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    value = tl.load(x + i, mask=i < n, other=0)
    tl.atomic_add(counts + value, 1, mask=i < n, sem="relaxed")
    tl.atomic_max(largest, tl.max(value, 0), sem="relaxed")


@triton.jit
def locked(x, total, lock, n, BLOCK: tl.constexpr):
    """total[BLOCK] += the n numbers of x in blocks, one program at a time: a lock by compare-and-swap."""
    i = tl.arange(0, BLOCK)
    at = tl.program_id(0) * BLOCK + i
    value = tl.load(x + at, mask=at < n, other=0)
    while tl.atomic_cas(lock, 0, 1, sem="acquire", scope="gpu") == 1:
        pass
    tl.debug_barrier()  # the thread that has the lock lets the others in
    tl.store(total + i, tl.load(total + i) + value)
    tl.debug_barrier()  # all have stored before that thread gives the lock back
    tl.atomic_xchg(lock, 0, sem="release", scope="gpu")


@triton.jit
def _grid_barrier(counter, programs, SEM_ARRIVE: tl.constexpr, SEM_WAIT: tl.constexpr, SCOPE: tl.constexpr):
    """Every program of the grid has come here before one goes on. counter[0] is 0 and used once."""
    tl.debug_barrier()
    tl.atomic_add(counter, 1, sem=SEM_ARRIVE, scope=SCOPE)
    while tl.atomic_add(counter, 0, sem=SEM_WAIT, scope=SCOPE) < programs:
        pass
    tl.debug_barrier()


@triton.jit
def diffuse(
    state, counters, steps, n, BLOCK: tl.constexpr,
    SEM_ARRIVE: tl.constexpr = "release", SEM_WAIT: tl.constexpr = "acquire", SCOPE: tl.constexpr = "gpu",
    MISSING: tl.constexpr = 0,
):  # fmt: skip
    """state[t + 1] = mean of each number of state[t] and its neighbours on a ring of n; state[steps + 1, n].

    A persistent kernel: a grid barrier (counters[t]) after every step. MISSING asks for programs that the
    grid does not have, so the barrier never opens.
    """
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = i < n
    for t in range(steps):
        now = state + t * n
        left = tl.load(now + (i + n - 1) % n, mask=mask)
        right = tl.load(now + (i + 1) % n, mask=mask)
        middle = tl.load(now + i, mask=mask)
        tl.store(now + n + i, (left + middle + right) / 3, mask=mask)
        _grid_barrier(counters + t, tl.num_programs(0) + MISSING, SEM_ARRIVE, SEM_WAIT, SCOPE)


@triton.jit
def attention(
    q, k, v, out, queries, keys, scale,
    BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """out[queries, D] = softmax(scale·q·kᵀ)·v with k, v[keys, D]: two products and a running softmax."""
    row = tl.program_id(0) * BM + tl.arange(0, BM)
    d = tl.arange(0, D)
    q_tile = tl.load(q + row[:, None] * D + d[None, :], mask=(row < queries)[:, None], other=0)
    largest = tl.full((BM,), -float("inf"), tl.float32)
    weight = tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    for first in range(0, keys, BN):
        key = first + tl.arange(0, BN)
        k_tile = tl.load(k + key[None, :] * D + d[:, None], mask=(key < keys)[None, :], other=0)
        score = tl.dot(q_tile, k_tile, input_precision=PRECISION) * scale
        score = tl.where((key < keys)[None, :], score, -float("inf"))
        new = tl.maximum(largest, tl.max(score, 1))
        power = tl.exp(score - new[:, None])
        shrink = tl.exp(largest - new)
        v_tile = tl.load(v + key[:, None] * D + d[None, :], mask=(key < keys)[:, None], other=0)
        total = tl.dot(power.to(v_tile.dtype), v_tile, total * shrink[:, None], input_precision=PRECISION)
        weight = weight * shrink + tl.sum(power, 1)
        largest = new
    result = total / weight[:, None]
    tl.store(
        out + row[:, None] * D + d[None, :],
        result.to(out.dtype.element_ty),
        mask=(row < queries)[:, None],
    )
