#include "warps.h"

#include <string.h>

#include "orders.h"
#include "schedules.h"
#include "stuck.h"
#include "values.h"

static uint64_t bit(const Thread* thread) { return 1ull << thread->lane; }
static Thread* first_of(const Warp* warp, uint64_t lanes) { return &warp->threads[__builtin_ctzll(lanes)]; }

// ---- the order of places
static int holds(const Loop* loop, uint32_t site) { return loop->first <= site && site <= loop->last; }

static uint32_t turn_of(const Thread* thread, uint32_t depth, const Loop* loop) {
  return thread->loops[depth].first == loop->first ? thread->loops[depth].turn : 0;
}

// Negative if the lane waits at an earlier place than the other one, 0 at the same one.
static int compare(const Thread* one, const Thread* other) {
  for (uint32_t i = 0; i < SIM_LOOPS; i++) {
    const Loop* loop = &one->loops[i];
    if (!holds(loop, one->site)) loop = &other->loops[i];
    if (!holds(loop, one->site) || !holds(loop, other->site)) continue;
    const uint32_t turn = turn_of(one, i, loop), its = turn_of(other, i, loop);
    if (turn != its) return turn < its ? -1 : 1;
  }
  return one->site < other->site ? -1 : one->site > other->site;
}

void sim_turn(uint32_t depth, uint32_t first, uint32_t last, uint32_t taken) {
  if (!taken) return;
  Thread* me = sim_current;
  if (me->loops[depth].first != first) me->loops[depth] = (Loop){first, last, 0};
  me->loops[depth].turn++;
  me->turns++;
  memset(&me->loops[depth + 1], 0, (SIM_LOOPS - depth - 1) * sizeof *me->loops);
}

// ---- meetings
static int meet(const Thread* one, const Thread* other) {
  const Meeting *a = &one->meeting, *b = &other->meeting;
  if (a->operation != b->operation || a->members != b->members || a->site != b->site) return 0;
  if (a->name != b->name && strcmp(a->name, b->name) != 0) return 0;
  return a->members || compare(one, other) == 0;
}

static uint64_t in_meeting_of(const Warp* warp, const Thread* one) {
  if (!warp->mixed) return warp->here;
  uint64_t found = 0;
  for (uint64_t left = warp->here; left; left &= left - 1)
    if (meet(one, first_of(warp, left))) found |= left & -left;
  return found;
}

static void operate(Warp* warp, SimWarpOperation operation, uint64_t lanes) {
  void *some[SIM_MOST_LANES], **slots = warp->slots;
  if (lanes != warp_lanes(warp)) {
    for (uint32_t i = 0; i < warp->lanes; i++) some[i] = lanes >> i & 1 ? slots[i] : NULL;
    slots = some;
  }
  operation(slots, (int)warp->lanes, first_of(warp, lanes)->program->shared);
}

static void run(Warp* warp, const Meeting* meeting, uint64_t lanes) {
  sim_add(meeting->operation ? SIM_COUNT_warp_operations : SIM_COUNT_warp_syncs, 1);
  if (meeting->operation) operate(warp, meeting->operation, lanes);
  else if (meeting->members) orders_warp(warp, lanes);
  else orders_wave(warp, lanes);
  warp->operations += lanes == warp_lanes(warp);
  warp->here &= ~lanes;
  warp->waiting &= ~lanes;
  if (!warp->here) warp->mixed = 0;
  for (uint32_t i = 0; i < warp->lanes; i++)
    if (lanes >> i & 1) warp->threads[i].waiting = RUNS;
}

// Field by field: a structure is stored in wider pieces than the next one reads, which costs more than all the rest.
static inline void come(Thread* me, SimWarpOperation operation, const char* name, void* mine, uint64_t members,
                        uint32_t place, uint32_t site) {
  Warp* warp = me->warp;
  values_settle();
  me->meeting.operation = operation;
  me->meeting.name = name;
  me->meeting.members = members;
  me->meeting.site = place;
  me->site = site;
  warp->slots[me->lane] = mine;
  if (warp->here && !warp->mixed) warp->mixed = !meet(me, first_of(warp, warp->here));
  warp->here |= bit(me);
}

// Two that wait for each other, and not in one meeting.
static void refuse_to_wait(const Thread* me) {
  const Warp* warp = me->warp;
  for (uint64_t left = warp->here & me->meeting.members & ~bit(me); left; left &= left - 1) {
    const Thread* other = first_of(warp, left);
    if (other->meeting.members & bit(me) && !meet(me, other)) stuck_report_lanes(me, other);
  }
}

__attribute__((noreturn, cold)) static void refuse_other(const Thread* me, const char* name, uint64_t members,
                                                         uint32_t site) {
  sim_party(me, site, 0, name);
  sim_fail(SIM_TRAPPED, "%s by lane %u, which its member mask 0x%llx has not", name, me->lane,
           (unsigned long long)members);
}

static inline void gather(SimWarpOperation operation, const char* name, void* mine, uint64_t members, uint32_t place,
                          uint32_t site) {
  Thread* me = sim_current;
  Warp* warp = me->warp;
  if (!(members & bit(me))) refuse_other(me, name, members, site);
  come(me, operation, name, mine, members, place, site);
  if (warp->mixed) refuse_to_wait(me);
  const uint64_t lanes = (warp->here & members) == members ? in_meeting_of(warp, me) : 0;
  if (!lanes || lanes != members) {
    sim_wait(IN_WARP, site);
    return;
  }
  run(warp, &me->meeting, lanes);
  schedule_ready(warp, lanes & ~bit(me));
}

void sim_warp(SimWarpOperation operation, const char* name, void* mine, uint32_t site) {
  gather(operation, name, mine, warp_lanes(sim_current->warp), site, site);
}

void sim_warp_members(SimWarpOperation operation, const char* name, void* mine, uint32_t members, uint32_t site) {
  gather(operation, name, mine, members, SIM_NOBODY, site);
}

void sim_warp_sync(uint32_t members, uint32_t site) {
  gather(NULL, "bar.warp.sync", NULL, members, SIM_NOBODY, site);
}

// ---- the active lanes
void sim_warp_active(SimWarpOperation operation, const char* name, void* mine, uint32_t site) {
  Thread* me = sim_current;
  Warp* warp = me->warp;
  come(me, operation, name, mine, 0, SIM_NOBODY, site);
  if (warp->mixed || warp->here != warp_lanes(warp)) {
    sim_wait(IN_WARP, site);
    return;
  }
  run(warp, &me->meeting, warp->here);
  schedule_ready(warp, warp_lanes(warp) & ~bit(me));
}

// The room of two operations in turns: a lane may go on to the next one while others still take from this one. No lane
// comes to an operation of all before they have all done the one before it.
void* sim_room(void) {
  const Warp* warp = sim_current->warp;
  return sim_state.rooms + ((size_t)warp->number * 2 + (warp->operations & 1)) * SIM_ROOM;
}

void sim_wave_barrier(uint32_t site) { sim_warp_active(NULL, "wave.barrier", NULL, site); }

static const Thread* earliest(const Warp* warp) {
  const Thread* best = NULL;
  for (uint32_t i = 0; i < warp->lanes; i++) {
    const Thread* lane = &warp->threads[i];
    if (lane->waiting != ENDED && (!best || compare(lane, best) < 0)) best = lane;
  }
  return best;
}

static const Thread* elsewhere(const Warp* warp, const Thread* one) {
  const Thread* found = one;
  for (uint32_t i = 0; i < warp->lanes && found == one; i++)
    if (warp->threads[i].waiting == ENDED || compare(&warp->threads[i], one)) found = &warp->threads[i];
  return found;
}

static int some_are_active(const Warp* warp) {
  for (uint64_t left = warp->here; left; left &= left - 1)
    if (!first_of(warp, left)->meeting.members) return 1;
  return 0;
}

void warp_go_on(Warp* warp) {
  if (!some_are_active(warp)) return;
  const Thread* first = earliest(warp);
  // A barrier, and what all lanes of a wave must do, are not for some of them.
  if (first->waiting == AT_BARRIER || first->meeting.members) stuck_report_lanes(first, elsewhere(warp, first));
  const uint64_t lanes = in_meeting_of(warp, first);
  const Meeting meeting = first->meeting;
  run(warp, &meeting, lanes);
  schedule_ready(warp, lanes);
}
