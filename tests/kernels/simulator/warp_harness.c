// Runs a collective of kernels/simulator/runtime with all lanes of one warp, without the simulator: each lane is a
// context that calls the function with its own arguments; sim_warp makes them meet.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "sim.h"

enum { LANES = 64, ARGUMENTS = 16, STACK = 1 << 20 };
typedef uint64_t Word;
typedef Word (*Function)(Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word, Word,
                         Word);

static ucontext_t caller, contexts[LANES];
static void* slots[LANES];
static char* stacks;
static int lane, lanes, arrived, warp, expected;
static Word active;  // a bit for each lane that takes part
static Function function;
static const Word (*arguments)[ARGUMENTS];
static Word* results;
static void* shared_memory;
static const char* failure;
static uint64_t accesses, access_bytes;

uint32_t sim_lane(void) { return (uint32_t)lane; }
uint32_t sim_thread(void) { return (uint32_t)(lane + warp * lanes); }
uint32_t sim_programs(uint32_t axis) { return axis + 5; }
uint32_t sim_threads(void) { return (uint32_t)lanes; }
void sim_count(uint32_t counter, uint64_t n) { (void)counter, (void)n; }

void sim_access_of_lane(uint32_t of, const void* p, uint32_t bytes, uint32_t kind, uint32_t site) {
  (void)of, (void)p, (void)kind, (void)site;
  accesses++;
  access_bytes += bytes;
}

void sim_unknown(const char* what) {
  failure = what;
  setcontext(&caller);
  abort();
}

void* sim_room(void) {
  static uint64_t room[SIM_ROOM / 8];
  return room;
}

// The last lane to come runs the operation; the others are resumed afterwards, in order.
void sim_warp(SimWarpOperation operation, const char* name, void* mine, uint32_t site) {
  (void)name, (void)site;
  slots[lane] = mine;
  arrived++;
  if (arrived == expected) operation(slots, lanes, shared_memory);
  swapcontext(&contexts[lane], &caller);
}

void sim_warp_active(SimWarpOperation operation, const char* name, void* mine, uint32_t site) {
  sim_warp(operation, name, mine, site);
}

void sim_warp_members(SimWarpOperation operation, const char* name, void* mine, uint32_t members, uint32_t site) {
  if (members != active) sim_unknown("other members than the lanes that take part");
  sim_warp(operation, name, mine, site);
}

void sim_trap(const char* what, uint32_t site) {
  (void)site;
  sim_unknown(what);
}

static void body(void) {
  const Word* a = arguments[lane];
  results[lane] = function(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], a[10], a[11], a[12], a[13], a[14],
                           a[15]);
  arrived = -1;  // this lane is done
}

// Every lane calls f with its row of 16 arguments; null, or what was unknown.
__attribute__((visibility("default"))) const char* run_warp(Function f, int count, int warp_number,
                                                            const Word (*a)[ARGUMENTS], Word* r, void* shared,
                                                            Word lanes_active, uint64_t announced[2]) {
  if (!stacks) stacks = malloc((size_t)LANES * STACK);
  function = f, lanes = count, warp = warp_number, arguments = a, results = r, shared_memory = shared;
  active = lanes_active, expected = __builtin_popcountll(active);
  memset(slots, 0, sizeof slots);
  failure = 0, arrived = 0, accesses = access_bytes = 0;
  for (lane = 0; lane < lanes && !failure; lane++) {
    if (!(active >> lane & 1)) continue;
    getcontext(&contexts[lane]);
    contexts[lane].uc_stack.ss_sp = stacks + (size_t)lane * STACK;
    contexts[lane].uc_stack.ss_size = STACK;
    contexts[lane].uc_link = &caller;
    makecontext(&contexts[lane], body, 0);
    swapcontext(&caller, &contexts[lane]);
  }
  if (arrived == expected)
    for (lane = 0; lane < lanes; lane++)
      if (active >> lane & 1) swapcontext(&caller, &contexts[lane]);
  announced[0] = accesses, announced[1] = access_bytes;
  return failure;
}
