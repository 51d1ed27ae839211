"""Loops in the direction of time with resident matrices: the forward pass and its tangent.

Both advance a state by one step at a time from what the recurrent products give; they differ in the
emitted stages and in what those call their arguments. A *product* is what needs all units of the state: with
the reset gate after it (`after`, `whole`) a step has one, with the reset gate before it (`before`) two that
depend on each other.
"""

import triton
import triton.language as tl

from .tiles import load_matrix, load_parameters, load_step, load_tile, owned_rows, product, store_tile


@triton.jit(do_not_specialize=("T", "B"))
def ahead_one_product(
    sequences_1,
    parameters,
    weight,
    initial,
    states,
    last,
    T,
    B,
    H: tl.constexpr,
    HP: tl.constexpr,
    BT: tl.constexpr,
    PRECISION: tl.constexpr,
    TANGENT: tl.constexpr,
    STAGE_1: tl.constexpr,
):
    """All steps of a forward or tangent pass with the reset gate after the product.

        state ← stage_1(sequences_1[t], parameters, state, U_r state, U_z state, U_n state)

    Grid: G · ⌈B/BT⌉ programs. A program owns BT batch rows of one group for all T steps, its state in
    registers (float32, float64 for float64) and the three matrices, read once.
    Bytes a step and program: BT·H of each of the sequences in (3 forward, 8 tangent, and BT of the mask),
    BT·H out; the tiles of step t + 1 are requested before step t is computed.
    Saved: the state of every step. Recomputed: nothing.
    Deterministic: programs exchange nothing and every sum has a fixed order.
    """
    batch = tl.cast(B, tl.int64)
    group, first, rows_left = owned_rows(B, BT)
    fixed = load_parameters(parameters, group, H, HP)
    u_r = load_matrix(weight, group, 0, H, HP, TRANSPOSED=True)  # [HP, HP], rows k, columns units
    u_z = load_matrix(weight, group, 1, H, HP, TRANSPOSED=True)
    u_n = load_matrix(weight, group, 2, H, HP, TRANSPOSED=True)
    state = load_tile(initial, group * batch + first, rows_left, H, HP, BT)  # [BT, HP]
    row = group * T * batch + first
    coming = load_step(sequences_1, row, rows_left, H, HP, BT)
    for t in range(T):
        now = coming
        coming = load_step(sequences_1, row + tl.minimum(t + 1, T - 1) * batch, rows_left, H, HP, BT)
        reset = product(state, u_r, PRECISION)
        update = product(state, u_z, PRECISION)
        candidate = product(state, u_n, PRECISION)
        if TANGENT:
            state = STAGE_1(
                *now,
                *fixed,
                tangent_h_prev=state,
                tangent_reset_from_h_varying=reset,
                tangent_update_from_h_varying=update,
                tangent_candidate_from_h_varying=candidate,
            )
        else:
            state = STAGE_1(
                *now,
                *fixed,
                h_prev=state,
                reset_from_h=reset,
                update_from_h=update,
                candidate_from_h=candidate,
            )
        store_tile(states, state, row + t * batch, rows_left, H, HP, BT)
    store_tile(last, state, group * batch + first, rows_left, H, HP, BT)


@triton.jit(do_not_specialize=("T", "B"))
def ahead_two_products(
    sequences_1,
    sequences_2,
    weight,
    initial,
    states,
    last,
    T,
    B,
    H: tl.constexpr,
    HP: tl.constexpr,
    BT: tl.constexpr,
    PRECISION: tl.constexpr,
    TANGENT: tl.constexpr,
    STAGE_1: tl.constexpr,
    STAGE_2: tl.constexpr,
):
    """All steps of a forward or tangent pass with the reset gate before the product.

        kept, reset_state ← stage_1(sequences_1[t], state, U_r state, U_z state)
        state ← stage_2(sequences_2[t], kept, state, U_n reset_state)

    Grid: G · ⌈B/BT⌉ programs. A program owns BT batch rows of one group for all T steps, its state in
    registers (float32, float64 for float64) and the three matrices, read once.
    Bytes a step and program: BT·H of each of the sequences in (3 forward, 8 tangent, and BT of the mask),
    BT·H out; the tiles of step t + 1 are requested before step t is computed.
    Saved: the state of every step. Recomputed: nothing.
    Deterministic: programs exchange nothing and every sum has a fixed order.
    """
    batch = tl.cast(B, tl.int64)
    group, first, rows_left = owned_rows(B, BT)
    u_r = load_matrix(weight, group, 0, H, HP, TRANSPOSED=True)  # [HP, HP], rows k, columns units
    u_z = load_matrix(weight, group, 1, H, HP, TRANSPOSED=True)
    u_n = load_matrix(weight, group, 2, H, HP, TRANSPOSED=True)
    state = load_tile(initial, group * batch + first, rows_left, H, HP, BT)  # [BT, HP]
    row = group * T * batch + first
    coming_1 = load_step(sequences_1, row, rows_left, H, HP, BT)
    coming_2 = load_step(sequences_2, row, rows_left, H, HP, BT)
    for t in range(T):
        now_1, now_2 = coming_1, coming_2
        ahead = row + tl.minimum(t + 1, T - 1) * batch
        coming_1 = load_step(sequences_1, ahead, rows_left, H, HP, BT)
        coming_2 = load_step(sequences_2, ahead, rows_left, H, HP, BT)
        reset = product(state, u_r, PRECISION)
        update = product(state, u_z, PRECISION)
        if TANGENT:
            tangent_update, reset_state = STAGE_1(
                *now_1,
                tangent_h_prev=state,
                tangent_reset_from_h_varying=reset,
                tangent_update_from_h_varying=update,
            )
            state = STAGE_2(
                *now_2,
                tangent_h_prev=state,
                tangent_update_preactivation=tangent_update,
                tangent_candidate_from_h_varying=product(reset_state, u_n, PRECISION),
            )
        else:
            update_gate, update_gate_complement, reset_state = STAGE_1(
                *now_1, h_prev=state, reset_from_h=reset, update_from_h=update
            )
            state = STAGE_2(
                *now_2,
                h_prev=state,
                update_gate=update_gate,
                update_gate_complement=update_gate_complement,
                candidate_from_h=product(reset_state, u_n, PRECISION),
            )
        store_tile(states, state, row + t * batch, rows_left, H, HP, BT)
    store_tile(last, state, group * batch + first, rows_left, H, HP, BT)
