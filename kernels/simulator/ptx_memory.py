"""PTX that touches memory or waits: loads, stores, atomics, copies, barriers, fences."""

from __future__ import annotations

from . import special
from .emit import ORDERS, READS, SCOPES, SHARED, STORE, WRITES, access, atomic
from .errors import UnknownInstruction
from .ptx_types import Instruction, Registers, floating, group, ir_type, signed, width

ALL = 0xFFFFFFFF  # SIM_COPY_ALL


def _shared(i: Instruction) -> bool:
    return i.has("shared", "shared::cta")


def _known_space(i: Instruction) -> None:
    if i.has("shared::cluster", "local", "param", "mmio", "multimem"):
        raise UnknownInstruction(i.text)


def _announce(body: Registers, i: Instruction, pointer: str, size: int, kind: int) -> None:
    """Tell the runtime of a load or a store; a volatile one is a relaxed one of the system's scope."""
    _known_space(i)
    shared = SHARED if _shared(i) else 0
    if i.has("volatile", "relaxed", "acquire", "release"):
        order = ORDERS[i.first("volatile", "relaxed", "acquire", "release")]
        scope = SCOPES[i.first(*SCOPES)] if i.has(*SCOPES) else SCOPES["sys"]
        kinds = (WRITES if kind == STORE else READS) | shared
        body.function.do(atomic(pointer, size, order, scope, kinds, "%site"))
    else:
        body.function.do(access(pointer, size, kind | shared, "%site"))


def _load(body: Registers, i: Instruction) -> None:
    names, pointer, bytes_ = group(i.operands[0]), body.address(i.operands[1]), width(i.type) // 8
    _announce(body, i, pointer, bytes_ * len(names), 0)
    f, kind = body.function, f"i{8 * bytes_}"
    values = [f.value(f"load {kind}, ptr {f.element(pointer, kind, n)}, align 1") for n in range(len(names))]
    for name, value in zip(names, values, strict=True):
        if signed(i.type) and name != "_" and body.width_of(name) > 8 * bytes_:
            wide = body.width_of(name)
            body.write(name, f.value(f"sext {kind} {value} to i{wide}"), f"b{wide}")
        else:
            body.write(name, value, f"b{8 * bytes_}")


def _store(body: Registers, i: Instruction) -> None:
    names, pointer, bytes_ = group(i.operands[1]), body.address(i.operands[0]), width(i.type) // 8
    _announce(body, i, pointer, bytes_ * len(names), STORE)
    f, kind = body.function, f"i{8 * bytes_}"
    for n, name in enumerate(names):
        value = body.read(name, f"b{8 * bytes_}")
        f.do(f"store {kind} {value}, ptr {f.element(pointer, kind, n)}, align 1")


_COMPARED = {"min": "lt", "max": "gt"}
_PLAIN = {"add": "add", "and": "and", "or": "or", "xor": "xor"}


def _updated(body: Registers, i: Instruction, old: str, operands: list[str]) -> str:
    """The new value of an atomic operation."""
    f, type_ = body.function, i.type
    kind, what, x = ir_type(type_), i.first(*_PLAIN, *_COMPARED, "exch", "cas", "inc", "dec"), operands[0]
    if what == "exch":
        return x
    if what == "cas":
        equal = f.value(f"icmp eq {kind} {old}, {x}")
        return f.value(f"select i1 {equal}, {kind} {operands[1]}, {kind} {old}")
    if what == "inc":
        wrapped, more = f.value(f"icmp uge {kind} {old}, {x}"), f.value(f"add {kind} {old}, 1")
        return f.value(f"select i1 {wrapped}, {kind} 0, {kind} {more}")
    if what == "dec":
        zero, above = f.value(f"icmp eq {kind} {old}, 0"), f.value(f"icmp ugt {kind} {old}, {x}")
        wrapped, less = f.value(f"or i1 {zero}, {above}"), f.value(f"sub {kind} {old}, 1")
        return f.value(f"select i1 {wrapped}, {kind} {x}, {kind} {less}")
    if what in _COMPARED and floating(type_):
        return special.call(f, f"{what}num", kind, old, x)
    if what in _COMPARED:
        sign = "s" if signed(type_) else "u"
        return f.value(f"call {kind} @llvm.{sign}{what}.{kind}({kind} {old}, {kind} {x})")
    operation = "fadd" if floating(type_) else _PLAIN[what]
    return f.value(f"{operation} {kind} {old}, {x}")


def _atomic(body: Registers, i: Instruction) -> None:
    """`atom` gives the old value, `red` does not."""
    _known_space(i)
    f, kind = body.function, ir_type(i.type)
    names = group(i.operands[0]) if i.base == "atom" else []
    place, *rest = i.operands[1:] if i.base == "atom" else i.operands
    operations = 2 if i.has("cas") else 1
    columns = [group(operand) for operand in rest[:operations]]
    pointer, bytes_, count = body.address(place), width(i.type) // 8, len(columns[0])
    order = ORDERS[i.first(*ORDERS)] if i.has(*ORDERS) else 0
    scope = SCOPES[i.first(*SCOPES)] if i.has(*SCOPES) else SCOPES["gpu"]
    kinds = READS | WRITES | (SHARED if _shared(i) else 0)
    operands = [[body.read(column[n], i.type) for column in columns] for n in range(count)]
    f.do(atomic(pointer, bytes_ * count, order, scope, kinds, "%site"))
    for n in range(count):
        address = f.element(pointer, kind, n)
        old = f.value(f"load {kind}, ptr {address}, align 1")
        f.do(f"store {kind} {_updated(body, i, old, operands[n])}, ptr {address}, align 1")
        if names:
            body.write(names[n], old, i.type)


def _copy(body: Registers, i: Instruction) -> None:
    """`cp.async`: a copy, the end of a group, or a wait. Bulk copies (TMA) are not known."""
    f = body.function
    if i.has("bulk", "mbarrier", "reduce", "tensor") or i.parts[1] != "async":
        raise UnknownInstruction(i.text)
    if i.has("commit_group"):
        f.do("call void @sim_copy_commit()")
    elif i.has("wait_all"):
        f.do(f"call void @sim_copy_wait(i32 {ALL}, i32 %site)")
    elif i.has("wait_group"):
        f.do(f"call void @sim_copy_wait(i32 {body.read(i.operands[0], 'u32')}, i32 %site)")
    else:
        policy = i.has("L2::cache_hint")
        operands = i.operands[:-1] if policy else i.operands
        target, source = body.address(operands[0]), body.address(operands[1])
        size = body.read(operands[2], "u32")
        valid = body.read(operands[3], "u32") if len(operands) > 3 else size
        f.do(f"call void @sim_copy(ptr {target}, ptr {source}, i32 {size}, i32 {valid}, i32 %site)")


def _barrier(body: Registers, i: Instruction) -> None:
    f = body.function
    if i.has("cluster", "red") or not i.has("sync", "arrive"):
        raise UnknownInstruction(i.text)
    if i.has("warp"):
        f.do(f"call void @sim_warp_sync(i32 {body.read(i.operands[0], 'u32')}, i32 %site)")
        return
    number, *rest = (body.read(operand, "u32") for operand in i.operands)
    name = "sim_barrier" if i.has("sync") else "sim_barrier_arrive"
    f.do(f"call void @{name}(i32 {number}, i32 {rest[0] if rest else 0}, i32 %site)")


def _fence(body: Registers, i: Instruction) -> None:
    """A fence of threads, or between their accesses and those of asynchronous instructions."""
    if i.has("proxy"):
        if not i.has("async", "alias") and not any(part.startswith("async::") for part in i.parts):
            raise UnknownInstruction(i.text)
        if not i.has("alias"):  # addresses that are the same here
            body.function.do("call void @sim_proxy_fence(i32 %site)")
        return
    if i.base == "membar":
        scope, order = SCOPES[{"gl": "gpu"}.get(i.type, i.type)], ORDERS["sc"]
    else:
        scope = SCOPES[i.first(*SCOPES)]
        order = ORDERS[i.first("acq_rel", "sc", "acquire", "release")]
    body.function.do(f"call void @sim_fence(i32 {order}, i32 {scope}, i32 %site)")


def _sleep(body: Registers, i: Instruction) -> None:
    body.function.do("call void @sim_yield(i32 %site)")


def _policy(body: Registers, i: Instruction) -> None:
    """A hint for the cache, which the simulator has not."""
    body.write(i.operands[0], "0", "b64")


def _nothing(body: Registers, i: Instruction) -> None:
    """Prefetches change no result, and launches run one after another: none has to wait for one before."""


TABLE = {
    "ld": _load,
    "st": _store,
    "atom": _atomic,
    "red": _atomic,
    "cp": _copy,
    "bar": _barrier,
    "barrier": _barrier,
    "fence": _fence,
    "membar": _fence,
    "nanosleep": _sleep,
    "createpolicy": _policy,
    "prefetch": _nothing,
    "griddepcontrol": _nothing,
}
