"""PTX that the lanes of a warp do together: matrix products, fragments, shuffles."""

from __future__ import annotations

import re
from collections.abc import Sequence

from . import formats
from .errors import UnknownInstruction
from .ptx_types import Instruction, Registers, group

#: The formats by PTX's names.
FORMATS = {
    name: getattr(formats, name.upper())
    for name in ("f16", "bf16", "tf32", "f32", "f64", "s8", "u8", "e4m3", "e5m2", "s32")
}

SHUFFLES = {"idx": 0, "up": 1, "down": 2, "bfly": 3}
VOTES = {"all": 0, "any": 1, "uni": 2, "ballot": 3}
REDUX = {"add": 0, "smin": 1, "smax": 2, "umin": 3, "umax": 4, "and": 5, "or": 6, "xor": 7}
REDUX |= {"fmin": 8, "fmax": 9, "fminnan": 10, "fmaxnan": 11}


def _registers(body: Registers, names: Sequence[str], type_: str) -> str:
    """This thread's registers as an array in memory."""
    return body.function.array([body.read(name, type_) for name in names], f"i{type_[1:]}")


def _product(body: Registers, i: Instruction) -> None:
    """`mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 d, a, b, c`."""
    if i.has("sp", "block_scale") or any("::" in part for part in i.parts) or not i.has("row"):
        raise UnknownInstruction(i.text)
    shape = next(match for part in i.parts if (match := re.fullmatch(r"m(\d+)n8k(\d+)", part)))
    type_d, type_a, type_b, _ = i.parts[-4:]
    d, a, b, c = (group(operand) for operand in i.operands)
    unit = "b64" if type_d == "f64" else "b32"
    places = [_registers(body, names, unit) for names in (a, b, c)]
    result = body.function.allocate(f"[{len(d)} x i{unit[1:]}]")
    kind_d = formats.S32_SATURATED if i.has("satfinite") else FORMATS[type_d]
    pointers = ", ".join(f"ptr {place}" for place in (result, *places))
    numbers = [int(shape[1]), int(shape[2]), FORMATS[type_a], FORMATS[type_b], kind_d]
    listed = ", ".join(f"i32 {number}" for number in numbers)
    body.function.do(f"call void @sim_mma({pointers}, {listed}, i32 %site)")
    _write_all(body, d, result, unit)


def _write_all(body: Registers, names: Sequence[str], memory: str, unit: str) -> None:
    values = body.function.elements(memory, f"i{unit[1:]}", len(names))
    for name, value in zip(names, values, strict=True):
        body.write(name, value, unit)


def _group_product(body: Registers, i: Instruction) -> None:
    """`wgmma`: the product at once. Until its group is waited for, memory and registers belong to it.

    Its operands are d, a, b, scale-d[, imm-scale-a, imm-scale-b[[, imm-trans-a], imm-trans-b]]: integers have
    no scales, only 16-bit types are transposed, and registers never are.
    """
    if not i.has("mma_async"):
        _group(body, i)
        return
    if i.has("sp"):
        raise UnknownInstruction(i.text)
    f = body.function
    n = int(next(match for part in i.parts if (match := re.fullmatch(r"m64n(\d+)k\d+", part)))[1])
    type_d, type_a, type_b = (part for part in i.parts if part in FORMATS)
    d, a, b, scale, *immediate = i.operands
    in_registers = a.startswith("{")
    scales = [int(text) for text in immediate[:2]] or [1, 1]
    transposed = [int(text) for text in immediate[2:]]
    trans = {0: [0, 0], 1: [0, *transposed], 2: transposed}[len(transposed)]
    names = group(d)
    memory = _registers(body, names, "b32")
    fragment = _registers(body, group(a), "b32") if in_registers else "null"
    descriptor = "0" if in_registers else body.read(a, "b64")
    keep = f.value(f"zext i1 {body.read(scale, 'pred')} to i32")
    kind_d = formats.S32_SATURATED if i.has("satfinite") else FORMATS[type_d]
    numbers = [f"i32 {x}" for x in (n, FORMATS[type_a], FORMATS[type_b], kind_d, keep)]
    numbers += [f"i32 {int(scale < 0)}" for scale in scales] + [f"i32 {x}" for x in trans]
    f.do(
        f"call void @sim_wgmma(ptr {memory}, ptr {fragment}, i64 {descriptor}, i64 {body.read(b, 'b64')}, "
        f"{', '.join(numbers)}, i32 %site)"
    )
    _write_all(body, names, memory, "b32")


def _group(body: Registers, i: Instruction) -> None:
    """What fences, ends and waits for groups of products."""
    if i.has("fence"):
        body.function.do("call void @sim_product_fence()")
    elif i.has("commit_group"):
        body.function.do("call void @sim_product_commit()")
    elif i.has("wait_group"):
        pending = body.read(i.operands[0], "u32")
        body.function.do(f"call void @sim_product_wait(i32 {pending}, i32 %site)")
    else:
        raise UnknownInstruction(i.text)


def _fragments(body: Registers, i: Instruction) -> None:
    """`ldmatrix` and `stmatrix` of 8 x 8 matrices of 16-bit elements."""
    if not i.has("m8n8") or i.type != "b16":
        raise UnknownInstruction(i.text)
    count, trans = int(i.first("x1", "x2", "x4")[1:]), int(i.has("trans"))
    load = i.base == "ldmatrix"
    names, place = (i.operands[0], i.operands[1]) if load else (i.operands[1], i.operands[0])
    row = body.address(place)
    memory = body.function.allocate(f"[{count} x i32]") if load else _registers(body, group(names), "b32")
    body.function.do(f"call void @sim_{i.base}(ptr {memory}, ptr {row}, i32 {count}, i32 {trans}, i32 %site)")
    if load:
        _write_all(body, group(names), memory, "b32")


def _shuffle(body: Registers, i: Instruction) -> None:
    f = body.function
    name, _, predicate = i.operands[0].partition("|")
    value, lane, clamp, *members = (body.read(operand, "b32") for operand in i.operands[1:])
    memory = f.allocate("i32") if predicate else "null"
    result = f.value(
        f"call i32 @sim_shuffle(i32 {value}, i32 {lane}, i32 {clamp}, i32 {SHUFFLES[i.first(*SHUFFLES)]}, "
        f"i32 {members[0]}, ptr {memory}, i32 %site)"
    )
    body.write(name, result, "b32")
    if predicate:
        body.write(predicate, f.value(f"trunc i32 {f.value(f'load i32, ptr {memory}')} to i1"), "pred")


def _vote(body: Registers, i: Instruction) -> None:
    f, mode = body.function, i.first(*VOTES)
    value = f.value(f"zext i1 {body.read(i.operands[1], 'pred')} to i32")
    members = body.read(i.operands[2], "b32")
    result = f.value(f"call i32 @sim_vote(i32 {value}, i32 {VOTES[mode]}, i32 {members}, i32 %site)")
    if mode == "ballot":
        body.write(i.operands[0], result, "b32")
    else:
        body.write(i.operands[0], f.value(f"trunc i32 {result} to i1"), "pred")


def _redux(body: Registers, i: Instruction) -> None:
    what = i.first("add", "min", "max", "and", "or", "xor")
    name = {"s": "s", "u": "u"}.get(i.type[0], "") + what if what in ("min", "max") else what
    value, members = (body.read(operand, "b32") for operand in i.operands[1:])
    result = body.function.value(
        f"call i32 @sim_redux(i32 {value}, i32 {REDUX[name]}, i32 {members}, i32 %site)"
    )
    body.write(i.operands[0], result, "b32")


TABLE = {
    "mma": _product,
    "wgmma": _group_product,
    "ldmatrix": _fragments,
    "stmatrix": _fragments,
    "shfl": _shuffle,
    "vote": _vote,
    "redux": _redux,
}
