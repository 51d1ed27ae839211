/* What the lanes of a warp do together, and the number formats of GPUs: the functions that translated kernels call.
 *
 * Every thread calls the function with its own values; pointers are to this thread's own registers (never shared).
 * `site` is the index of the source line, for reports. A function that ends in "site" is a meeting point of the warp
 * (sim_warp); the others compute from their arguments alone.
 * Registers: fragments are arrays of 32-bit registers in the order of the instruction's operands, except double
 * precision, whose fragments are arrays of double. Addresses are host pointers. */
#ifndef SYMGRU_SIMULATOR_SIM_LANES_H
#define SYMGRU_SIMULATOR_SIM_LANES_H

#include <stdint.h>

#pragma GCC visibility push(default)

/* Formats of matrix elements. */
enum SimFormat {
  SIM_F16 = 0,
  SIM_BF16 = 1,
  SIM_TF32 = 2, /* 32 bits, the low 13 are ignored */
  SIM_F32 = 3,
  SIM_F64 = 4,
  SIM_S8 = 5,
  SIM_U8 = 6,
  SIM_E4M3 = 7,     /* OCP: no infinity, NaN is 0x7f */
  SIM_E5M2 = 8,     /* OCP, as IEEE */
  SIM_E4M3FNUZ = 9, /* CDNA3: bias 8, no negative zero, NaN is 0x80 */
  SIM_E5M2FNUZ = 10,/* CDNA3: bias 16, no negative zero, NaN is 0x80 */
  SIM_S32 = 11,           /* sums wrap around */
  SIM_S32_SATURATED = 12  /* mma's .satfinite: sums are clamped */
};

/* ---- NVIDIA: moving values between lanes (PTX ISA 9.7.9) --------------------------------------------------------- */
enum SimShuffle { SIM_SHUFFLE_IDX = 0, SIM_SHUFFLE_UP = 1, SIM_SHUFFLE_DOWN = 2, SIM_SHUFFLE_BFLY = 3 };

/* shfl.sync.{idx,up,down,bfly}.b32: `lane` is operand b, `clamp` operand c (segment mask in bits 8..12, clamp in 0..4),
 * `members` the member mask. *in_range receives the predicate p (null where it is not wanted). Floats: bit cast. */
uint32_t sim_shuffle(uint32_t value, uint32_t lane, uint32_t clamp, uint32_t mode, uint32_t members,
                     uint32_t* in_range, uint32_t site);

enum SimVote { SIM_VOTE_ALL = 0, SIM_VOTE_ANY = 1, SIM_VOTE_UNIFORM = 2, SIM_VOTE_BALLOT = 3 };
/* vote.sync: `value` is 0 or 1; all/any/uni return 0 or 1, ballot the mask of the lanes. */
uint32_t sim_vote(uint32_t value, uint32_t mode, uint32_t members, uint32_t site);

/* elect.sync: returns 1 in the elected lane (the lowest member), *leader receives its number in every lane. */
uint32_t sim_elect(uint32_t members, uint32_t* leader, uint32_t site);

enum SimRedux {
  SIM_REDUX_ADD = 0, SIM_REDUX_SMIN = 1, SIM_REDUX_SMAX = 2, SIM_REDUX_UMIN = 3, SIM_REDUX_UMAX = 4,
  SIM_REDUX_AND = 5, SIM_REDUX_OR = 6, SIM_REDUX_XOR = 7,
  SIM_REDUX_FMIN = 8, SIM_REDUX_FMAX = 9,            /* redux.sync.{min,max}.f32 of sm_100a, bits of a float */
  SIM_REDUX_FMIN_NAN = 10, SIM_REDUX_FMAX_NAN = 11   /* with .NaN: a NaN operand wins */
};
uint32_t sim_redux(uint32_t value, uint32_t operation, uint32_t members, uint32_t site);

/* prmt.b32 in its default mode; `selector` has four nibbles: byte 0..7 of {b,a}, bit 3 replicates the sign. */
uint32_t sim_prmt(uint32_t a, uint32_t b, uint32_t selector);

/* ---- NVIDIA: matrices -------------------------------------------------------------------------------------------- */
/* ldmatrix.sync.aligned.m8n8.x{count}[.trans].b16: `row` is this lane's row address (shared memory), `r` receives
 * `count` registers. stmatrix is the converse. Both announce their accesses to shared memory. */
void sim_ldmatrix(uint32_t* r, const void* row, uint32_t count, uint32_t trans, uint32_t site);
void sim_stmatrix(const uint32_t* r, void* row, uint32_t count, uint32_t trans, uint32_t site);

/* mma.sync.aligned.m{m}n8k{k}.row.col of dense matrices. `type_a`, `type_b`: SimFormat of the elements (16-bit, tf32,
 * f64, 8-bit); `type_d`: SIM_F32, SIM_F16 (two to a register), SIM_S32 or SIM_F64, of both c and d. d may be c. */
void sim_mma(void* d, const void* a, const void* b, const void* c, uint32_t m, uint32_t k, uint32_t type_a,
             uint32_t type_b, uint32_t type_d, uint32_t site);

/* wgmma.mma_async.sync.aligned.m64n{n}k{32 bytes}: d (n/2 registers of f32 or s32, n/4 of f16) is read if `scale_d`,
 * and written. a: this lane's four registers, or null: then `descriptor_a` describes A in shared memory. negate_a/b:
 * 1 for imm-scale -1. trans_a/b: 1 for the MN-major operand (16-bit types only). */
void sim_wgmma(void* d, const uint32_t* a, uint64_t descriptor_a, uint64_t descriptor_b, uint32_t n, uint32_t type_a,
               uint32_t type_b, uint32_t type_d, uint32_t scale_d, uint32_t negate_a, uint32_t negate_b,
               uint32_t trans_a, uint32_t trans_b, uint32_t site);

/* ---- formats (round to nearest even unless said; NaN gives the canonical NaN of the instruction) ----------------- */
uint16_t sim_to_half(float x);            /* cvt.rn.f16.f32 */
uint16_t sim_to_half_zero(float x);       /* cvt.rz.f16.f32 */
uint16_t sim_to_bfloat(float x);          /* cvt.rn.bf16.f32: NaN gives 0x7fff */
uint16_t sim_to_bfloat_zero(float x);     /* cvt.rz.bf16.f32 */
float sim_to_tf32_away(float x);          /* cvt.rna.tf32.f32: ties away from zero; 13 low bits zero */
float sim_to_tf32(float x);               /* cvt.rn.tf32.f32 */
uint32_t sim_to_fp8(float x, uint32_t format, uint32_t saturate); /* cvt.rn.satfinite.{e4m3,e5m2}: one byte */
float sim_from_fp8(uint32_t bits, uint32_t format);

/* ---- AMD: moving values between lanes (CDNA3 and RDNA3/RDNA4 ISA guides) ----------------------------------------- */
/* The active lanes do these (sim.h); amd_lanes.c says what comes from a lane that is not. */
/* v_readfirstlane_b32: the value of the lowest lane. v_readlane_b32: the value of lane `lane` (modulo the wave). */
uint32_t sim_readfirstlane(uint32_t value, uint32_t site);
uint32_t sim_readlane(uint32_t value, uint32_t lane, uint32_t site);
/* llvm.amdgcn.ballot.i32/.i64: `value` is 0 or 1. */
uint64_t sim_ballot(uint32_t value, uint32_t site);
/* v_mbcnt_lo/hi_u32_b32: bits of `mask` below this lane (low or high half of the wave) plus `base`. No meeting. */
uint32_t sim_mbcnt(uint32_t mask, uint32_t base, uint32_t high);
/* ds_bpermute_b32 / ds_permute_b32: `address` is 4 times the lane (pulled from, or pushed to). */
uint32_t sim_bpermute(uint32_t address, uint32_t value, uint32_t site);
uint32_t sim_permute(uint32_t address, uint32_t value, uint32_t site);
/* ds_swizzle_b32 with its 16-bit offset field. */
uint32_t sim_swizzle(uint32_t value, uint32_t offset, uint32_t site);
/* v_permlane16_b32 (across = 0) and v_permlanex16_b32 (across = 1): selectors of lanes 0..7 and 8..15 of a row. From
 * a lane that is not active: what is in it if `fetch`, else 0 if `bound`, else `old`. */
uint32_t sim_permlane16(uint32_t old, uint32_t value, uint32_t low, uint32_t high, uint32_t fetch, uint32_t bound,
                        uint32_t across, uint32_t site);
/* v_permlane64_b32: exchange the halves of a wave of 64. */
uint32_t sim_permlane64(uint32_t value, uint32_t site);
/* v_permlane{16,32}_swap_b32 (gfx950): exchanges odd rows (halves) of *x with even rows (halves) of *y. */
void sim_permlane_swap(uint32_t* x, uint32_t* y, uint32_t width, uint32_t site);
/* DPP: llvm.amdgcn.update.dpp(old, value, control, row_mask, bank_mask, bound_control). */
uint32_t sim_dpp(uint32_t old, uint32_t value, uint32_t control, uint32_t row_mask, uint32_t bank_mask,
                 uint32_t bound_control, uint32_t site);
/* global_load_lds: copies `bytes` of each active lane, at once or until the wait for its mark, to the lane's place behind
 * `base`, which is one for the wave. */
void sim_copy_of_lane(const void* global, void* base, uint32_t bytes, int32_t offset, uint32_t site);
/* ds_read_b64_tr_b{8,16}: a column of a tile that 16 lanes read by rows. */
void sim_read_transposed(void* result, const void* place, uint32_t bits, uint32_t site);
/* s_setreg_b32: only FP16_OVFL of the mode register (1473) is known, which makes conversions to fp8 saturate. That it
 * clamps results in half precision, too, is not simulated. */
void sim_setreg(uint32_t hardware_register, uint32_t value);
/* llvm.amdgcn.implicitarg.ptr: what the driver appends to a kernel's arguments (LLVM's AMDGPU guide, code object
 * version 5): the size of the grid and of a program; the rest is zero. */
const void* sim_implicit_arguments(void);
/* v_perm_b32: bytes of {high, low} by selector; 8..11 a sign, 12 zero, above 0xff. No meeting. */
uint32_t sim_byte_perm(uint32_t high, uint32_t low, uint32_t selector);

/* ---- AMD: matrices ----------------------------------------------------------------------------------------------- */
/* v_mfma_*_{m}x{n}x{k} with `blocks` independent blocks (wave of 64). Fragments packed as in the registers; the
 * format of c and d follows from the elements: double for SIM_F64, int32 for SIM_S8, else float. modifiers: cbsz, abid
 * and blgp or-ed together, which must be 0. */
void sim_mfma(void* d, const void* a, const void* b, const void* c, uint32_t m, uint32_t k, uint32_t blocks,
              uint32_t type_a, uint32_t type_b, uint32_t modifiers, uint32_t site);
/* v_wmma_*_16x16x{k} (wave of 32). generation 11: A and B are repeated in both halves of the wave; 12: they are
 * divided between them. type_d: SIM_F32, SIM_S32, SIM_F16 or SIM_BF16 (`high` selects the halves, RDNA3 only). */
void sim_wmma(void* d, const void* a, const void* b, const void* c, uint32_t generation, uint32_t k, uint32_t type_a,
              uint32_t type_b, uint32_t type_d, uint32_t high, uint32_t site);

#pragma GCC visibility pop
#endif
