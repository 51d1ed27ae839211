"""The LLVM IR that Triton compiled, as LLVM IR for this machine.

Every thread of the GPU runs `entry(arguments, shared)`. Address spaces go away: global memory is the host's,
and shared memory begins at what `sim_shared` gives. Each access is announced to the runtime before; each
instruction of the GPU becomes a call of an internal function, written by `ptx`, `nvidia` or `amd`.

What is not known is an error here, never a result that is wrong later.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import takewhile

from . import amd, nvidia, ptx
from .emit import READS, SHARED, STORE, WRITES, access, atomic
from .errors import UnknownInstruction
from .host import (
    CALL,
    COPIED,
    FLAGS,
    IGNORED,
    NAME,
    PURE,
    array_size,
    bytes_of,
    cast,
    declarations,
    listed,
    not_atomic,
    order_and_scope,
    orders_threads,
    plain,
    to_bfloat,
)
from .loops import Loop, turns
from .registers import Registers
from .shared import SharedAddresses
from .text import (
    Operand,
    Sites,
    closing,
    float_literals,
    last_type,
    operand,
    split,
    vector,
    without_attributes,
)

ENTRY = "simulated_entry"
_KERNEL = "simulated_kernel"

_GLOBAL_SPACE, _SHARED_SPACE = "1", "3"
#: Address spaces that no other thread can write: constant and private.
_QUIET_SPACES = ("4", "5")
#: Instructions whose result points to where an operand does.
_POINTERS = ("getelementptr", "addrspacecast", "bitcast", "phi", "select", "freeze")
_KNOWN_SPACES = ("0", _GLOBAL_SPACE, _SHARED_SPACE, *_QUIET_SPACES)


@dataclass(frozen=True)
class Module:
    """A kernel as text for this machine.

    Attributes:
        name: Of the kernel.
        text: LLVM IR, in which `ENTRY` takes a pointer to the packed arguments, and one to shared memory.
        parameters: Types of the arguments, in the order in which they are packed.
        sites: What each site means: the number of a line of the kernel's text, in words of its source.
        constants: Symbol and bytes of each table inside the module.
        smallest: Bytes of the smallest access to memory.
    """

    name: str
    text: str
    parameters: tuple[str, ...]
    sites: dict[int, str]
    constants: dict[str, int]
    smallest: int


def translate(llir: str, target: str = "") -> Module:
    """Translate a module that has one kernel, and functions that were not inlined into it.

    Args:
        llir: Text of Triton's stage of this name.
        target: Name of the GPU, for errors.

    Raises:
        UnknownInstruction: there is one that the simulator does not know.
    """
    return _Translation(llir, target).module()


@dataclass
class _Translation:
    llir: str
    target: str
    kernel: str = ""
    parameters: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    constants: dict[str, int] = field(default_factory=dict)
    strings: dict[str, str] = field(default_factory=dict)
    helpers: dict[tuple[object, ...], str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    shared: SharedAddresses = field(default_factory=SharedAddresses)
    registers: Registers = field(default_factory=lambda: Registers(()))
    private: set[str] = field(default_factory=set)
    turns: dict[int, list[tuple[str, Loop]]] = field(default_factory=dict)
    inlined: bool = True
    sites: dict[int, str] = field(default_factory=dict)
    start: int = 0
    number: int = 0

    def module(self) -> Module:
        self.source = Sites.of(self.llir)
        self.defined = set(re.findall(rf"^define [^@]*@({NAME})\(", self.llir, re.MULTILINE))
        try:
            lines = self.llir.splitlines()
            for number, line in enumerate(lines):
                self.number = number
                if line.startswith("define"):
                    self.registers = Registers(takewhile(lambda text: text != "}", lines[number + 1 :]))
                self._line(line)
        except UnknownInstruction as error:
            found = re.search(
                rf"^define (?:\w+ )*(?:ptx|amdgpu)_kernel .*?@({NAME})\(", self.llir, re.MULTILINE
            )
            where = f"kernel {found[1] if found else 'without a name'}{self.target and f' for {self.target}'}"
            message = f"{where}: the simulator does not know the instruction {error}"
            raise UnknownInstruction(message, target=self.target) from None
        if not self.kernel:
            raise ValueError("expected a module with a kernel, got none")
        body = "\n".join([*self.texts, *self.lines, self._entry()])
        text = "\n".join([*declarations(body), body, ""])
        announced = re.findall(r"@sim_(?:access|atomic)\(ptr [^,]+, i32 (\d+)", text)
        smallest = min(map(int, announced), default=1)
        return Module(self.kernel, text, tuple(self.parameters), self.sites, self.constants, smallest)

    # ---- lines

    def _line(self, line: str) -> None:
        if line.startswith(("declare", "attributes", "!", "source_filename", "target ", ";", "$")):
            return
        if "#dbg_" in line or not line.strip():
            return
        line = float_literals(re.sub(r"\s+;.*$|/\*.*?\*/ ?", "", line) if '"' not in line else line)
        if line.startswith("@"):
            self._global(line)
        elif line.startswith("define"):
            self._begin(line)
        elif line.startswith("}"):
            self._end()
        elif re.match(rf"{NAME}:", line):
            self.lines.append(line)
            self.registers.label()
        else:
            self._instruction(line)

    def _global(self, line: str) -> None:
        """A table of constants; the shared memory has no symbol here."""
        match = re.match(rf"@({NAME}) = .*?(?:addrspace\((\d+)\) )?(global|constant) (.*)", line)
        if match is None:
            raise UnknownInstruction(line)
        name, space, kind, rest = match.groups()
        if space == _SHARED_SPACE or name.startswith("llvm."):
            return
        if kind != "constant":
            raise UnknownInstruction(f"global variable {name}")
        parts = split(plain(rest))
        value = operand(parts[0])
        self.constants[name] = array_size(value.type)
        self.strings[name] = value.value.removeprefix('c"').removesuffix('\\00"')
        self.lines.append(f"@{name} = constant {parts[0]}, align 16")

    def _begin(self, line: str) -> None:
        match = re.match(rf"define (.*?)@({NAME})\(", line)
        if match is None:
            raise UnknownInstruction(line)
        parameters = [
            operand(plain(text)) for text in split(line[match.end() : closing(line, match.end() - 1)])
        ]
        kernel = re.search(r"\b(ptx_kernel|amdgpu_kernel)\b", match[1]) is not None
        if kernel:
            self.kernel, self.parameters = match[2], [p.type for p in parameters]
        name = _KERNEL if kernel else match[2]
        result = "void" if kernel else last_type(plain(match[1]))
        listed = ", ".join(f"{p.type} {p.value}" for p in parameters)
        self.lines.append(f"define internal {result} @{name}({listed}) {{")
        self.start, self.shared, self.private = len(self.lines), SharedAddresses(), set()
        self.inlined = kernel
        if self.target.startswith("gfx"):  # the order in which lanes come to places: runtime/warps.h
            self.turns = turns(self.llir.splitlines())

    def _end(self) -> None:
        """Close a function; what its shared addresses are computed from comes first."""
        made = self.shared.instructions()
        labelled = int(self.lines[self.start].endswith(":"))
        self.lines[self.start + labelled : self.start + labelled] = made
        self.lines.append("}")

    def _instruction(self, line: str) -> None:
        self._whole = line
        location = re.search(r", !dbg (!\d+)", line)
        line = re.sub(r"(, ![\w.]+ ![\w{}!, ]+)+$", "", line).strip()
        line = re.sub(r"(?: #\d+)+$", "", line)
        result, _, text = line.rpartition(" = ") if re.match(r"%\S+ = ", line) else ("", "", line)
        if result:
            result, text = re.match(r"(%\S+) = (.*)", line).groups()  # type: ignore[union-attr]  # it matched above
        self._result = f"{result} = " if result else ""
        self._location = location[1] if location else None
        if self.registers:
            self.lines += [f"  {call}" for call in self.registers.before(line, self._site)]
        self._translate(result, text)
        if self.registers:
            self.lines += [f"  {call}" for call in self.registers.after(line, self._site)]

    def _translate(self, result: str, text: str) -> None:
        opcode = re.sub(r"^(?:tail|musttail|notail) ", "", text).split()[0]
        if opcode == "alloca" or (opcode in _POINTERS and self.private & set(re.findall(r"%[\w.]+", text))):
            self.private.add(result)
        handler = getattr(self, f"_do_{opcode}", None)
        if handler is not None:
            handler(text)
        elif COPIED.fullmatch(opcode):
            self._put(self.shared.in_text(plain(cast(text))))
        else:
            raise UnknownInstruction(text)

    def _put(self, text: str) -> None:
        self.lines.append(f"  {self._result}{text}")

    def _site(self, what: str) -> str:
        self.sites[self.number] = self.source.words(self._location, what)
        return str(self.number)

    def _do_br(self, text: str) -> None:
        """A branch; the runtime hears of one that leads back."""
        match = re.match(rf"br (i1 [^,]+), label %({NAME}), ", text)
        for label, loop in self.turns.get(self.number, ()):
            taken = "1"
            if match is not None:
                taken = f"%turn.{len(self.lines)}"
                choice = "i32 1, i32 0" if match[2] == label else "i32 0, i32 1"
                self.lines.append(f"  {taken} = select {match[1]}, {choice}")
            numbers = f"i32 {loop.depth}, i32 {loop.first}, i32 {loop.last}"
            self.lines.append(f"  call void @sim_turn({numbers}, i32 {taken})")
        self._put(text)

    # ---- memory

    def _do_load(self, text: str) -> None:
        match = re.match(r"load (atomic )?(volatile )?(.*)", text)
        parts = split(match[3])  # type: ignore[index]  # the opcode is load
        self._access(text, operand(plain(parts[0])).type, parts[1], store=False)

    def _do_store(self, text: str) -> None:
        match = re.match(r"store (atomic )?(volatile )?(.*)", text)
        parts = split(match[3])  # type: ignore[index]  # the opcode is store
        self._access(text, operand(plain(parts[0])).type, parts[1], store=True)

    def _access(self, text: str, type_: str, place: str, *, store: bool) -> None:
        """Announce an access, then do it; the runtime orders threads, so the host needs no atomic."""
        space, pointer = self._pointer(place)
        done = self.shared.in_text(plain(text))
        name = "store" if store else "load"
        if space not in _QUIET_SPACES and pointer not in self.private:
            shared, site = SHARED if space == _SHARED_SPACE else 0, self._site(name)
            order, scope = order_and_scope(text)
            if order is None and " volatile " not in text:
                kind = shared | (STORE if store else 0)
                self._announce(pointer, bytes_of(type_, text), text, kind, site)
            else:
                kind = shared | (WRITES if store else READS)
                call = atomic(pointer, bytes_of(type_, text), order or 0, scope, kind, site)
                self.lines.append("  " + call)
        self._put(not_atomic(done))

    def _announce(self, pointer: str, size: int, text: str, kind: int, site: str) -> None:
        """As several accesses, where the alignment promises less than the size."""
        align = re.search(r", align (\d+)", text)
        unit = min(int(align[1]) if align else size, size & -size)
        for offset in range(0, size, unit):
            part = pointer
            if offset:
                part = f"%announced.{len(self.lines)}"
                self.lines.append(f"  {part} = getelementptr i8, ptr {pointer}, i64 {offset}")
            self.lines.append("  " + access(part, unit, kind, site))

    def _do_atomicrmw(self, text: str) -> None:
        match = re.match(r"atomicrmw (?:volatile )?(\w+) (.*)", text)
        parts = split(match[2])  # type: ignore[index]  # the opcode is atomicrmw
        value = operand(plain(parts[1]))
        self._atomic(text, parts[0], value.type)
        self._put(self.shared.in_text(plain(text)))

    def _do_cmpxchg(self, text: str) -> None:
        match = re.match(r"cmpxchg (?:weak )?(?:volatile )?(.*)", text)
        parts = split(match[1])  # type: ignore[index]  # the opcode is cmpxchg
        self._atomic(text, parts[0], operand(plain(parts[1])).type)
        self._put(self.shared.in_text(plain(text)))

    def _atomic(self, text: str, place: str, type_: str) -> None:
        space, pointer = self._pointer(place)
        order, scope = order_and_scope(text)
        kind = READS | WRITES | (SHARED if space == _SHARED_SPACE else 0)
        call = atomic(pointer, bytes_of(type_, text), order or 0, scope, kind, self._site("atomic"))
        self.lines.append("  " + call)

    def _do_fence(self, text: str) -> None:
        if 'syncscope("singlethread")' in self._whole:
            return
        site = self._site("fence")
        if orders_threads(self._whole, self.llir):
            order, scope = order_and_scope(text)
            self.lines.append(f"  call void @sim_fence(i32 {order}, i32 {scope}, i32 {site})")
        else:
            order, _ = order_and_scope(text.replace('syncscope("wavefront") ', ""))
            self.lines.append(f"  call void @sim_barrier_fence(i32 {order}, i32 {site})")

    def _pointer(self, place: str) -> tuple[str, str]:
        """Address space and value of `ptr addrspace(3) %5 syncscope("agent") monotonic`."""
        match = re.match(r"ptr(?: addrspace\((\d+)\))? (.*)", place)
        if match is None or (match[1] or "0") not in _KNOWN_SPACES:
            raise UnknownInstruction(f"access through {place}")
        rest = self.shared.in_text(plain(match[2]))
        end = (
            closing(rest, rest.index("(")) + 1
            if re.match(r"\w+ ?(?:\w+ )*\(", rest)
            else len(rest.split()[0])
        )
        return match[1] or "0", rest[:end]

    # ---- calls

    def _do_call(self, text: str) -> None:
        match = CALL.match(text)
        if match is None:
            raise UnknownInstruction(text)
        flags, rest = match.groups()
        assembly = re.match(r'(.*?) ?asm (?:sideeffect )?(?:alignstack )?"([^"]*)", "([^"]*)"\(', rest)
        if assembly:
            self._inline(rest, assembly)
            return
        called = re.match(rf"(.*?)@({NAME})\(", rest)
        if called is None:
            raise UnknownInstruction(text)
        result = without_attributes(plain(called[1]))
        result = re.sub(r"\s*\(.*\)$", "", result)  # a whole function type
        name = called[2]
        arguments = self._arguments(rest, called.end() - 1)
        if name.startswith("llvm.nvvm."):
            self._helper(nvidia.define, name, result, arguments)
        elif name.startswith("llvm.amdgcn."):
            self._helper(partial(amd.define, arch=self.target), name, result, arguments)
        elif name.startswith("llvm.canonicalize."):
            self._put(f"freeze {arguments[0]}")
        elif PURE.fullmatch(name) or name in self.defined:
            self._put(f"call {flags}{result} @{name}({listed(arguments)})")
        elif name == "__assertfail":
            self._put(f"call void @sim_trap({arguments[0]}, i32 {self._site('assertion')})")
        elif name == "vprintf":
            self._put(f"call i32 @sim_print({arguments[0]}, {arguments[1]})")
        elif name == "__nvvm_reflect":
            self._put(f"add i32 {self._reflected(arguments[0].value)}, 0")
        elif not IGNORED.fullmatch(name):
            raise UnknownInstruction(f"call of {name}")

    def _reflected(self, value: str) -> int:
        """What NVIDIA's library asks of the compiler, as LLVM's NVVMReflect answers it."""
        question = self.strings.get(value.removeprefix("@"))
        if question == "__CUDA_ARCH":
            return 10 * int(self.target.removeprefix("sm_") or 0)
        if question == "__CUDA_FTZ":
            flag = re.search(r'!"nvvm-reflect-ftz", i32 (\d)', self.llir)
            return int(flag[1]) if flag else 0
        if question is None:
            raise UnknownInstruction(f"call of __nvvm_reflect with {value}")
        return 0

    def _arguments(self, text: str, opening: int) -> list[Operand]:
        listed = split(text[opening + 1 : closing(text, opening)])
        return [operand(self.shared.in_text(plain(argument))) for argument in listed]

    def _inline(self, rest: str, match: re.Match[str]) -> None:
        result, assembly, constraints = without_attributes(plain(match[1])), match[2], match[3]
        arguments = self._arguments(rest, match.end() - 1)
        if self.target.startswith("gfx"):
            raise UnknownInstruction(f'asm "{assembly}"')
        types = tuple(a.type for a in arguments)
        key = ("asm", assembly, constraints, result, types)
        if key not in self.helpers:
            symbol = self.helpers[key] = f"simulated.asm.{len(self.helpers)}"
            self.texts.append(ptx.define(assembly, constraints, symbol, result, types))
        self._call_helper(self.helpers[key], result, arguments, _first_opcode(assembly))

    def _helper(self, define: Callable[..., str], name: str, result: str, arguments: list[Operand]) -> None:
        types = [a.type for a in arguments]
        key = (name, result, tuple(types))
        if key not in self.helpers:
            symbol = self.helpers[key] = f"simulated.{name}.{len(self.helpers)}"
            self.texts.append(define(name, symbol, result, types))
            if self.target.startswith("gfx") and not self.inlined and "i32 %site)\n" in self.texts[-1]:
                raise UnknownInstruction(f"{name} in a function that is not inlined")
        self._call_helper(self.helpers[key], result, arguments, name.split(".", 2)[2])

    def _call_helper(self, symbol: str, result: str, arguments: list[Operand], what: str) -> None:
        site = Operand("i32", self._site(what))
        self._put(f"call {result} @{symbol}({listed([*arguments, site])})")

    # ---- conversions that the host lacks

    def _do_fptrunc(self, text: str) -> None:
        """To bfloat by integer operations: not every host has the instruction."""
        match = re.match(rf"fptrunc {FLAGS}(.*) to (.*)", text)
        source, target = operand(match[1]), match[2]  # type: ignore[index]  # the opcode is fptrunc
        count, element = vector(target)
        if element != "bfloat" or vector(source.type)[1] != "float":
            self._put(text)
            return
        key = ("bfloat", count)
        if key not in self.helpers:
            self.helpers[key] = f"simulated.bfloat.{count}"
            self.texts.append(to_bfloat(self.helpers[key], count))
        self._put(f"call {target} @{self.helpers[key]}({source})")

    def _entry(self) -> str:
        """The function of the ABI: it takes the arguments apart."""
        structure = f"{{ {', '.join(self.parameters)} }}"
        lines = [f"define void @{ENTRY}(ptr %arguments, ptr %shared) {{"]
        for i, type_ in enumerate(self.parameters):
            lines.append(f"  %p{i} = getelementptr {structure}, ptr %arguments, i32 0, i32 {i}")
            lines.append(f"  %v{i} = load {type_}, ptr %p{i}")
        listed = ", ".join(f"{type_} %v{i}" for i, type_ in enumerate(self.parameters))
        return "\n".join([*lines, f"  call void @{_KERNEL}({listed})", "  ret void", "}"])


def _first_opcode(assembly: str) -> str:
    """A short name of inline assembly: its last opcode, which is the one that the moves before it serve."""
    found = ptx.statements(assembly)
    return re.sub(r"^@!?\S+ ", "", found[-1]).split()[0] if found else "asm"
