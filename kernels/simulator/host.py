"""What the host takes as it is: instructions and LLVM's own intrinsics.

Also their text without the address spaces, orders and scopes that the host has not.
"""

from __future__ import annotations

import re

from .emit import ORDERS
from .errors import UnknownInstruction
from .text import Operand, closing, operand, size, split

#: LLVM's scopes of synchronisation, as numbers of emit.SCOPES; without one it is the system. Those of one
#: address space ("workgroup-one-as") are not known.
_SCOPES = {
    "block": 0,
    "workgroup": 0,
    "cluster": 1,
    "device": 2,
    "agent": 2,
}
_SYSTEM = 3

#: LLVM's own intrinsics that compute from their operands alone, which the host's code generator has as well.
PURE = re.compile(
    r"llvm\.(?:fmuladd|fma|exp2|exp|exp10|log2|log|log10|sin|cos|tan|tanh|sqrt|pow|powi|fabs|floor|ceil|trunc|rint"
    r"|nearbyint|frexp|round|roundeven|copysign|ldexp|minnum|maxnum|minimum|maximum|minimumnum|maximumnum"
    r"|[us](?:min|max)|abs|ctpop|ctlz|cttz|bitreverse|bswap|fsh[lr]|[us](?:add|sub|shl)\.sat"
    r"|[us](?:add|sub|mul)\.with\.overflow|fpto[us]i\.sat|is\.fpclass|vector\.reduce\.\w+|[us]cmp)\.[\w.]+"
)
#: Those that only inform the optimiser.
IGNORED = re.compile(r"llvm\.(?:assume|dbg\.\w+|lifetime\.\w+|experimental\.noalias\.scope\.decl)(?:\.\w+)*")

FLAGS = r"(?:(?:fast|nnan|ninf|nsz|arcp|contract|afn|reassoc) )*"
CALL = re.compile(r"(?:(?:tail|musttail|notail) )?call (" + FLAGS + r")(?:fastcc |ccc |cc\d+ )?(.*)")
NAME = r'(?:[\w.$-]+|"[^"]+")'


_INTEGER = "add|sub|mul|udiv|sdiv|urem|srem|shl|lshr|ashr|and|or|xor|icmp"
_FLOAT = "fadd|fsub|fmul|fdiv|frem|fneg|fcmp"
_CASTS = "trunc|zext|sext|fpext|fptoui|fptosi|uitofp|sitofp|ptrtoint|inttoptr|bitcast|addrspacecast"
_VALUES = "select|phi|freeze|extractelement|insertelement|shufflevector|extractvalue|insertvalue"
_OTHERS = "br|switch|ret|unreachable|getelementptr|alloca"
#: Instructions that mean here what they mean there; the last ones are the further lines of a switch.
COPIED = re.compile(rf"{_INTEGER}|{_FLOAT}|{_CASTS}|{_VALUES}|{_OTHERS}|\]|i(?:8|16|32|64)")


def plain(text: str) -> str:
    """Without address spaces."""
    return re.sub(r" ?addrspace\(\d+\)", "", text)


def cast(text: str) -> str:
    """A cast between address spaces as one of the pointer to itself."""
    return re.sub(r"^addrspacecast (.*)$", r"bitcast \1", text)


def not_atomic(text: str) -> str:
    """A load or store without its order, its scope and `volatile`."""
    text = re.sub(r"^(load|store) (?:atomic )?(?:volatile )?", r"\1 ", text)
    orders = "unordered|monotonic|acquire|release|seq_cst"
    return re.sub(
        rf'(?: syncscope\("[^"]*"\))? (?:{orders})(?=,|$)|(?: syncscope\("[^"]*"\))(?=,|$)', "", text
    )


def order_and_scope(text: str) -> tuple[int | None, int]:
    """Order (None if the text has none) and scope of an atomic instruction."""
    scope = re.search(r'syncscope\("([^"]*)"\)', text)
    name = scope[1] if scope else ""
    if name and name not in _SCOPES:
        raise UnknownInstruction(text)
    order = re.search(r"\b(unordered|monotonic|acquire|release|acq_rel|seq_cst)\b", text)
    return (ORDERS[order[1]] if order else None), _SCOPES[name] if name else _SYSTEM


def orders_threads(fence: str, llir: str) -> bool:
    """Whether a fence orders all memory of several waves.

    Not if it is within a thread or a wave, whose lanes do every instruction together, or if the module limits
    it to one address space.
    """
    limit = re.search(r", !mmra (!\d+)", fence)
    if limit is not None and f'{limit[1]} = !{{!"amdgpu-synchronize-as"' in llir:
        return False
    return re.search(r'syncscope\("(?:singlethread|wavefront)"\)', fence) is None


def bytes_of(type_: str, text: str) -> int:
    """Bytes of a value of the instruction `text`."""
    try:
        return size(type_)
    except ValueError:
        raise UnknownInstruction(text) from None


def array_size(type_: str) -> int:
    """Bytes of a table."""
    match = re.fullmatch(r"\[(\d+) x (.*)\]", type_)
    if match:
        return int(match[1]) * array_size(match[2])
    if type_.startswith("{"):
        raise UnknownInstruction(f"constant of type {type_}")
    return bytes_of(type_, f"constant of type {type_}")


def listed(operands: list[Operand]) -> str:
    """The operands with their types, as a call has them."""
    return ", ".join(map(str, operands))


def to_bfloat(symbol: str, count: int = 1, head: str = "define internal") -> str:
    """A function that rounds to the nearest, ties to even; a NaN becomes a quiet one."""
    f, i, h, b = (f"<{count} x {t}>" if count > 1 else t for t in ("float", "i32", "i16", "i1"))
    target = f"<{count} x bfloat>" if count > 1 else "bfloat"

    def constant(number: int) -> str:
        return f"splat (i32 {number})" if count > 1 else str(number)

    return "\n".join(
        [
            f"{head} {target} @{symbol}({f} %x) alwaysinline {{",
            f"  %bits = bitcast {f} %x to {i}",
            f"  %high = lshr {i} %bits, {constant(16)}",
            f"  %odd = and {i} %high, {constant(1)}",
            f"  %more = add {i} %bits, {constant(0x7FFF)}",
            f"  %rounded = add {i} %more, %odd",
            f"  %quiet = or {i} %bits, {constant(0x400000)}",
            f"  %nan = fcmp uno {f} %x, %x",
            f"  %chosen = select {b} %nan, {i} %quiet, {i} %rounded",
            f"  %moved = lshr {i} %chosen, {constant(16)}",
            f"  %cut = trunc {i} %moved to {h}",
            f"  %result = bitcast {h} %cut to {target}",
            f"  ret {target} %result",
            "}",
        ]
    )


#: Their results never change while a thread runs.
_STEADY = ("sim_thread", "sim_threads", "sim_program", "sim_programs", "sim_lane", "sim_shared")


def declarations(text: str) -> list[str]:
    """A declaration for each function that is called and not defined."""
    defined = set(re.findall(rf"^define [^@]*@({NAME})\(", text, re.MULTILINE))
    found: dict[str, str] = {}
    for match in re.finditer(rf"call {FLAGS}([^@\n]+) @({NAME})\(", text):
        result, name = match.groups()
        if name in defined or name in found:
            continue
        inside = text[match.end() : closing(text, match.end() - 1)]
        types = ", ".join(operand(part).type for part in split(inside))
        steady = " nounwind willreturn memory(none)" if name in _STEADY else " nounwind"
        found[name] = f"declare {result} @{name}({types}){'' if name.startswith('llvm.') else steady}"
    return list(found.values())
