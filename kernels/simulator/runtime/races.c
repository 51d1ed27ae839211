#include "races.h"

#include <stdio.h>

#include "clocks.h"
#include "orders.h"
#include "values.h"

enum { THREAD_BITS = 11 };       // of Mark.who: SIM_MOST_THREADS and the agents

static inline uint32_t who(const Thread* thread) { return thread->program->number << THREAD_BITS | thread->number; }
static inline uint32_t program_of(const Mark* mark) { return mark->who >> THREAD_BITS; }
static inline uint32_t thread_of(const Mark* mark) { return mark->who & ((1u << THREAD_BITS) - 1); }

static inline Mark mark_of(const RaceAccess* access) {
  const uint32_t kind = access->kind;
  uint32_t doer = who(access->thread), clock = access->thread->clock;
  if (access->agent) {           // who acts in the name of the thread
    doer = access->thread->program->number << THREAD_BITS | (sim_state.wanted.threads + access->agent - 1);
    clock = access->thread->program->agent_clock[access->agent - 1];
  }
  return (Mark){doer, clock, access->site, access->thread->turns & 127,
                (kind & SIM_NARROW) != 0, (kind & SIM_WIDE) != 0, (kind & SIM_ASYNCHRONOUS) != 0,
                (kind & SIM_STORE) != 0, (kind & SIM_PROXY) != 0};
}

static inline int same_warp(const Mark* one, const Mark* other) {
  const uint32_t lanes = sim_state.wanted.lanes;
  const uint32_t threads = sim_state.wanted.threads;
  if (thread_of(one) >= threads || thread_of(other) >= threads) return 0;  // agents
  return program_of(one) == program_of(other) && thread_of(one) / lanes == thread_of(other) / lanes;
}

// In shared memory the fences of a wave are what orders its lanes, for the compiler may move what they do not order;
// Triton 3.7 writes none, and counts on the order in which a wave does its accesses (lockstep 2).
static inline int in_lockstep(const RaceAccess* access, const Mark* earlier, const Mark* later) {
  if (access->kind & SIM_SHARED && sim_state.wanted.lockstep < 2) return 0;
  if (!sim_state.wanted.lockstep || earlier->asynchronous || !same_warp(earlier, later)) return 0;
  return earlier->site != later->site || earlier->turn != later->turn;
}

// Of a tile that is smaller than a warp, lanes load copies that they do not use while their owners store: no harm
// where the load comes first in the text, for the lanes that use what they load store it themselves.
static inline int of_a_copy(const RaceAccess* access, const Mark* earlier, const Mark* later) {
  if (access->kind & (SIM_SHARED | SIM_NARROW | SIM_WIDE) || earlier->narrow || earlier->wide) return 0;
  if (earlier->store == later->store || !same_warp(earlier, later)) return 0;
  return earlier->store ? later->site < earlier->site : earlier->site < later->site;
}

// Did what the mark says happen before what the thread does now? Shared memory has marks of earlier programs.
static inline int before(const RaceAccess* access, const Mark* mark) {
  if (!mark->clock) return 1;
  const Thread* thread = access->thread;
  if (access->kind & SIM_SHARED && program_of(mark) != thread->program->number) return 1;
  if (mark->asynchronous) return 0;
  if (mark->who == who(thread) || (access->agent && mark->who == mark_of(access).who)) return 1;
  return mark->clock <= knowledge_clock(thread->known, program_of(mark), thread_of(mark));
}

// Does what a thread stored reach the asynchronous proxy? It happened before: that is for `before`.
static inline int through_proxy(const RaceAccess* access, const Mark* mark) {
  if (!mark->clock || mark->proxy || program_of(mark) != access->thread->program->number) return 1;
  return mark->clock <= knowledge_proxied_clock(access->thread->known, thread_of(mark));
}

static inline int both_atomic(const Mark* earlier, const Mark* later) {
  if (earlier->wide && later->wide) return 1;
  return (earlier->wide || earlier->narrow) && (later->wide || later->narrow) &&
         program_of(earlier) == program_of(later);
}

static const char* words(const Mark* mark) {
  if (mark->asynchronous) return mark->store ? "asynchronous copy" : "asynchronous read";
  if (thread_of(mark) >= sim_state.wanted.threads) return mark->store ? "asynchronous write" : "asynchronous read";
  if (mark->narrow || mark->wide) return mark->store ? "atomic write" : "atomic read";
  return mark->store ? "store" : "load";
}

__attribute__((noreturn)) static void report(const RaceAccess* access, const Mark* earlier, int later_is_store,
                                             const char* text) {
  Mark later = mark_of(access);
  later.store = later_is_store != 0;
  char place[64] = "";
  if (access->kind & SIM_TENSOR) {
    const uint64_t word = access->offset / sim_state.wanted.granule;
    snprintf(place, sizeof place, "tensor memory, lane %u, column %u", (uint32_t)(word / 512), (uint32_t)(word % 512));
    text = place;
  } else {
    memory_describe(access->thread, access->address, access->bytes, access->kind);
  }
  sim_party(access->thread, access->site, access->kind, words(&later));
  sim_party_is(program_of(earlier), thread_of(earlier), earlier->site,
               (access->kind & SIM_SHARED) | (earlier->store ? SIM_STORE : 0), words(earlier));
  sim_fail(SIM_DATA_RACE, "%s", text);
}

void races_report(const RaceAccess* access, const Mark* earlier, int later_is_store) {
  report(access, earlier, later_is_store, "");
}

__attribute__((noinline)) static void conflict(const RaceAccess* access, const Mark* earlier, const Mark* later) {
  if (both_atomic(earlier, later)) return;
  if (in_lockstep(access, earlier, later) || of_a_copy(access, earlier, later)) {
    sim_add(SIM_COUNT_warp_conflicts, 1);
    return;
  }
  // Tensor memory has no address where the values could be watched.
  const int plain = !(access->kind & SIM_TENSOR) && !(earlier->narrow | earlier->wide | earlier->asynchronous |
                                                      later->narrow | later->wide | later->asynchronous);
  if (plain && earlier->store && later->store) values_watch_race(access, *earlier);
  else races_report(access, earlier, later->store);
}

static inline void remember_read(const RaceAccess* access, Cell* cell, const Mark* mark) {
  for (int i = 0; i < 2; i++)
    if (before(access, &cell->read[i])) {
      cell->read[i] = *mark;
      return;
    }
  const Mark *first = &cell->read[0], *second = &cell->read[1];
  const int other_program = program_of(first) == program_of(second) && program_of(first) != program_of(mark);
  if (other_program || (same_warp(first, second) && !same_warp(first, mark))) cell->read[1] = *mark;
}

static inline void touch(const RaceAccess* access, Cell* cell, const Mark* mark) {
  if (!before(access, &cell->write)) conflict(access, &cell->write, mark);
  if (mark->proxy && !through_proxy(access, &cell->write))
    report(access, &cell->write, mark->store, "no fence.proxy.async between");
  if (!mark->store) {
    remember_read(access, cell, mark);
    return;
  }
  for (int i = 0; i < 2; i++)
    if (!before(access, &cell->read[i])) conflict(access, &cell->read[i], mark);
  cell->write = *mark;
  cell->read[0].clock = cell->read[1].clock = 0;
}

void races_access(const RaceAccess* access) {
  const Mark mark = mark_of(access);
  const uint32_t shift = (uint32_t)__builtin_ctz(sim_state.wanted.granule);
  const uint64_t last = (access->offset + access->bytes - 1) >> shift;
  for (uint64_t i = access->offset >> shift; i <= last; i++) touch(access, &access->cells[i], &mark);
}

// ---- asynchronous copies
static uint64_t offset_of(const Thread* thread, const void* shared) {
  return (uint64_t)((const char*)shared - thread->program->shared);
}

void races_issued(Thread* thread, const void* shared, uint32_t bytes, uint32_t kind, uint32_t site) {
  if (!memory_is_shared(thread, shared, bytes)) return;
  const RaceAccess access = {thread, thread->program->cells, shared, offset_of(thread, shared), bytes,
                             kind | SIM_SHARED | SIM_ASYNCHRONOUS, site, 0};
  races_access(&access);
}

static void land(const Thread* thread, Mark* mark) {
  if (!mark->asynchronous || mark->who != who(thread)) return;
  mark->asynchronous = 0;
  mark->clock = thread->clock;
}

void races_landed(Thread* thread, const void* shared, uint32_t bytes) {
  if (!memory_is_shared(thread, shared, bytes)) return;
  const uint64_t offset = offset_of(thread, shared), granule = sim_state.wanted.granule;
  for (uint64_t i = offset / granule; i <= (offset + bytes - 1) / granule; i++) {
    Cell* cell = &thread->program->cells[i];
    land(thread, &cell->write);
    for (int k = 0; k < 2; k++) land(thread, &cell->read[k]);
  }
}
