"""AMD machine code as the compiler prints it beside the binary: instructions, loops, resources."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .loops import closed_by

#: (kind, pattern of the mnemonic); the first that matches counts.
KINDS = (
    ("matrix", r"v_s?(?:mfma|wmma|wmmac)_\w+"),
    ("asynchronous copy", r"(?:global|buffer)_load_(?:lds|async)\w*"),
    ("global load", r"(?:global|buffer|flat)_load\w*"),
    ("global store", r"(?:global|buffer|flat)_store\w*"),
    (
        "atomic",
        r"(?:global|buffer|flat)_atomic\w*|ds_(?:add|sub|min|max|and|or|xor|cmpst|cmpstore|wrxchg)\w*",
    ),
    ("shared load", r"ds_(?:read|load)\w*"),
    ("shared store", r"ds_(?:write|store)\w*"),
    (
        "shuffle",
        r"ds_(?:b?permute|swizzle)\w*|v_(?:readlane|readfirstlane|writelane|permlane)\w*|v_mov_b32_dpp",
    ),
    ("local load", r"scratch_load\w*"),
    ("local store", r"scratch_store\w*"),
    ("barrier", r"s_barrier(?:_wait)?"),
    ("wait", r"s_(?:wait|delay|nop|sleep|barrier_signal|clause)\w*"),
    ("special function", r"v_(?:exp|log|rcp|rsq|sqrt|sin|cos|tanh)_\w+"),
    ("fence", r"(?:buffer|global)_(?:gl\d?_?inv|wbl2|inv|wb|wbinv)\w*"),
    ("constant load", r"s_(?:buffer_)?load\w*"),
    ("conversion", r"v_cvt_\w+"),
    (
        "float",
        r"v_(?:pk_)?(?:dual_)?(?:add|sub|subrev|mul|fma|fmac|fmaak|fmamk|max|min|mad|med3|cmp\w*)_f\w+",
    ),
    ("move", r"v_(?:dual_)?mov\w*|v_(?:swap|accvgpr)\w*|s_c?mov\w*|v_cndmask\w*"),
    ("branch", r"s_c?branch\w*|s_endpgm|s_setprio|s_set_\w+|s_setreg\w*|s_code_end|s_trap"),
    ("integer", r"v_\w+|s_\w+"),
    ("other", r".*"),
)
_COMPILED = tuple((kind, re.compile(pattern)) for kind, pattern in KINDS)
_WIDTHS = {"u8": 1, "i8": 1, "b8": 1, "byte": 1, "u16": 2, "i16": 2, "b16": 2, "short": 2}
_WIDTHS |= {f"b{bits}": bits // 8 for bits in (32, 64, 96, 128)}
_WIDTHS |= {"dword": 4, "dwordx2": 8, "dwordx3": 12, "dwordx4": 16}


@dataclass(frozen=True)
class Instruction:
    """One instruction."""

    name: str
    operands: str


@dataclass(frozen=True)
class Usage:
    """Of one thread: vector registers (accumulation registers included), spilled ones, bytes of scratch."""

    registers: int
    spilled: int
    stack: int


def kind(name: str) -> str:
    """What an instruction does."""
    return next(kind for kind, pattern in _COMPILED if pattern.fullmatch(name))


def width(name: str) -> int:
    """Bytes of a thread that a load or store moves: global_load_dwordx4 moves 16, ds_read2_b64 too."""
    parts = name.split("_")
    one = next((_WIDTHS[part] for part in parts if part in _WIDTHS), 4)
    return one * (
        2 if any(re.fullmatch(r"(read|load|write|store)2(st64)?|2addr", part) for part in parts) else 1
    )


def parse(text: str) -> tuple[list[Instruction], list[tuple[int, int]]]:
    """The instructions of the kernel, and its loops as (first, last) positions, inner ones first."""
    instructions: list[Instruction] = []
    labels: dict[str, int] = {}
    for line in text.splitlines():
        code = line.split(";")[0].rstrip()
        if code.strip().startswith(".section") and any(i.name == "s_endpgm" for i in instructions):
            break
        if label := re.match(r"(\.?[A-Za-z_][\w.$]*):", code):
            labels[label[1]] = len(instructions)
        elif found := re.match(r"\s+([a-z]\w*_\w+)\b\s*(.*)$", code):
            instructions.append(Instruction(found[1], found[2]))
    branches = (
        (i, instruction.operands.strip())
        for i, instruction in enumerate(instructions)
        if re.match(r"s_c?branch", instruction.name)
    )
    return instructions, closed_by(branches, labels)


#: What the fields of `Usage` are called in the metadata.
_FIELDS = ("vgpr_count", "vgpr_spill_count", "private_segment_fixed_size")


def usage(text: str) -> Usage:
    """What the compiler writes beside the code for the loader."""
    return Usage(*(_count(text, field) for field in _FIELDS))


def usage_of_binary(code: bytes) -> Usage:
    """The same from the code object, whose metadata is MessagePack."""
    return Usage(*(_packed(code, field) for field in _FIELDS))


def _packed(code: bytes, field: str) -> int:
    """The unsigned integer behind the name of a field: in one byte, or in the bytes after 0xcc to 0xce."""
    found = re.search(rb"\.%b([\x00-\x7f]|\xcc.|\xcd..|\xce....)" % field.encode(), code, re.DOTALL)
    if found is None:
        raise ValueError(f"expected .{field} in the metadata of the code object, there is none")
    return int.from_bytes(found[1][1:] or found[1], "big")


def _count(text: str, field: str) -> int:
    found = re.search(rf"^\s+-?\s*\.{field}:\s+(\d+)", text, re.MULTILINE)
    if found is None:
        raise ValueError(f"expected .{field} in the metadata of the AMDGCN text, there is none")
    return int(found[1])
