"""AMD's intrinsics as functions in LLVM IR for the host, which call the runtime.

``define`` writes one function for one intrinsic. Matrix and lane operations go to ``runtime/amd_matrix.c``
and ``runtime/amd_lanes.c``; what only computes is written out. An intrinsic that is not known is an error
that names it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from .emit import count
from .errors import UnknownInstruction
from .formats import (
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
)
from .text import bits as bits_of


@dataclass(frozen=True)
class Call:
    """An intrinsic's use: its name without ``llvm.amdgcn.``, types, and the architecture ("gfx942")."""

    name: str
    result: str
    arguments: list[str]
    arch: str


Body = Callable[[Call, "re.Match[str]"], list[str]]


def define(name: str, symbol: str, result: str, arguments: list[str], arch: str = "") -> str:
    """The text of ``define internal <result> @symbol(<arguments>, i32 %site)`` for the intrinsic ``name``.

    ``arch`` ("gfx942") decides what "fp8" means: FNUZ on gfx94x, OCP on later ones.
    Raises UnknownInstruction for an intrinsic, or types of it, that the simulator does not know.
    """
    call = Call(name.removeprefix("llvm.amdgcn."), result, arguments, arch)
    for pattern, body in _PATTERNS:
        match = re.fullmatch(pattern, call.name)
        if match:
            lines = body(call, match)
            parameters = "".join(f"{type_} %a{i}, " for i, type_ in enumerate(arguments))
            text = "".join(f"  {line}\n" for line in lines)
            return f"define internal {result} @{symbol}({parameters}i32 %site) alwaysinline {{\n{text}}}\n"
    raise UnknownInstruction(name)


# ---- values of any type as 32-bit words


def _bits(type_: str) -> int:
    try:
        return bits_of(type_)
    except ValueError:
        raise UnknownInstruction(f"a lane operation on {type_}") from None


def _split(value: str, type_: str, into: str) -> tuple[list[str], list[str]]:
    """Lines that make words of ``value`` (their names begin with ``into``), and the words."""
    bits = _bits(type_)
    conversion = "ptrtoint" if type_ == "ptr" else "bitcast"
    lines = [f"{into}.i = {conversion} {type_} {value} to i{bits}"]
    if bits <= 32:
        extend = "zext" if bits < 32 else "bitcast"
        return [*lines, f"{into}.0 = {extend} i{bits} {into}.i to i32"], [f"{into}.0"]
    words = []
    for i in range(bits // 32):
        lines.append(f"{into}.s{i} = lshr i{bits} {into}.i, {32 * i}")
        lines.append(f"{into}.{i} = trunc i{bits} {into}.s{i} to i32")
        words.append(f"{into}.{i}")
    return lines, words


def _join(words: list[str], type_: str, into: str) -> list[str]:
    """Lines that make a value of ``type_`` named ``into`` of words."""
    bits = _bits(type_)
    conversion = "inttoptr" if type_ == "ptr" else "bitcast"
    if bits <= 32:
        narrow = "trunc" if bits < 32 else "bitcast"
        whole, lines = f"{into}.w", [f"{into}.w = {narrow} i32 {words[0]} to i{bits}"]
    else:
        whole, lines = "0", []
        for i, word in enumerate(words):
            lines.append(f"{into}.z{i} = zext i32 {word} to i{bits}")
            lines.append(f"{into}.l{i} = shl i{bits} {into}.z{i}, {32 * i}")
            lines.append(f"{into}.o{i} = or i{bits} {whole}, {into}.l{i}")
            whole = f"{into}.o{i}"
    return [*lines, f"{into} = {conversion} i{bits} {whole} to {type_}"]


def _by_words(type_: str, values: list[str], function: Callable[[list[str]], str]) -> list[str]:
    """Apply a runtime call, the text ``function(words)``, to each word of values of one type; return that."""
    lines, columns = [], []
    for i, value in enumerate(values):
        more, words = _split(value, type_, f"%v{i}")
        lines += more
        columns.append(words)
    results = []
    for i, row in enumerate(zip(*columns, strict=True)):
        lines.append(f"%r{i} = call i32 {function(list(row))}")
        results.append(f"%r{i}")
    return [*lines, *_join(results, type_, "%result"), f"ret {type_} %result"]


# ---- identity and synchronisation


def _return(expression: str) -> Body:
    """``%r = <expression>``, returned; ``{result}`` stands for the type."""
    return lambda call, _: [f"%r = {expression.format(result=call.result)}", f"ret {call.result} %r"]


def _nothing(call: Call, _: re.Match[str]) -> list[str]:
    return ["ret void"]


def _do(*lines: str) -> Body:
    return lambda call, _: [*lines, "ret void"]


def _axis(match: re.Match[str]) -> int:
    return "xyz".index(match[1])


def _workitem(call: Call, match: re.Match[str]) -> list[str]:
    # Triton launches programs of one dimension.
    return ["ret i32 0"] if _axis(match) else ["%r = call i32 @sim_thread()", "ret i32 %r"]


def _workgroup(call: Call, match: re.Match[str]) -> list[str]:
    return [f"%r = call i32 @sim_program(i32 {_axis(match)})", "ret i32 %r"]


# ---- between lanes


def _read_lane(call: Call, match: re.Match[str]) -> list[str]:
    if match[1] == "first":
        return _by_words(call.result, ["%a0"], lambda w: f"@sim_readfirstlane(i32 {w[0]}, i32 %site)")
    return _by_words(call.result, ["%a0"], lambda w: f"@sim_readlane(i32 {w[0]}, i32 %a1, i32 %site)")


def _ballot(call: Call, _: re.Match[str]) -> list[str]:
    lines = ["%v = zext i1 %a0 to i32", "%r = call i64 @sim_ballot(i32 %v, i32 %site)"]
    if call.result == "i64":
        return [*lines, "ret i64 %r"]
    return [*lines, f"%t = trunc i64 %r to {call.result}", f"ret {call.result} %t"]


def _mbcnt(call: Call, match: re.Match[str]) -> list[str]:
    high = int(match[1] == "hi")
    return [f"%r = call i32 @sim_mbcnt(i32 %a0, i32 %a1, i32 {high})", "ret i32 %r"]


def _wait_for_marks(call: Call, _: re.Match[str]) -> list[str]:
    extended = f"%left = zext {call.arguments[0]} %a0 to i32"
    return [extended, "call void @sim_copy_wait(i32 %left, i32 %site)", "ret void"]


def _read_transposed(call: Call, match: re.Match[str]) -> list[str]:
    if _bits(call.result) != 64:
        raise UnknownInstruction(f"llvm.amdgcn.{call.name}")
    return [
        f"%m = alloca {call.result}, align 8",
        f"call void @sim_read_transposed(ptr %m, ptr %a0, i32 {match[1]}, i32 %site)",
        f"%r = load {call.result}, ptr %m, align 8",
        f"ret {call.result} %r",
    ]


def _update_dpp(call: Call, _: re.Match[str]) -> list[str]:
    rest = "i32 %a2, i32 %a3, i32 %a4, i32 %bound, i32 %site"
    # `old` is often poison, which must not reach a call
    lines = [f"%old = freeze {call.result} %a0", "%bound = zext i1 %a5 to i32"]
    return lines + _by_words(
        call.result, ["%old", "%a1"], lambda w: f"@sim_dpp(i32 {w[0]}, i32 {w[1]}, {rest})"
    )


def _permlane(call: Call, match: re.Match[str]) -> list[str]:
    rest = f"i32 %a2, i32 %a3, i32 %fetch, i32 %bound, i32 {int(match[1] == 'x')}, i32 %site"
    lines = [f"%old = freeze {call.result} %a0"]
    lines += ["%fetch = zext i1 %a4 to i32", "%bound = zext i1 %a5 to i32"]
    return lines + _by_words(
        call.result, ["%old", "%a1"], lambda w: f"@sim_permlane16(i32 {w[0]}, i32 {w[1]}, {rest})"
    )


def _permlane64(call: Call, _: re.Match[str]) -> list[str]:
    return _by_words(call.result, ["%a0"], lambda w: f"@sim_permlane64(i32 {w[0]}, i32 %site)")


def _permlane_swap(call: Call, match: re.Match[str]) -> list[str]:
    if call.result != "{ i32, i32 }":
        raise UnknownInstruction(f"llvm.amdgcn.{call.name} of {call.result}")
    return [
        "%x = alloca i32",
        "%y = alloca i32",
        "store i32 %a0, ptr %x",
        "store i32 %a1, ptr %y",
        f"call void @sim_permlane_swap(ptr %x, ptr %y, i32 {match[1]}, i32 %site)",
        "%p = load i32, ptr %x",
        "%q = load i32, ptr %y",
        "%s = insertvalue { i32, i32 } poison, i32 %p, 0",
        "%r = insertvalue { i32, i32 } %s, i32 %q, 1",
        "ret { i32, i32 } %r",
    ]


# ---- matrices


def _through_memory(call: Call, operands: tuple[int, int, int], rest: str, function: str) -> list[str]:
    """Call ``function(d, a, b, c, rest)`` with A, B and C, the arguments of these numbers, in memory."""
    lines = [f"%d = alloca {call.result}, align 64"]
    for name, i in zip("abc", operands, strict=True):
        lines.append(f"%{name} = alloca {call.arguments[i]}, align 64")
        lines.append(f"store {call.arguments[i]} %a{i}, ptr %{name}, align 64")
    lines.append(f"call void @{function}(ptr %d, ptr %a, ptr %b, ptr %c, {rest}, i32 %site)")
    return [*lines, f"%r = load {call.result}, ptr %d, align 64", f"ret {call.result} %r"]


def _fp8(name: str, arch: str) -> int:
    if not arch:
        raise UnknownInstruction(f"{name}, whose format depends on the GPU, which was not said")
    fnuz = arch.startswith("gfx94")
    if name == "fp8":
        return E4M3FNUZ if fnuz else E4M3
    return E5M2FNUZ if fnuz else E5M2


def _element(name: str, arch: str) -> int:
    if name in ("fp8", "bf8"):
        return _fp8(name, arch)
    return {"f16": F16, "bf16": BF16, "bf16.1k": BF16, "xf32": TF32, "f32": F32, "f64": F64, "i8": S8}[name]


def _mfma(call: Call, match: re.Match[str]) -> list[str]:
    m, columns, k = int(match[1]), int(match[2]), int(match[3])
    first, second = match[4], match[5] or match[4]
    if m != columns:
        raise UnknownInstruction(f"llvm.amdgcn.{call.name}")
    types = [_element(name, call.arch) for name in (first, second)]
    blocks = _blocks(call, m)
    rest = f"i32 {m}, i32 {k}, i32 {blocks}, i32 {types[0]}, i32 {types[1]}, i32 %m2"
    modifiers = ["%m1 = or i32 %a3, %a4", "%m2 = or i32 %m1, %a5"]
    return modifiers + _through_memory(call, (0, 1, 2), rest, "sim_mfma")


def _mfma_scaled(call: Call, match: re.Match[str]) -> list[str]:
    """gfx950's product of 8-bit floats, whose formats are operands; only with scales of 1 (constants 0)."""
    m, k = int(match[1]), int(match[3])
    if match[1] != match[2] or any(_bits(type_) != 256 for type_ in call.arguments[:2]):
        raise UnknownInstruction(f"llvm.amdgcn.{call.name}")
    lines = []
    for name, i in (("a", 3), ("b", 4)):
        lines.append(f"%is.{name} = icmp eq i32 %a{i}, 0")
        lines.append(f"%t{name} = select i1 %is.{name}, i32 {E4M3}, i32 {E5M2}")
    lines += [f"%o{i} = or i32 %{'z' if i == 5 else f'o{i - 1}'}, %a{i}" for i in range(5, 9)]
    lines = ["%f = or i32 %a3, %a4", "%z = lshr i32 %f, 1", *lines]
    rest = f"i32 {m}, i32 {k}, i32 {_blocks(call, m)}, i32 %ta, i32 %tb, i32 %o8"
    return lines + _through_memory(call, (0, 1, 2), rest, "sim_mfma")


def _blocks(call: Call, m: int) -> int:
    """How many products an instruction computes: from the registers of its result."""
    vector = re.fullmatch(r"<(\d+) x \w+>", call.result)
    return (int(vector[1]) if vector else 1) * 64 // (m * m)


def _wmma_float(call: Call, match: re.Match[str]) -> list[str]:
    k = int(match[2])
    first, second = match[3], match[4] or match[3]
    types = [_element(name, call.arch) for name in (first, second)]
    size = 1 if first in ("fp8", "bf8") else 2
    generation = 11 if _bits(call.arguments[0]) == 8 * size * k else 12
    type_d = {"f32": F32, "f16": F16, "bf16": BF16}[match[1]]
    spread = len(call.arguments) > 3
    lines = ["%high = zext i1 %a3 to i32"] if spread else []
    rest = f"i32 {generation}, i32 {k}, i32 {types[0]}, i32 {types[1]}, i32 {type_d}, "
    rest += "i32 %high" if spread else "i32 0"
    return lines + _through_memory(call, (0, 1, 2), rest, "sim_wmma")


def _wmma_integer(call: Call, match: re.Match[str]) -> list[str]:
    k = int(match[1])
    generation = 11 if _bits(call.arguments[1]) == 8 * k else 12
    lines = [
        f"%ta = select i1 %a0, i32 {S8}, i32 {U8}",
        f"%tb = select i1 %a2, i32 {S8}, i32 {U8}",
        f"%td = select i1 %a5, i32 {S32_SATURATED}, i32 {S32}",
    ]
    rest = f"i32 {generation}, i32 {k}, i32 %ta, i32 %tb, i32 %td, i32 0"
    return lines + _through_memory(call, (1, 3, 4), rest, "sim_wmma")


# ---- conversions


def _pack_fp8(call: Call, match: re.Match[str]) -> list[str]:
    """Two floats to bytes 0 and 1, or 2 and 3 if the last argument is true, of the word %a2."""
    format_ = _fp8(match[1], call.arch)
    return [
        "%old = freeze i32 %a2",
        f"%x = call i32 @sim_to_fp8(float %a0, i32 {format_}, i32 1)",
        f"%y = call i32 @sim_to_fp8(float %a1, i32 {format_}, i32 1)",
        "%ys = shl i32 %y, 8",
        "%new = or i32 %x, %ys",
        "%shift = select i1 %a3, i32 16, i32 0",
        "%field = shl i32 65535, %shift",
        "%hole = xor i32 %field, -1",
        "%kept = and i32 %old, %hole",
        "%placed = shl i32 %new, %shift",
        "%r = or i32 %kept, %placed",
        "ret i32 %r",
    ]


def _unpack_fp8(call: Call, match: re.Match[str]) -> list[str]:
    format_ = _fp8(match[1], call.arch)
    return [
        "%shift = select i1 %a1, i32 16, i32 0",
        "%low = lshr i32 %a0, %shift",
        "%next = lshr i32 %low, 8",
        f"%x = call float @sim_from_fp8(i32 %low, i32 {format_})",
        f"%y = call float @sim_from_fp8(i32 %next, i32 {format_})",
        "%s = insertelement <2 x float> poison, float %x, i32 0",
        "%r = insertelement <2 x float> %s, float %y, i32 1",
        "ret <2 x float> %r",
    ]


def _extract_fp8(call: Call, match: re.Match[str]) -> list[str]:
    return [
        "%shift = shl i32 %a1, 3",
        "%byte = lshr i32 %a0, %shift",
        f"%r = call float @sim_from_fp8(i32 %byte, i32 {_fp8(match[1], call.arch)})",
        "ret float %r",
    ]


def _pack_half(call: Call, _: re.Match[str]) -> list[str]:
    return [
        "%x = call i16 @sim_to_half_zero(float %a0)",
        "%y = call i16 @sim_to_half_zero(float %a1)",
        "%s = insertelement <2 x i16> poison, i16 %x, i32 0",
        "%v = insertelement <2 x i16> %s, i16 %y, i32 1",
        "%r = bitcast <2 x i16> %v to <2 x half>",
        "ret <2 x half> %r",
    ]


# ---- functions: exact to the last bit where the hardware allows an error of one


def _libm(call: Call, match: re.Match[str]) -> list[str]:
    function = {"exp2": "exp2", "log": "log2", "sqrt": "sqrt"}[match[1]]
    type_ = call.result
    suffix = {"float": "f32", "double": "f64"}.get(type_)
    if suffix is None:
        raise UnknownInstruction(f"llvm.amdgcn.{call.name}")
    return [
        count("mufu"),
        f"%r = call {type_} @llvm.{function}.{suffix}({type_} %a0)",
        f"ret {type_} %r",
    ]


def _reciprocal(call: Call, match: re.Match[str]) -> list[str]:
    type_ = call.result
    lines, value = [count("mufu")], "%a0"
    if match[1] == "rsq":
        suffix = {"float": "f32", "double": "f64"}.get(type_)
        if suffix is None:
            raise UnknownInstruction(f"llvm.amdgcn.{call.name}")
        lines.append(f"%s = call {type_} @llvm.sqrt.{suffix}({type_} %a0)")
        value = "%s"
    return [*lines, f"%r = fdiv {type_} 1.0, {value}", f"ret {type_} %r"]


def _median(call: Call, _: re.Match[str]) -> list[str]:
    """fmed3: with a NaN among the three, the least of the others."""
    type_ = call.result
    suffix = {"half": "f16", "float": "f32"}.get(type_)
    if suffix is None:
        raise UnknownInstruction(f"llvm.amdgcn.{call.name}")

    def extreme(result: str, name: str, x: str, y: str) -> str:
        return f"{result} = call {type_} @llvm.{name}imumnum.{suffix}({type_} {x}, {type_} {y})"

    return [
        extreme("%low", "min", "%a0", "%a1"),
        extreme("%high", "max", "%a0", "%a1"),
        extreme("%below", "min", "%high", "%a2"),
        extreme("%middle", "max", "%low", "%below"),
        extreme("%least", "min", "%low", "%a2"),
        f"%n0 = fcmp uno {type_} %a0, %a1",
        f"%n1 = fcmp uno {type_} %a2, %a2",
        "%nan = or i1 %n0, %n1",
        f"%r = select i1 %nan, {type_} %least, {type_} %middle",
        f"ret {type_} %r",
    ]


_FLOAT = r"(f16|bf16|f32|f64|i8|xf32|fp8|bf8)"
_PATTERNS: list[tuple[str, Body]] = [
    (r"workitem\.id\.([xyz])", _workitem),
    (r"workgroup\.id\.([xyz])", _workgroup),
    (r"implicitarg\.ptr", _return("call ptr @sim_implicit_arguments()")),
    (r"wave\.id", lambda call, _: ["%t = call i32 @sim_thread()", "%r = udiv i32 %t, 32", "ret i32 %r"]),
    (r"s\.barrier", _do("call void @sim_barrier_between_fences(i32 %site)")),
    (r"s\.barrier\.signal", _do("call void @sim_barrier_signal(i32 %a0, i32 %site)")),
    (
        r"s\.barrier\.wait",
        _do("%id = sext i16 %a0 to i32", "call void @sim_barrier_wait(i32 %id, i32 %site)"),
    ),
    (r"wave\.barrier", _do("call void @sim_wave_barrier(i32 %site)")),
    # Hints to the scheduler, and waits for what has happened at once here.
    (r"s\.setprio|sched\.barrier|sched\.group\.barrier|iglp\.opt|s\.sleep|s\.nop", _nothing),
    (r"s\.waitcnt", _do("call void @sim_waitcnt(i32 %a0, i32 %site)")),
    (r"s\.wait\.\w+cnt", _nothing),
    (  # a copy of each active lane to its place behind the pointer, which is one for the wave
        r"global\.load\.async\.lds",
        _do("call void @sim_copy_of_lane(ptr %a0, ptr %a1, i32 %a2, i32 %a3, i32 %site)"),
    ),
    (r"asyncmark", _do("call void @sim_copy_commit()")),
    (r"wait\.asyncmark", _wait_for_marks),
    (r"ds\.read\.tr(8|16)\.b64\.\w+", _read_transposed),
    (r"s\.setreg", _do("call void @sim_setreg(i32 %a0, i32 %a1)")),
    (r"read(first|)lane(?:\.\w+)?", _read_lane),
    (r"ballot\.i(?:32|64)", _ballot),
    (r"mbcnt\.(lo|hi)", _mbcnt),
    (r"ds\.bpermute", _return("call i32 @sim_bpermute(i32 %a0, i32 %a1, i32 %site)")),
    (r"ds\.permute", _return("call i32 @sim_permute(i32 %a0, i32 %a1, i32 %site)")),
    (r"ds\.swizzle", _return("call i32 @sim_swizzle(i32 %a0, i32 %a1, i32 %site)")),
    (r"update\.dpp\.\w+", _update_dpp),
    (r"permlane(16|32)\.swap", _permlane_swap),
    (r"permlane(x?)16(?:\.\w+)?", _permlane),
    (r"permlane64(?:\.\w+)?", _permlane64),
    (r"perm", _return("call i32 @sim_byte_perm(i32 %a0, i32 %a1, i32 %a2)")),
    (
        rf"mfma\.(?:f32|f64|i32)\.(\d+)x(\d+)x(\d+)\.?(?:\d+b\.)?(bf16\.1k|{_FLOAT[1:-1]})(?:\.(fp8|bf8))?",
        _mfma,
    ),
    (r"mfma\.scale\.f32\.(\d+)x(\d+)x(\d+)\.f8f6f4\.v8i32\.v8i32", _mfma_scaled),
    (rf"wmma\.(f32|f16|bf16)\.16x16x(\d+)\.{_FLOAT}(?:\.(fp8|bf8))?\.v\d+\w+?\.v\d+\w+", _wmma_float),
    (r"wmma\.i32\.16x16x(\d+)\.iu8\.v8i32\.v\di32", _wmma_integer),
    (r"cvt\.pk\.(fp8|bf8)\.f32", _pack_fp8),
    (r"cvt\.pk\.f32\.(fp8|bf8)", _unpack_fp8),
    (r"cvt\.f32\.(fp8|bf8)", _extract_fp8),
    (r"cvt\.pkrtz", _pack_half),
    (r"(exp2|log|sqrt)\.\w+", _libm),
    (r"(rcp|rsq)\.\w+", _reciprocal),
    (r"fmed3\.\w+", _median),
]
