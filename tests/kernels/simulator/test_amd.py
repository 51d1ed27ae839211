"""MFMA and WMMA against numpy, and AMD's intrinsics as LLVM IR.

Lane layouts: AMD's Matrix Instruction Calculator (lane, register and element of each matrix entry),
written anew.
"""

import re

import llvmlite.binding as llvm
import numpy as np
import pytest
from symgru.kernels.simulator import amd
from symgru.kernels.simulator.errors import UnknownInstruction
from warp_harness import (
    BF16,
    E4M3,
    E4M3FNUZ,
    E5M2,
    E5M2FNUZ,
    F16,
    F32,
    F64,
    S8,
    S32,
    S32_SATURATED,
    TF32,
    U8,
    assert_same,
    enumeration,
    needs_compiler,
    pack,
    product,
    random,
    run,
    unpack,
)

# ---- MFMA: (m, k, blocks, type), and where D[i][j] of a block is: (lane, register)

D_PLACE = {
    (32, 1): lambda i, j, b: (j + 32 * (i // 4 % 2), i // 8 * 4 + i % 4),
    (32, 2): lambda i, j, b: (j + 32 * (i // 4 % 2), 16 * b + i // 8 * 4 + i % 4),
    (16, 1): lambda i, j, b: (j + 16 * (i // 4), i % 4),
    (16, 4): lambda i, j, b: (j + 16 * (i // 4), 4 * b + i % 4),
    (4, 16): lambda i, j, b: (j + 4 * b, i),
}
MFMA = [
    (32, 8, 1, F16),
    (16, 16, 1, F16),
    (32, 4, 2, F16),
    (16, 4, 4, F16),
    (4, 4, 16, F16),
    (32, 8, 1, BF16),
    (16, 16, 1, BF16),
    (32, 4, 1, BF16),
    (16, 8, 1, BF16),
    (32, 2, 1, F32),
    (16, 4, 1, F32),
    (32, 1, 2, F32),
    (4, 1, 16, F32),
    (32, 4, 1, TF32),
    (16, 8, 1, TF32),
    (16, 4, 1, F64),
    (32, 8, 1, S8),
    (16, 16, 1, S8),
    (32, 16, 1, S8),
    (16, 32, 1, S8),
    (16, 32, 1, F16),
    (32, 16, 1, BF16),
    (32, 32, 1, S8),
    (16, 32, 1, E4M3FNUZ),
    (32, 16, 1, E5M2FNUZ),
    (16, 32, 1, E4M3),
    (32, 16, 1, E5M2),
]


def ab_place(m, k, blocks, i, depth, block):
    """Lane and element of A[i][depth]."""
    per_lane = m * k * blocks // 64
    return i + m * block + m * blocks * (depth // per_lane), depth % per_lane


def mfma(m, k, blocks, type_a, type_b, a, b, c, modifiers=0):
    """a: (blocks, m, k), b: (blocks, k, m), c and the result: (blocks, m, m)."""
    type_d = {F64: F64, S8: S32}.get(type_a, F32)
    block, i, depth = np.ogrid[:blocks, :m, :k]
    place = ab_place(m, k, blocks, i, depth, block)
    count = m * k * blocks // 64
    fragments = [np.zeros((64, count)), np.zeros((64, count)), np.zeros((64, m * m * blocks // 64))]
    fragments[0][place] = a
    fragments[1][place] = b.transpose(0, 2, 1)
    block, i, j = np.ogrid[:blocks, :m, :m]
    if type_a == F64:
        d_place = np.broadcast_arrays(j + 16 * (i % 4), i // 4, block)[:2]
    else:
        d_place = np.broadcast_arrays(*D_PLACE[m, blocks](i, j, block), block)[:2]
    d_place = tuple(d_place)
    fragments[2][d_place] = c
    packed = [pack(f, code) for f, code in zip(fragments, (type_a, type_b, type_d), strict=True)]
    d = np.zeros_like(packed[2])
    run("sim_mfma", d, *packed, m, k, blocks, type_a, type_b, modifiers, 0, lanes=64)
    return unpack(d, type_d)[d_place], type_d


@needs_compiler
@pytest.mark.parametrize("kind", MFMA)
def test_mfma(kind):
    m, k, blocks, code = kind
    rng = np.random.default_rng(m + k)
    a, b = random((blocks, m, k), code, rng), random((blocks, k, m), code, rng)
    c = random((blocks, m, m), {F64: F64, S8: S32}.get(code, F32), rng)
    got, type_d = mfma(m, k, blocks, code, code, a, b, c)
    for block in range(blocks):
        assert_same(got[block], product(a[block], b[block], c[block], type_d), type_d)


@needs_compiler
def test_mfma_of_two_formats_and_what_it_does_not_know():
    rng = np.random.default_rng(0)
    a, b = random((1, 16, 32), E5M2FNUZ, rng), random((1, 32, 16), E4M3FNUZ, rng)
    c = random((1, 16, 16), F32, rng)
    got, _ = mfma(16, 32, 1, E5M2FNUZ, E4M3FNUZ, a, b, c)
    np.testing.assert_array_equal(got[0], product(a[0], b[0], c[0], F32))
    with pytest.raises(RuntimeError, match="blgp"):
        mfma(16, 32, 1, E5M2FNUZ, E4M3FNUZ, a, b, c, modifiers=1)
    zeros = np.zeros((64, 64), np.uint8)
    with pytest.raises(RuntimeError, match="mfma of an unknown shape"):
        run("sim_mfma", zeros, zeros, zeros, zeros, 4, 4, 4, F64, F64, 0, 0, lanes=64)
    with pytest.raises(RuntimeError, match="mfma of an unknown shape"):  # 128 elements of A in a lane
        run("sim_mfma", zeros, zeros, zeros, zeros, 32, 128, 2, S8, S8, 0, 0, lanes=64)


# ---- WMMA


def wmma(generation, code_a, code_b, type_d, a, b, c, high=0, kept=7.0):
    i, k = np.ogrid[:16, :16]
    if generation == 11:
        fragments = [np.zeros((32, 16)), np.zeros((32, 16))]
        for half in (0, 16):
            fragments[0][i + half, k], fragments[1][i + half, k] = a, b.T
        place = np.broadcast_arrays(k + 16 * (i % 2), i // 2)
    else:
        fragments = [np.zeros((32, 8)), np.zeros((32, 8))]
        fragments[0][i + 16 * (k // 8), k % 8], fragments[1][i + 16 * (k // 8), k % 8] = a, b.T
        place = np.broadcast_arrays(k + 16 * (i // 8), i % 8)
    place = tuple(place)
    spread = generation == 11 and type_d in (F16, BF16)
    accumulator = np.full((32, 16 if spread else 8), kept)
    if spread:
        place = place[0], 2 * place[1] + high
    accumulator[place] = c
    packed = [pack(f, x) for f, x in ((fragments[0], code_a), (fragments[1], code_b), (accumulator, type_d))]
    d = np.full_like(packed[2], 0xFF)  # NaN, −1: every number has to be written
    run("sim_wmma", d, *packed, generation, 16, code_a, code_b, type_d, high, 0)
    result = unpack(d, type_d)
    if spread:  # 16-bit results lie in one half of each register, the other half is handed through
        np.testing.assert_array_equal(result[:, 1 - high :: 2], kept)
    return result[place]


WMMA = [
    (F16, F16, F32),
    (BF16, BF16, F32),
    (F16, F16, F16),
    (BF16, BF16, BF16),
    (S8, S8, S32),
    (U8, S8, S32),
    (S8, S8, S32_SATURATED),
]


@needs_compiler
@pytest.mark.parametrize("generation", [11, 12])
@pytest.mark.parametrize("kind", WMMA)
def test_wmma(kind, generation):
    code_a, code_b, type_d = kind
    rng = np.random.default_rng(generation)
    a, b, c = random((16, 16), code_a, rng), random((16, 16), code_b, rng), random((16, 16), type_d, rng)
    got = wmma(generation, *kind, a, b, c)
    np.testing.assert_array_equal(got, product(a, b, c, type_d))


@needs_compiler
@pytest.mark.parametrize("kind", [(E4M3, E4M3, F32), (E5M2, E4M3, F32)])
def test_wmma_of_fp8(kind):
    rng = np.random.default_rng(8)
    a, b, c = random((16, 16), kind[0], rng), random((16, 16), kind[1], rng), random((16, 16), F32, rng)
    np.testing.assert_array_equal(wmma(12, *kind, a, b, c), product(a, b, c, F32))


@needs_compiler
def test_wmma_into_the_upper_halves_keeps_the_lower():
    rng = np.random.default_rng(5)
    a, b, c = (random((16, 16), F16, rng) for _ in range(3))
    np.testing.assert_array_equal(wmma(11, F16, F16, F16, a, b, c, high=1, kept=7.0), product(a, b, c, F16))


# ---- the intrinsics as LLVM IR: everything below is what Triton emits

INTRINSICS = [
    ("workitem.id.x", "i32", []),
    ("workgroup.id.y", "i32", []),
    ("wave.id", "i32", []),
    ("implicitarg.ptr", "ptr", []),
    ("s.barrier", "void", []),
    ("s.barrier.signal", "void", ["i32"]),
    ("s.barrier.wait", "void", ["i16"]),
    ("wave.barrier", "void", []),
    ("s.setprio", "void", ["i16"]),
    ("sched.barrier", "void", ["i32"]),
    ("s.setreg", "void", ["i32", "i32"]),
    ("readfirstlane.i32", "i32", ["i32"]),
    ("readfirstlane.i64", "i64", ["i64"]),
    ("readfirstlane.p0", "ptr", ["ptr"]),
    ("readlane.f32", "float", ["float", "i32"]),
    ("readlane.i32", "i32", ["i32", "i32"]),
    ("ballot.i32", "i32", ["i1"]),
    ("ballot.i64", "i64", ["i1"]),
    ("mbcnt.lo", "i32", ["i32", "i32"]),
    ("mbcnt.hi", "i32", ["i32", "i32"]),
    ("ds.bpermute", "i32", ["i32", "i32"]),
    ("ds.permute", "i32", ["i32", "i32"]),
    ("ds.swizzle", "i32", ["i32", "i32"]),
    ("update.dpp.i32", "i32", ["i32", "i32", "i32", "i32", "i32", "i1"]),
    ("update.dpp.f32", "float", ["float", "float", "i32", "i32", "i32", "i1"]),
    ("update.dpp.f64", "double", ["double", "double", "i32", "i32", "i32", "i1"]),
    ("update.dpp.i16", "i16", ["i16", "i16", "i32", "i32", "i32", "i1"]),
    ("permlanex16.i32", "i32", ["i32", "i32", "i32", "i32", "i1", "i1"]),
    ("permlane16.swap", "{ i32, i32 }", ["i32", "i32", "i1", "i1"]),
    ("permlane32.swap", "{ i32, i32 }", ["i32", "i32", "i1", "i1"]),
    ("perm", "i32", ["i32", "i32", "i32"]),
    ("cvt.pk.fp8.f32", "i32", ["float", "float", "i32", "i1"]),
    ("cvt.pk.bf8.f32", "i32", ["float", "float", "i32", "i1"]),
    ("cvt.pk.f32.fp8", "<2 x float>", ["i32", "i1"]),
    ("cvt.pk.f32.bf8", "<2 x float>", ["i32", "i1"]),
    ("cvt.f32.fp8", "float", ["i32", "i32"]),
    ("cvt.pkrtz", "<2 x half>", ["float", "float"]),
    ("exp2.f32", "float", ["float"]),
    ("log.f32", "float", ["float"]),
    ("sqrt.f32", "float", ["float"]),
    ("rcp.f32", "float", ["float"]),
    ("rsq.f32", "float", ["float"]),
]
# name, A and B, C and D, and what sim_mfma is called with: m, k, blocks, format
MFMA_NAMES = [
    ("f32.32x32x8f16", "<4 x half>", "<16 x float>", (32, 8, 1, F16)),
    ("f32.16x16x16f16", "<4 x half>", "<4 x float>", (16, 16, 1, F16)),
    ("f32.32x32x8bf16.1k", "<4 x i16>", "<16 x float>", (32, 8, 1, BF16)),
    ("f32.16x16x16bf16.1k", "<4 x i16>", "<4 x float>", (16, 16, 1, BF16)),
    ("f32.4x4x4f16", "<4 x half>", "<4 x float>", (4, 4, 16, F16)),
    ("f32.32x32x2f32", "float", "<16 x float>", (32, 2, 1, F32)),
    ("f32.16x16x4f32", "float", "<4 x float>", (16, 4, 1, F32)),
    ("f32.32x32x4.xf32", "<2 x float>", "<16 x float>", (32, 4, 1, TF32)),
    ("f32.16x16x8.xf32", "<2 x float>", "<4 x float>", (16, 8, 1, TF32)),
    ("f64.16x16x4f64", "double", "<4 x double>", (16, 4, 1, F64)),
    ("i32.32x32x8i8", "i32", "<16 x i32>", (32, 8, 1, S8)),
    ("i32.16x16x32.i8", "i64", "<4 x i32>", (16, 32, 1, S8)),
    ("i32.32x32x16.i8", "i64", "<16 x i32>", (32, 16, 1, S8)),
    ("f32.32x32x16.fp8.fp8", "i64", "<16 x float>", (32, 16, 1, E4M3FNUZ)),
    ("f32.16x16x32.bf8.bf8", "i64", "<4 x float>", (16, 32, 1, E5M2FNUZ)),
    ("f32.32x32x16.bf16", "<8 x bfloat>", "<16 x float>", (32, 16, 1, BF16)),
    ("f32.16x16x32.f16", "<8 x half>", "<4 x float>", (16, 32, 1, F16)),
]
# name, A, B, C and D, modifiers before and after, and: generation, k, format of A (None: by a modifier)
WMMA_NAMES = [
    ("f32.16x16x16.f16.v8f32.v16f16", ["<16 x half>", "<16 x half>", "<8 x float>"], (11, 16, F16)),
    ("f32.16x16x16.bf16.v8f32.v16i16", ["<16 x i16>", "<16 x i16>", "<8 x float>"], (11, 16, BF16)),
    ("f32.16x16x16.f16.v8f32.v8f16", ["<8 x half>", "<8 x half>", "<8 x float>"], (12, 16, F16)),
    ("f32.16x16x16.bf16.v8f32.v8i16", ["<8 x i16>", "<8 x i16>", "<8 x float>"], (12, 16, BF16)),
    ("f32.16x16x16.fp8.fp8.v8f32.v2i32", ["<2 x i32>", "<2 x i32>", "<8 x float>"], (12, 16, E4M3)),
    ("f16.16x16x16.f16.v16f16.v16f16", ["<16 x half>", "<16 x half>", "<16 x half>", "i1"], (11, 16, F16)),
    (
        "i32.16x16x16.iu8.v8i32.v4i32",
        ["i1", "<4 x i32>", "i1", "<4 x i32>", "<8 x i32>", "i1"],
        (11, 16, None),
    ),
    (
        "i32.16x16x16.iu8.v8i32.v2i32",
        ["i1", "<2 x i32>", "i1", "<2 x i32>", "<8 x i32>", "i1"],
        (12, 16, None),
    ),
]


def parsed(text):
    """LLVM accepts the function, whose calls are declared from their own types; the text."""
    calls = re.findall(r"call (\S+|<[^>]*>) @(\w[\w.]*)\((.*)\)$", text, re.MULTILINE)
    declared = {
        f"declare {result} @{name}({', '.join(a.rsplit(' ', 1)[0] for a in arguments.split(', ') if a)})"
        for result, name, arguments in calls
    }
    llvm.parse_assembly("\n".join([*declared, text])).verify()
    return text


@pytest.mark.parametrize(("name", "result", "arguments"), INTRINSICS)
def test_llvm_accepts_the_functions(name, result, arguments):
    text = parsed(amd.define(f"llvm.amdgcn.{name}", "f", result, arguments, "gfx942"))
    assert text.startswith(f"define internal {result} @f(")
    assert "i32 %site) alwaysinline" in text


@pytest.mark.parametrize(
    ("name", "operand", "result", "expected"), [(*row[:3], row[3]) for row in MFMA_NAMES]
)
def test_names_of_mfma(name, operand, result, expected):
    types = [operand, operand, result, "i32", "i32", "i32"]
    text = parsed(amd.define(f"llvm.amdgcn.mfma.{name}", "f", result, types, "gfx942"))
    m, k, blocks, code = expected
    assert f"ptr %c, i32 {m}, i32 {k}, i32 {blocks}, i32 {code}, i32 {code}, i32 %m2, i32 %site)" in text


@pytest.mark.parametrize(("name", "arguments", "expected"), WMMA_NAMES)
def test_names_of_wmma(name, arguments, expected):
    result = next(type_ for type_ in reversed(arguments) if type_ != "i1")
    text = parsed(amd.define(f"llvm.amdgcn.wmma.{name}", "f", result, arguments, "gfx1201"))
    generation, k, code = expected
    kind = "%ta" if code is None else code
    assert f"ptr %c, i32 {generation}, i32 {k}, i32 {kind}, " in text


def test_fp8_is_another_format_on_gfx942():
    types = ["i64", "i64", "<4 x float>", "i32", "i32", "i32"]
    for arch, code in (("gfx942", E4M3FNUZ), ("gfx950", E4M3)):
        text = amd.define("llvm.amdgcn.mfma.f32.16x16x32.fp8.fp8", "f", "<4 x float>", types, arch)
        assert f"i32 {code}, i32 {code}, i32 %m2" in text


@pytest.mark.parametrize(
    ("name", "result", "arguments"),
    [
        ("ds.read.tr4.b64.v2i32", "<2 x i32>", ["ptr"]),
        ("load.async.to.lds", "void", ["ptr", "ptr", "i32", "i32", "i32"]),
        ("mfma.scale.f32.32x32x64.f8f6f4.v6i32.v6i32", "<16 x float>", ["<6 x i32>"]),
        ("mfma.f32.16x16x16f8", "<4 x float>", ["i64"]),
        ("s.barrier.init", "void", ["ptr"]),
        ("readlane.v3i32", "<3 x i5>", ["<3 x i5>", "i32"]),
        ("exp2.f16", "half", ["half"]),
    ],
)
def test_what_is_not_known_is_named(name, result, arguments):
    with pytest.raises(UnknownInstruction, match=re.escape(name.split(".")[0]) + "|lane operation"):
        amd.define(f"llvm.amdgcn.{name}", "f", result, arguments)


def test_python_and_the_header_agree_on_formats():
    assert {name: getattr(amd, name) for name in enumeration()} == enumeration()
