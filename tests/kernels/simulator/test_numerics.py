"""Number formats and the moving of values between lanes, against definitions that are written anew here."""

import ctypes

import numpy as np
import pytest
import torch
import warp_harness as warp
from warp_harness import E4M3, E4M3FNUZ, E5M2, E5M2FNUZ, library, needs_compiler, run, run32

pytestmark = needs_compiler

FP8 = {
    E4M3: torch.float8_e4m3fn,
    E5M2: torch.float8_e5m2,
    E4M3FNUZ: torch.float8_e4m3fnuz,
    E5M2FNUZ: torch.float8_e5m2fnuz,
}


def function(name, result, *arguments):
    f = getattr(library(), name)
    f.restype, f.argtypes = result, arguments
    return f


def floats(seed=0, count=4000):
    """Floats of every exponent, ties of every format, and the values at the ends."""
    rng = np.random.default_rng(seed)
    any_bits = rng.integers(0, 2**32, count, np.uint32).view(np.float32)
    moderate = (rng.standard_normal(count) * np.exp2(rng.integers(-30, 20, count))).astype(np.float32)
    ties = (rng.integers(0, 2**32, count, np.uint32) & np.uint32(0xFFFF8000)).view(np.float32)
    ends = np.array(
        [0, -0.0, np.inf, -np.inf, 65504, 65519.996, 65520, 448, 464, 464.1, 480, 57344, 61440, 240]
    )
    ends = np.concatenate(
        [ends, -ends, np.exp2(np.arange(-150.0, 128)), 1.5 * np.exp2(np.arange(-149.0, 127))]
    )
    values = np.concatenate([any_bits, moderate, ties, ends.astype(np.float32)])
    return values[~np.isnan(values)]


def same(got, expected):
    """Equal bits, and any NaN equal to any other."""
    np.testing.assert_array_equal(np.isnan(got), np.isnan(expected))
    keep = ~np.isnan(expected)
    np.testing.assert_array_equal(got[keep], expected[keep])
    np.testing.assert_array_equal(np.signbit(got[keep]), np.signbit(expected[keep]))


def test_the_formats_have_the_numbers_of_the_header():
    assert {name: getattr(warp, name) for name in warp.enumeration()} == warp.enumeration()


def test_half_is_ieee():
    to_half = function("sim_to_half", ctypes.c_uint16, ctypes.c_float)
    values = floats()
    with np.errstate(over="ignore"):
        expected = values.astype(np.float16)
    same(np.array([to_half(x) for x in values], np.uint16).view(np.float16), expected)
    assert to_half(np.nan) == 0x7FFF


def test_bfloat_is_torchs():
    to_bfloat = function("sim_to_bfloat", ctypes.c_uint16, ctypes.c_float)
    values = floats(1)
    got = np.array([to_bfloat(x) for x in values], np.uint16)
    expected = torch.from_numpy(values.copy()).to(torch.bfloat16).view(torch.int16).numpy().view(np.uint16)
    np.testing.assert_array_equal(got, expected)
    assert to_bfloat(np.nan) == 0x7FFF


@pytest.mark.parametrize(("name", "shift"), [("sim_to_half_zero", 0), ("sim_to_bfloat_zero", 16)])
def test_rounding_toward_zero_takes_the_next_smaller(name, shift):
    to_zero = function(name, ctypes.c_uint16, ctypes.c_float)
    values = floats(2)
    values = values[np.isfinite(values)]
    codes = np.array([to_zero(x) for x in values], np.uint16)
    if shift:
        np.testing.assert_array_equal(codes, values.view(np.uint32) >> 16)
        return
    got, following = codes.view(np.float16), (codes + 1).view(np.float16)
    assert np.all(np.abs(got.astype(np.float64)) <= np.abs(values))
    assert np.all(np.abs(following.astype(np.float64)) > np.abs(values))
    np.testing.assert_array_equal(np.signbit(got), np.signbit(values))


def test_tf32_rounds_to_eleven_bits():
    nearest = function("sim_to_tf32", ctypes.c_float, ctypes.c_float)
    away = function("sim_to_tf32_away", ctypes.c_float, ctypes.c_float)
    values = floats(3)
    bits = values.view(np.uint32).astype(np.uint64)
    finite = np.isfinite(values)
    expected_away = np.where(finite, (bits + 0x1000) & 0xFFFFE000, bits).astype(np.uint32).view(np.float32)
    to_even = (bits + 0xFFF + (bits >> 13 & 1)) & 0xFFFFE000
    expected = np.where(finite, to_even, bits).astype(np.uint32).view(np.float32)
    same(np.array([away(x) for x in values], np.float32), expected_away)
    same(np.array([nearest(x) for x in values], np.float32), expected)
    assert np.any(expected != expected_away)


@pytest.mark.parametrize("code", FP8)
def test_fp8_has_torchs_codes(code):
    from_fp8 = function("sim_from_fp8", ctypes.c_float, ctypes.c_uint32, ctypes.c_uint32)
    to_fp8 = function("sim_to_fp8", ctypes.c_uint32, ctypes.c_float, ctypes.c_uint32, ctypes.c_uint32)
    codes = torch.arange(256, dtype=torch.uint8).view(FP8[code])
    expected = codes.to(torch.float32).numpy()
    same(np.array([from_fp8(c, code) for c in range(256)], np.float32), expected)
    largest = np.nanmax(np.where(np.isfinite(expected), expected, np.nan))
    values = floats(4)
    inside = np.clip(values, -largest, largest)
    rounded = torch.from_numpy(inside).to(FP8[code]).to(torch.float32).numpy()
    same(np.array([from_fp8(to_fp8(x, code, 1), code) for x in values], np.float32), rounded)


def test_fp8_beyond_the_largest():
    to_fp8 = function("sim_to_fp8", ctypes.c_uint32, ctypes.c_float, ctypes.c_uint32, ctypes.c_uint32)
    assert [to_fp8(x, E4M3, 0) for x in (448.0, 464.0, 465.0, -np.inf)] == [0x7E, 0x7E, 0x7F, 0xFF]
    assert [to_fp8(x, E5M2, 0) for x in (57344.0, 61439.0, 61440.0)] == [0x7B, 0x7B, 0x7C]
    assert [to_fp8(x, f, 1) for f in FP8 for x in (-np.inf,)] == [0xFE, 0xFB, 0xFF, 0xFF]
    assert [to_fp8(np.nan, f, 1) for f in FP8] == [0x7F, 0x7F, 0x80, 0x80]
    assert to_fp8(-0.0, E4M3FNUZ, 1) == 0


# ---- lanes, NVIDIA

LANE = np.arange(32)
ALL = 0xFFFFFFFF
IDX, UP, DOWN, BFLY = range(4)


def shuffled(mode, b, segment_width, c):
    """The source lane and the predicate, of the text of PTX ISA 9.7.9.6, for segments of a power of two."""
    first = LANE // segment_width * segment_width
    if mode == UP:
        source = LANE - b
        valid = source >= first
    elif mode == DOWN:
        source = LANE + b
        valid = source <= first + (c & (segment_width - 1))
    elif mode == BFLY:
        source = LANE ^ b
        valid = source <= first + (c & (segment_width - 1))
    else:
        source = first + (b & (segment_width - 1))
        valid = source <= first + (c & (segment_width - 1))
    return np.where(valid, source, LANE), valid


@pytest.mark.parametrize("width", [32, 16, 8, 4])
@pytest.mark.parametrize("mode", [IDX, UP, DOWN, BFLY])
def test_shuffle(mode, width):
    values = np.arange(100, 132)
    for b in (0, 1, 2, 3, 5, 7, 8, 16, 31):
        c = 0 if mode == UP else 31
        in_range = np.full((32, 1), 9, np.uint32)
        clamp = c | (32 - width) << 8
        got = run32("sim_shuffle", values, b, clamp, mode, ALL, in_range, 0)
        source, valid = shuffled(mode, b, width, c)
        np.testing.assert_array_equal(got, values[source])
        np.testing.assert_array_equal(in_range[:, 0], valid)


def test_shuffle_takes_a_lane_for_each_lane():
    order = np.random.default_rng(0).permutation(32)
    np.testing.assert_array_equal(run32("sim_shuffle", LANE, order, 31, IDX, ALL, 0, 0), order)


def test_votes():
    some = (LANE % 3 == 0).astype(int)
    mask = sum(1 << int(i) for i in LANE if some[i])
    assert set(run32("sim_vote", some, 3, ALL, 0)) == {mask}
    for value, expected in ((some, (0, 1, 0)), (np.ones(32), (1, 1, 1)), (np.zeros(32), (0, 0, 1))):
        assert tuple(int(run32("sim_vote", value, mode, ALL, 0)[5]) for mode in range(3)) == expected


def test_elect():
    np.testing.assert_array_equal(run32("sim_elect", ALL, 0, 0), LANE == 0)


def test_members_of_a_part_of_a_warp():
    members, options = 0x0F0F_FF00, {"active": 0x0F0F_FF00}
    on = np.array([bool(members >> int(i) & 1) for i in LANE])
    other = LANE ^ 4  # of the next four lanes, which some have not
    got = run32("sim_shuffle", LANE + 50, 4, 31, BFLY, members, 0, 0, **options)
    np.testing.assert_array_equal(got[on], np.where(on[other], other + 50, ALL)[on])
    some = (LANE % 2 == 0).astype(int)
    assert set(run32("sim_vote", some, 3, members, 0, **options)[on]) == {members & 0x5555_5555}
    modes = [
        [int(run32("sim_vote", v, mode, members, 0, **options)[9]) for mode in range(3)] for v in (some, 1, 0)
    ]
    assert modes == [[0, 1, 0], [1, 1, 1], [0, 0, 1]]
    assert set(run32("sim_redux", LANE, 0, members, 0, **options)[on]) == {int(LANE[on].sum())}
    np.testing.assert_array_equal(run32("sim_elect", members, 0, 0, **options), LANE == 8)


def test_redux():
    values = np.random.default_rng(1).integers(-(2**31), 2**31, 32)
    unsigned = values.astype(np.uint32)
    expected = [
        unsigned.astype(np.uint64).sum() % 2**32,
        values.min() % 2**32,
        values.max() % 2**32,
        unsigned.min(),
        unsigned.max(),
        np.bitwise_and.reduce(unsigned),
        np.bitwise_or.reduce(unsigned),
        np.bitwise_xor.reduce(unsigned),
    ]
    got = [run32("sim_redux", values, operation, ALL, 0) for operation in range(8)]
    for words, value in zip(got, expected, strict=True):
        assert set(words.tolist()) == {int(value)}


def test_redux_of_floats_ignores_or_keeps_nan():
    values = np.random.default_rng(2).standard_normal(32).astype(np.float32)
    values[7] = np.nan
    bits = values.view(np.uint32)
    assert run32("sim_redux", bits, 8, ALL, 0).view(np.float32)[3] == np.nanmin(values)
    assert run32("sim_redux", bits, 9, ALL, 0).view(np.float32)[3] == np.nanmax(values)
    assert run32("sim_redux", bits, 10, ALL, 0)[3] == 0x7FFFFFFF
    assert run32("sim_redux", bits, 11, ALL, 0)[3] == 0x7FFFFFFF


def test_prmt_and_perm_choose_bytes():
    a, b = 0x83828180, 0x07060504
    assert run32("sim_prmt", a, b, 0x5140)[0] == 0x05810480
    assert run32("sim_prmt", a, b, 0x7362)[0] == 0x07830682
    assert run32("sim_prmt", a, b, 0xFB84)[0] == 0x00FFFF04  # the sign of bytes 7, 3, 0; byte 4
    # v_perm_b32: bytes 0..3 are the second source's
    assert run32("sim_byte_perm", a, b, 0x05010400)[0] == 0x81058004
    assert run32("sim_byte_perm", a, b, 0x0D0C0B08)[0] == 0xFF00FF00


# ---- lanes, AMD


@pytest.mark.parametrize("lanes", [32, 64])
def test_amd_reading_of_lanes(lanes):
    lane = np.arange(lanes)
    values = lane + 7
    assert set(run32("sim_readfirstlane", values, 0, lanes=lanes)) == {7}
    assert set(run32("sim_readlane", values, lanes - 1, 0, lanes=lanes)) == {7 + lanes - 1}
    odd = lane % 2
    mask = sum(1 << int(i) for i in lane if odd[i])
    assert set(run("sim_ballot", odd, 0, lanes=lanes)) == {mask}
    order = np.random.default_rng(0).permutation(lanes)
    np.testing.assert_array_equal(run32("sim_bpermute", 4 * order, values, 0, lanes=lanes), values[order])
    pushed = np.empty(lanes, int)
    pushed[order] = values
    np.testing.assert_array_equal(run32("sim_permute", 4 * order, values, 0, lanes=lanes), pushed)
    np.testing.assert_array_equal(
        run32("sim_permute", 0, values, 0, lanes=lanes), np.where(lane, 0, values[-1])
    )


def test_mbcnt_counts_the_lanes_below():
    mask = 0xF0F0A5A5_12345678
    low = run32("sim_mbcnt", mask & 0xFFFFFFFF, 3, 0, lanes=64)
    got = run32("sim_mbcnt", mask >> 32, low.astype(int), 1, lanes=64)
    np.testing.assert_array_equal(got, [3 + (mask & ((1 << i) - 1)).bit_count() for i in range(64)])


@pytest.mark.parametrize("lanes", [32, 64])
def test_permlane(lanes):
    lane = np.arange(lanes)
    order = np.random.default_rng(3).integers(0, 16, 16)
    low = sum(int(s) << 4 * i for i, s in enumerate(order[:8]))
    high = sum(int(s) << 4 * i for i, s in enumerate(order[8:]))
    for across in (0, 1):
        row = lane // 16 ^ across
        expected = 500 + 16 * row + order[lane % 16]
        np.testing.assert_array_equal(
            run32("sim_permlane16", 0, lane + 500, low, high, 0, 0, across, 0, lanes=lanes), expected
        )
    moved = lane ^ 32 if lanes == 64 else lane
    np.testing.assert_array_equal(run32("sim_permlane64", lane, 0, lanes=lanes), moved)


@pytest.mark.parametrize("width", [16, 32])
def test_permlane_swap(width):
    lane = np.arange(64)
    x, y = (lane + 100).astype(np.uint32)[:, None].copy(), (lane + 300).astype(np.uint32)[:, None].copy()
    run("sim_permlane_swap", x, y, width, 0, lanes=64)
    odd = lane // width % 2 == 1
    np.testing.assert_array_equal(x[:, 0], np.where(odd, lane - width + 300, lane + 100))
    np.testing.assert_array_equal(y[:, 0], np.where(odd, lane + 300, lane + width + 100))


def dpp_source(control, lanes):
    """Source lanes, -1 for none: by the words of the table "DPP_CTRL enumerations"."""
    lane = np.arange(lanes)
    row, i = lane // 16 * 16, lane % 16
    n = control % 16
    if control < 0x100:
        return lane // 4 * 4 + np.array([control >> 2 * k & 3 for k in range(4)])[lane % 4]
    named = {
        0x140: row + 15 - i,
        0x141: row + i // 8 * 8 + 7 - i % 8,
        0x142: np.where(lane >= 16, row - 1, -1),
        0x143: np.where(lane >= 32, 31, -1),
        0x130: np.where(lane + 1 < lanes, lane + 1, -1),
        0x138: lane - 1,
        0x134: (lane + 1) % lanes,
        0x13C: (lane - 1) % lanes,
    }
    if control in named:
        return named[control]
    return {
        0x100: np.where(i + n < 16, lane + n, -1),
        0x110: np.where(i - n >= 0, lane - n, -1),
        0x120: row + (i - n) % 16,
        0x150: row + n,
        0x160: row + (i ^ n),
    }[control - n]


QUADS = [0xB1, 0x4E, 0x1B]
ROWS = [0x101, 0x10F, 0x111, 0x118, 0x128, 0x121, 0x140, 0x141, 0x153, 0x161, 0x162, 0x164, 0x168]
WAVES = [0x130, 0x134, 0x138, 0x13C, 0x142, 0x143]


@pytest.mark.parametrize("lanes", [32, 64])
@pytest.mark.parametrize("control", [*QUADS, *ROWS, *WAVES])
def test_dpp(control, lanes):
    lane = np.arange(lanes)
    old, values = lane + 1000, lane + 5
    source = dpp_source(control, lanes)
    for rows, banks, bound in ((15, 15, 1), (15, 15, 0), (0b1010, 15, 0), (15, 0b0110, 1)):
        written = (rows >> lane // 16 & 1) & (banks >> lane % 16 // 4 & 1) == 1
        outside = np.where(written & (bound == 1), 0, old)
        expected = np.where(written & (source >= 0), values[source], outside)
        got = run32("sim_dpp", old, values, control, rows, banks, bound, 0, lanes=lanes)
        np.testing.assert_array_equal(got, expected)


def test_swizzle():
    lane = np.arange(64)
    for pattern, expected in ((0x8000 | 0b00_01_10_11, lane ^ 3), (0x041F, lane ^ 1), (0x001E, lane & ~1)):
        np.testing.assert_array_equal(run32("sim_swizzle", lane, pattern, 0, lanes=64), expected)


def test_setreg_knows_one_register():
    run("sim_setreg", 1473, 1)
    with pytest.raises(RuntimeError, match="s_setreg"):
        run("sim_setreg", 1474, 1)


def test_implicit_arguments_tell_the_size_of_the_grid():
    pointer = int(run("sim_implicit_arguments", lanes=64)[0])
    assert list((ctypes.c_uint32 * 3).from_address(pointer)) == [5, 6, 7]
    assert list((ctypes.c_uint16 * 6).from_address(pointer + 12)) == [64, 1, 1, 0, 0, 0]


def test_lanes_that_are_not_active_take_no_part():
    lane = np.arange(64)
    active = 0xFFFF_0000_00FF_FF00
    on = np.array([bool(active >> int(i) & 1) for i in lane])
    options = {"lanes": 64, "active": active}
    assert set(run32("sim_readfirstlane", lane + 1, 0, **options)[on]) == {9}
    assert set(run("sim_ballot", 1, 0, **options)[on]) == {active}
    rotated = (lane + 8) % 64
    pulled = run32("sim_bpermute", 4 * rotated, lane + 1, 0, **options)
    np.testing.assert_array_equal(pulled[on], np.where(on[rotated], rotated + 1, 0)[on])
    source = dpp_source(0x118, 64)
    got = run32("sim_dpp", lane + 500, lane + 1, 0x118, 15, 15, 0, 0, **options)
    valid = (source >= 0) & on[source]
    np.testing.assert_array_equal(got[on], np.where(valid, source + 1, lane + 500)[on])
    lower = sum(i << 4 * i for i in range(8))  # every lane of a row from itself, of the row beside it
    for fetch, bound, missing in ((0, 0, lane + 500), (0, 1, 0 * lane), (1, 0, 0 * lane + ALL)):
        got = run32(
            "sim_permlane16", lane + 500, lane + 1, lower, lower + 0x8888_8888, fetch, bound, 1, 0, **options
        )
        np.testing.assert_array_equal(got[on], np.where(on[lane ^ 16], (lane ^ 16) + 1, missing)[on])
    assert set(run32("sim_readlane", lane, 50, 0, **options)[on]) == {50}
    with pytest.raises(RuntimeError, match="readlane of a lane that is not active"):
        run("sim_readlane", lane, 40, 0, **options)
