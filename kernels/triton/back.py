"""Loops against the direction of time with resident matrices: backpropagation through time.

The coefficients of the local Jacobian are computed before the loop, for all steps at once, so the loop is
linear in what it carries, the cotangent of the state, and holds no exponential.
"""

import triton
import triton.language as tl

from .tiles import load_matrix, load_step, load_tile, owned_rows, product, store_tile


@triton.jit(do_not_specialize=("T", "B"))
def back_one_product(
    sequences_0,
    sequences_1,
    weight,
    initial,
    cotangents,
    last,
    T,
    B,
    H: tl.constexpr,
    HP: tl.constexpr,
    BT: tl.constexpr,
    PRECISION: tl.constexpr,
    STAGE_0: tl.constexpr,
    STAGE_1: tl.constexpr,
):
    """All steps of a backward pass with the reset gate after the product.

        d_h, d_n, d_z, d_r ← stage_0(sequences_0[t], carried)
        carried ← stage_1(sequences_1[t], d_h, U_rᵀ d_r + U_zᵀ d_z + U_nᵀ d_n)

    Grid: G · ⌈B/BT⌉ programs. A program owns BT batch rows of one group for all T steps, the carried
    cotangent in registers (float32, float64 for float64) and the three matrices, read once.
    Bytes a step and program: BT·H of each of the 5 sequences in, BT·H out; the tiles of step t − 1 are
    requested before step t is computed.
    Saved: d_h of every step, of which the cotangents of the gates are multiples. Recomputed: nothing.
    Deterministic: programs exchange nothing and every sum has a fixed order.
    """
    batch = tl.cast(B, tl.int64)
    group, first, rows_left = owned_rows(B, BT)
    u_r = load_matrix(weight, group, 0, H, HP, TRANSPOSED=False)  # [HP, HP], rows units, columns k
    u_z = load_matrix(weight, group, 1, H, HP, TRANSPOSED=False)
    u_n = load_matrix(weight, group, 2, H, HP, TRANSPOSED=False)
    carried = load_tile(initial, group * batch + first, rows_left, H, HP, BT)  # [BT, HP]
    row = group * T * batch + first
    coming_0 = load_step(sequences_0, row + (T - 1) * batch, rows_left, H, HP, BT)
    coming_1 = load_step(sequences_1, row + (T - 1) * batch, rows_left, H, HP, BT)
    for i in range(T):
        now_0, now_1 = coming_0, coming_1
        ahead = row + tl.maximum(T - 2 - i, 0) * batch
        coming_0 = load_step(sequences_0, ahead, rows_left, H, HP, BT)
        coming_1 = load_step(sequences_1, ahead, rows_left, H, HP, BT)
        d_h, d_candidate, d_update, d_reset = STAGE_0(*now_0, d_h_new_carried=carried)
        through_weights = product(d_reset, u_r, PRECISION)
        through_weights += product(d_update, u_z, PRECISION)
        through_weights += product(d_candidate, u_n, PRECISION)
        carried = STAGE_1(*now_1, d_h_new=d_h, d_h_prev_through_weights=through_weights)
        store_tile(cotangents, d_h, row + (T - 1 - i) * batch, rows_left, H, HP, BT)
    store_tile(last, carried, group * batch + first, rows_left, H, HP, BT)


@triton.jit(do_not_specialize=("T", "B"))
def back_two_products(
    sequences_0,
    sequences_1,
    sequences_2,
    weight,
    initial,
    cotangents,
    reset_state_cotangents,
    last,
    T,
    B,
    H: tl.constexpr,
    HP: tl.constexpr,
    BT: tl.constexpr,
    PRECISION: tl.constexpr,
    STAGE_0: tl.constexpr,
    STAGE_1: tl.constexpr,
    STAGE_2: tl.constexpr,
):
    """All steps of a backward pass with the reset gate before the product.

        d_h, d_n, d_z ← stage_0(sequences_0[t], carried)
        d_reset_state ← U_nᵀ d_n
        d_r ← stage_1(sequences_1[t], d_reset_state)
        carried ← stage_2(sequences_2[t], d_h, d_reset_state, U_rᵀ d_r + U_zᵀ d_z)

    Grid: G · ⌈B/BT⌉ programs. A program owns BT batch rows of one group for all T steps, the carried
    cotangent in registers (float32, float64 for float64) and the three matrices, read once.
    Bytes a step and program: BT·H of each of the 6 sequences in, 2·BT·H out; the tiles of step t − 1 are
    requested before step t is computed.
    Saved: d_h and d_reset_state of every step, of which the cotangents of the gates are multiples.
    Recomputed: nothing.
    Deterministic: programs exchange nothing and every sum has a fixed order.
    """
    batch = tl.cast(B, tl.int64)
    group, first, rows_left = owned_rows(B, BT)
    u_r = load_matrix(weight, group, 0, H, HP, TRANSPOSED=False)  # [HP, HP], rows units, columns k
    u_z = load_matrix(weight, group, 1, H, HP, TRANSPOSED=False)
    u_n = load_matrix(weight, group, 2, H, HP, TRANSPOSED=False)
    carried = load_tile(initial, group * batch + first, rows_left, H, HP, BT)  # [BT, HP]
    row = group * T * batch + first
    coming_0 = load_step(sequences_0, row + (T - 1) * batch, rows_left, H, HP, BT)
    coming_1 = load_step(sequences_1, row + (T - 1) * batch, rows_left, H, HP, BT)
    coming_2 = load_step(sequences_2, row + (T - 1) * batch, rows_left, H, HP, BT)
    for i in range(T):
        now_0, now_1, now_2 = coming_0, coming_1, coming_2
        ahead = row + tl.maximum(T - 2 - i, 0) * batch
        coming_0 = load_step(sequences_0, ahead, rows_left, H, HP, BT)
        coming_1 = load_step(sequences_1, ahead, rows_left, H, HP, BT)
        coming_2 = load_step(sequences_2, ahead, rows_left, H, HP, BT)
        d_h, d_candidate, d_update = STAGE_0(*now_0, d_h_new_carried=carried)
        d_reset_state = product(d_candidate, u_n, PRECISION)
        d_reset = STAGE_1(*now_1, d_reset_state=d_reset_state)
        through_weights = product(d_reset, u_r, PRECISION)
        through_weights += product(d_update, u_z, PRECISION)
        carried = STAGE_2(
            *now_2, d_h_new=d_h, d_reset_state=d_reset_state, d_h_prev_through_weights=through_weights
        )
        store_tile(cotangents, d_h, row + (T - 1 - i) * batch, rows_left, H, HP, BT)
        store_tile(reset_state_cotangents, d_reset_state, row + (T - 1 - i) * batch, rows_left, H, HP, BT)
    store_tile(last, carried, group * batch + first, rows_left, H, HP, BT)
