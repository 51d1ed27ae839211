"""PTX that computes from its operands alone."""

from __future__ import annotations

import re
from collections.abc import Callable

from . import special
from .emit import Function
from .errors import UnknownInstruction
from .ptx_matrix import FORMATS
from .ptx_types import Instruction, Registers, floating, group, ir_type, signed, width

#: The register that `.cc` writes.
CARRY = "%cc"


def _exact_rounding(i: Instruction) -> None:
    if i.has("rz", "rm", "rp"):
        raise UnknownInstruction(i.text)


def _move(body: Registers, i: Instruction) -> None:
    """`mov`, also from a group of registers to one that has all their bits, and back."""
    target, source = i.operands
    if source.startswith("{"):
        body.write(target, _packed(body, group(source), width(i.type)), f"b{width(i.type)}")
    elif target.startswith("{"):
        names = group(target)
        part, whole = width(i.type) // len(names), body.read(source, f"b{width(i.type)}")
        for n, name in enumerate(names):
            moved = body.function.value(f"lshr i{width(i.type)} {whole}, {n * part}")
            cut = body.function.value(f"trunc i{width(i.type)} {moved} to i{part}")
            body.write(name, cut, f"b{part}")
    else:
        body.write(target, body.read(source, i.type), i.type)


def _packed(body: Registers, names: list[str], total: int) -> str:
    """The bits of several registers, the first the lowest."""
    f, part, whole = body.function, total // len(names), "0"
    for n, name in enumerate(names):
        wide = f.value(f"zext i{part} {body.read(name, f'b{part}')} to i{total}")
        moved = f.value(f"shl i{total} {wide}, {n * part}")
        whole = f.value(f"or i{total} {whole}, {moved}")
    return whole


def _binary(body: Registers, i: Instruction) -> None:
    """add, sub, mul, div, rem, min, max."""
    if floating(i.type):
        _float_binary(body, i)
    elif i.base == "mul":
        _multiplied(body, i)
    elif i.has("sat"):
        raise UnknownInstruction(i.text)
    elif i.has("cc"):
        _carried(body, i, *(body.read(operand, i.type) for operand in i.operands[1:]))
    else:
        f, kind = body.function, ir_type(i.type)
        x, y = (body.read(operand, i.type) for operand in i.operands[1:])
        sign = "s" if signed(i.type) else "u"
        if i.base in ("min", "max"):
            value = f.value(f"call {kind} @llvm.{sign}{i.base}.{kind}({kind} {x}, {kind} {y})")
        else:
            name = {"div": f"{sign}div", "rem": f"{sign}rem"}.get(i.base, i.base)
            value = f.value(f"{name} {kind} {x}, {y}")
        body.write(i.operands[0], value, i.type)


def _float_binary(body: Registers, i: Instruction) -> None:
    _exact_rounding(i)
    f, kind = body.function, ir_type(i.type)
    x, y = (body.read(operand, i.type) for operand in i.operands[1:])
    if i.has("ftz"):
        x, y = special.flushed(f, x, kind), special.flushed(f, y, kind)
    if i.base == "div":
        value = special.quotient(f, kind, x, y)
    elif i.base in ("min", "max"):
        value = special.extreme(f, i.base, kind, x, y, nan=i.has("NaN"))
    else:
        value = f.value(f"f{i.base} {kind} {x}, {y}")
    _finish(body, i, value)


def _finish(body: Registers, i: Instruction, value: str) -> None:
    """Write a result after .ftz, .sat or .relu."""
    f, kind = body.function, ir_type(i.type)
    if i.has("ftz"):
        value = special.flushed(f, value, kind)
    if i.has("sat"):
        value = special.saturated(f, kind, value)
    if i.has("relu", "xorsign"):
        raise UnknownInstruction(i.text)
    body.write(i.operands[0], value, i.type)


def _multiplied(body: Registers, i: Instruction) -> None:
    """Integer `mul` and `mad`: .lo, .hi, .wide."""
    if i.has("sat"):
        raise UnknownInstruction(i.text)
    f, bits_, extend = body.function, width(i.type), "sext" if signed(i.type) else "zext"
    double = f"i{2 * bits_}"
    x, y = (
        f.value(f"{extend} i{bits_} {body.read(operand, i.type)} to {double}") for operand in i.operands[1:3]
    )
    product, mode = f.value(f"mul {double} {x}, {y}"), i.first("lo", "hi", "wide")
    type_, kind = (f"{i.type[0]}{2 * bits_}", double) if mode == "wide" else (i.type, f"i{bits_}")
    if mode == "hi":
        product = f.value(f"lshr {double} {product}, {bits_}")
    if mode != "wide":
        product = f.value(f"trunc {double} {product} to {kind}")
    if i.base == "madc" or i.has("cc"):
        _carried(body, i, product, body.read(i.operands[3], type_))
        return
    if i.base == "mad":
        product = f.value(f"add {kind} {product}, {body.read(i.operands[3], type_)}")
    body.write(i.operands[0], product, type_)


def _carried(body: Registers, i: Instruction, x: str, y: str) -> None:
    """An addition or subtraction that takes the carry (`addc`, `madc`), or leaves one (`.cc`)."""
    f, kind = body.function, ir_type(i.type)
    wide = f"i{width(i.type) + 1}"
    first, second = (f.value(f"zext {kind} {value} to {wide}") for value in (x, y))
    operation = "sub" if i.base.startswith("sub") else "add"
    total = f.value(f"{operation} {wide} {first}, {second}")
    if i.base.endswith("c"):
        carry = f.value(f"zext i1 {body.read(CARRY, 'pred')} to {wide}")
        total = f.value(f"{operation} {wide} {total}, {carry}")
    if i.has("cc"):
        over = f.value(f"lshr {wide} {total}, {width(i.type)}")
        body.write(CARRY, f.value(f"trunc {wide} {over} to i1"), "pred")
    body.write(i.operands[0], f.value(f"trunc {wide} {total} to {kind}"), i.type)


def _with_carry(body: Registers, i: Instruction) -> None:
    """addc, subc."""
    _carried(body, i, *(body.read(operand, i.type) for operand in i.operands[1:]))


def _fused(body: Registers, i: Instruction) -> None:
    """`fma` and `mad` of floating point: one rounding."""
    if not floating(i.type):
        _multiplied(body, i)
        return
    _exact_rounding(i)
    f, kind = body.function, ir_type(i.type)
    values = [body.read(operand, i.type) for operand in i.operands[1:]]
    if i.has("ftz"):
        values = [special.flushed(f, value, kind) for value in values]
    _finish(body, i, special.call(f, "fma", kind, *values))


def _sign(body: Registers, i: Instruction) -> None:
    """neg, abs."""
    f, kind = body.function, ir_type(i.type)
    x = body.read(i.operands[1], i.type)
    if floating(i.type):
        value = f.value(f"fneg {kind} {x}") if i.base == "neg" else special.call(f, "fabs", kind, x)
        _finish(body, i, value)
        return
    value = f.value(f"sub {kind} 0, {x}")
    if i.base == "abs":
        value = f.value(f"call {kind} @llvm.smax.{kind}({kind} {x}, {kind} {value})")
    body.write(i.operands[0], value, i.type)


def _bitwise(body: Registers, i: Instruction) -> None:
    """and, or, xor, not."""
    kind = ir_type(i.type)
    values = [body.read(operand, i.type) for operand in i.operands[1:]]
    name, last = ("xor", "-1") if i.base == "not" else (i.base, values[-1])
    body.write(i.operands[0], body.function.value(f"{name} {kind} {values[0]}, {last}"), i.type)


def _shift(body: Registers, i: Instruction) -> None:
    """shl, shr by a 32-bit number; more than there are bits gives what the last of them would."""
    f, kind, bits_ = body.function, ir_type(i.type), width(i.type)
    x, amount = body.read(i.operands[1], i.type), body.read(i.operands[2], "u32")
    name = "shl" if i.base == "shl" else "ashr" if signed(i.type) else "lshr"
    most = f.value(f"call i32 @llvm.umin.i32(i32 {amount}, i32 {bits_ - 1})")
    moved = f.value(f"{name} {kind} {x}, {f.bitcast(most, 'i32', kind)}")
    if name != "ashr":
        outside = f.value(f"icmp uge i32 {amount}, {bits_}")
        moved = f.value(f"select i1 {outside}, {kind} 0, {kind} {moved}")
    body.write(i.operands[0], moved, i.type)


def _funnel(body: Registers, i: Instruction) -> None:
    """`shf.l.wrap.b32 d, a, b, c`: the upper half of b:a moved left by c, or the lower one moved right."""
    f = body.function
    low, high, amount = (body.read(operand, "b32") for operand in i.operands[1:])
    if i.has("clamp"):  # LLVM's funnel shifts wrap
        amount = f.value(f"call i32 @llvm.umin.i32(i32 {amount}, i32 32)")
    left = i.first("l", "r") == "l"
    moved = f.value(f"call i32 @llvm.fsh{'l' if left else 'r'}.i32(i32 {high}, i32 {low}, i32 {amount})")
    if i.has("clamp"):
        whole = f.value(f"icmp eq i32 {amount}, 32")
        moved = f.value(f"select i1 {whole}, i32 {low if left else high}, i32 {moved}")
    body.write(i.operands[0], moved, "b32")


def _logic(body: Registers, i: Instruction) -> None:
    """`lop3.b32 d, a, b, c, table`: bit 4a+2b+c of the table for each bit."""
    if i.has("BOOL"):
        raise UnknownInstruction(i.text)
    f, table = body.function, int(i.operands[4], 0)
    plain = [body.read(operand, "b32") for operand in i.operands[1:4]]
    inverse = [f.value(f"xor i32 {value}, -1") for value in plain]
    result = "0"
    for row in range(8):
        if table >> row & 1:
            a, b, c = (plain[n] if row >> (2 - n) & 1 else inverse[n] for n in range(3))
            term = f.value(f"and i32 {f.value(f'and i32 {a}, {b}')}, {c}")
            result = f.value(f"or i32 {result}, {term}")
    body.write(i.operands[0], result, "b32")


def _permute(body: Registers, i: Instruction) -> None:
    if i.parts != ("prmt", "b32"):
        raise UnknownInstruction(i.text)
    a, b, selector = (body.read(operand, "b32") for operand in i.operands[1:])
    result = body.function.value(f"call i32 @sim_prmt(i32 {a}, i32 {b}, i32 {selector})")
    body.write(i.operands[0], result, "b32")


_INTEGER = {"eq": "eq", "ne": "ne", "lt": "lt", "le": "le", "gt": "gt", "ge": "ge"}
_UNSIGNED = {"lo": "ult", "ls": "ule", "hi": "ugt", "hs": "uge"}
_ORDERED = {name: f"o{name}" for name in ("eq", "lt", "le", "gt", "ge")} | {"ne": "one"}
_UNORDERED = {f"{name}u": f"u{name}" for name in ("eq", "ne", "lt", "le", "gt", "ge")}
_FLOAT = {**_ORDERED, **_UNORDERED, "num": "ord", "nan": "uno"}


def _compared(body: Registers, i: Instruction) -> str:
    f, kind, what = body.function, ir_type(i.type), i.parts[1]
    x, y = (body.read(operand, i.type) for operand in i.operands[1:3])
    if floating(i.type):
        if i.has("ftz"):
            x, y = special.flushed(f, x, kind), special.flushed(f, y, kind)
        return f.value(f"fcmp {_FLOAT[what]} {kind} {x}, {y}")
    if what in _UNSIGNED:
        name = _UNSIGNED[what]
    else:
        name = what if what in ("eq", "ne") else ("s" if signed(i.type) else "u") + _INTEGER[what]
    return f.value(f"icmp {name} {kind} {x}, {y}")


def _set_predicate(body: Registers, i: Instruction) -> None:
    if i.has("and", "or", "xor") or len(i.operands) != 3 or "|" in i.operands[0]:
        raise UnknownInstruction(i.text)
    body.write(i.operands[0], _compared(body, i), "pred")


def _set(body: Registers, i: Instruction) -> None:
    """`set.nan.f16x2.f16x2`: 1.0 in each half where it holds, else 0."""
    if i.parts[2:] != ("f16x2", "f16x2"):
        raise UnknownInstruction(i.text)
    f, kind = body.function, ir_type(i.type)
    x, y = (body.read(operand, i.type) for operand in i.operands[1:])
    holds = f.value(f"fcmp {_FLOAT[i.parts[1]]} {kind} {x}, {y}")
    body.write(i.operands[0], f.value(f"uitofp <2 x i1> {holds} to {kind}"), i.type)


def _select(body: Registers, i: Instruction) -> None:
    kind = ir_type(i.type)
    x, y = (body.read(operand, i.type) for operand in i.operands[1:3])
    condition = body.read(i.operands[3], "pred")
    value = body.function.value(f"select i1 {condition}, {kind} {x}, {kind} {y}")
    body.write(i.operands[0], value, i.type)


def _special(body: Registers, i: Instruction) -> None:
    _exact_rounding(i)
    x = body.read(i.operands[1], i.type)
    kind = ir_type(i.type)
    body.write(i.operands[0], special.special(body.function, i.base, kind, x, ftz=i.has("ftz")), i.type)


def _count_bits(body: Registers, i: Instruction) -> None:
    """popc, clz (32-bit results), brev."""
    f, kind = body.function, ir_type(i.type)
    x = body.read(i.operands[1], i.type)
    name, more = {"popc": ("ctpop", ""), "clz": ("ctlz", ", i1 false"), "brev": ("bitreverse", "")}[i.base]
    value = f.value(f"call {kind} @llvm.{name}.{kind}({kind} {x}{more})")
    if i.base == "brev":
        body.write(i.operands[0], value, i.type)
    else:
        body.write(i.operands[0], f.bitcast(value, kind, "i32"), "b32")


def _address(body: Registers, i: Instruction) -> None:
    """`cvta`: every space is the host's."""
    body.write(i.operands[0], body.read(i.operands[1], i.type), i.type)


# ---- conversions


def _convert(body: Registers, i: Instruction) -> None:
    """`cvt…DESTINATION.SOURCE`."""
    target, source = i.parts[-2:]
    if target in ("e4m3x2", "e5m2x2") or source in ("e4m3x2", "e5m2x2"):
        _convert_bytes(body, i, target, source)
    elif target in ("f16x2", "bf16x2") and source == "f32":
        high, low = (_narrowed(body, i, operand, target[:-2]) for operand in i.operands[1:])
        body.write(i.operands[0], _joined(body.function, high, low, 16), "b32")
    elif target in ("f16", "bf16") and source == "f32":
        body.write(i.operands[0], _narrowed(body, i, i.operands[1], target), "b16")
    elif target == "tf32":
        if not i.has("rna", "rn") or i.has("satfinite", "relu"):
            raise UnknownInstruction(i.text)
        name = "sim_to_tf32_away" if i.has("rna") else "sim_to_tf32"
        x = body.read(i.operands[1], "f32")
        body.write(i.operands[0], body.function.value(f"call float @{name}(float {x})"), "f32")
    else:
        _convert_number(body, i, target, source)


def _joined(f: Function, high: str, low: str, part: int) -> str:
    """Two values side by side in an integer of twice the bits."""
    wide = [f.value(f"zext i{part} {value} to i{2 * part}") for value in (high, low)]
    return f.value(f"or i{2 * part} {f.value(f'shl i{2 * part} {wide[0]}, {part}')}, {wide[1]}")


def _narrowed(body: Registers, i: Instruction, operand: str, target: str) -> str:
    if i.has("relu", "satfinite", "rs") or not i.has("rn", "rz"):
        raise UnknownInstruction(i.text)
    name = {"f16": "sim_to_half", "bf16": "sim_to_bfloat"}[target] + ("_zero" if i.has("rz") else "")
    return body.function.value(f"call i16 @{name}(float {body.read(operand, 'f32')})")


def _convert_bytes(body: Registers, i: Instruction, target: str, source: str) -> None:
    """Pairs of 8-bit floats from float32 or float16, and to float16."""
    f = body.function
    known = {source, target} & {"f16x2", "f32"}
    if i.has("relu") or not known or target == "f32":
        raise UnknownInstruction(i.text)
    if target == "f16x2":
        format_, whole = FORMATS[source[:-2]], body.read(i.operands[1], "b16")
        wide = f.value(f"zext i16 {whole} to i32")
        parts = [f.value(f"lshr i32 {wide}, 8"), f.value(f"and i32 {wide}, 255")]
        numbers = [f.value(f"call float @sim_from_fp8(i32 {part}, i32 {format_})") for part in parts]
        halves = [f.value(f"call i16 @sim_to_half(float {number})") for number in numbers]
        body.write(i.operands[0], _joined(f, halves[0], halves[1], 16), "b32")
        return
    if source == "f32":
        high, low = (body.read(operand, "f32") for operand in i.operands[1:])
    else:
        pair = body.read(i.operands[1], "f16x2")
        elements = [f.value(f"extractelement <2 x half> {pair}, i32 {n}") for n in (1, 0)]
        high, low = (f.value(f"fpext half {element} to float") for element in elements)
    format_ = FORMATS[target[:-2]]
    bytes_ = [
        f.value(f"call i32 @sim_to_fp8(float {value}, i32 {format_}, i32 {int(i.has('satfinite'))})")
        for value in (high, low)
    ]
    cut = [f.value(f"trunc i32 {value} to i8") for value in bytes_]
    body.write(i.operands[0], _joined(f, cut[0], cut[1], 8), "b16")


_TO_INTEGER = {"rni": "roundeven", "rzi": "trunc", "rmi": "floor", "rpi": "ceil"}


def _convert_number(body: Registers, i: Instruction, target: str, source: str) -> None:
    """Between integers and plain floats."""
    f, kind, old = body.function, ir_type(target), ir_type(source)
    x, rounding = body.read(i.operands[1], source), [part for part in i.parts if part in _TO_INTEGER]
    if re.search("x2|8$", target + source) and (floating(target) or floating(source)):
        raise UnknownInstruction(i.text)
    if i.has("sat", "satfinite", "relu", "rz", "rm", "rp"):
        raise UnknownInstruction(i.text)
    sign = "s" if signed(target if floating(source) else source) else "u"
    if i.has("ftz") and floating(source):
        x = special.flushed(f, x, old)
    if floating(source) and rounding:
        x = special.call(f, _TO_INTEGER[rounding[0]], old, x)
    if floating(target) and floating(source):
        more, less = width(target) > width(source), width(target) < width(source)
        if not more and not less and kind != old:  # half and bfloat
            x, old, less = f.value(f"fpext {old} {x} to float"), "float", True
        value = f.value(f"{'fpext' if more else 'fptrunc'} {old} {x} to {kind}") if more or less else x
    elif floating(source):
        name = f"llvm.fpto{sign}i.sat.{kind}.{special.suffix(old)}"
        value = f.value(f"call {kind} @{name}({old} {x})")
    elif floating(target):
        value = f.value(f"{sign}itofp {old} {x} to {kind}")
    else:
        more = width(target) > width(source)
        value = x
        if width(target) != width(source):
            extend = "sext" if sign == "s" else "zext"
            value = f.value(f"{extend if more else 'trunc'} {old} {x} to {kind}")
    if i.has("ftz") and floating(target):
        value = special.flushed(f, value, kind)
    body.write(i.operands[0], value, target)


TABLE: dict[str, Callable[[Registers, Instruction], None]] = {
    "mov": _move,
    **dict.fromkeys(("add", "sub", "mul", "div", "rem", "min", "max"), _binary),
    **dict.fromkeys(("fma", "mad", "madc"), _fused),
    **dict.fromkeys(("addc", "subc"), _with_carry),
    **dict.fromkeys(("neg", "abs"), _sign),
    **dict.fromkeys(("and", "or", "xor", "not"), _bitwise),
    **dict.fromkeys(("shl", "shr"), _shift),
    "shf": _funnel,
    "lop3": _logic,
    "prmt": _permute,
    "setp": _set_predicate,
    "set": _set,
    "selp": _select,
    **dict.fromkeys(("ex2", "lg2", "rcp", "sqrt", "rsqrt", "sin", "cos", "tanh"), _special),
    **dict.fromkeys(("popc", "clz", "brev"), _count_bits),
    "cvt": _convert,
    "cvta": _address,
}
