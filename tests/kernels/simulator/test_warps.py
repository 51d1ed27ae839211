"""Which lanes of a warp do an operation together: all, those of a member mask, or the active ones."""

from types import SimpleNamespace

import numpy as np
import pytest
from symgru.kernels.simulator import errors, runtime
from symgru.kernels.simulator.kernel import Kernel
from symgru.kernels.simulator.loops import Loop, turns
from symgru.kernels.simulator.runtime import fifo, pct, random

SCHEDULES = [fifo(), random(1), random(2), pct(1, 3, 500)]


def kernel(body, target, warps=1):
    """A kernel with the parameter %out, in which %lane is the number of the thread."""
    amd = target.startswith("gfx")
    thread = "@llvm.amdgcn.workitem.id.x()" if amd else "@llvm.nvvm.read.ptx.sreg.tid.x()"
    lines = [
        f"define {'amdgpu_kernel' if amd else 'ptx_kernel'} void @k(ptr addrspace(1) %out) {{",
        f"  %lane = call i32 {thread}",
        *[line for line in body.strip("\n").splitlines() if not line.startswith("!")],
        "}",
        *[line for line in body.splitlines() if line.startswith("!")],
    ]
    gpu = SimpleNamespace(
        backend="hip" if amd else "cuda",
        arch=target if amd else int(target[3:]),
        warp_size=64 if target == "gfx942" else 32,
    )
    metadata = SimpleNamespace(target=gpu, num_warps=warps, shared=1024)
    return Kernel(SimpleNamespace(asm={"llir": "\n".join(lines)}, metadata=metadata))


def run(body, target, schedule=None, warps=1):
    """What the threads have stored to out[lane]."""
    threads = warps * (64 if target == "gfx942" else 32)
    out = np.zeros(threads, np.uint32)
    buffers = [runtime.Buffer(out.ctypes.data, out.nbytes, "out")]
    arguments = [("out", "*i32", out.ctypes.data)]
    kernel(body, target, warps).launch((1,), arguments, buffers, schedule)
    return out


def store(value):
    return f"""
  %p = getelementptr i32, ptr addrspace(1) %out, i32 %lane
  store i32 {value}, ptr addrspace(1) %p, align 4
  ret void"""


COUNT = "call i64 @llvm.amdgcn.ballot.i64(i1 true)"
# Lane l goes l mod 3 + 1 times through a loop, in which every second lane counts those that are with it in
# a branch; behind the loop all count.
BRANCHES = f"""
  %turns = urem i32 %lane, 3
  %bit = and i32 %lane, 1
  %odd = icmp eq i32 %bit, 1
  br label %head
head:
  %i = phi i32 [ 0, %0 ], [ %next, %join ]
  %sum = phi i64 [ 0, %0 ], [ %joined, %join ]
  br i1 %odd, label %branch, label %join
branch:
  %here = {COUNT}
  %ones = call i64 @llvm.ctpop.i64(i64 %here)
  %more = add i64 %sum, %ones
  br label %join
join:
  %joined = phi i64 [ %sum, %head ], [ %more, %branch ]
  %next = add i32 %i, 1
  %again = icmp ult i32 %i, %turns
  br i1 %again, label %head, label %out.label
out.label:
  %all = {COUNT}
  %number = call i64 @llvm.ctpop.i64(i64 %all)
  %high = shl i64 %number, 16
  %both = or i64 %high, %joined
  %result = trunc i64 %both to i32
{store("%result")}
"""


@pytest.mark.parametrize("target", ["gfx942", "gfx1201"])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_active_lanes_do_what_a_branch_and_a_turn_have(target, schedule):
    lane = np.arange(64 if target == "gfx942" else 32)
    odd = lane % 2 == 1
    with_it = [int((odd & (lane % 3 >= turn)).sum()) for turn in range(3)]
    counted = np.array([sum(with_it[: i % 3 + 1]) for i in lane]) * odd
    np.testing.assert_array_equal(run(BRANCHES, target, schedule), len(lane) << 16 | counted)


def test_a_lane_that_ended_is_not_active():
    body = f"""
  %early = icmp ult i32 %lane, 5
  br i1 %early, label %end, label %on
end:
  ret void
on:
  %here = {COUNT}
  %number = call i64 @llvm.ctpop.i64(i64 %here)
  %result = trunc i64 %number to i32
{store("%result")}
"""
    np.testing.assert_array_equal(run(body, "gfx942"), np.where(np.arange(64) < 5, 0, 59))


def test_a_barrier_that_a_part_of_a_wave_comes_to_is_reported():
    body = f"""
  %early = icmp ult i32 %lane, 5
  br i1 %early, label %branch, label %on
branch:
  call void @llvm.amdgcn.s.barrier()
  br label %on
on:
  %here = {COUNT}
{store("%lane")}
"""
    with pytest.raises(errors.Divergence) as caught:
        run(body, "gfx942")
    assert [party.what for party in caught.value.parties] == ["barrier", "ballot"]


def test_a_value_of_a_lane_that_is_not_active_is_reported():
    body = f"""
  %early = icmp ult i32 %lane, 5
  br i1 %early, label %branch, label %on
branch:
  %value = call i32 @llvm.amdgcn.readlane.i32(i32 %lane, i32 LANE)
  br label %on
on:
  %result = phi i32 [ %value, %branch ], [ 77, %0 ]
{store("%result")}
"""
    expected = np.where(np.arange(64) < 5, 3, 77)
    np.testing.assert_array_equal(run(body.replace("LANE", "3"), "gfx942"), expected)
    with pytest.raises(errors.Trapped, match="readlane of a lane that is not active"):
        run(body.replace("LANE", "5"), "gfx942")


def test_a_wave_barrier_orders_the_memory_of_the_active_lanes():
    body = """
  %early = icmp ult i32 %lane, 32
  br i1 %early, label %branch, label %on
branch:
  %mine = getelementptr i32, ptr addrspace(1) %out, i32 %lane
  store i32 %lane, ptr addrspace(1) %mine, align 4
  call void @llvm.amdgcn.wave.barrier()
  %other = xor i32 %lane, 31
  %p = getelementptr i32, ptr addrspace(1) %out, i32 %other
  %value = load i32, ptr addrspace(1) %p, align 4
  call void @llvm.amdgcn.wave.barrier()
  store i32 %value, ptr addrspace(1) %mine, align 4
  br label %on
on:
  ret void
"""
    lane = np.arange(64)
    np.testing.assert_array_equal(run(body, "gfx942"), np.where(lane < 32, lane ^ 31, 0))


# ---- a barrier in two halves

RELEASE, ACQUIRE = 'fence syncscope("workgroup") release', 'fence syncscope("workgroup") acquire'
SIGNAL = f"{RELEASE}\n  call void @llvm.amdgcn.s.barrier.signal(i32 -1)"
WAIT = f"call void @llvm.amdgcn.s.barrier.wait(i16 -1)\n  {ACQUIRE}"
EXCHANGE = f"""
  %mine = getelementptr i32, ptr addrspace(1) %out, i32 %lane
  store i32 %lane, ptr addrspace(1) %mine, align 4
  {SIGNAL}
  {WAIT}
  %other = xor i32 %lane, 63
  %p = getelementptr i32, ptr addrspace(1) %out, i32 %other
  %value = load i32, ptr addrspace(1) %p, align 4
  {SIGNAL}
  %twice = mul i32 %value, 2
  {WAIT}
  store i32 %twice, ptr addrspace(1) %mine, align 4
  ret void
"""


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_halves_of_a_barrier(schedule):
    expected = 2 * (np.arange(64) ^ 63)
    np.testing.assert_array_equal(run(EXCHANGE, "gfx1201", schedule, warps=2), expected)
    with pytest.raises(errors.Deadlock, match=r"threads 0-63: wait at barrier 0 \(0 of 64 threads"):
        run(EXCHANGE.replace(SIGNAL, ""), "gfx1201", schedule, warps=2)
    with pytest.raises(errors.Deadlock):
        run("".join(EXCHANGE.rsplit(SIGNAL, 1)), "gfx1201", schedule, warps=2)
    with pytest.raises(errors.DataRace):
        run("".join(EXCHANGE.rsplit(WAIT, 1)), "gfx1201", schedule, warps=2)
    for fence in (RELEASE, ACQUIRE):  # the barrier itself orders no memory
        with pytest.raises(errors.DataRace):
            run(EXCHANGE.replace(fence, "", 1), "gfx1201", schedule, warps=2)
    with pytest.raises(errors.Trapped, match="signalled twice"):
        run(EXCHANGE.replace(WAIT, ""), "gfx1201", schedule, warps=2)
    with pytest.raises(errors.UnknownInstruction, match="named barrier"):
        run(EXCHANGE.replace("-1", "3"), "gfx1201", schedule, warps=2)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_wait_for_shared_memory_stands_for_the_fences_of_a_barrier(schedule):
    """As Triton 3.7 writes it for CDNA: s_waitcnt with lgkmcnt(0)."""
    wait = "call void @llvm.amdgcn.s.waitcnt(i32 49279)"
    barrier = "call void @llvm.amdgcn.s.barrier()"
    body = EXCHANGE.replace("63", "127").replace(WAIT, "").replace(SIGNAL, f"{wait}\n  {barrier}")
    expected = 2 * (np.arange(128) ^ 127)
    np.testing.assert_array_equal(run(body, "gfx942", schedule, warps=2), expected)
    for other in ("", wait.replace("49279", "49535")):  # one access may be left
        with pytest.raises(errors.DataRace):
            run(body.replace(wait, other), "gfx942", schedule, warps=2)


# Wave 1 stores, and sets a flag that wave 0 polls; both with a fence beside a relaxed access.
MESSAGE = """
  %flag = getelementptr i32, ptr addrspace(1) %out, i32 63
  switch i32 %lane, label %end [
    i32 0, label %poll
    i32 32, label %send
  ]
send:
  store i32 5, ptr addrspace(1) %out, align 4
  fence syncscope("SCOPE") release
  store atomic i32 1, ptr addrspace(1) %flag syncscope("agent") monotonic, align 4
  ret void
poll:
  %seen = load atomic i32, ptr addrspace(1) %flag syncscope("agent") monotonic, align 4
  %set = icmp eq i32 %seen, 1
  br i1 %set, label %go, label %poll
go:
  fence syncscope("SCOPE") acquire
  %value = load i32, ptr addrspace(1) %out, align 4
  ret void
end:
  ret void
"""


@pytest.mark.parametrize("scope", ["agent", "workgroup", "wavefront", "singlethread"])
def test_fences_order_no_more_than_their_scope(scope):
    text = MESSAGE.replace("SCOPE", scope)
    if scope in ("agent", "workgroup"):
        run(text, "gfx1201", random(1), warps=2)
        text = (
            text.replace(" release\n", " release, !mmra !1\n") + '!1 = !{!"amdgpu-synchronize-as", !"local"}'
        )
    with pytest.raises(errors.DataRace):
        run(text, "gfx1201", random(1), warps=2)


def test_fences_of_one_address_space_and_atomics_of_a_wave_are_not_known():
    with pytest.raises(errors.UnknownInstruction, match="workgroup-one-as"):
        run(MESSAGE.replace("SCOPE", "workgroup-one-as"), "gfx1201")
    with pytest.raises(errors.UnknownInstruction, match="wavefront"):
        run(MESSAGE.replace("SCOPE", "agent").replace("agent", "wavefront"), "gfx1201")


# ---- member masks

SHUFFLE = "call i32 @llvm.nvvm.shfl.sync.bfly.i32(i32 MEMBERS, i32 %lane, i32 1, i32 31)"
HALVES = f"""
  %early = icmp ult i32 %lane, 16
  br i1 %early, label %branch, label %on
branch:
  %value = {SHUFFLE.replace("MEMBERS", "65535")}
  br label %on
on:
  %result = phi i32 [ %value, %branch ], [ 77, %0 ]
  %all = {SHUFFLE.replace("MEMBERS", "-1")}
{store("%result")}
"""


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_lanes_of_a_member_mask_meet(schedule):
    lane = np.arange(32)
    np.testing.assert_array_equal(run(HALVES, "sm_80", schedule), np.where(lane < 16, lane ^ 1, 77))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_lanes_that_a_member_mask_waits_for_in_vain(schedule):
    with pytest.raises(errors.Divergence, match="different operations"):
        run(HALVES.replace("65535", "131071"), "sm_80", schedule)
    with pytest.raises(errors.Trapped, match=r"shfl.sync by lane \d+, which its member mask 0x7fff has not"):
        run(HALVES.replace("65535", "32767"), "sm_80", schedule)


def test_operations_inside_a_branch_are_strict_on_nvidia():
    strict = HALVES.replace("65535", "-1")
    later = f"%all = {SHUFFLE.replace('MEMBERS', '-1')}"
    with pytest.raises(errors.Divergence, match="have ended"):
        run(strict.replace(later, ""), "sm_80")
    vote = "%all = call i1 @llvm.nvvm.vote.all.sync(i32 -1, i1 true)"
    with pytest.raises(errors.Divergence, match="different operations") as caught:
        run(strict.replace(later, vote), "sm_80")
    assert {party.what for party in caught.value.parties} == {"shfl.sync", "vote.sync"}


FRAGMENT = "call i32 @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x1.b16.p3(ptr addrspace(3) @global_smem)"


def test_aligned_operations_are_of_one_place():
    body = f"""
  %early = icmp ult i32 %lane, 16
  br i1 %early, label %branch, label %on
branch:
  %value = {FRAGMENT}
  br label %join
on:
  %same = {FRAGMENT}
  br label %join
join:
{store("%lane")}
"""
    with pytest.raises(errors.Divergence, match="different operations"):
        run(body, "sm_80")


# ---- memory

COPIES = """
  %index = and i32 %lane, 15
  %p = getelementptr i32, ptr addrspace(1) %out, i32 %index
  FIRST
  %owner = icmp ult i32 %lane, 16
  br i1 %owner, label %owns, label %copies
owns:
  store i32 %lane, ptr addrspace(1) %p, align 4
  br label %copies
copies:
  SECOND
  ret void
"""
LOAD = "%value = load i32, ptr addrspace(1) %p, align 4"


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_copies_of_a_small_tile_may_be_loaded_before_their_owners_store(schedule):
    run(COPIES.replace("FIRST", LOAD).replace("SECOND", ""), "sm_80", schedule)
    with pytest.raises(errors.DataRace):
        run(COPIES.replace("FIRST", LOAD).replace("SECOND", ""), "sm_80", schedule, warps=2)
    wrong = COPIES.replace("FIRST", "").replace("SECOND", LOAD)
    with pytest.raises(errors.DataRace):
        run(wrong, "sm_80", schedule)
    run(wrong, "gfx1201", schedule)  # in lockstep


ROWS = """
  %bytes = shl i32 %lane, 4
  %row = getelementptr i8, ptr addrspace(3) @global_smem, i32 %bytes
  store <4 x i32> <i32 1, i32 2, i32 3, i32 4>, ptr addrspace(3) %row, align 16
  call void @llvm.nvvm.bar.warp.sync(i32 -1)
  %r = call { i32, i32, i32, i32 } @llvm.nvvm.ldmatrix.sync.aligned.m8n8.x4TRANS.b16.p3(ptr addrspace(3) %row)
  ret void
"""


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
@pytest.mark.parametrize("trans", ["", ".trans"])
def test_lanes_read_the_rows_of_others_with_ldmatrix(schedule, trans):
    text = ROWS.replace("TRANS", trans)
    run(text, "sm_90", schedule)
    with pytest.raises((errors.DataRace, errors.Uninitialised)):
        run("\n".join(line for line in text.splitlines() if "bar.warp" not in line), "sm_90", schedule)


# ---- the loops of a text

NESTED = """define void @k(i1 %c) {
  br label %outer
outer:
  br label %"in ner"
"in ner":
  br i1 %c, label %"in ner", label %latch
latch:
  br i1 %c, label %outer, label %1
1:
  ret void
}
define void @other(i1 %c) {
  br label %one
one:
  br i1 %c, label %one, label %two
two:
  ret void
}""".replace("in ner", "in.ner")


def test_turns_of_loops_and_their_depths():
    outer, inner = Loop(2, 7, 0), Loop(4, 5, 1)
    found = turns([*NESTED.splitlines(), COUNT])
    assert found == {7: [("outer", outer)], 5: [('"in.ner"', inner)], 14: [("one", Loop(13, 14, 0))]}


def test_a_loop_in_pieces_is_refused_where_lanes_work_together():
    text = NESTED.replace("latch:", "away:\n  ret void\nlatch:", 1)
    with pytest.raises(errors.UnknownInstruction, match="a loop in several pieces, from block outer on"):
        turns([*text.splitlines(), COUNT])
    assert [[loop.depth for _, loop in found] for found in turns(text.splitlines()).values()] == [[0]] * 3


def test_loops_that_overlap_are_refused():
    text = NESTED.replace("%outer, label %1", "%outer, label %more").replace(
        "1:", 'more:\n  br i1 %c, label %"in.ner", label %1\n1:', 1
    )
    with pytest.raises(errors.UnknownInstruction, match="loops that overlap"):
        turns([*text.splitlines(), COUNT])


# As LLVM makes it of a lock that the first lane takes: a loop that is entered at two places.
TWO_ENTRIES = f"""
  %leads = icmp eq i32 %lane, 0
  br i1 %leads, label %before, label %join
before:
  br label %top
top:
  %i = phi i32 [ 0, %before ], [ %next, %join ]
  br i1 %leads, label %branch, label %join
branch:
  %more = add i32 %i, 7
  br label %join
join:
  %value = phi i32 [ 0, %0 ], [ %more, %branch ], [ 0, %top ]
  %turn = phi i32 [ 0, %0 ], [ %i, %branch ], [ %i, %top ]
  %next = add i32 %turn, 1
  %same = call i32 @llvm.amdgcn.readlane.i32(i32 %value, i32 0)
  %again = icmp ult i32 %same, 9
  br i1 %again, label %top, label %done
done:
{store("%same")}
"""


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_a_loop_with_two_entries(schedule):
    np.testing.assert_array_equal(run(TWO_ENTRIES, "gfx942", schedule), [9] * 64)
