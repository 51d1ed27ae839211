"""ldmatrix, stmatrix, mma.sync and wgmma against numpy; lane layouts written anew from the PTX ISA."""

import numpy as np
import pytest
from warp_harness import (
    BF16,
    E4M3,
    E5M2,
    F16,
    F32,
    F64,
    S8,
    S32,
    S32_SATURATED,
    TF32,
    U8,
    address,
    assert_same,
    needs_compiler,
    pack,
    product,
    random,
    run,
    unpack,
)

pytestmark = needs_compiler
LANE = np.arange(32)
GROUP, IN_GROUP = LANE[:, None] // 4, LANE[:, None] % 4
SIZE = {F16: 2, BF16: 2, TF32: 4, F32: 4, F64: 8, S8: 1, U8: 1, E4M3: 1, E5M2: 1}


# ---- mma.sync: where element i of a lane's fragments is, by the tables of "Matrix fragments for mma"


def a_place(shape, code, i):
    m, k = shape
    g, t = GROUP, IN_GROUP
    if m == 8:
        return g + 0 * i, t * (k // 4) + i
    if (k, SIZE[code]) == (16, 2):
        return np.where((i < 2) | ((i >= 4) & (i < 6)), g, g + 8), t * 2 + (i & 1) + np.where(i >= 4, 8, 0)
    if (k, SIZE[code]) == (8, 2):
        return np.where(i < 2, g, g + 8), t * 2 + (i & 1)
    if (k, SIZE[code]) == (32, 1):
        upper = (i < 4) | ((i >= 8) & (i < 12))
        return np.where(upper, g, g + 8), t * 4 + (i & 3) + np.where(i >= 8, 16, 0)
    if (k, SIZE[code]) == (16, 1):
        return np.where(i < 4, g, g + 8), t * 4 + (i & 3)
    return np.where(i % 2 == 0, g, g + 8), t + 4 * (i // 2)  # tf32 and f64


def b_place(shape, code, i):
    m, k = shape
    g, t = GROUP, IN_GROUP
    if m == 8:
        return t * (k // 4) + i, g + 0 * i
    if SIZE[code] == 2:
        return t * 2 + (i & 1) + np.where(i >= 2, 8, 0), g + 0 * i
    if SIZE[code] == 1:
        return t * 4 + (i & 3) + np.where(i >= 4, 16, 0), g + 0 * i
    return t + 4 * i, g + 0 * i


def c_place(shape, i):
    return np.where(i < 2, GROUP, GROUP + 8), IN_GROUP * 2 + (i & 1)


MMA = [
    (16, 16, F16, F16, F32),
    (16, 16, F16, F16, F16),
    (16, 8, F16, F16, F32),
    (16, 16, BF16, BF16, F32),
    (16, 8, BF16, BF16, F32),
    (16, 8, TF32, TF32, F32),
    (16, 4, TF32, TF32, F32),
    (16, 32, S8, S8, S32),
    (16, 32, S8, S8, S32_SATURATED),
    (16, 32, U8, S8, S32),
    (16, 16, S8, S8, S32),
    (8, 16, S8, S8, S32),
    (16, 32, E4M3, E4M3, F32),
    (16, 32, E5M2, E4M3, F32),
    (8, 4, F64, F64, F64),
    (16, 4, F64, F64, F64),
    (16, 8, F64, F64, F64),
    (16, 16, F64, F64, F64),
]


def mma(m, k, type_a, type_b, type_d, a, b, c):
    shape = m, k
    fragments = [
        pack(a[a_place(shape, type_a, np.arange(m * k // 32))], type_a),
        pack(b[b_place(shape, type_b, np.arange(k // 4))], type_b),
        pack(c[c_place(shape, np.arange(m // 4))], type_d),
    ]
    d = np.zeros_like(fragments[2])
    run("sim_mma", d, *fragments, m, k, type_a, type_b, type_d, 0)
    result = np.full((m, 8), np.nan)
    result[c_place(shape, np.arange(m // 4))] = unpack(d, type_d)
    return result


@pytest.mark.parametrize("kind", MMA)
def test_mma(kind):
    m, k, type_a, type_b, type_d = kind
    rng = np.random.default_rng(k)
    a, b, c = random((m, k), type_a, rng), random((k, 8), type_b, rng), random((m, 8), type_d, rng)
    assert_same(mma(*kind, a, b, c), product(a, b, c, type_d), type_d)


@pytest.mark.parametrize("code", [S32, S32_SATURATED])
def test_integer_sums_wrap_or_are_clamped(code):
    a, b = np.full((16, 32), -128.0), np.full((32, 8), -128.0)
    c = np.full((16, 8), 2.0**31 - 1)
    expected = 2**31 - 1 if code == S32_SATURATED else -(2**31) + 32 * 128 * 128 - 1
    assert set(mma(16, 32, S8, S8, code, a, b, c).ravel()) == {expected}


def test_tf32_ignores_the_low_bits():
    rng = np.random.default_rng(0)
    a, b = random((16, 8), F32, rng), random((8, 8), F32, rng)
    cut = [(x.astype(np.float32).view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for x in (a, b)]
    expected = product(*(x.astype(np.float64) for x in cut), np.zeros((16, 8)), F32)
    np.testing.assert_array_equal(mma(16, 8, TF32, TF32, F32, a, b, np.zeros((16, 8))), expected)


def test_mma_of_an_unknown_shape():
    zeros = np.zeros((32, 64), np.uint8)
    with pytest.raises(RuntimeError, match=r"mma\.sync of an unknown shape"):
        run("sim_mma", zeros, zeros, zeros, zeros, 32, 16, F16, F16, F32, 0)


# ---- ldmatrix, stmatrix


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("trans", [0, 1])
def test_ldmatrix_and_stmatrix(count, trans):
    rng = np.random.default_rng(count)
    rows = rng.integers(0, 2**16, (40, 8), np.uint16)  # more than are read: the addresses choose
    chosen = rng.permutation(40)[:32]
    pointers = np.array([address(rows, r) for r in chosen])
    registers, seen = np.zeros((32, 4), np.uint32), np.zeros(2, np.uint64)
    run("sim_ldmatrix", registers, pointers, count, trans, 0, announced=seen)
    assert list(seen) == [8 * count, 128 * count]
    for i in range(count):
        matrix = rows[chosen[8 * i : 8 * i + 8]]
        matrix = matrix.T if trans else matrix
        expected = np.ascontiguousarray(matrix).view(np.uint32).reshape(32)
        np.testing.assert_array_equal(registers[:, i], expected)
    assert not registers[:, count:].any()
    written = np.zeros_like(rows)
    run("sim_stmatrix", registers, pointers - address(rows) + address(written), count, trans, 0)
    expected = np.zeros_like(rows)
    expected[chosen[: 8 * count]] = rows[chosen[: 8 * count]]
    np.testing.assert_array_equal(written, expected)


# ---- wgmma: operands in shared memory, by CUTLASS's canonical layouts ("mma_sm90_desc.hpp")

WINDOW = 1 << 18
SWIZZLE = {16: 0, 128: 1, 64: 2, 32: 3}  # bytes of the pattern: the field of the descriptor


def shared_window():
    """256 KiB at a multiple of 256 KiB."""
    memory = np.zeros(2 * WINDOW, np.uint8)
    skip = -memory.ctypes.data % WINDOW
    return memory[skip : skip + WINDOW]


def offsets(rows, k, size, width, mn_major, leading, stride):
    """Byte offsets of the elements (row, k) before the swizzle: T elements are 16 bytes.

    K-major   ((8,m),(T,2)) : ((P,SBO),(1,T))       no swizzle: ((T,SBO),(1,LBO))
    MN-major  ((T,n,m),(8,k)) : ((1,T,LBO),(P,SBO)) no swizzle: ((1,T,SBO),(T,LBO)); P the pattern's width
    """
    row, column = np.arange(rows)[:, None], np.arange(k)[None, :]
    t, p = 16 // size, width // size
    if not mn_major:
        chunk = leading if width == 16 else 16
        return row % 8 * width + row // 8 * stride + column % t * size + column // t * chunk
    outer, inner = (stride, leading) if width == 16 else (leading, stride)
    return row % p * size + row // p * outer + column % 8 * width + column // 8 * inner


def place_operand(window, start, matrix, code, width, mn_major):
    """Write an operand (rows, k) to shared memory; its descriptor."""
    size, (rows, k) = SIZE[code], matrix.shape
    if not mn_major:
        # the pattern's rows may be longer than what one instruction reads
        leading, stride = (16 * rows, 128) if width == 16 else (16, 8 * width)
    elif width == 16:
        leading, stride = 16 * rows // 8 * 8, 128  # next 8 k; next 8 rows
    else:
        leading, stride = 8 * width * (k // 8), 8 * width
    at = start + offsets(rows, k, size, width, mn_major, leading, stride)
    mask = {16: 0, 32: 1, 64: 3, 128: 7}[width]
    at = at ^ ((at >> 7 & mask) << 4)
    data = pack(matrix, code).reshape(rows, k, size)
    for byte in range(size):
        window[at + byte] = data[:, :, byte]
    return start >> 4 | leading >> 4 << 16 | stride >> 4 << 32 | SWIZZLE[width] << 62


def signed(word):
    return word - 2**64 if word >> 63 else word


def d_place(n):
    i = np.arange(n // 2)
    return GROUP + 8 * (i // 2 % 2), 8 * (i // 4) + 2 * IN_GROUP + i % 2


def wgmma(n, code, type_d, a, b, c, width_a, width_b, mn_a=0, mn_b=0, scale_d=1, negate=(0, 0), seen=None):
    """The whole instruction: 64 rows by four warps. A from registers if width_a is None."""
    window, k = shared_window(), 32 // SIZE[code]
    descriptor_a = 0 if width_a is None else place_operand(window, 4096, a, code, width_a, mn_a)
    descriptor_b = place_operand(window, 65536, b.T, code, width_b, mn_b)
    result = np.full((64, n), np.nan)
    for warp in range(4):
        rows = slice(16 * warp, 16 * warp + 16)
        registers = 0
        if width_a is None:
            registers = pack(a[rows][a_place((16, k), code, np.arange(k // 2))], code)
        d = pack(c[rows][d_place(n)], type_d)
        words = (signed(descriptor_a), signed(descriptor_b))
        run(
            *("sim_wgmma", d, registers, *words, n, code, code, type_d, scale_d, *negate, mn_a, mn_b, 0),
            warp=warp,
            shared=window.ctypes.data + 64,  # any address of the window
            announced=seen,
        )
        result[rows][d_place(n)] = unpack(d, type_d)
    return result


def operands(n, code, type_d, seed=0):
    rng, k = np.random.default_rng(seed), 32 // SIZE[code]
    return random((64, k), code, rng), random((k, n), code, rng), random((64, n), type_d, rng)


@pytest.mark.parametrize("width_a", [None, 16, 32, 64, 128])
@pytest.mark.parametrize("width_b", [16, 32, 64, 128])
@pytest.mark.parametrize("code", [F16, TF32, S8])
def test_wgmma_with_operands_along_k(code, width_a, width_b):
    type_d = S32 if code == S8 else F32
    a, b, c = operands(16, code, type_d)
    np.testing.assert_array_equal(
        wgmma(16, code, type_d, a, b, c, width_a, width_b), product(a, b, c, type_d)
    )


@pytest.mark.parametrize("mn", [(1, 0), (0, 1), (1, 1)])
@pytest.mark.parametrize("width", [16, 32, 64, 128])
def test_wgmma_with_operands_along_the_rows(width, mn):
    a, b, c = operands(128, BF16, F32)
    got = wgmma(128, BF16, F32, a, b, c, width, width, *mn)
    np.testing.assert_array_equal(got, product(a, b, c, F32))


@pytest.mark.parametrize(("code", "type_d"), [(F16, F16), (BF16, F32), (E4M3, F32), (E5M2, F32), (U8, S32)])
def test_wgmma_of_the_other_types(code, type_d):
    a, b, c = operands(64, code, type_d)
    np.testing.assert_array_equal(wgmma(64, code, type_d, a, b, c, 128, 128), product(a, b, c, type_d))


def test_wgmma_starts_within_a_swizzle_pattern():
    """A further step along k of a tile of 64: the descriptor begins 32 bytes later."""
    window, rng = shared_window(), np.random.default_rng(0)
    a, b = random((64, 64), F16, rng), random((64, 32), F16, rng)
    descriptors = place_operand(window, 8192, a, F16, 128, 0), place_operand(window, 32768, b.T, F16, 128, 0)
    d = np.zeros((32, 16), np.float32)
    for step in range(4):
        words = [signed(x + step * 2) for x in descriptors]
        shared = window.ctypes.data
        run("sim_wgmma", d, 0, *words, 32, F16, F16, F32, int(step > 0), 0, 0, 0, 0, 0, warp=2, shared=shared)
    result, expected = np.zeros((16, 32)), np.zeros((16, 32))
    result[d_place(32)] = d
    for k in range(0, 64, 16):
        expected = product(a[32:48, k : k + 16], b[k : k + 16], expected, F32)
    np.testing.assert_array_equal(result, expected)


def test_wgmma_scales():
    a, b, c = operands(8, F16, F32)
    zero = np.zeros_like(c)
    np.testing.assert_array_equal(wgmma(8, F16, F32, a, b, c, 32, 32, scale_d=0), product(a, b, zero, F32))
    np.testing.assert_array_equal(wgmma(8, F16, F32, a, b, c, 32, 32, negate=(1, 0)), product(-a, b, c, F32))
    np.testing.assert_array_equal(wgmma(8, F16, F32, a, b, c, 32, 32, negate=(1, 1)), product(a, b, c, F32))


def test_wgmma_announces_what_it_reads():
    a, b, c = operands(24, F16, F32)
    seen = np.zeros(2, np.uint64)
    wgmma(24, F16, F32, a, b, c, 64, 64, seen=seen)
    assert int(seen[1]) == (16 + 24) * 32
    wgmma(24, F16, F32, a, b, c, None, 64, seen=seen)
    assert int(seen[1]) == 24 * 32


def test_what_wgmma_does_not_know_is_an_error():
    a, b, c = operands(8, TF32, F32)
    with pytest.raises(RuntimeError, match="transposed operand"):
        wgmma(8, TF32, F32, a, b, c, 32, 32, mn_b=1)
    d = np.zeros((32, 4), np.float32)
    with pytest.raises(RuntimeError, match="base offset"):
        run(
            "sim_wgmma",
            d,
            d,
            0,
            1 << 49,
            8,
            F16,
            F16,
            F32,
            0,
            0,
            0,
            0,
            0,
            0,
            shared=shared_window().ctypes.data,
        )
    with pytest.raises(RuntimeError, match="unknown shape"):
        run("sim_wgmma", d, d, 0, 0, 12, F16, F16, F32, 0, 0, 0, 0, 0, 0)
