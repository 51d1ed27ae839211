"""NVIDIA machine code as nvdisasm prints it: instructions with their control words, loops, resources.

The control word is in the upper half of an instruction's 128 bits, the same from sm_80 to sm_120: how long
the next instruction of the warp waits (stall), which of six scoreboards it sets when its result is there
(write) or its operands are read (read), and which it waits for (waits).
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from triton import knobs

from .loops import closed_by

NO_SCOREBOARD = 7

_FIRST = re.compile(
    r"/\*(?P<address>[0-9a-f]{4,6})\*/\s+(?P<predicate>@!?U?P[0-9T]+\s+)?"
    r"(?P<name>[A-Z][A-Za-z0-9_.]*)\s*(?P<operands>.*?);?\s*/\* 0x[0-9a-f]{16} \*/"
)
_SECOND = re.compile(r"^\s*/\* 0x([0-9a-f]{16}) \*/")
_LABEL = re.compile(r"^(\.L_\w+):")


@dataclass(frozen=True)
class Instruction:
    """One instruction; `control` is the upper half of its encoding."""

    address: int
    name: str
    operands: str
    control: int

    @property
    def stall(self) -> int:
        """Cycles before the next instruction of the warp, at least."""
        return max(1, self.control >> 41 & 0xF)

    @property
    def write(self) -> int:
        """The scoreboard that says that the result is there."""
        return self.control >> 46 & 7

    @property
    def read(self) -> int:
        """The scoreboard that says that the operands have been read."""
        return self.control >> 49 & 7

    @property
    def waits(self) -> tuple[int, ...]:
        """The scoreboards that it waits for."""
        return tuple(i for i in range(6) if self.control >> (52 + i) & 1)


@dataclass(frozen=True)
class Unit:
    """Instructions of a kind: their names, and what `timeline.py` takes for their times in cycles.

    Attributes:
        latency: From issue to result.
        interval: From one issue to the next of the same unit; 0 if nothing else limits it.
    """

    kind: str
    pattern: str
    latency: int = 20
    interval: int = 0


#: The first that matches counts. Latencies are of the size that is published for Ampere and Hopper.
UNITS = (
    Unit("matrix", r"[HQI]GMMA|UTC\w*MMA", 60),
    Unit("matrix", r"[HIDQO]MMA", 33, 8),
    Unit("asynchronous copy", r"LDGSTS|UTMA\w*|UBLKCP", 260),
    Unit("global load", r"LDG|LD", 260, 8),
    Unit("global store", r"STG|ST", 30, 8),
    Unit("shared load", r"LDSM", 33, 8),
    Unit("shared load", r"LDS", 28, 4),
    Unit("shared store", r"STSM", 30, 8),
    Unit("shared store", r"STS", 25, 8),
    Unit("tensor memory", r"LDTM|STTM|UTCCP", 30),
    Unit("local load", r"LDL", 35),
    Unit("local store", r"STL", 25),
    Unit("atomic", r"ATOM[GS]?|RED[GS]?", 350),
    Unit("barrier", r"BAR|UCGABAR_\w+|SYNCS|UTCBAR", 25),
    Unit("special function", r"MUFU", 22, 8),
    Unit("shuffle", r"SHFL|VOTE|VOTEU|MATCH|REDUX|CREDUX", 24),
    Unit("conversion", r"F2F|I2F|F2I|F2FP|I2FP|F2IP|I2I|FRND", 14, 4),
    Unit("float", r"FFMA2?|FADD2?|FMUL2?|FSEL|FSETP?|FMNMX3?|FCHK|FSWZADD|FHADD|FHFMA", 20, 1),
    Unit("float", r"D(?:FMA|ADD|MUL|SETP)|H(?:FMA2|ADD2|MUL2|MNMX2|SETP2|SET2)", 20, 1),
    Unit("fence", r"MEMBAR|ERRBAR|CCTL\w*", 300),
    Unit("fence", r"FENCE", 20),
    Unit("constant load", r"LDC|ULDC|LDCU", 40),
    Unit("move", r"S2U?R|CS2R", 30),
    Unit("move", r"U?MOV|R2UR|UMOV32I|MOV32I|PLOP3|UPLOP3|P2R|R2P"),
    Unit(
        "integer",
        r"U?(?:IMAD|VIADD|IADD3?|LEA|LOP3|SHF|ISETP|IABS|SEL|PRMT|IMNMX|VIMNMX3?|FLO|POPC|BREV|SGXT|BMSK)",
        20,
        1,
    ),
    Unit("branch", r"BRA|BRX|BSSY|BSYNC|EXIT|CALL|RET|NOP|WARPSYNC|BREAK|YIELD|BMOV|KILL|BPT"),
    Unit(
        "wait",
        r"DEPBAR|LDGDEPBAR|WARPGROUP|WARPGROUPSET|ACQBULK|UTMACMDFLUSH|ARRIVES|NANOSLEEP|ELECT|UVIRTCOUNT|UTCATOMSWS",
    ),
    Unit("other", r".*"),
)
_COMPILED = tuple((unit, re.compile(unit.pattern)) for unit in UNITS)


def unit(name: str) -> Unit:
    """What executes the instructions of a mnemonic."""
    return next(unit for unit, pattern in _COMPILED if pattern.fullmatch(name.split(".")[0]))


def disassemble(cubin: bytes) -> tuple[list[Instruction], list[tuple[int, int]]]:
    """The instructions of a cubin, and its loops as (first, last) positions, inner ones first."""
    return parse(_tool(knobs.nvidia.nvdisasm.path, cubin, "-c", "-hex"))


def parse(text: str) -> tuple[list[Instruction], list[tuple[int, int]]]:
    """The same from what `nvdisasm -c -hex` prints."""
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    head: re.Match[str] | None = None
    for line in text.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(instructions)
        elif first := _FIRST.search(line):
            head = first
        elif head is not None and (second := _SECOND.match(line)):
            address, name, operands = int(head["address"], 16), head["name"], head["operands"].strip()
            instructions.append(Instruction(address, name, operands, int(second[1], 16)))
            head = None
    return instructions, closed_by(_branches(instructions, labels), labels)


def _branches(instructions: Sequence[Instruction], labels: dict[str, int]) -> Iterator[tuple[int, str]]:
    """Position and label of each; the branch to itself at the end of every kernel is none."""
    for i, instruction in enumerate(instructions):
        label = re.search(r"\.L_\w+", instruction.operands)
        if instruction.name.startswith("BRA") and label and labels.get(label[0]) != i:
            yield i, label[0]


@dataclass(frozen=True)
class Usage:
    """Registers and bytes of stack of a thread."""

    registers: int
    stack: int


def usage(cubin: bytes) -> Usage:
    """What the loader will reserve for a thread."""
    text = _tool(knobs.nvidia.cuobjdump.path, cubin, "--dump-resource-usage")
    found = {name: int(count) for name, count in re.findall(r"(REG|STACK):(\d+)", text)}
    if set(found) != {"REG", "STACK"}:
        raise ValueError(f"expected the resources of one kernel from cuobjdump, got {text[:500]!r}")
    return Usage(found["REG"], found["STACK"])


def width(name: str) -> int:
    """Bytes of a thread that a load or store moves: LDG.E.128 moves 16."""
    if name.startswith(("LDSM", "STSM")):  # matrices of 8 x 8 halves: 4 bytes a thread each
        count = name.rsplit(".", 1)[-1]
        return 4 * (int(count) if count.isdigit() else 1)
    for part in name.split(".")[1:]:
        if part in ("U8", "S8"):
            return 1
        if part in ("U16", "S16"):
            return 2
        if part in ("64", "128", "256"):
            return int(part) // 8
    return 4


def _tool(path: str, cubin: bytes, *options: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kernel.cubin")
        file.write_bytes(cubin)
        done = subprocess.run([path, *options, str(file)], check=True, capture_output=True, text=True)
    return done.stdout
