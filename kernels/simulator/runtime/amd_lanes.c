// Moving values between the lanes of an AMD wave of 32 or 64. Sources: "AMD Instinct MI300 (CDNA3) ISA" (DPP controls:
// table "DPP_CTRL Enumerations"; ds_permute, ds_bpermute, ds_swizzle: LDS instructions; v_readlane, v_mbcnt: VOP3),
// "RDNA3 ISA" and "RDNA4 ISA" (v_permlane16, v_permlanex16, v_permlane64, row_share, row_xmask).
//
// A slot is null for a lane that is not active (EXEC). Nothing is written there. ds_permute, ds_bpermute and
// ds_swizzle read zero from it; DPP and v_permlane16 take it as out of bounds. What reads its register nevertheless
// (v_permlane16 with FI, v_permlane64) gets all bits set here, for no kernel can know what is in it; v_readlane, whose
// result all lanes use, is reported.
#include "sim.h"
#include "sim_lanes.h"

// Every operation here but ds_permute and the swaps is a pull: a lane chooses its source from its own arguments.
typedef struct {
  uint32_t value, old, selector, selector_high, mode, masks, bound, fetch, site, result;
} Pull;

enum { NOT_KNOWN = 0xffffffffu };  // what a register of a lane that is not active holds

static Pull* record(void** slots, int lane) { return slots[lane]; }

static uint32_t value_of(void** slots, int lane) { return slots[lane] ? record(slots, lane)->value : 0; }

static void finish(const char* name, SimWarpOperation operation, Pull* p, uint32_t site) {
  p->site = site;
  sim_warp_active(operation, name, p, site);
}

static void read_lane(void** slots, int lanes, void* shared) {
  (void)shared;
  int first = 0;
  while (!slots[first]) first++;
  const Pull* p = slots[first];  // its selector is a scalar: the same in all lanes
  int from = p->mode ? (int)(p->selector % (uint32_t)lanes) : first;
  if (!slots[from]) sim_trap("readlane of a lane that is not active", p->site);
  uint32_t value = value_of(slots, from);
  for (int lane = first; lane < lanes; lane++)
    if (slots[lane]) record(slots, lane)->result = value;
}

uint32_t sim_readlane(uint32_t value, uint32_t lane, uint32_t site) {
  Pull p = {.value = value, .selector = lane, .mode = 1};
  finish("readlane", read_lane, &p, site);
  return p.result;
}

uint32_t sim_readfirstlane(uint32_t value, uint32_t site) {
  Pull p = {.value = value};
  finish("readfirstlane", read_lane, &p, site);
  return p.result;
}

uint32_t sim_mbcnt(uint32_t mask, uint32_t base, uint32_t high) {
  int below = (int)sim_lane() - (high ? 32 : 0);  // lanes of this half below this one
  if (below <= 0) return base;
  uint32_t lower = below >= 32 ? 0xffffffffu : (1u << below) - 1;
  return base + (uint32_t)__builtin_popcount(mask & lower);
}

void sim_setreg(uint32_t hardware_register, uint32_t value) {
  enum { FP16_OVFL = 1 | 23 << 6 | (1 - 1) << 11 };  // register MODE, first bit, size - 1
  if (hardware_register != FP16_OVFL || value > 1) sim_unknown("s_setreg of another register than FP16_OVFL");
}

const void* sim_implicit_arguments(void) {
  static struct {
    uint32_t block_count[3];
    uint16_t group_size[3], remainder[3];
    uint8_t rest[256 - 24];
  } arguments;  // the same for all threads of a launch
  for (uint32_t axis = 0; axis < 3; axis++) {
    arguments.block_count[axis] = sim_programs(axis);
    arguments.group_size[axis] = (uint16_t)(axis == 0 ? sim_threads() : 1);
  }
  return &arguments;
}

// ---- through the LDS hardware
static void pull_address(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Pull* p = record(slots, lane);
    if (p) p->result = value_of(slots, (int)(p->selector / 4 % (uint32_t)lanes));
  }
}

static void push_address(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++)
    if (slots[lane]) record(slots, lane)->result = 0;  // where nobody pushes
  for (int lane = 0; lane < lanes; lane++) {           // the highest lane wins
    const Pull* p = record(slots, lane);
    Pull* to = p ? record(slots, (int)(p->selector / 4 % (uint32_t)lanes)) : 0;
    if (to) to->result = p->value;
  }
}

uint32_t sim_bpermute(uint32_t address, uint32_t value, uint32_t site) {
  Pull p = {.value = value, .selector = address};
  finish("ds_bpermute", pull_address, &p, site);
  return p.result;
}

uint32_t sim_permute(uint32_t address, uint32_t value, uint32_t site) {
  Pull p = {.value = value, .selector = address};
  finish("ds_permute", push_address, &p, site);
  return p.result;
}

// offset[15]: four lanes by two bits each; else within 32 lanes ((lane & and) | or) ^ xor of five bits each.
static int swizzle_source(int lane, uint32_t offset) {
  if (offset & 0x8000) return (lane & ~3) | (int)(offset >> (2 * (lane & 3)) & 3);
  int and = offset & 31, or = offset >> 5 & 31, xor = offset >> 10 & 31;
  return (lane & ~31) | (((lane & 31 & and) | or) ^ xor);
}

static void swizzle(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Pull* p = record(slots, lane);
    if (p) p->result = value_of(slots, swizzle_source(lane, p->selector));
  }
}

uint32_t sim_swizzle(uint32_t value, uint32_t offset, uint32_t site) {
  if ((offset & 0xff00) > 0x8000 && offset >= 0xc000) sim_unknown("ds_swizzle with a rotation or an FFT pattern");
  Pull p = {.value = value, .selector = offset};
  finish("ds_swizzle", swizzle, &p, site);
  return p.result;
}

// ---- rows of 16 lanes
static void permlane(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Pull* p = record(slots, lane);
    if (!p) continue;
    uint32_t selector = lane & 8 ? p->selector_high : p->selector;
    int row = (lane & ~15) ^ (p->mode ? 16 : 0);
    Pull* from = record(slots, row | (int)(selector >> (4 * (lane & 7)) & 15));
    p->result = from ? from->value : p->fetch ? NOT_KNOWN : p->bound ? 0 : p->old;
  }
}

uint32_t sim_permlane16(uint32_t old, uint32_t value, uint32_t low, uint32_t high, uint32_t fetch, uint32_t bound,
                        uint32_t across, uint32_t site) {
  Pull p = {.value = value, .old = old, .selector = low, .selector_high = high, .mode = across, .fetch = fetch,
            .bound = bound};
  finish(across ? "permlanex16" : "permlane16", permlane, &p, site);
  return p.result;
}

static void exchange_halves(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  int other = lanes == 64 ? 32 : 0;  // in a wave of 32 it moves nothing
  for (int lane = 0; lane < lanes; lane++)
    if (slots[lane]) record(slots, lane)->result = slots[lane ^ other] ? value_of(slots, lane ^ other) : NOT_KNOWN;
}

uint32_t sim_permlane64(uint32_t value, uint32_t site) {
  Pull p = {.value = value};
  finish("permlane64", exchange_halves, &p, site);
  return p.result;
}

typedef struct {
  uint32_t x, y, width;
} Swap;

static void swap_rows(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Swap* even = slots[lane];
    if (!even || lane & (int)even->width) continue;
    Swap* odd = slots[lane + (int)even->width];
    if (!odd) continue;
    uint32_t moved = odd->x;
    odd->x = even->y;
    even->y = moved;
  }
}

void sim_permlane_swap(uint32_t* x, uint32_t* y, uint32_t width, uint32_t site) {
  Swap s = {*x, *y, width};
  sim_warp_active(swap_rows, width == 16 ? "permlane16_swap" : "permlane32_swap", &s, site);
  *x = s.x;
  *y = s.y;
}

// ---- DPP: the lane a control reads from, or -1 outside of its row (or wave).
enum { DPP_QUAD_LAST = 0xff, DPP_SHIFT_LEFT = 0x100, DPP_SHIFT_RIGHT = 0x110, DPP_ROTATE = 0x120, DPP_WAVE_LEFT = 0x130,
       DPP_WAVE_ROTATE_LEFT = 0x134, DPP_WAVE_RIGHT = 0x138, DPP_WAVE_ROTATE_RIGHT = 0x13c, DPP_MIRROR = 0x140,
       DPP_HALF_MIRROR = 0x141, DPP_BROADCAST_15 = 0x142, DPP_BROADCAST_31 = 0x143, DPP_SHARE = 0x150,
       DPP_XOR = 0x160 };

static int within(int lane, int low, int high) { return lane >= low && lane < high ? lane : -1; }

static int dpp_wave_source(int lane, uint32_t control, int lanes) {
  switch (control) {
    case DPP_WAVE_LEFT: return within(lane + 1, 0, lanes);
    case DPP_WAVE_ROTATE_LEFT: return (lane + 1) % lanes;
    case DPP_WAVE_RIGHT: return within(lane - 1, 0, lanes);
    case DPP_WAVE_ROTATE_RIGHT: return (lane + lanes - 1) % lanes;
    case DPP_BROADCAST_15: return within((lane & ~15) - 1, 0, lanes);  // the last lane of the row before
    case DPP_BROADCAST_31: return lane < 32 ? -1 : 31;
    default: sim_unknown("a DPP control that is not known");
  }
}

static int dpp_source(int lane, uint32_t control, int lanes) {
  int row = lane & ~15, i = lane & 15, n = control & 15;
  if (control <= DPP_QUAD_LAST) return (lane & ~3) | (int)(control >> (2 * (lane & 3)) & 3);
  if (control == DPP_MIRROR) return row | (15 - i);
  if (control == DPP_HALF_MIRROR) return (lane & ~7) | (7 - (lane & 7));
  switch (control & ~15u) {
    case DPP_SHIFT_LEFT: return within(lane + n, row, row + 16);
    case DPP_SHIFT_RIGHT: return within(lane - n, row, row + 16);
    case DPP_ROTATE: return row | ((i - n) & 15);
    case DPP_SHARE: return row | n;
    case DPP_XOR: return row | (i ^ n);
    default: return dpp_wave_source(lane, control, lanes);
  }
}

static void dpp(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Pull* p = record(slots, lane);
    if (!p) continue;
    int written = p->masks >> (lane / 16) & 1 && p->masks >> (4 + lane % 16 / 4) & 1;
    int from = dpp_source(lane, p->mode, lanes);
    if (written && from >= 0 && slots[from]) p->result = record(slots, from)->value;
    else p->result = written && p->bound ? 0 : p->old;
  }
}

uint32_t sim_dpp(uint32_t old, uint32_t value, uint32_t control, uint32_t row_mask, uint32_t bank_mask,
                 uint32_t bound_control, uint32_t site) {
  Pull p = {.value = value, .old = old, .mode = control, .masks = (row_mask & 15) | (bank_mask & 15) << 4,
            .bound = bound_control};
  finish("dpp", dpp, &p, site);
  return p.result;
}
