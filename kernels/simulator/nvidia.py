"""LLVM's intrinsics for NVIDIA (`llvm.nvvm.…`) as internal functions of LLVM IR."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from . import special
from .emit import ORDERS, SCOPES, Function
from .errors import UnknownInstruction
from .ptx_matrix import REDUX, SHUFFLES
from .text import bits, fields

Rule = Callable[[Function, re.Match[str]], list[str]]


def define(name: str, symbol: str, result: str, arguments: Sequence[str]) -> str:
    """The text of the function that does what an intrinsic does.

    Its last parameter is the index of the source line.

    Args:
        name: With `llvm.nvvm.`.
        symbol: Name of the function.
        result: Type of the call.
        arguments: Types of its arguments, pointers of every address space as `ptr`.

    Raises:
        UnknownInstruction: this module does not know the intrinsic.
    """
    short = name.removeprefix("llvm.nvvm.")
    for pattern, rule in RULES:
        match = pattern.fullmatch(short)
        if match:
            function = Function(symbol, result, arguments)
            return function.give(rule(function, match))
    raise UnknownInstruction(name)


RULES: list[tuple[re.Pattern[str], Rule]] = []


def _rule(pattern: str) -> Callable[[Rule], Rule]:
    def add(rule: Rule) -> Rule:
        RULES.append((re.compile(pattern), rule))
        return rule

    return add


def _a(f: Function, i: int) -> str:
    return f.arguments[i].value


def _as(f: Function, i: int, kind: str) -> str:
    argument = f.arguments[i]
    return f.bitcast(argument.value, argument.type, kind)


# ---- where the thread is


@_rule(r"read\.ptx\.sreg\.(tid|ntid|ctaid|nctaid)\.([xyz])")
def _place(f: Function, match: re.Match[str]) -> list[str]:
    axis = "xyz".index(match[2])
    if match[1] in ("tid", "ntid"):
        if axis:
            return ["0" if match[1] == "tid" else "1"]
        return [f.value(f"call i32 @{'sim_thread' if match[1] == 'tid' else 'sim_threads'}()")]
    return [f.value(f"call i32 @{'sim_program' if match[1] == 'ctaid' else 'sim_programs'}(i32 {axis})")]


@_rule(r"read\.ptx\.sreg\.laneid")
def _lane(f: Function, match: re.Match[str]) -> list[str]:
    return [f.value("call i32 @sim_lane()")]


@_rule(r"read\.ptx\.sreg\.warpsize")
def _warp_size(f: Function, match: re.Match[str]) -> list[str]:
    return ["32"]


# ---- waiting


@_rule(r"barrier0|barrier\.cta\.(sync|arrive)(?:\.aligned)?(\.all|\.count)?")
def _barrier(f: Function, match: re.Match[str]) -> list[str]:
    number = _a(f, 0) if f.arguments else "0"
    threads = _a(f, 1) if len(f.arguments) > 1 else "0"
    name = "sim_barrier_arrive" if match[1] == "arrive" else "sim_barrier"
    f.do(f"call void @{name}(i32 {number}, i32 {threads}, i32 %site)")
    return []


@_rule(r"bar\.warp\.sync")
def _warp(f: Function, match: re.Match[str]) -> list[str]:
    f.do(f"call void @sim_warp_sync(i32 {_a(f, 0)}, i32 %site)")
    return []


@_rule(r"cp\.async\.commit\.group")
def _commit(f: Function, match: re.Match[str]) -> list[str]:
    f.do("call void @sim_copy_commit()")
    return []


@_rule(r"cp\.async\.wait\.(group|all)")
def _wait(f: Function, match: re.Match[str]) -> list[str]:
    pending = "-1" if match[1] == "all" else _a(f, 0)
    f.do(f"call void @sim_copy_wait(i32 {pending}, i32 %site)")
    return []


@_rule(r"membar\.(cta|gl|sys)")
def _membar(f: Function, match: re.Match[str]) -> list[str]:
    scope = SCOPES[{"gl": "gpu"}.get(match[1], match[1])]
    f.do(f"call void @sim_fence(i32 {ORDERS['sc']}, i32 {scope}, i32 %site)")
    return []


@_rule(r"nanosleep")
def _sleep(f: Function, match: re.Match[str]) -> list[str]:
    f.do("call void @sim_yield(i32 %site)")
    return []


@_rule(r"fence\.proxy\.async(\..*)?")
def _proxy_fence(f: Function, match: re.Match[str]) -> list[str]:
    f.do("call void @sim_proxy_fence(i32 %site)")
    return []


@_rule(r"wgmma\.(fence|commit_group)\.sync\.aligned")
def _products(f: Function, match: re.Match[str]) -> list[str]:
    f.do(f"call void @sim_product_{match[1].removesuffix('_group')}()")
    return []


@_rule(r"tcgen05\.wait\.(ld|st)")
def _wait_for_tensor_memory(f: Function, match: re.Match[str]) -> list[str]:
    """Loads and stores are done at once. Triton itself uses what `tcgen05.ld` gives before this wait."""
    return []


@_rule(r"wgmma\.wait_group\.sync\.aligned")
def _wait_for_products(f: Function, match: re.Match[str]) -> list[str]:
    pending = f.value(f"trunc i64 {_a(f, 0)} to i32")
    f.do(f"call void @sim_product_wait(i32 {pending}, i32 %site)")
    return []


# ---- the lanes of a warp


@_rule(r"shfl\.sync\.(idx|up|down|bfly)\.(i32|f32)(p?)")
def _shuffle(f: Function, match: re.Match[str]) -> list[str]:
    members, value, lane, clamp = _a(f, 0), _as(f, 1, "i32"), _a(f, 2), _a(f, 3)
    memory = f.allocate("i32") if match[3] else "null"
    got = f.value(
        f"call i32 @sim_shuffle(i32 {value}, i32 {lane}, i32 {clamp}, i32 {SHUFFLES[match[1]]}, "
        f"i32 {members}, ptr {memory}, i32 %site)"
    )
    moved = f.bitcast(got, "i32", "float" if match[2] == "f32" else "i32")
    if not match[3]:
        return [moved]
    return [moved, f.value(f"trunc i32 {f.value(f'load i32, ptr {memory}')} to i1")]


@_rule(r"vote\.(all|any|uni|ballot)\.sync")
def _vote(f: Function, match: re.Match[str]) -> list[str]:
    mode = ("all", "any", "uni", "ballot").index(match[1])
    value = f.value(f"zext i1 {_a(f, 1)} to i32")
    got = f.value(f"call i32 @sim_vote(i32 {value}, i32 {mode}, i32 {_a(f, 0)}, i32 %site)")
    return [got if match[1] == "ballot" else f.value(f"trunc i32 {got} to i1")]


@_rule(r"redux\.sync\.(add|u?min|u?max|and|or|xor)")
def _redux(f: Function, match: re.Match[str]) -> list[str]:
    name = f"s{match[1]}" if match[1] in ("min", "max") else match[1]
    return [f.value(f"call i32 @sim_redux(i32 {_a(f, 0)}, i32 {REDUX[name]}, i32 {_a(f, 1)}, i32 %site)")]


@_rule(r"redux\.sync\.f(min|max)(\.abs)?(\.NaN)?")
def _redux_float(f: Function, match: re.Match[str]) -> list[str]:
    value = _as(f, 0, "i32")
    if match[2]:
        value = f.value(f"and i32 {value}, {0x7FFFFFFF}")
    number = REDUX[f"f{match[1]}{'nan' if match[3] else ''}"]
    got = f.value(f"call i32 @sim_redux(i32 {value}, i32 {number}, i32 {_a(f, 1)}, i32 %site)")
    return [f.bitcast(got, "i32", "float")]


@_rule(r"elect\.sync")
def _elect(f: Function, match: re.Match[str]) -> list[str]:
    memory = f.allocate("i32")
    chosen = f.value(f"call i32 @sim_elect(i32 {_a(f, 0)}, ptr {memory}, i32 %site)")
    return [f.value(f"load i32, ptr {memory}"), f.value(f"trunc i32 {chosen} to i1")]


@_rule(r"(ld|st)matrix\.sync\.aligned\.m8n8\.x([124])(\.trans)?\.b16(?:\.p3)?")
def _fragments(f: Function, match: re.Match[str]) -> list[str]:
    count, trans = int(match[2]), int(bool(match[3]))
    load = match[1] == "ld"
    memory = f.allocate(f"[{count} x i32]") if load else f.array([a.value for a in f.arguments[1:]], "i32")
    row = f"ptr {_a(f, 0)}, i32 {count}, i32 {trans}, i32 %site"
    f.do(f"call void @sim_{match[1]}matrix(ptr {memory}, {row})")
    return f.elements(memory, "i32", count) if load else []


@_rule(r"prmt")
def _permute(f: Function, match: re.Match[str]) -> list[str]:
    return [f.value(f"call i32 @sim_prmt(i32 {_a(f, 0)}, i32 {_a(f, 1)}, i32 {_a(f, 2)})")]


# ---- numbers


@_rule(r"(ex2|lg2|rcp|rsqrt|sin|cos|tanh)\.approx(\.ftz)?(?:\.([fd]|f32|f64))?")
def _approximate(f: Function, match: re.Match[str]) -> list[str]:
    kind = fields(f.result)[0]
    return [special.special(f, match[1], kind, _a(f, 0), ftz=bool(match[2]))]


@_rule(r"(sqrt|rcp)\.(approx|rn|f)(\.ftz)?(?:\.[fd])?")
def _root(f: Function, match: re.Match[str]) -> list[str]:
    return [special.special(f, match[1], f.result, _a(f, 0), ftz=bool(match[3]))]


@_rule(r"div\.(full|approx|rn)(\.ftz)?(?:\.[fd])?")
def _quotient(f: Function, match: re.Match[str]) -> list[str]:
    return [special.quotient(f, f.result, _a(f, 0), _a(f, 1), ftz=bool(match[2]))]


@_rule(r"(add|mul)\.rn(\.ftz)?\.[fd]")
def _operation(f: Function, match: re.Match[str]) -> list[str]:
    x, y = (_flushed(f, i, match[2]) for i in range(2))
    return [_flush(f, f.value(f"f{match[1]} {f.result} {x}, {y}"), match[2])]


@_rule(r"(add|mul|fma)\.rz(\.ftz)?\.f")
def _towards_zero(f: Function, match: re.Match[str]) -> list[str]:
    """In double precision a product is exact, and of a sum the error is known (Knuth's TwoSum)."""
    values = [_flushed(f, i, match[2]) for i in range(len(f.arguments))]
    x, *rest = (f.value(f"fpext float {value} to double") for value in values)
    if match[1] != "add":
        x, *rest = f.value(f"fmul double {x}, {rest[0]}"), *rest[1:]
    total, error = (_two_sum(f, x, rest[0])) if rest else (x, "0x0000000000000000")
    near = f.value(f"fptrunc double {total} to float")
    back = f.value(f"fpext float {near} to double")
    sizes = [special.call(f, "fabs", "double", value) for value in (back, total)]
    beyond = f.value(f"fcmp ogt double {sizes[0]}, {sizes[1]}")
    equal = f.value(f"fcmp oeq double {back}, {total}")
    inwards = f.value(f"fcmp olt double {f.value(f'fmul double {error}, {back}')}, 0x0000000000000000")
    less = f.value(f"or i1 {beyond}, {f.value(f'and i1 {equal}, {inwards}')}")
    bits_ = f.value(f"bitcast float {near} to i32")
    nearer = f.value(f"sub i32 {bits_}, {f.value(f'zext i1 {less} to i32')}")
    return [_flush(f, f.value(f"bitcast i32 {nearer} to float"), match[2])]


@_rule(r"(add|mul)\.rz\.d")
def _double_towards_zero(f: Function, match: re.Match[str]) -> list[str]:
    x, y = _a(f, 0), _a(f, 1)
    if match[1] == "add":
        near, error = _two_sum(f, x, y)
    else:
        near = f.value(f"fmul double {x}, {y}")
        error = special.call(f, "fma", "double", x, y, f.value(f"fneg double {near}"))
    inwards = f.value(f"fcmp olt double {f.value(f'fmul double {error}, {near}')}, 0x0000000000000000")
    nearer = f.value(f"sub i64 {f.bitcast(near, 'double', 'i64')}, {f.value(f'zext i1 {inwards} to i64')}")
    return [f.bitcast(nearer, "i64", "double")]


def _two_sum(f: Function, x: str, y: str) -> tuple[str, str]:
    """The sum of two doubles, rounded, and what it is less than the exact one."""
    total = f.value(f"fadd double {x}, {y}")
    second = f.value(f"fsub double {total}, {x}")
    first = f.value(f"fsub double {total}, {second}")
    errors = [f.value(f"fsub double {a}, {b}") for a, b in ((x, first), (y, second))]
    return total, f.value(f"fadd double {errors[0]}, {errors[1]}")


@_rule(r"fma\.rn(\.ftz)?\.(?:[fd]|f16|f16x2|bf16|bf16x2)")
def _fused(f: Function, match: re.Match[str]) -> list[str]:
    values = [_flushed(f, i, match[1]) for i in range(3)]
    return [_flush(f, special.call(f, "fma", f.result, *values), match[1])]


@_rule(r"fabs(\.ftz)?(?:\.\w+)?")
def _magnitude(f: Function, match: re.Match[str]) -> list[str]:
    return [_flush(f, special.call(f, "fabs", f.result, _a(f, 0)), match[1])]


@_rule(r"f(min|max)(\.ftz)?(\.nan)?(\.xorsign\.abs)?\.\w+")
def _extreme(f: Function, match: re.Match[str]) -> list[str]:
    """With `xorsign.abs` of the magnitudes, with the sign of the product."""
    x, y = (_flushed(f, i, match[2]) for i in range(2))
    if not match[4]:
        return [special.extreme(f, match[1], f.result, x, y, nan=bool(match[3]))]
    sizes = [special.call(f, "fabs", f.result, value) for value in (x, y)]
    size = special.extreme(f, match[1], f.result, *sizes, nan=bool(match[3]))
    kind = f"i{bits(f.result)}"
    sign = f.value(f"xor {kind} {f.bitcast(x, f.result, kind)}, {f.bitcast(y, f.result, kind)}")
    return [special.call(f, "copysign", f.result, size, f.bitcast(sign, kind, f.result))]


@_rule(r"saturate(\.ftz)?\.[fd]")
def _saturated(f: Function, match: re.Match[str]) -> list[str]:
    return [special.saturated(f, f.result, _flushed(f, 0, match[1]))]


@_rule(r"(ceil|floor|trunc|round)(\.ftz)?\.[fd]")
def _rounded(f: Function, match: re.Match[str]) -> list[str]:
    name = "roundeven" if match[1] == "round" else match[1]
    return [special.call(f, name, f.result, _flushed(f, 0, match[2]))]


def _flushed(f: Function, i: int, ftz: str | None) -> str:
    return _flush(f, _a(f, i), ftz)


def _flush(f: Function, value: str, ftz: str | None) -> str:
    return special.flushed(f, value, f.result) if ftz else value


# ---- conversions and bits


@_rule(r"[fd]2(?:i|ui|ll|ull)\.r[nzmp](?:\.ftz)?|(?:i|ui|ll|ull)2[fd]\.rn|d2f\.rn(?:\.ftz)?|f2bf16\.rn")
def _converted(f: Function, match: re.Match[str]) -> list[str]:
    source, target = match[0].partition(".")[0].split("2")
    old, new, number, ftz = f.arguments[0].type, f.result, _a(f, 0), ".ftz" in match[0]
    if ftz:
        number = special.flushed(f, number, old)
    if new.startswith("i"):
        way = {"rn": "roundeven", "rz": "trunc", "rm": "floor", "rp": "ceil"}[match[0].split(".")[1]]
        x = special.call(f, way, old, number)
        sign = "u" if target.startswith("u") else "s"
        return [f.value(f"call {new} @llvm.fpto{sign}i.sat.{new}.{special.suffix(old)}({old} {x})")]
    if old.startswith("i"):
        return [f.value(f"{'u' if source.startswith('u') else 's'}itofp {old} {number} to {new}")]
    if bits(old) == bits(new):
        raise UnknownInstruction(f"llvm.nvvm.{match[0]}")
    value = f.value(f"{'fptrunc' if bits(old) > bits(new) else 'fpext'} {old} {number} to {new}")
    return [special.flushed(f, value, new) if ftz else value]


@_rule(r"mulhi\.(i|ui|ll|ull|s|us)")
def _high(f: Function, match: re.Match[str]) -> list[str]:
    kind, number = f.result, bits(f.result)
    extend = "zext" if match[1].startswith("u") else "sext"
    x, y = (f.value(f"{extend} {kind} {_a(f, i)} to i{2 * number}") for i in range(2))
    product = f.value(f"lshr i{2 * number} {f.value(f'mul i{2 * number} {x}, {y}')}, {number}")
    return [f.value(f"trunc i{2 * number} {product} to {kind}")]


@_rule(r"bitcast\.\w+")
def _bits(f: Function, match: re.Match[str]) -> list[str]:
    return [_as(f, 0, f.result)]


@_rule(r"d2i\.(lo|hi)")
def _half_of_double(f: Function, match: re.Match[str]) -> list[str]:
    whole = _as(f, 0, "i64")
    moved = f.value(f"lshr i64 {whole}, {32 if match[1] == 'hi' else 0}")
    return [f.value(f"trunc i64 {moved} to i32")]


@_rule(r"lohi\.i2d")
def _double_of_halves(f: Function, match: re.Match[str]) -> list[str]:
    low, high = (f.value(f"zext i32 {_a(f, i)} to i64") for i in range(2))
    whole = f.value(f"or i64 {f.value(f'shl i64 {high}, 32')}, {low}")
    return [f.value(f"bitcast i64 {whole} to double")]
