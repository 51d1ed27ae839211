"""Inline PTX as an internal function of LLVM IR.

Registers are memory of the function, which the optimiser turns into values; a predicate is a branch. An
output that nothing writes has all bits set, a NaN: a value that is masked off and used all the same is seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import ptx_arithmetic, ptx_matrix, ptx_memory, ptx_tensor
from .emit import Function
from .errors import UnknownInstruction
from .ptx_types import Instruction, ir_type, width
from .text import bits, fields, float_bits, split


@dataclass(frozen=True)
class Register:
    """Where a register lies, and how many bits it has."""

    memory: str
    bits: int


class Body:
    """The function under construction: registers by name, and how operands are read and written."""

    def __init__(self, function: Function, registers: dict[str, Register]) -> None:
        self.function = function
        self.registers = registers

    def declare(self, instruction: str) -> None:
        """`.reg .b32 a, b<2>;`"""
        match = re.fullmatch(r"\.reg\s+\.(\w+)\s+(.*)", instruction, re.DOTALL)
        if match is None:
            raise UnknownInstruction(instruction)
        for name in split(match[2]):
            many = re.fullmatch(r"([%\w]+)<(\d+)>", name)
            names = [f"{many[1]}{i}" for i in range(int(many[2]))] if many else [name]
            for one in names:
                self.registers[one] = self.register(width(match[1]))

    def register(self, number: int) -> Register:
        """A new one, that nothing has been written to."""
        memory = self.function.allocate(f"i{number}")
        self.function.do(f"store i{number} -1, ptr {memory}")
        return Register(memory, number)

    def read(self, name: str, type_: str) -> str:
        """The value of an operand as a PTX type."""
        wanted = ir_type(type_)
        literal = _immediate(name, type_)
        if literal is not None:
            plain = f"i{bits(wanted)}"
            return (
                literal if wanted == plain else self.function.value(f"bitcast {plain} {literal} to {wanted}")
            )
        if name in SPECIAL:
            value, kind = SPECIAL[name](self.function), "i32"
        else:
            register = self._find(name)
            kind = f"i{register.bits}"
            value = self.function.value(f"load {kind}, ptr {register.memory}")
        return self.function.bitcast(value, kind, wanted)

    def write(self, name: str, value: str, type_: str) -> None:
        """Set a register to a value of a PTX type; `_` is nowhere."""
        if name == "_":
            return
        register = self._find(name)
        kind = f"i{register.bits}"
        value = self.function.bitcast(value, ir_type(type_), kind)
        self.function.do(f"store {kind} {value}, ptr {register.memory}")

    def width_of(self, name: str) -> int:
        """Bits of a register."""
        return self._find(name).bits

    def _find(self, name: str) -> Register:
        if name not in self.registers:
            raise UnknownInstruction(f"operand {name}")
        return self.registers[name]

    def address(self, text: str) -> str:
        """The pointer that `[ $1 + 16 ]` is."""
        match = re.fullmatch(r"\[\s*([$%\w]+)\s*(?:\+\s*(-?\w+)\s*)?\]", text)
        if match is None:
            raise UnknownInstruction(f"address {text}")
        pointer = self.function.value(f"inttoptr i64 {self.read(match[1], 'u64')} to ptr")
        offset = int(match[2] or "0", 0)
        return self.function.value(f"getelementptr i8, ptr {pointer}, i64 {offset}") if offset else pointer


def _thread(axis: int) -> Callable[[Function], str]:
    return lambda f: f.value("call i32 @sim_thread()") if axis == 0 else "0"


def _call(name: str, *arguments: int) -> Callable[[Function], str]:
    listed = ", ".join(f"i32 {argument}" for argument in arguments)
    return lambda f: f.value(f"call i32 @{name}({listed})")


#: The special registers, 32 bits each.
SPECIAL: dict[str, Callable[[Function], str]] = {
    **{f"%tid.{axis}": _thread(i) for i, axis in enumerate("xyz")},
    **{f"%ctaid.{axis}": _call("sim_program", i) for i, axis in enumerate("xyz")},
    **{f"%nctaid.{axis}": _call("sim_programs", i) for i, axis in enumerate("xyz")},
    "%ntid.x": _call("sim_threads"),
    "%ntid.y": lambda f: "1",
    "%ntid.z": lambda f: "1",
    "%laneid": _call("sim_lane"),
    "%warpid": lambda f: f.value(f"lshr i32 {f.value('call i32 @sim_thread()')}, 5"),
}


def _immediate(text: str, type_: str) -> str | None:
    """The bits of a constant as a decimal; None if the operand is none."""
    if re.fullmatch(r"-?(0[xX][0-9a-fA-F]+|\d+)U?", text):
        return str(int(text.rstrip("U"), 0))
    match = re.fullmatch(r"0[fFdD]([0-9a-fA-F]{8}|[0-9a-fA-F]{16})", text)
    if match:
        return str(int(match[1], 16))
    if re.fullmatch(r"-?\d+\.\d*", text) and type_ in ("f32", "f64"):
        return str(float_bits(float(text), ir_type(type_)))
    return None


def define(assembly: str, constraints: str, symbol: str, result: str, arguments: Sequence[str]) -> str:
    """The text of the function that does what an `asm` call does.

    Args:
        assembly: The PTX as the call has it, escapes included.
        constraints: Of the outputs, the inputs and what is overwritten.
        symbol: Name of the function.
        result: Type of the call.
        arguments: Types of its arguments, pointers of every address space as `ptr`.

    Raises:
        UnknownInstruction: an instruction or operand that this module does not know.
    """
    function = Function(symbol, result, arguments)
    body = Body(function, {})
    body.registers[ptx_arithmetic.CARRY] = body.register(1)
    outputs = [Register(function.allocate(f"i{bits(t)}"), bits(t)) for t in fields(result)]
    for i, register in enumerate(outputs):
        function.do(f"store i{register.bits} -1, ptr {register.memory}")
        body.registers[f"${i}"] = register
    inputs = [c for c in constraints.split(",") if c and c[0] not in "=~"]
    for i, (constraint, argument) in enumerate(zip(inputs, function.arguments, strict=True)):
        plain = f"i{bits(argument.type)}"
        register = outputs[int(constraint)] if constraint.isdigit() else body.register(bits(argument.type))
        value = function.bitcast(argument.value, argument.type, plain)
        function.do(f"store {plain} {value}, ptr {register.memory}")
        body.registers[f"${len(outputs) + i}"] = register
    for statement in statements(assembly):
        _statement(body, statement)
    loaded = [function.value(f"load i{r.bits}, ptr {r.memory}") for r in outputs]
    return function.give(
        [
            function.bitcast(value, f"i{register.bits}", type_)
            for value, register, type_ in zip(loaded, outputs, fields(result), strict=True)
        ]
    )


def statements(assembly: str) -> list[str]:
    """The instructions, without comments, scopes and escapes."""
    text = re.sub(r"\\([0-9A-Fa-f]{2})", lambda match: chr(int(match[1], 16)), assembly)
    text = re.sub(r"//[^\n]*", "", text)
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"\$\{(\d+)(?::\w+)?\}", r"$\1", text)
    found = (" ".join(part.split()).lstrip("{} ") for part in text.split(";"))
    return [part for part in found if part]


def _statement(body: Body, text: str) -> None:
    """One instruction, behind a branch if it has a predicate, or a label's name in front."""
    label = re.fullmatch(r"(\w+): ?(.*)", text)
    if label is not None:
        body.function.do(f"br label %ptx.{label[1]}")
        body.function.label(f"ptx.{label[1]}")
        text = label[2]
    match = re.fullmatch(r"@(!?)([$%\w]+) (.*)", text)
    if match is None:
        _instruction(body, text)
        return
    f = body.function
    condition, then, after = body.read(match[2], "pred"), f.fresh("then"), f.fresh("after")
    targets = (after, then) if match[1] else (then, after)
    f.do(f"br i1 {condition}, label %{targets[0]}, label %{targets[1]}")
    f.label(then)
    _instruction(body, match[3])
    f.do(f"br label %{after}")
    f.label(after)


_TABLES = {**ptx_arithmetic.TABLE, **ptx_memory.TABLE, **ptx_matrix.TABLE, **ptx_tensor.TABLE}


def _instruction(body: Body, text: str) -> None:
    if text.startswith(".reg"):
        body.declare(text)
        return
    if match := re.fullmatch(r"bra(?:\.uni)? (\w+)", text):
        body.function.do(f"br label %ptx.{match[1]}")
        body.function.label(body.function.fresh("behind"))
        return
    opcode, _, rest = text.partition(" ")
    instruction = Instruction(text, tuple(opcode.split(".")), tuple(split(rest)))
    if instruction.base not in _TABLES:
        raise UnknownInstruction(text)
    try:
        _TABLES[instruction.base](body, instruction)
    except (KeyError, IndexError, ValueError, StopIteration) as error:
        raise UnknownInstruction(text) from error
