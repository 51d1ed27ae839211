"""Static figures: hand-written code of both vendors, and kernels compiled for each kind of target."""

import json
from dataclasses import replace
from types import SimpleNamespace

import pytest
import triton
import triton.language as tl
from symgru.kernels.simulator import TARGETS, amdgcn, report, sass, static, timeline
from symgru.kernels.simulator.driver import Launch
from triton.compiler import ASTSource


@triton.jit
def product(a, b, out, steps, SIZE: tl.constexpr):
    i = tl.arange(0, SIZE)[:, None] * SIZE + tl.arange(0, SIZE)[None, :]
    total = tl.zeros((SIZE, SIZE), tl.float32)
    for k in range(steps):
        total = tl.dot(tl.load(a + k * SIZE * SIZE + i), tl.load(b + k * SIZE * SIZE + i), total)
    tl.store(out + i, tl.exp2(total))


def compiled(name, **options):
    signature = {"a": "*fp16", "b": "*fp16", "out": "*fp32", "steps": "i32", "SIZE": "constexpr"}
    aligned = {(i,): [["tt.divisibility", 16]] for i in range(3)}
    source = ASTSource(product, signature, {(4,): 64}, aligned)
    return triton.compile(source, target=TARGETS[name].triton, options={"num_warps": 4, **options})


@pytest.mark.parametrize(
    ("name", "matrix", "asynchronous", "special"),
    [
        ("sm_80", "HMMA.16816.F32", True, 32),
        ("sm_90", "HGMMA.64x64x16.F32", True, 32),
        ("sm_120", "HMMA.16816.F32", True, 32),
        ("gfx90a", "v_mfma_f32_32x32x8f16", False, 16),
        ("gfx942", "v_mfma_f32_32x32x8_f16", False, 16),
        ("gfx1100", "v_wmma_f32_16x16x16_f16", False, 32),
        ("gfx1201", "v_wmma_f32_16x16x16_f16", False, 32),
    ],
)
def test_compiled_product(name, matrix, asynchronous, special):
    found = static.read(compiled(name))
    assert set(found.code.matrix) == {matrix}
    assert found.target == name
    assert 32 <= found.registers <= TARGETS[name].registers_per_thread
    assert (found.spilled, found.stack) == (0, 0)
    assert 0 < found.shared_memory <= found.shared_memory_limit
    assert found.programs_at_once >= TARGETS[name].processors
    assert found.code.instructions["special function"] == special  # 64 * 64 results over the threads
    assert ("asynchronous copy" in found.code.instructions) is asynchronous
    assert found.code.widths["asynchronous copy 16" if asynchronous else "global load 16"] > 0
    assert matrix in found.longest_loop.matrix
    assert found.longest_loop.barriers >= 1
    assert (found.longest_loop.cycles is not None) is name.startswith("sm_")


def test_too_few_registers_are_spilled():
    found = static.read(compiled("sm_80", maxnreg=40))
    assert found.registers <= 40
    assert found.spilled > 0
    assert found.stack > 0


def test_target_outside_the_table_is_refused():
    kernel = SimpleNamespace(metadata=SimpleNamespace(target=SimpleNamespace(arch=75)))
    with pytest.raises(ValueError, match="sm_75"):
        static.read(kernel)


# NVIDIA, by hand


def control(stall=1, write=7, read=7, waits=()):
    return stall << 41 | write << 46 | read << 49 | sum(1 << 52 + i for i in waits)


def listing(*lines):
    """What nvdisasm prints: labels, and (text, control word)."""
    out, address = [], 0
    for line in lines:
        if isinstance(line, str):
            out.append(line)
        else:
            out += [f"        /*{address:04x}*/      {line[0]} ;   /* 0x0123456789abcdef */"]
            out += [f"                                             /* 0x{line[1]:016x} */"]
            address += 16
    return "\n".join(out)


LOOP = listing(
    ("MOV R1, c[0x0][0x28]", control()),
    ".L_x_0:",
    ("LDG.E.128 R4, desc[UR4][R2.64]", control(stall=2, write=0)),
    ("@!P0 FADD R8, R4, R5", control(stall=4, waits=(0,))),
    ("BAR.SYNC.DEFER_BLOCKING 0x0", control(stall=5)),
    ("@P0 BRA `(.L_x_0)", control(stall=5)),
    ".L_x_1:",
    ("BRA `(.L_x_1)", control()),
)


def test_listing_is_read():
    instructions, loops = sass.parse(LOOP)
    assert [i.name for i in instructions] == [
        "MOV", "LDG.E.128", "FADD", "BAR.SYNC.DEFER_BLOCKING", "BRA", "BRA",
    ]  # fmt: skip
    assert (instructions[1].stall, instructions[1].write, instructions[1].read) == (2, 0, 7)
    assert instructions[2].waits == (0,)
    assert loops == [(1, 4)]  # not the branch to itself


def body():
    instructions, ((first, last),) = sass.parse(LOOP)
    return instructions[first : last + 1]


def test_cycles_of_a_loop_add_up():
    found = timeline.cycles(body())
    latency = sass.unit("LDG").latency
    assert found.total == latency + 4 + sass.unit("BAR").latency + 5
    assert sum(found.reasons.values()) == found.total
    assert found.reasons["wait for global load"] == latency - 2


def test_cycles_without_the_barrier_the_wait_or_a_stall_are_fewer():
    whole = timeline.cycles(body()).total
    load, add, barrier, branch = body()
    assert timeline.cycles([load, add, branch]).total == whole - sass.unit("BAR").latency
    assert (
        timeline.cycles([load, replace(add, control=control(stall=4)), barrier, branch]).total < whole - 200
    )
    assert timeline.cycles([load, add, barrier, replace(branch, control=control(stall=2))]).total == whole - 3


def test_unit_that_is_busy_delays():
    functions = [sass.Instruction(16 * i, "MUFU.EX2", "", control()) for i in range(10)]
    assert timeline.cycles(functions).total == 10 * sass.unit("MUFU.EX2").interval


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [
        ("LDG.E.128", "global load", 16),
        ("LDG.E.U16.CONSTANT", "global load", 2),
        ("STG.E.64", "global store", 8),
        ("STG.E", "global store", 4),
        ("LDGSTS.E.BYPASS.128", "asynchronous copy", 16),
        ("LDS.U8", "shared load", 1),
        ("LDSM.16.MT88.4", "shared load", 16),
        ("STSM.16.M88", "shared store", 4),
        ("STL.128", "local store", 16),
        ("REDUX.SUM", "shuffle", 4),
        ("RED.E.ADD.F32", "atomic", 4),
        ("DMMA.884", "matrix", 4),
    ],
)
def test_names_of_nvidia(name, kind, width):
    assert sass.unit(name).kind == kind
    assert sass.width(name) == width


# AMD, by hand


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [
        ("global_load_dwordx4", "global load", 16),
        ("global_load_b96", "global load", 12),
        ("buffer_store_short", "global store", 2),
        ("global_load_lds_dwordx4", "asynchronous copy", 16),
        ("ds_read2_b64", "shared load", 16),
        ("ds_load_u16_d16_hi", "shared load", 2),
        ("ds_write_b8", "shared store", 1),
        ("ds_bpermute_b32", "shuffle", 4),
        ("v_mfma_f32_16x16x16_f16", "matrix", 4),
        ("v_swmmac_f32_16x16x32_f16", "matrix", 4),
        ("v_exp_f32_e32", "special function", 4),
        ("s_barrier", "barrier", 4),
        ("s_barrier_wait", "barrier", 4),
        ("s_barrier_signal", "wait", 4),
        ("scratch_store_b32", "local store", 4),
        ("s_waitcnt", "wait", 4),
    ],
)
def test_names_of_amd(name, kind, width):
    assert amdgcn.kind(name) == kind
    assert amdgcn.width(name) == width


AMDGCN = """
kernel:                                 ; @kernel
; %bb.0:
	s_load_dwordx2 s[0:1], s[4:5], 0x0
.LBB0_1:                                ; =>This Inner Loop
	v_add_f32_e32 v0, v1, v2
	s_barrier
	s_cbranch_scc0 .LBB0_1
; %bb.2:
	s_branch .LBB0_3
.LBB0_3:
	s_endpgm
	.section	.rodata
	v_never_read v0
amdhsa.kernels:
  - .agpr_count:     0
    .private_segment_fixed_size: 24
    .vgpr_count:     77
    .vgpr_spill_count: 6
"""


def test_text_is_read():
    instructions, loops = amdgcn.parse(AMDGCN)
    assert len(instructions) == 6
    assert loops == [(1, 3)]
    assert amdgcn.usage(AMDGCN) == amdgcn.Usage(registers=77, spilled=6, stack=24)


def test_spilled_registers_are_four_bytes():
    metadata = SimpleNamespace(target=TARGETS["gfx942"].triton, num_warps=4, shared=0)
    found = static.read(SimpleNamespace(name="kernel", asm={"amdgcn": AMDGCN}, metadata=metadata))
    assert (found.spilled, found.stack, found.registers) == (24, 24, 77)


def test_text_without_metadata_is_refused():
    with pytest.raises(ValueError, match="vgpr_spill_count"):
        amdgcn.usage(AMDGCN.replace("vgpr_spill_count", "renamed"))


# the record of a launch


def launch_of(name):
    return Launch("product", (2, 1, 1), name, "fifo()", {"loads": 12}, 0.5, compiled(name))


def test_record_is_plain_and_says_what_it_is_not():
    made = json.loads(json.dumps(report.record(launch_of("sm_80"), steps=4)))
    assert made["notice"] == "not run on a GPU"
    assert made["counters per step"] == {"loads": 3.0}
    assert made["modelled cycles"]["total"] > 0
    assert "compared with no GPU" in made["modelled cycles"]["model"]
    assert made["static"]["code"]["matrix"] == {"HMMA.16816.F32": 32}
    with pytest.raises(ValueError, match="step"):
        report.record(launch_of("sm_80"), steps=0)


def test_table_has_a_line_for_each_launch():
    lines = list(report.table([launch_of("sm_80"), launch_of("gfx942")]))
    assert "not run on a GPU" in lines[0]
    assert ["sm_80" in lines[2], "gfx942" in lines[3], len(lines)] == [True, True, 8]
    assert "differences under a factor of 1.2 mean nothing" in lines[4]
    assert lines[6].split() == ["product", "sm_80", "loads", "12"]
    assert list(report.table([launch_of("sm_80")], steps=4))[-1].endswith("loads 12 / 3")
    assert "HMMA" in lines[2]
    assert "mfma" in lines[3]
