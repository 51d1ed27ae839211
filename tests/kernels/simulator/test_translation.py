"""LLVM IR of GPUs becomes LLVM IR of this machine: literals, source lines, instructions one by one."""

import ctypes
import math
import re
import struct
from fractions import Fraction
from types import SimpleNamespace

import llvmlite.binding as llvm
import pytest
import torch
from symgru.kernels.simulator import amd, module, nvidia, ptx, runtime, text
from symgru.kernels.simulator.errors import SimulatorError, UnknownInstruction
from symgru.kernels.simulator.host import declarations
from symgru.kernels.simulator.kernel import Kernel, pack
from symgru.kernels.simulator.library import library
from symgru.kernels.simulator.machine import compiled
from triton.backends.compiler import GPUTarget

# ---- text


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("fadd float %1, f0x3F800000", "fadd float %1, 0x3FF0000000000000"),
        ("fadd float %1, f0x7FC00001", "fadd float %1, 0x7FF8000020000000"),
        ("fadd float %1, 0.1", "fadd float %1, 0x3FB99999A0000000"),
        ("fadd double %1, 0.1", "fadd double %1, 0x3FB999999999999A"),
        ("fadd float %1, 1.000000e-01", "fadd float %1, 0x3FB99999A0000000"),
        ("fadd float %1, -2.5e+00", "fadd float %1, 0xC004000000000000"),
        ("fadd half %1, f0x3C00", "fadd half %1, 0xH3C00"),
        ("fadd half %1, 0.1", "fadd half %1, 0xH2E66"),
        ("fadd bfloat %1, f0x3F80", "fadd bfloat %1, 0xR3F80"),
        ("fadd bfloat %1, 0.1", "fadd bfloat %1, 0xR3DCD"),
        ("select i1 %1, float +inf, float -inf",
         "select i1 %1, float 0x7FF0000000000000, float 0xFFF0000000000000"),
        ("fadd half %1, -inf", "fadd half %1, 0xHFC00"),
        ("fadd float %1, +nan(0x3F)", "fadd float %1, 0x7FF00007E0000000"),
        ("fadd float %1, +qnan", "fadd float %1, 0x7FF8000000000000"),
        ("fadd bfloat %1, +qnan", "fadd bfloat %1, 0xR7FC0"),
        ("insertvalue { half, float } poison, float 0.5, 1",
         "insertvalue { half, float } poison, float 0x3FE0000000000000, 1"),
        ('asm "mov.f32 $0, 1.0;", "=f"()', 'asm "mov.f32 $0, 1.0;", "=f"()'),
        ("br label %1.0", "br label %1.0"),
    ],
)  # fmt: skip
def test_float_literals(line: str, expected: str) -> None:
    """Newer LLVM's literals as older LLVM reads them, to the bit."""
    assert text.float_literals(line) == expected


def test_float_literals_mean_the_same_to_llvm() -> None:
    """LLVM itself reads the number that was meant."""
    numbers = (0.1, 1e-45, 3.4028235e38, -0.0, math.pi)
    lines = [
        f"  %x{i} = fadd float %a, {number!r}" for i, number in enumerate(numbers) if "e" not in repr(number)
    ]
    source = text.float_literals("\n".join(["define float @f(float %a) {", *lines, "  ret float %x0", "}"]))
    parsed = llvm.parse_assembly(source)
    parsed.verify()
    assert "0x3FB99999A0000000" in str(parsed)


def test_lists_and_operands() -> None:
    assert text.split('i32 1, { i32, i8 } %2, "a,b", <2 x i8> %3') == [
        "i32 1",
        "{ i32, i8 } %2",
        '"a,b"',
        "<2 x i8> %3",
    ]
    assert text.split("") == []
    assert text.operand("ptr nonnull align 16 dereferenceable(4) %5") == text.Operand("ptr", "%5")
    assert text.operand("<4 x float> %7") == text.Operand("<4 x float>", "%7")
    assert text.without_attributes("noundef range(i32 0, 1024) i32") == "i32"
    assert [text.size(t) for t in ("i1", "<3 x half>", "<4 x float>", "ptr")] == [1, 6, 16, 8]
    with pytest.raises(ValueError, match="expected a scalar"):
        text.bits("{ i32 }")
    with pytest.raises(ValueError, match="expected a closing bracket"):
        text.closing("(i32", 0)


def test_last_type() -> None:
    for words, type_ in (
        ("internal fastcc { double, i32 }", "{ double, i32 }"),
        ("internal noundef range(i32 0, 4) <2 x i32>", "<2 x i32>"),
        ("dso_local void", "void"),
    ):
        assert text.last_type(words) == type_


def test_sites_name_the_line_and_its_callers() -> None:
    sites = text.Sites.of(
        '!1 = !DIFile(filename: "a/kernel.py", directory: "/x")\n'
        '!2 = !DIFile(filename: "standard.py", directory: "/y")\n'
        '!4 = distinct !DISubprogram(name: "k", scope: !1, file: !1, line: 3)\n'
        "!5 = !DILocation(line: 17, column: 4, scope: !4)\n"
        "!6 = distinct !DILexicalBlockFile(scope: !4, file: !2, discriminator: 0)\n"
        "!7 = !DILocation(line: 50, column: 1, scope: !6, inlinedAt: !5)\n"
    )
    assert sites.words("!5", "load") == "kernel.py:17 (load)"
    assert sites.words("!7", "ex2") == "standard.py:50, called from kernel.py:17 (ex2)"
    assert sites.words(None, "store") == "unknown place (store)"


# ---- instructions one by one

WIDTHS = {"i1": 1, "i8": 1, "i16": 2, "half": 2, "i32": 4, "float": 4, "<2 x half>": 4, "i64": 8, "double": 8}


def execute(function: str, symbol: str, result: str, types: list[str], values: list[int]) -> list[list[int]]:
    """What a generated function returns in each of 32 threads, as bits, given the bits of its arguments."""
    outputs = text.fields(result)
    body = ["define void @test_entry(ptr %out, ptr %shared) {", "  %t = call i32 @sim_thread()"]
    listed = []
    for i, (type_, value) in enumerate(zip(types, values, strict=True)):
        plain = f"i{text.bits(type_)}"
        cast = "inttoptr" if type_ == "ptr" else "bitcast"
        body.append(f"  %a{i} = {cast} {plain} {value} to {type_}")
        listed.append(f"{type_} %a{i}")
    body.append(f"  %r = call {result} @{symbol}({', '.join([*listed, 'i32 0'])})")
    for i, type_ in enumerate(outputs):
        value = "%r"
        if result.startswith("{"):
            value = f"%f{i}"
            body.append(f"  {value} = extractvalue {result} %r, {i}")
        body.append(f"  %i{i} = mul i32 %t, {len(outputs)}")
        body.append(f"  %j{i} = add i32 %i{i}, {i}")
        body.append(f"  %p{i} = getelementptr i64, ptr %out, i32 %j{i}")
        body.append(f"  store {type_} {value}, ptr %p{i}")
    whole = "\n".join([function, *body, "  ret void", "}"])
    source = "\n".join([*declarations(whole), whole, ""])
    code = compiled(source, ("test_entry",), library())
    room = (ctypes.c_uint64 * (32 * len(outputs)))()
    runtime.launch(
        code.addresses["test_entry"], ctypes.addressof(room), (1,), 32, 1024, checks=runtime.Checks.NONE
    )
    return [[room[t * len(outputs) + i] for i in range(len(outputs))] for t in range(32)]


def assembly(source: str, result: str, *arguments: tuple[str, int], constraints: str = "") -> list[int]:
    """The bits that inline PTX gives in thread 0."""
    return in_threads(source, result, *arguments, constraints=constraints)[0]


def in_threads(
    source: str, result: str, *arguments: tuple[str, int], constraints: str = ""
) -> list[list[int]]:
    """The same in all threads."""
    letters = ["=r"] * len(text.fields(result)) + ["r"] * len(arguments)
    types = [type_ for type_, _ in arguments]
    function = ptx.define(source, constraints or ",".join(letters), "tested", result, types)
    return execute(function, "tested", result, types, [value for _, value in arguments])


def single(value: float) -> int:
    """Bits of a float."""
    return int(struct.unpack("<I", struct.pack("<f", value))[0])


def unsigned(value: int) -> int:
    """The same 32 bits without a sign."""
    return value & 0xFFFFFFFF


INTEGERS = [
    ("mov.u32 $0, 0x7;", [], 7),
    ("mov.b32 $0, $1;", [5], 5),
    ("add.u32 $0, $1, 0xffff;", [2], 0x10001),
    ("sub.s32 $0, $1, $2;", [2, 5], -3),
    ("mul.lo.u32 $0, $1, $2;", [0x10000, 0x10001], 0x10000),
    ("mul.hi.u32 $0, $1, $2;", [0x10000, 0x10001], 1),
    ("mul.hi.s32 $0, $1, $2;", [-2, 3], -1),
    ("mad.lo.s32 $0, $1, $2, $3;", [3, 4, 5], 17),
    ("div.s32 $0, $1, $2;", [-7, 2], -3),
    ("rem.u32 $0, $1, $2;", [7, 4], 3),
    ("min.s32 $0, $1, $2;", [-1, 1], -1),
    ("min.u32 $0, $1, $2;", [-1, 1], 1),
    ("abs.s32 $0, $1;", [-9], 9),
    ("neg.s32 $0, $1;", [9], -9),
    ("not.b32 $0, $1;", [0], -1),
    ("shl.b32 $0, $1, 40;", [1], 0),
    ("shr.s32 $0, $1, 40;", [-8], -1),
    ("shr.u32 $0, $1, 4;", [-1], 0x0FFFFFFF),
    ("lop3.b32 $0, $1, $2, $3, 0xf8;", [0x0F, 0x33, 0x55], 0x0F | 0x33 & 0x55),
    ("lop3.b32 $0, $1, $2, $3, 0x96;", [0x0F, 0x33, 0x55], 0x0F ^ 0x33 ^ 0x55),
    ("prmt.b32 $0, $1, $2, 0x5140;", [0x33221100, 0x77665544], 0x55114400),
    ("popc.b32 $0, $1;", [0xFF], 8),
    ("clz.b32 $0, $1;", [1], 31),
    ("brev.b32 $0, $1;", [1], 0x80000000),
    ("{ .reg .pred p; setp.lt.s32 p, $1, $2; selp.b32 $0, $1, $2, p; }", [-4, 3], -4),
    ("{ .reg .pred p; setp.lo.u32 p, $1, $2; selp.b32 $0, $1, $2, p; }", [-4, 3], 3),
    ("{ .reg .pred p; setp.ne.u32 p, $1, 0; mov.u32 $0, 1; @p mov.u32 $0, 2; }", [1], 2),
    ("{ .reg .pred p; setp.ne.u32 p, $1, 0; mov.u32 $0, 1; @!p mov.u32 $0, 2; }", [1], 1),
    ("{ .reg .b16 h<2>; mov.b32 {h0, h1}, $1; mov.b32 $0, {h1, h0}; }", [0x12345678], 0x56781234),
    ("// a comment; with a semicolon\\0A\\09mov.u32 $0, 3;", [], 3),
    ("cvt.rzi.s32.f32 $0, $1;", [single(-2.7)], -2),
    ("cvt.rni.s32.f32 $0, $1;", [single(2.5)], 2),
    ("cvt.rn.f32.s32 $0, $1;", [-3], single(-3.0)),
    ("cvt.rna.tf32.f32 $0, $1;", [0x3F801000], 0x3F802000),
    ("cvt.rn.f16x2.f32 $0, $1, $2;", [single(1.0), single(2.0)], 0x3C004000),
    ("cvt.rn.bf16x2.f32 $0, $1, $2;", [single(1.0), single(2.0)], 0x3F804000),
    ("shf.l.wrap.b32 $0, $1, $2, 5;", [0x89ABCDEF, 0x01234567], 0x2468ACF1),
    ("shf.r.wrap.b32 $0, $1, $2, 36;", [0x89ABCDEF, 0x01234567], 0x789ABCDE),
    ("shf.l.clamp.b32 $0, $1, $2, 40;", [0x89ABCDEF, 0x01234567], 0x89ABCDEF),
    ("shf.r.clamp.b32 $0, $1, $2, 40;", [0x89ABCDEF, 0x01234567], 0x01234567),
    ("{ .reg .b16 h; cvt.u16.u32 h, $1; cvt.u32.u16 $0, h; }", [0x1234F678], 0xF678),
    ("{ .reg .b16 h; cvt.u16.u32 h, $1; cvt.s32.s16 $0, h; }", [0x1234F678], 0xFFFFF678),
    ("cvt.rz.f16x2.f32 $0, $1, $2;", [single(1.0009), single(-1.0009)], 0x3C00BC00),
    ("{ .reg .b16 e; cvt.rn.satfinite.e4m3x2.f32 e, $1, $2; cvt.rn.f16x2.e4m3x2 $0, e; }",
     [single(1.06), single(1000.0)], 0x3C005F00),
]  # fmt: skip


@pytest.mark.parametrize(("source", "values", "expected"), INTEGERS, ids=[s[:40] for s, _, _ in INTEGERS])
def test_ptx_on_words(source: str, values: list[int], expected: int) -> None:
    got = assembly(source, "i32", *(("i32", value) for value in values))[0]
    assert unsigned(got) == unsigned(expected)


FLOATS = [
    ("add.f32 $0, $1, $2;", [1.5, 2.0], 3.5),
    ("sub.rn.f32 $0, $1, $2;", [1.5, 2.0], -0.5),
    ("mul.f32 $0, $1, 0f40000000;", [1.5], 3.0),
    ("fma.rn.f32 $0, $1, $2, $3;", [1 + 2**-12, 1 + 2**-12, -1.0], 2**-11 + 2**-24),
    ("div.full.f32 $0, $1, $2;", [1.0, 4.0], 0.25),
    ("rcp.approx.ftz.f32 $0, $1;", [4.0], 0.25),
    ("mul.ftz.f32 $0, $1, $2;", [1e-30, 1e-10], 0.0),
    ("mul.f32 $0, $1, $2;", [2.0**-100, 2.0**-40], 2.0**-140),
    ("sqrt.approx.f32 $0, $1;", [9.0], 3.0),
    ("rsqrt.approx.f32 $0, $1;", [4.0], 0.5),
    ("ex2.approx.f32 $0, $1;", [3.0], 8.0),
    ("lg2.approx.f32 $0, $1;", [8.0], 3.0),
    ("tanh.approx.f32 $0, $1;", [100.0], 1.0),
    ("neg.f32 $0, $1;", [2.0], -2.0),
    ("abs.f32 $0, $1;", [-2.0], 2.0),
    ("min.f32 $0, $1, $2;", [math.nan, 2.0], 2.0),
    ("max.NaN.f32 $0, $1, $2;", [math.nan, 2.0], math.nan),
    ("add.sat.f32 $0, $1, $2;", [1.0, 2.0], 1.0),
]


@pytest.mark.parametrize(("source", "values", "expected"), FLOATS, ids=[s for s, _, _ in FLOATS])
def test_ptx_on_floats(source: str, values: list[float], expected: float) -> None:
    (bits,) = assembly(source, "float", *(("float", single(value)) for value in values))
    got = struct.unpack("<f", struct.pack("<I", unsigned(bits)))[0]
    assert got == expected or (math.isnan(got) and math.isnan(expected))


def test_unwritten_output_is_a_nan() -> None:
    """An output that a false predicate leaves out has all bits set; a tied one keeps what it had."""
    (bits,) = assembly("@$1 mov.b32 $0, 0;", "float", ("i1", 0), constraints="=f,b")
    assert unsigned(bits) == 0xFFFFFFFF
    tied = assembly("@$2 mov.b32 $0, 0;", "i32", ("i32", 7), ("i1", 0), constraints="=r,0,b")
    assert unsigned(tied[0]) == 7


MEMORY = [
    ("ld.global.b32 $0, [ $1 + 4 ];", 0x22222222, None),
    ("ld.volatile.global.b32 $0, [ $1 + 0 ];", 0x11111111, None),
    ("ld.global.u8 $0, [ $1 + 0 ];", 0x11, None),
    ("{ .reg .b32 r; ld.global.v2.b32 {r, $0}, [ $1 + 0 ]; }", 0x22222222, None),
    ("mov.u32 $0, 9; st.global.b32 [ $1 + 0 ], $0;", 9, 9),
    ("mov.u32 $0, 9; atom.global.gpu.acq_rel.add.u32 $0, [ $1 + 0 ], 3;", 0x11111111, 0x11111114),
    ("atom.global.acq_rel.gpu.cas.b32 $0, [ $1 + 0 ], 0x11111111, 5;", 0x11111111, 5),
    ("atom.global.acq_rel.gpu.cas.b32 $0, [ $1 + 0 ], 0x1, 5;", 0x11111111, 0x11111111),
    ("mov.u32 $0, 0; red.global.gpu.release.max.s32 [ $1 + 0 ], 0x7fffffff;", 0, 0x7FFFFFFF),
    ("atom.global.exch.b32 $0, [ $1 + 0 ], 4;", 0x11111111, 4),
    ("atom.global.inc.u32 $0, [ $1 + 0 ], 3;", 0x11111111, 0),
]


@pytest.mark.parametrize(("source", "expected", "left"), MEMORY, ids=[s for s, _, _ in MEMORY])
def test_ptx_on_memory(source: str, expected: int, left: int | None) -> None:
    """In one thread: the others' predicate is false."""
    memory = (ctypes.c_uint32 * 4)(0x11111111, 0x22222222, 0x33333333, 0x44444444)
    first = "{ .reg .pred first; setp.eq.u32 first, %tid.x, 0; mov.u32 $0, 0; "
    guarded = first + re.sub(r"\b((?:ld|st|atom|red)\.)", r"@first \1", source) + " }"
    got = assembly(guarded, "i32", ("ptr", ctypes.addressof(memory)), constraints="=r,l")
    assert unsigned(got[0]) == expected
    assert memory[0] == (0x11111111 if left is None else left)


def test_ptx_among_lanes() -> None:
    """What lanes do together; the lane's number is the value."""
    source = "{ .reg .b32 v; mov.u32 v, %laneid; shfl.sync.bfly.b32 $0, v, 1, 0x1f, -1; }"
    assert [unsigned(row[0]) for row in in_threads(source, "i32")] == [lane ^ 1 for lane in range(32)]
    source = "{ .reg .pred p; setp.lt.u32 p, %laneid, 3; vote.sync.ballot.b32 $0, p, -1; }"
    assert {unsigned(row[0]) for row in in_threads(source, "i32")} == {7}
    source = "{ .reg .b32 v; mov.u32 v, %laneid; redux.sync.add.s32 $0, v, -1; }"
    assert {unsigned(row[0]) for row in in_threads(source, "i32")} == {31 * 16}


@pytest.mark.parametrize(
    ("name", "result", "arguments", "expected"),
    [
        ("llvm.nvvm.ex2.approx.ftz.f", "float", [("float", single(-1.0))], single(0.5)),
        ("llvm.nvvm.div.full", "float", [("float", single(1.0)), ("float", single(8.0))], single(0.125)),
        ("llvm.nvvm.fmax.f", "float", [("float", single(1.0)), ("float", single(8.0))], single(8.0)),
        (
            "llvm.nvvm.fmin.xorsign.abs.f",
            "float",
            [("float", single(-3.0)), ("float", single(2.0))],
            single(-2.0),
        ),
        (
            "llvm.nvvm.fmax.nan.xorsign.abs.f",
            "float",
            [("float", single(-3.0)), ("float", single(-2.0))],
            single(3.0),
        ),
        ("llvm.nvvm.mulhi.ui", "i32", [("i32", 1 << 31), ("i32", 6)], 3),
        ("llvm.nvvm.f2i.rz", "i32", [("float", single(-1.5))], unsigned(-1)),
        ("llvm.nvvm.lohi.i2d", "double", [("i32", 0), ("i32", 0x3FF00000)], 0x3FF0000000000000),
        ("llvm.nvvm.read.ptx.sreg.ntid.x", "i32", [], 32),
        ("llvm.nvvm.redux.sync.umax", "i32", [("i32", 5), ("i32", -1)], 5),
    ],
)
def test_intrinsics(name: str, result: str, arguments: list[tuple[str, int]], expected: int) -> None:
    types = [type_ for type_, _ in arguments]
    function = nvidia.define(name, "tested", result, types)
    ((got,), *_) = execute(function, "tested", result, types, [value for _, value in arguments])
    assert got == expected


def towards_zero(exact: Fraction, digits: int) -> Fraction:
    """The number of so many binary digits next to a normal one, on the side of zero."""
    exponent = exact.numerator.bit_length() - exact.denominator.bit_length()
    exponent -= abs(exact) < Fraction(2) ** exponent
    scale = Fraction(2) ** (digits - 1 - exponent)
    return int(exact * scale) / scale


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("add.rz.f", [1.0, 2.0**-30]),
        ("add.rz.f", [1.0, -(2.0**-80)]),
        ("add.rz.ftz.f", [-1.0, 2.0**-80]),
        ("mul.rz.f", [1 + 2.0**-23, 1 + 2.0**-23]),
        ("mul.rz.f", [-(1 + 2.0**-23), 3.0]),
        ("fma.rz.f", [1 + 2.0**-12, 1 + 2.0**-12, 2.0**-40]),
        ("fma.rz.f", [1.0, 1.0, -(2.0**-80)]),
        ("fma.rz.ftz.f", [3.0, -(1 + 2.0**-23), 2.0**-60]),
        ("add.rz.d", [1.0, -(2.0**-80)]),
        ("add.rz.d", [0.1, 0.2]),
        ("mul.rz.d", [0.1, 3.0]),
    ],
)
def test_rounding_towards_zero(name: str, values: list[float]) -> None:
    kind, digits, pair = ("float", 24, "<fI") if name.endswith("f") else ("double", 53, "<dQ")
    bits = [struct.unpack("<" + pair[2], struct.pack(pair[:2], value))[0] for value in values]
    types = [kind] * len(values)
    ((got,), *_) = execute(nvidia.define(f"llvm.nvvm.{name}", "t", kind, types), "t", kind, types, bits)
    result = struct.unpack(pair[:2], struct.pack("<" + pair[2], got % 2 ** (8 * struct.calcsize(pair[2]))))[0]
    x, y, *z = map(Fraction, values)
    exact = x + y if name.startswith("add") else x * y + sum(z)
    assert Fraction(result) == towards_zero(exact, digits)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((1, 2, 3), 2),
        ((3, 1, 2), 2),
        ((2, 3, 1), 2),
        ((-1, -1, 5), -1),
        ((math.nan, 2, 3), 2),
        ((2, math.nan, 1), 1),
        ((2, 1, math.nan), 1),
    ],
)
def test_median_of_three(values: tuple[float, ...], expected: float) -> None:
    types = ["float"] * 3
    function = amd.define("llvm.amdgcn.fmed3.f32", "t", "float", types)
    ((got,), *_) = execute(function, "t", "float", types, [single(value) for value in values])
    assert unsigned(got) == single(expected)


# ---- what is not known

UNKNOWN = [
    ("%2 = call i32 @llvm.nvvm.frobnicate(i32 1)", "llvm.nvvm.frobnicate"),
    ("%2 = call i32 @printf(ptr null, ptr null)", "call of printf"),
    ('call void asm sideeffect "frobnicate.b32 $0, 1;", "r"(i32 1)', "frobnicate.b32"),
    ('call void asm sideeffect "cp.async.bulk.commit_group;", ""()', "cp.async.bulk.commit_group"),
    ('call void asm sideeffect "mov.b32 $0, %clock;", "r"(i32 1)', "%clock"),
    ('%2 = call float asm "add.rz.f32 $0, $1, $1;", "=f,f"(float 0.0)', "add.rz.f32"),
    ("%2 = landingpad { ptr, i32 } cleanup", "landingpad"),
    ('fence syncscope("galaxy") acquire', "galaxy"),
    ("%2 = load i32, ptr addrspace(7) %0, align 4", "addrspace(7)"),
    ("%2 = load { i32, i32 }, ptr addrspace(1) %0, align 4", "load { i32, i32 }"),
    ("call void @llvm.memcpy.p1.p1.i64(ptr addrspace(1) %0, ptr addrspace(1) %0, i64 4, i1 false)", "memcpy"),
]


def shell(instruction: str) -> str:
    """A kernel with one instruction."""
    return f"define ptx_kernel void @planted(ptr addrspace(1) %0) {{\n  {instruction}\n  ret void\n}}\n"


@pytest.mark.parametrize(("instruction", "words"), UNKNOWN, ids=[words for _, words in UNKNOWN])
def test_unknown_instructions_are_named(instruction: str, words: str) -> None:
    """At translation, with the kernel and the target; nothing is skipped."""
    with pytest.raises(UnknownInstruction, match=re.escape(words)) as caught:
        module.translate(shell(instruction), "sm_90")
    assert "planted" in str(caught.value)
    assert "sm_90" in str(caught.value)


def test_a_module_without_a_kernel() -> None:
    with pytest.raises(ValueError, match="expected a module with a kernel"):
        module.translate("define void @f() {\n  ret void\n}\n")


def test_text_that_llvm_does_not_read() -> None:
    with pytest.raises(SimulatorError, match="expected LLVM IR"):
        compiled("define void @f( {", (), library())


def test_arguments_are_packed_as_the_structure_has_them() -> None:
    arguments = [("n", "i32", -1), ("x", "*fp32", 0x1122334455667788), ("a", "fp16", 1.0), ("b", "bf16", 1.0)]
    packed = pack(["i32", "ptr", "half", "bfloat"], [*arguments, ("scratch", "*i8", 0)])
    assert packed == b"\xff" * 4 + bytes(4) + 0x1122334455667788.to_bytes(8, "little") + b"\x00\x3c\x80\x3f"
    with pytest.raises(SimulatorError, match="expected 5 arguments, got 4"):
        pack(["i32"] * 5, arguments)


def test_arguments_are_read_where_they_are_packed() -> None:
    """64-bit integers lie at multiples of 8, which is not LLVM's default."""
    llir = (
        "define ptx_kernel void @f(ptr addrspace(1) %0, i32 %1, i64 %2, i1 %3, i64 %4) {\n"
        "  %6 = add i64 %2, %4 /* a comment */\n"
        "  store i64 %6, ptr addrspace(1) %0, align 8\n  ret void\n}\n"
    )
    result = torch.zeros(1, dtype=torch.int64)
    numbers = [("a", "i32", -1), ("b", "i64", 2**40), ("c", "i1", 1), ("d", "i64", 7)]
    arguments = [("x", "*i64", result.data_ptr()), *numbers]
    metadata = SimpleNamespace(target=GPUTarget("cuda", 80, 32), num_warps=1, shared=0)
    kernel = Kernel(SimpleNamespace(asm={"llir": llir}, metadata=metadata))
    buffers = [runtime.Buffer(result.data_ptr(), 8, "x")]
    kernel.launch((1,), arguments, buffers)
    assert result.item() == 2**40 + 7


def test_symbols_are_looked_up_before() -> None:
    """LLVM would end the process."""
    with pytest.raises(SimulatorError, match="the runtime has no function sim_nothing"):
        compiled("declare void @sim_nothing()\ndefine void @f() {\n  ret void\n}\n", ("f",), library())
