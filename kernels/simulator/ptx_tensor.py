"""PTX of sm_90 and later: barriers in shared memory (`mbarrier`), tensor memory (`tcgen05`)."""

from __future__ import annotations

import re

from .errors import UnknownInstruction
from .ptx_types import Instruction, Registers, group

#: `kind` of `sim_tensor_product`.
KINDS = {"kind::f16": 0, "kind::tf32": 1, "kind::f8f6f4": 2, "kind::i8": 3}


def _mbarrier(body: Registers, i: Instruction) -> None:
    """Those without transactions."""
    f = body.function
    what = i.first("init", "inval", "arrive", "try_wait", "test_wait")
    if what == "init":
        count = body.read(i.operands[1], "u32")
        f.do(f"call void @sim_mbarrier_init(ptr {body.address(i.operands[0])}, i32 {count}, i32 %site)")
    elif what == "inval":
        f.do(f"call void @sim_mbarrier_inval(ptr {body.address(i.operands[0])}, i32 %site)")
    elif (
        what == "arrive" and not i.has("expect_tx", "noComplete", "shared::cluster") and i.operands[0] == "_"
    ):
        count = body.read(i.operands[2], "u32") if len(i.operands) > 2 else "1"
        f.do(f"call void @sim_mbarrier_arrive(ptr {body.address(i.operands[1])}, i32 {count}, i32 %site)")
    elif what.endswith("_wait") and i.has("parity"):
        place, parity = body.address(i.operands[1]), body.read(i.operands[2], "u32")
        ended = f.value(f"call i32 @sim_mbarrier_try_wait(ptr {place}, i32 {parity}, i32 %site)")
        body.write(i.operands[0], f.value(f"trunc i32 {ended} to i1"), "pred")
    else:
        raise UnknownInstruction(i.text)


def _tensor(body: Registers, i: Instruction) -> None:
    """`tcgen05` of one CTA."""
    if i.has("cta_group::2"):
        raise UnknownInstruction(i.text)
    {
        "alloc": _allocate,
        "dealloc": _release,
        "relinquish_alloc_permit": _nothing,
        "ld": _move,
        "st": _move,
        "wait": _nothing,
        "mma": _product,
        "commit": _commit,
        "fence": _nothing,
    }[i.parts[1]](body, i)


def _nothing(body: Registers, i: Instruction) -> None:
    """Programs can always allocate here, and loads and stores are done at once."""


def _allocate(body: Registers, i: Instruction) -> None:
    columns = body.read(i.operands[1], "u32")
    place = body.address(i.operands[0])
    body.function.do(f"call void @sim_tensor_allocate(ptr {place}, i32 {columns}, i32 %site)")


def _release(body: Registers, i: Instruction) -> None:
    address, columns = (body.read(operand, "u32") for operand in i.operands)
    body.function.do(f"call void @sim_tensor_release(i32 {address}, i32 {columns}, i32 %site)")


def _place(body: Registers, text: str) -> str:
    """The address of `[ $1 + 16 ]` in tensor memory."""
    match = re.fullmatch(r"\[\s*([$%\w]+)\s*(?:\+\s*(-?\w+)\s*)?\]", text)
    if match is None:
        raise UnknownInstruction(f"address {text}")
    return body.function.value(f"add i32 {body.read(match[1], 'u32')}, {int(match[2] or '0', 0)}")


def _move(body: Registers, i: Instruction) -> None:
    """Rows of 32 bits between a warp and its quarter of the lanes, or half a quarter in two places."""
    if i.parts[2:4] != ("sync", "aligned") or i.type != "b32" or len(i.parts) != 7:
        raise UnknownInstruction(i.text)
    f, load = body.function, i.parts[1] == "ld"
    registers, place, *split = i.operands if load else (i.operands[-1], *i.operands[:-1])
    if len(split) != {"32x32b": 0, "16x32bx2": 1}.get(i.parts[4]):
        raise UnknownInstruction(i.text)
    names, place = group(registers), _place(body, place)
    memory = (
        f.allocate(f"[{len(names)} x i32]") if load else f.array([body.read(n, "b32") for n in names], "i32")
    )
    name = "load" if load else "store"
    second = body.read(split[0], "u32") if split else "-1"
    f.do(
        f"call void @sim_tensor_{name}(ptr {memory}, i32 {place}, i32 {second}, i32 {len(names)}, i32 %site)"
    )
    if load:
        for register, value in zip(names, f.elements(memory, "i32", len(names)), strict=True):
            body.write(register, value, "b32")


def _product(body: Registers, i: Instruction) -> None:
    """`tcgen05.mma [d], a-desc | [a], b-desc, idesc, enable-input-d`."""
    kind = KINDS[i.first(*KINDS)]
    if len(i.parts) != 4 or len(i.operands) != 5:
        raise UnknownInstruction(i.text)
    d, a, b, descriptor, adds = i.operands
    f, in_tensor = body.function, a.startswith("[")
    left = f.value(f"zext i32 {_place(body, a)} to i64") if in_tensor else body.read(a, "b64")
    keep = f.value(f"zext i1 {body.read(adds, 'pred')} to i32")
    f.do(
        f"call void @sim_tensor_product(i32 {_place(body, d)}, i64 {left}, i32 {int(in_tensor)}, "
        f"i64 {body.read(b, 'b64')}, i32 {body.read(descriptor, 'b32')}, i32 {keep}, i32 {kind}, i32 %site)"
    )


def _commit(body: Registers, i: Instruction) -> None:
    if i.has("multicast::cluster"):
        raise UnknownInstruction(i.text)
    body.function.do(f"call void @sim_tensor_commit(ptr {body.address(i.operands[0])}, i32 %site)")


TABLE = {"mbarrier": _mbarrier, "tcgen05": _tensor}
