#include "orders.h"

#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "memory.h"
#include "steps.h"
#include "values.h"

// ---- atomics: what has been released through an address
typedef struct Channel {
  const void* address;           // null: free
  Knowledge *wide, *narrow;      // to all; to the threads of the program that released it last
} Channel;

static struct {
  Channel* list;                 // open addressing
  uint32_t room, count;          // room: a power of two
} channels;

int orders_begin(void) {
  clocks_begin(sim_state.wanted.threads + SIM_AGENTS, sim_state.total);
  if (!sim_checks(SIM_CHECK_RACES)) return 1;
  channels.room = 256;
  channels.count = 0;
  channels.list = calloc(channels.room, sizeof *channels.list);
  if (!channels.list) return 0;
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    Program* slot = &sim_state.programs[i];
    const size_t width = sim_state.wanted.threads + SIM_AGENTS;
    uint32_t* clocks = calloc(SIM_BARRIERS * width, sizeof *clocks);
    if (!clocks) return 0;
    for (uint32_t b = 0; b < SIM_BARRIERS; b++) slot->barriers[b].clocks = clocks + b * width;
  }
  return 1;
}

void orders_end(void) {
  for (uint32_t i = 0; channels.list && i < channels.room; i++) {
    knowledge_drop(channels.list[i].wide);
    knowledge_drop(channels.list[i].narrow);
  }
  free(channels.list);
  channels.list = NULL;
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    orders_program_ended(&sim_state.programs[i]);
    free(sim_state.programs[i].barriers[0].clocks);
  }
}

static Channel* slot_of(Channel* list, uint32_t room, const void* p) {
  uint64_t i = (uint64_t)p / 4 * 0x9e3779b97f4a7c15u >> 32;
  while (list[i & (room - 1)].address && list[i & (room - 1)].address != p) i++;
  return &list[i & (room - 1)];
}

static void grow(void) {
  const uint32_t room = 2 * channels.room;
  Channel* list = calloc(room, sizeof *list);
  if (!list) sim_fail(SIM_NO_RESOURCES, "no memory for %u atomics", room);
  for (uint32_t i = 0; i < channels.room; i++)
    if (channels.list[i].address) *slot_of(list, room, channels.list[i].address) = channels.list[i];
  free(channels.list);
  channels.list = list;
  channels.room = room;
}

static Channel* channel(const void* p) {
  if (2 * channels.count > channels.room) grow();
  Channel* found = slot_of(channels.list, channels.room, p);
  if (!found->address) {
    found->address = p;
    channels.count++;
  }
  return found;
}

// ---- what threads know
void orders_new_program(Program* program) {
  if (!sim_checks(SIM_CHECK_RACES)) return;
  Knowledge* nothing = knowledge_nothing(program->number);
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++) {
    program->threads[i].known = knowledge_keep(nothing);
    program->threads[i].clock = 1;
  }
  knowledge_drop(nothing);
}

static void forget(Knowledge** knowledge) {
  knowledge_drop(*knowledge);
  *knowledge = NULL;
}

void orders_program_ended(Program* program) {
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++) {
    forget(&program->threads[i].known);
    forget(&program->threads[i].acquirable);
    forget(&program->threads[i].released);
    forget(&program->threads[i].handed);
    forget(&program->threads[i].met);
  }
  for (uint32_t i = 0; i < SIM_BARRIERS; i++) {
    forget(&program->barriers[i].joined);
    forget(&program->barriers[i].met);
  }
}

static void add(Knowledge** to, Knowledge* more) {
  if (more) *to = *to ? knowledge_join(*to, more) : knowledge_keep(more);
}

// ---- barriers
void orders_arrive(Thread* thread, Barrier* barrier) {
  if (!thread->known) return;
  if (barrier->joined != thread->known) add(&barrier->joined, thread->known);
  barrier->clocks[thread->number] = thread->clock++;
}

void orders_hand_over(Thread* thread, Barrier* barrier) {
  if (!thread->handed) return;
  if (barrier->joined != thread->handed) add(&barrier->joined, thread->handed);
  barrier->clocks[thread->number] = thread->handed_clock;
}

static void learn(Thread* thread, Knowledge* news) {
  knowledge_drop(thread->known);
  thread->known = knowledge_keep(news);
}

void orders_meet(Program* program, Barrier* barrier) {
  if (!barrier->joined) return;
  const uint32_t threads = sim_state.wanted.threads, id = (uint32_t)(barrier - program->barriers);
  Knowledge* all = knowledge_with_all(barrier->joined, barrier->clocks);
  for (uint32_t i = 0; i < threads; i++) {
    Thread* thread = &program->threads[i];
    if (thread->waiting != AT_BARRIER || thread->barrier != id) continue;
    if (!thread->fenced) learn(thread, all);
    else if (thread->waited) thread->known = knowledge_join(thread->known, all);
    else add(&thread->met, all);
    thread->waited = 0;
  }
  knowledge_drop(barrier->met);
  barrier->met = all;
  forget(&barrier->joined);
  memset(barrier->clocks, 0, threads * sizeof *barrier->clocks);
}

void orders_after(Thread* thread, const Barrier* barrier) { add(&thread->met, barrier->met); }

void orders_warp(Warp* warp, uint64_t lanes) {
  if (!warp->threads[0].known) return;
  Clocks clocks = {0};
  Knowledge* joined = NULL;
  for (uint64_t left = lanes; left; left &= left - 1) {
    Thread* thread = &warp->threads[__builtin_ctzll(left)];
    if (joined != thread->known) add(&joined, thread->known);
    clocks[thread->number] = thread->clock++;
  }
  Knowledge* all = knowledge_with_all(joined, clocks);
  for (uint64_t left = lanes; left; left &= left - 1) learn(&warp->threads[__builtin_ctzll(left)], all);
  knowledge_drop(all);
  knowledge_drop(joined);
}

void sim_proxy_fence(uint32_t site) {
  (void)site;
  Thread* thread = sim_current;
  sim_add(SIM_COUNT_fences, 1);
  if (!thread->known) return;
  Knowledge* news = knowledge_proxied(thread->known, thread->number, thread->clock++);
  learn(thread, news);
  knowledge_drop(news);
}

void orders_wave(Warp* warp, uint64_t lanes) {
  Clocks clocks = {0};
  Knowledge* joined = NULL;
  for (uint64_t left = lanes; left; left &= left - 1) {
    const Thread* thread = &warp->threads[__builtin_ctzll(left)];
    if (!thread->handed) continue;
    if (joined != thread->handed) add(&joined, thread->handed);
    clocks[thread->number] = thread->handed_clock;
  }
  if (!joined) return;
  Knowledge* all = knowledge_with_all(joined, clocks);
  for (uint64_t left = lanes; left; left &= left - 1) add(&warp->threads[__builtin_ctzll(left)].met, all);
  knowledge_drop(all);
  knowledge_drop(joined);
}

// ---- atomics and fences
static int acquires(uint32_t order) { return order == SIM_ACQUIRE || order >= SIM_ACQUIRE_RELEASE; }
static int releases(uint32_t order) { return order >= SIM_RELEASE; }

// What the thread knows now, or knew at its last fence that releases.
static Knowledge* snapshot(Thread* thread) {
  return knowledge_with(thread->known, thread->number, thread->clock++);
}

static Knowledge* snapshot_at_fence(const Thread* thread) {
  return thread->released ? knowledge_with(thread->released, thread->number, thread->released_clock) : NULL;
}

static void acquire(Thread* thread, const Channel* from, uint32_t order, uint32_t scope) {
  Knowledge* narrow = from->narrow && from->narrow->program == thread->program->number ? from->narrow : NULL;
  Knowledge** to = acquires(order) ? &thread->known : &thread->acquirable;
  if (scope >= SIM_GPU) add(to, from->wide);
  add(to, narrow);
}

static void publish(Knowledge** slot, Knowledge* news, int joins) {
  if (!joins) forget(slot);      // a plain store: who reads it does not see what was released before
  add(slot, news);
}

static void release(Thread* thread, Channel* to, uint32_t order, uint32_t scope, int reads) {
  Knowledge* news = releases(order) ? snapshot(thread) : snapshot_at_fence(thread);
  if (!releases(order) && thread->released_scope < scope) scope = thread->released_scope;
  publish(&to->wide, scope >= SIM_GPU ? news : NULL, reads);
  const int same = to->narrow && to->narrow->program == thread->program->number;
  publish(&to->narrow, news, reads && same);
  knowledge_drop(news);
}

static uint32_t of_value(uint32_t bytes) { return bytes < 16 ? bytes : 16; }

// The same once more, and all is as it was: neither this thread nor another one has changed it.
static int polls_again(Thread* thread, const void* p, uint32_t bytes, uint32_t site) {
  const int again = thread->polled == p && thread->polled_site == site &&
                    !memcmp(thread->polled_value, p, of_value(bytes));
  thread->polled = p;
  thread->polled_site = site;
  thread->polled_bytes = bytes;
  return again;
}

void sim_atomic(const void* p, uint32_t bytes, uint32_t order, uint32_t scope, uint32_t kind, uint32_t site) {
  orders_atomic(p, bytes, order, scope, kind, site, __builtin_return_address(0));
}

void orders_atomic(const void* p, uint32_t bytes, uint32_t order, uint32_t scope, uint32_t kind, uint32_t site,
                   const void* caller) {
  Thread* thread = sim_current;
  sim_add(SIM_COUNT_atomics, 1);
  if (polls_again(thread, p, bytes, site)) sim_poll();
  const int writes = (kind & SIM_ATOMIC_WRITES) != 0, reads = (kind & SIM_ATOMIC_READS) != 0 || !writes;
  if (!sim_stepwise()) sim_give_way();
  else if (memory_is_known(thread, p, bytes, kind & SIM_ATOMIC_SHARED))
    steps_park(p, bytes, writes ? SIM_WRITES_IF_CHANGED : SIM_WRITES_NOT, site, caller);
  memory_check(thread, p, bytes,
               (writes ? SIM_STORE : 0) | (writes && reads ? SIM_READS_TOO : 0) |
                   (kind & SIM_ATOMIC_SHARED ? SIM_SHARED : 0) | (scope >= SIM_GPU ? SIM_WIDE : SIM_NARROW),
               site, writes ? "atomic write" : "atomic read");
  memcpy(thread->polled_value, p, of_value(bytes));
  if (thread->known) {
    Channel* through = channel(p);
    if (reads) acquire(thread, through, order, scope);
    if (writes) release(thread, through, order, scope, reads);
  }
  if (writes && sim_state.polls) values_watch_progress(p, bytes);
}

void sim_barrier_fence(uint32_t order, uint32_t site) {
  (void)site;
  Thread* thread = sim_current;
  sim_add(SIM_COUNT_fences, 1);
  if (!thread->known) return;
  if (acquires(order) && thread->met) {
    thread->known = knowledge_join(thread->known, thread->met);
    forget(&thread->met);
  }
  if (releases(order)) {
    forget(&thread->handed);
    thread->handed = knowledge_keep(thread->known);
    thread->handed_clock = thread->clock++;
  }
}

void sim_waitcnt(uint32_t counts, uint32_t site) {
  if (counts >> 8 & 15) return;  // lgkmcnt of CDNA: how many accesses of shared memory may be left
  sim_barrier_fence(SIM_RELEASE, site);
  sim_current->waited = 1;
}

void sim_fence(uint32_t order, uint32_t scope, uint32_t site) {
  Thread* thread = sim_current;
  sim_barrier_fence(order, site);
  if (!thread->known) return;
  if (acquires(order) && thread->acquirable) {
    const Knowledge* news = thread->acquirable;
    thread->known = scope >= SIM_GPU ? knowledge_join(thread->known, news) : knowledge_join_own(thread->known, news);
    if (scope >= SIM_GPU) forget(&thread->acquirable);
  }
  if (releases(order)) {
    forget(&thread->released);
    thread->released = knowledge_keep(thread->known);
    thread->released_clock = thread->clock++;
    thread->released_scope = scope;
  }
}
