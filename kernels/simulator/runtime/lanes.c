// Moving values between the lanes of a warp. NVIDIA: PTX ISA 9.7.9.6 (shfl), 9.7.13 (vote, match, redux, elect),
// 9.7.9.8 (prmt). AMD: "CDNA3 ISA" chapters 4.3 (lane operations), 6.2 (DPP), 12.12 (ds_*permute, ds_swizzle) and
// "RDNA3 ISA" 7.6, 16.8 (permlane).
//
// Each collective is a record of a lane's arguments and results, an operation over the records of all lanes, and the
// function that a lane calls.
//
// NVIDIA's take place among the lanes of their member mask, all of which must come (warps.h); a slot is null for the
// others. What a lane gets from one of those is undefined by the ISA, and has all bits set here.
#include "sim_lanes.h"

#include "sim.h"

#define RECORD(Type, slots, lane) ((Type*)(slots)[lane])

enum { NOT_KNOWN = 0xffffffffu };

// ---- shfl.sync
typedef struct {
  uint32_t value, lane, clamp, mode, result, in_range;
} Shuffle;

static void shuffle(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  for (int lane = 0; lane < lanes; lane++) {
    Shuffle* s = slots[lane];
    if (!s) continue;
    int b = s->lane & 31, clamp = s->clamp & 31, segment = s->clamp >> 8 & 31;
    int lowest = lane & segment, limit = lowest | (clamp & ~segment), from = lane;
    switch (s->mode) {
      case SIM_SHUFFLE_IDX: from = lowest | (b & ~segment); break;
      case SIM_SHUFFLE_UP: from = lane - b; break;
      case SIM_SHUFFLE_DOWN: from = lane + b; break;
      case SIM_SHUFFLE_BFLY: from = lane ^ b; break;
    }
    s->in_range = s->mode == SIM_SHUFFLE_UP ? from >= limit : from <= limit;
    const Shuffle* source = slots[s->in_range ? from : lane];
    s->result = source ? source->value : NOT_KNOWN;
  }
}

uint32_t sim_shuffle(uint32_t value, uint32_t lane, uint32_t clamp, uint32_t mode, uint32_t members,
                     uint32_t* in_range, uint32_t site) {
  Shuffle s = {value, lane, clamp, mode, 0, 0};
  sim_warp_members(shuffle, "shfl.sync", &s, members, site);
  if (in_range) *in_range = s.in_range;
  return s.result;
}

// ---- votes
typedef struct {
  uint32_t value;
  uint64_t ballot;
} Ballot;

static void ballot(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_votes, 1);
  uint64_t mask = 0;
  for (int lane = 0; lane < lanes; lane++)
    if (slots[lane]) mask |= (uint64_t)(RECORD(Ballot, slots, lane)->value & 1) << lane;
  for (int lane = 0; lane < lanes; lane++)
    if (slots[lane]) RECORD(Ballot, slots, lane)->ballot = mask;
}

uint64_t sim_ballot(uint32_t value, uint32_t site) {
  Ballot b = {value, 0};
  sim_warp_active(ballot, "ballot", &b, site);
  return b.ballot;
}

uint32_t sim_vote(uint32_t value, uint32_t mode, uint32_t members, uint32_t site) {
  Ballot b = {value, 0};
  sim_warp_members(ballot, "vote.sync", &b, members, site);
  uint32_t mask = (uint32_t)b.ballot;
  switch (mode) {
    case SIM_VOTE_ALL: return mask == members;
    case SIM_VOTE_ANY: return mask != 0;
    case SIM_VOTE_UNIFORM: return mask == 0 || mask == members;
    default: return mask;
  }
}

static void meet(void** slots, int lanes, void* shared) {
  (void)slots, (void)lanes, (void)shared;
}

uint32_t sim_elect(uint32_t members, uint32_t* leader, uint32_t site) {
  sim_warp_members(meet, "elect.sync", 0, members, site);
  const uint32_t lowest = (uint32_t)__builtin_ctz(members);
  if (leader) *leader = lowest;
  return sim_lane() == lowest;
}

// ---- redux.sync
typedef struct {
  uint32_t value, operation, result;
} Redux;

static float as_float(uint32_t bits) {
  union { uint32_t bits; float value; } u = {bits};
  return u.value;
}

// PTX ISA redux.sync .f32: -0 is below +0; without .NaN a NaN is ignored; a result NaN is 0x7fffffff.
static uint32_t float_extreme(uint32_t a, uint32_t b, int maximum, int keep_nan) {
  int nan_a = as_float(a) != as_float(a), nan_b = as_float(b) != as_float(b);
  if ((nan_a && nan_b) || (keep_nan && (nan_a || nan_b))) return 0x7fffffff;
  if (nan_a || nan_b) return nan_a ? b : a;
  if (as_float(a) == as_float(b)) return maximum ? a & b : a | b;  // differ in the sign of zero at most
  return (as_float(a) > as_float(b)) == maximum ? a : b;
}

static uint32_t combine(uint32_t a, uint32_t b, uint32_t operation) {
  switch (operation) {
    case SIM_REDUX_ADD: return a + b;
    case SIM_REDUX_SMIN: return (int32_t)a < (int32_t)b ? a : b;
    case SIM_REDUX_SMAX: return (int32_t)a > (int32_t)b ? a : b;
    case SIM_REDUX_UMIN: return a < b ? a : b;
    case SIM_REDUX_UMAX: return a > b ? a : b;
    case SIM_REDUX_AND: return a & b;
    case SIM_REDUX_OR: return a | b;
    case SIM_REDUX_XOR: return a ^ b;
    case SIM_REDUX_FMIN: case SIM_REDUX_FMIN_NAN: return float_extreme(a, b, 0, operation == SIM_REDUX_FMIN_NAN);
    case SIM_REDUX_FMAX: case SIM_REDUX_FMAX_NAN: return float_extreme(a, b, 1, operation == SIM_REDUX_FMAX_NAN);
  }
  sim_unknown("redux.sync of an unknown operation");
}

static void redux(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_shuffles, 1);
  int first = 0;
  while (!slots[first]) first++;
  uint32_t result = RECORD(Redux, slots, first)->value;
  for (int lane = first + 1; lane < lanes; lane++) {
    const Redux* r = slots[lane];
    if (r) result = combine(result, r->value, r->operation);
  }
  for (int lane = first; lane < lanes; lane++)
    if (slots[lane]) RECORD(Redux, slots, lane)->result = result;
}

uint32_t sim_redux(uint32_t value, uint32_t operation, uint32_t members, uint32_t site) {
  Redux r = {value, operation, 0};
  sim_warp_members(redux, "redux.sync", &r, members, site);
  return r.result;
}

// ---- bytes of registers
uint32_t sim_prmt(uint32_t a, uint32_t b, uint32_t selector) {
  uint64_t bytes = (uint64_t)b << 32 | a;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t s = selector >> (4 * i) & 15, byte = bytes >> (8 * (s & 7)) & 255;
    if (s & 8) byte = byte & 128 ? 255 : 0;
    result |= byte << (8 * i);
  }
  return result;
}

uint32_t sim_byte_perm(uint32_t high, uint32_t low, uint32_t selector) {
  uint64_t bytes = (uint64_t)high << 32 | low;
  uint32_t result = 0;
  for (int i = 0; i < 4; i++) {
    uint32_t s = selector >> (8 * i) & 255, byte = 255;
    if (s < 8) byte = bytes >> (8 * s) & 255;
    else if (s < 12) byte = bytes >> (16 * (s - 8) + 15) & 1 ? 255 : 0;  // sign of a 16-bit half
    else if (s == 12) byte = 0;
    result |= byte << (8 * i);
  }
  return result;
}
