"""The special functions and the floating-point variants of NVIDIA's instructions, as LLVM IR.

The approximate ones (MUFU) are computed to the precision of the host's library: a GPU's last bits differ.
"""

from __future__ import annotations

from .emit import Function, count

_SUFFIX = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64"}
_SMALLEST = {"float": "0x3810000000000000"}  # the smallest normal number


def suffix(kind: str) -> str:
    """How LLVM's intrinsics name a type."""
    if kind.startswith("<"):
        number, _, element = kind[1:-1].split()
        return f"v{number}{_SUFFIX[element]}"
    return _SUFFIX[kind]


def call(f: Function, name: str, kind: str, *values: str) -> str:
    """A call of one of LLVM's own intrinsics on values of one type."""
    listed = ", ".join(f"{kind} {value}" for value in values)
    return f.value(f"call {kind} @llvm.{name}.{suffix(kind)}({listed})")


def flushed(f: Function, value: str, kind: str) -> str:
    """The value, with a zero of its sign in place of a subnormal number."""
    if kind not in _SMALLEST:
        return value
    small = f.value(f"fcmp olt {kind} {call(f, 'fabs', kind, value)}, {_SMALLEST[kind]}")
    zero = call(f, "copysign", kind, "0x0000000000000000", value)
    return f.value(f"select i1 {small}, {kind} {zero}, {kind} {value}")


def _one(kind: str) -> str:
    return {"half": "0xH3C00", "bfloat": "0xR3F80"}.get(kind, "0x3FF0000000000000")


_CALLS = {"ex2": "exp2", "lg2": "log2", "sin": "sin", "cos": "cos", "sqrt": "sqrt", "tanh": "tanh"}


def special(f: Function, name: str, kind: str, value: str, *, ftz: bool = False) -> str:
    """ex2, lg2, rcp, sqrt, rsqrt, sin, cos or tanh of a value; counted as one special-function operation."""
    f.do(count("mufu"))
    if ftz:
        value = flushed(f, value, kind)
    if name == "rcp":
        result = f.value(f"fdiv {kind} {_one(kind)}, {value}")
    elif name == "rsqrt":
        result = f.value(f"fdiv {kind} {_one(kind)}, {call(f, 'sqrt', kind, value)}")
    else:
        result = call(f, _CALLS[name], kind, value)
    return flushed(f, result, kind) if ftz else result


def quotient(f: Function, kind: str, x: str, y: str, *, ftz: bool = False) -> str:
    """div.full, div.approx, div.rn: counted as one special-function operation (a reciprocal)."""
    f.do(count("mufu"))
    if ftz:
        x, y = flushed(f, x, kind), flushed(f, y, kind)
    result = f.value(f"fdiv {kind} {x}, {y}")
    return flushed(f, result, kind) if ftz else result


def extreme(f: Function, name: str, kind: str, x: str, y: str, *, nan: bool = False) -> str:
    """min or max; a NaN loses unless `nan`, -0 is less than +0."""
    return call(f, f"{name}imum" if nan else f"{name}imumnum", kind, x, y)


def saturated(f: Function, kind: str, value: str) -> str:
    """The value in [0, 1]; NaN gives 0."""
    above = call(f, "maxnum", kind, value, "0x0000000000000000")
    return call(f, "minnum", kind, above, _one(kind))
