"""Writing one internal function of LLVM IR, line by line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from .text import Operand, bits, fields


class Function:
    """`define internal RESULT @SYMBOL(TYPES %a0, …, i32 %site) alwaysinline`.

    `%site` is the index of the source line.
    """

    def __init__(self, symbol: str, result: str, arguments: Sequence[str]) -> None:
        self.result = result
        self.arguments = [Operand(type_, f"%a{i}") for i, type_ in enumerate(arguments)]
        parameters = ", ".join([*map(str, self.arguments), "i32 %site"])
        self._head = f"define internal {result} @{symbol}({parameters}) alwaysinline {{"
        self._allocations: list[str] = []
        self._lines: list[str] = []
        self._count = 0

    def text(self) -> str:
        """The whole function."""
        return "\n".join([self._head, "entry:", *self._allocations, *self._lines, "}"])

    def fresh(self, prefix: str = "v") -> str:
        """A name that nothing has yet, without its `%`."""
        self._count += 1
        return f"{prefix}{self._count}"

    def do(self, line: str) -> None:
        """Add an instruction without a result."""
        self._lines.append(f"  {line}")

    def value(self, instruction: str) -> str:
        """Add an instruction; the name of its result."""
        name = f"%{self.fresh()}"
        self.do(f"{name} = {instruction}")
        return name

    def allocate(self, type_: str) -> str:
        """Memory of this thread for a value."""
        name = f"%{self.fresh('m')}"
        self._allocations.append(f"  {name} = alloca {type_}, align 16")
        return name

    def label(self, name: str) -> None:
        """Begin a block."""
        self._lines.append(f"{name}:")

    def bitcast(self, value: str, old: str, new: str) -> str:
        """The same bits as another type of as many bits; an integer is cut or extended by 0."""
        if old == new:
            return value
        if new == "ptr":
            return self.value(f"inttoptr i64 {self.bitcast(value, old, 'i64')} to ptr")
        width, wanted = bits(old), bits(new)
        plain, goal = f"i{width}", f"i{wanted}"
        if old == "ptr":
            value = self.value(f"ptrtoint ptr {value} to i64")
        elif old != plain:
            value = self.value(f"bitcast {old} {value} to {plain}")
        if width != wanted:
            value = self.value(f"{'trunc' if width > wanted else 'zext'} {plain} {value} to {goal}")
        return value if new == goal else self.value(f"bitcast {goal} {value} to {new}")

    def array(self, values: Sequence[str], type_: str) -> str:
        """Pointer to this thread's copies of some values of one type."""
        memory = self.allocate(f"[{len(values)} x {type_}]")
        for i, value in enumerate(values):
            self.do(f"store {type_} {value}, ptr {self.element(memory, type_, i)}")
        return memory

    def element(self, memory: str, type_: str, i: int) -> str:
        """Address of an element."""
        return self.value(f"getelementptr {type_}, ptr {memory}, i32 {i}")

    def elements(self, memory: str, type_: str, count: int) -> list[str]:
        """The values in an array."""
        return [self.value(f"load {type_}, ptr {self.element(memory, type_, i)}") for i in range(count)]

    def give(self, values: Sequence[str] = ()) -> str:
        """Return the fields of the result, and the whole text."""
        types = fields(self.result)
        if not types:
            self.do("ret void")
        elif not self.result.startswith("{"):
            self.do(f"ret {self.result} {values[0]}")
        else:
            whole = "poison"
            for i, (type_, value) in enumerate(zip(types, values, strict=True)):
                whole = self.value(f"insertvalue {self.result} {whole}, {type_} {value}, {i}")
            self.do(f"ret {self.result} {whole}")
        return self.text()


ORDERS = {
    "relaxed": 0,
    "monotonic": 0,
    "unordered": 0,
    "volatile": 0,
    "acquire": 1,
    "release": 2,
    "acq_rel": 3,
}
ORDERS["seq_cst"] = ORDERS["sc"] = 4

#: Kinds of `sim_access`.
STORE, SHARED, RELAXED = 1, 2, 4
#: Kinds of `sim_atomic`; SHARED is the same.
WRITES, READS = 1, 4

#: Scopes of fences and atomics.
SCOPES = {"cta": 0, "cluster": 1, "gpu": 2, "sys": 3}


def access(pointer: str, size: int, kind: int, site: str) -> str:
    """The call that announces a plain access."""
    return f"call void @sim_access(ptr {pointer}, i32 {size}, i32 {kind}, i32 {site})"


def atomic(pointer: str, size: int, order: int, scope: int, kind: int, site: str) -> str:
    """The call that announces an atomic access."""
    return (
        f"call void @sim_atomic(ptr {pointer}, i32 {size}, i32 {order}, i32 {scope}, i32 {kind}, i32 {site})"
    )


@cache
def _counters() -> dict[str, int]:
    text = Path(__file__).with_name("runtime").joinpath("counters.h").read_text(encoding="utf-8")
    listed = text[text.index("#define SIM_COUNTERS(X)") :].split("\n\n")[0]
    names = [name for name in re.findall(r"X\((\w+)\)", listed) if name != "X"]
    return {name: i for i, name in enumerate(names)}


def count(counter: str) -> str:
    """The call that adds one to a counter of `runtime/counters.h`."""
    return f"call void @sim_count(i32 {_counters()[counter]}, i64 1)"
