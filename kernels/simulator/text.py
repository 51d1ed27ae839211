"""Reading the text of LLVM IR: lists, types, float literals, source lines.

Triton prints with a newer LLVM than the one that executes here. What a type or a literal means did not
change, only how it is written: `f0x3F800000` for `0x3FF0000000000000`, `+inf`, and the shortest decimal that
is near enough in place of one that is exact.
"""

from __future__ import annotations

import math
import re
import struct
from dataclasses import dataclass, field
from functools import partial

_OPENING, _CLOSING = "([{<", ")]}>"
_PAIRS = dict(zip(_OPENING, _CLOSING, strict=True))

#: Bits of the scalar types.
BITS = {
    "i1": 1,
    "i8": 8,
    "i16": 16,
    "i32": 32,
    "i64": 64,
    "i128": 128,
    "half": 16,
    "bfloat": 16,
    "float": 32,
    "double": 64,
    "ptr": 64,
}

_ATTRIBUTE = re.compile(
    r"(?:nofree|readnone|readonly|writeonly|noundef|nonnull|noalias|inreg|signext|zeroext|nocapture|immarg"
    r"|returned|captures\([^)]*\)|range\([^)]*\)|dereferenceable(?:_or_null)?\(\d+\)|align \d+"
    r"|nofpclass\([^)]*\)|initializes\([^)]*\)|dead_on_unwind|writable|local_unnamed_addr|unnamed_addr"
    r'|"[^"]*"(?:="[^"]*")?)(?=[\s,]|$)\s*'
)


def split(text: str) -> list[str]:
    """The parts between the commas that are in no bracket and no string."""
    parts, depth, start, quoted = [], 0, 0, False
    for i, c in enumerate(text):
        if c == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif c in _OPENING:
            depth += 1
        elif c in _CLOSING:
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    last = text[start:].strip()
    return [*parts, last] if last or parts else []


def closing(text: str, start: int) -> int:
    """Index of the bracket that closes the one at `start`; strings are skipped.

    Raises:
        ValueError: nothing closes it.
    """
    depth, quoted = 0, False
    for i in range(start, len(text)):
        c = text[i]
        if c == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif c in _OPENING:
            depth += 1
        elif c in _CLOSING:
            depth -= 1
            if depth == 0:
                return i
    raise ValueError(f"expected a closing bracket, got {text[start : start + 80]!r}")


@dataclass(frozen=True)
class Operand:
    """A typed value, `type` without attributes."""

    type: str
    value: str

    def __str__(self) -> str:
        return f"{self.type} {self.value}"


def operand(text: str) -> Operand:
    """`ptr nonnull align 4 %5` as (`ptr`, `%5`); the value is empty where there is only a type."""
    text = text.strip()
    if text[0] in _PAIRS:
        end = closing(text, 0) + 1
    else:
        end = len(re.match(r"[\w.%]+(?: addrspace\(\d+\))?", text)[0])  # type: ignore[index]  # text is not empty
    rest = text[end:].strip()
    while (match := _ATTRIBUTE.match(rest)) is not None and match[0]:
        rest = rest[match.end() :]
    return Operand(text[:end], rest.strip())


def without_attributes(text: str) -> str:
    """The type of a result: `noundef range(i32 0, 4) i32` as `i32`."""
    text = text.strip()
    while (match := _ATTRIBUTE.match(text)) is not None and match[0]:
        text = text[match.end() :]
    return text


def last_type(text: str) -> str:
    """The type at the end of `internal fastcc noundef { double, i32 }`."""
    return re.search(r"(?:\{.*\}|<.*>|\[.*\]|\S+)$", text.strip())[0]  # type: ignore[index]  # there is a type


def fields(type_: str) -> list[str]:
    """The types of a result: those of a structure, else the one; none of void."""
    if type_ == "void":
        return []
    return split(type_[1:-1]) if type_.startswith("{") else [type_]


def vector(type_: str) -> tuple[int, str]:
    """Number and type of the elements; 1 and itself for a scalar."""
    match = re.fullmatch(r"<(\d+) x (.+)>", type_)
    return (int(match[1]), match[2]) if match else (1, type_)


def bits(type_: str) -> int:
    """How many bits a value has.

    Raises:
        ValueError: the type is no scalar and no vector of scalars.
    """
    count, element = vector(type_)
    if element not in BITS:
        raise ValueError(f"expected a scalar or a vector of scalars, got {type_!r}")
    return count * BITS[element]


def size(type_: str) -> int:
    """How many bytes a value takes in memory."""
    return (bits(type_) + 7) // 8


# ---- float literals

_FLOAT_TYPES = re.compile(r"\b(half|bfloat|float|double)\b")
_LITERAL = re.compile(
    r"(?<![\w.%@$])(?:f0x(?P<bits>[0-9A-Fa-f]+)"
    r"|(?P<sign>[+-])(?P<special>inf|[qs]?nan)(?:\(0x(?P<payload>[0-9A-Fa-f]+)\))?"
    r"|(?P<decimal>[+-]?\d+\.\d*(?:[eE][+-]?\d+)?))(?![\w.])"
)


def float_literals(line: str) -> str:
    """The line with every float literal as exact bits, as older LLVM reads them."""
    if not _LITERAL.search(line):
        return line
    parts = re.split(r'("[^"]*")', line)
    for i in range(0, len(parts), 2):
        exact = partial(_exact, "".join(parts[:i:2]))
        parts[i] = _LITERAL.sub(exact, parts[i])
    return "".join(parts)


def _exact(before: str, match: re.Match[str]) -> str:
    """The bits of a literal, whose type is the last that stands before it."""
    types = _FLOAT_TYPES.findall(before + match.string[: match.start()])
    if not types:
        return match[0]
    kind = types[-1]
    if match["bits"]:
        return _literal(int(match["bits"], 16), kind)
    if match["special"] == "inf":
        return _literal(float_bits(math.inf if match["sign"] == "+" else -math.inf, kind), kind)
    if match["special"]:
        return _literal(_nan(match, kind), kind)
    return _literal(float_bits(float(match["decimal"]), kind), kind)


#: Exponent and fraction bits.
_FORMATS = {"half": (5, 10), "bfloat": (8, 7), "float": (8, 23), "double": (11, 52)}


def _nan(match: re.Match[str], kind: str) -> int:
    """Bits of `+nan(0x3F)`: a quiet one without a payload."""
    exponent, fraction = _FORMATS[kind]
    quiet = 1 << (fraction - 1)
    payload = int(match["payload"], 16) if match["payload"] else 0
    if match["special"] != "snan" and not payload:
        payload = quiet
    elif match["special"] == "qnan":
        payload |= quiet
    sign = int(match["sign"] == "-")
    return sign << (exponent + fraction) | ((1 << exponent) - 1) << fraction | payload


def float_bits(value: float, kind: str) -> int:
    """Bits of the nearest number of a format."""
    if kind == "double":
        return int(struct.unpack("<Q", struct.pack("<d", value))[0])
    if kind == "half":
        return int(struct.unpack("<H", struct.pack("<e", value))[0])
    single = int(struct.unpack("<I", struct.pack("<f", value))[0])
    if kind == "float" or math.isinf(value):
        return single if kind == "float" else single >> 16
    return (single + 0x7FFF + (single >> 16 & 1)) >> 16


def _literal(number: int, kind: str) -> str:
    """How LLVM before 23 writes a number: single precision as the bits of the equal double."""
    if kind == "half":
        return f"0xH{number:04X}"
    if kind == "bfloat":
        return f"0xR{number:04X}"
    return f"0x{_widened(number) if kind == 'float' else number:016X}"


def _widened(single: int) -> int:
    """Bits of the double that equals a single; a NaN keeps its payload."""
    if single & 0x7F800000 == 0x7F800000:
        return (single >> 31) << 63 | 0x7FF << 52 | (single & 0x7FFFFF) << 29
    value = struct.unpack("<f", struct.pack("<I", single))[0]
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


# ---- source lines


@dataclass
class Sites:
    """Where in the source the instructions stand, in words.

    A location inside an inlined function is named by that function's line and by the line that called it.
    """

    metadata: dict[str, str]
    _described: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, llir: str) -> Sites:
        """Those of a module's text."""
        return cls(dict(re.findall(r"^(![0-9]+) = (?:distinct )?(!DI\w+\(.*\))$", llir, re.MULTILINE)))

    def words(self, location: str | None, what: str) -> str:
        """An instruction (`what` in words) at a location (`!17`)."""
        place = self._place(location) if location else ""
        return f"{place or 'unknown place'} ({what})"

    def _place(self, location: str) -> str:
        if location not in self._described:
            self._described[location] = self._describe(location)
        return self._described[location]

    def _describe(self, location: str) -> str:
        text = self.metadata.get(location, "")
        line, scope = _attribute(text, "line"), _attribute(text, "scope")
        if line is None:
            return ""
        here = f"{self._file(scope)}:{line}"
        caller = _attribute(text, "inlinedAt")
        return f"{here}, called from {self._place(caller)}" if caller else here

    def _file(self, scope: str | None) -> str:
        """Base name of the file of a scope, up the scopes until one has a file."""
        while scope is not None:
            text = self.metadata.get(scope, "")
            file = _attribute(text, "file")
            if file is not None:
                name = _attribute(self.metadata.get(file, ""), "filename")
                return (name or "?").strip('"').rpartition("/")[2]
            scope = _attribute(text, "scope")
        return "?"


def _attribute(node: str, name: str) -> str | None:
    match = re.search(rf'\b{name}: ("[^"]*"|[^,)]+)', node)
    return match[1] if match else None
