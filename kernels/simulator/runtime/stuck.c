#include "stuck.h"

#include <stdio.h>

static int same_place(const Thread* one, const Thread* other) {
  if (one->waiting != other->waiting || one->waiting == ENDED) return one->waiting == other->waiting;
  if (one->waiting == RUNS) return one->polled_site == other->polled_site;
  return one->site == other->site && (one->waiting != AT_BARRIER || one->barrier == other->barrier);
}

static void words(const Thread* thread, uint32_t alike, char* text, size_t room) {
  switch (thread->waiting) {
    case AT_BARRIER:
      snprintf(text, room, "waits at barrier %u (%u threads alike)", thread->barrier, alike);
      break;
    case IN_WARP:
      snprintf(text, room, "waits in %.16s (%u lanes alike)", thread->meeting.name, alike);
      break;
    case ENDED:
      snprintf(text, room, "has ended (%u threads alike)", alike);
      break;
    default:
      snprintf(text, room, "%s (%u threads alike)", thread->polled_site == SIM_NOBODY ? "can run" : "polls", alike);
  }
}

// One party for every place where threads of a program are; returns how many places those are that wait.
static uint32_t places(const Program* program, int with_ended) {
  const uint32_t threads = sim_state.wanted.threads;
  uint32_t waits = 0;
  for (uint32_t i = 0; i < threads; i++) {
    const Thread* thread = &program->threads[i];
    uint32_t alike = 0, first = 1;
    for (uint32_t k = 0; k < threads; k++) {
      if (!same_place(thread, &program->threads[k])) continue;
      alike++;
      if (k < i) first = 0;
    }
    if (!first || (thread->waiting == ENDED && !with_ended)) continue;
    if (thread->waiting != RUNS) waits++;
    char text[48];
    words(thread, alike, text, sizeof text);
    const uint32_t site = thread->waiting == ENDED ? SIM_NOBODY
                          : thread->waiting == RUNS ? thread->polled_site : thread->site;
    sim_party(thread, site, 0, text);
  }
  return waits;
}

static uint32_t waiting(const Program* program) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++)
    count += program->threads[i].waiting == AT_BARRIER || program->threads[i].waiting == IN_WARP;
  return count;
}

static int at_barriers_of_one_id(const Program* program) {
  uint32_t id = SIM_NOBODY;
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++) {
    const Thread* thread = &program->threads[i];
    if (thread->waiting != AT_BARRIER || (id != SIM_NOBODY && id != thread->barrier)) return 0;
    id = thread->barrier;
  }
  return 1;
}

void stuck_report(void) {
  const uint32_t absent = sim_state.total - sim_state.started;
  int diverged = 0;
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    const Program* program = &sim_state.programs[i];
    const uint32_t here = waiting(program);
    sim_state.report->waiting += here;
    if (!here) continue;
    places(program, 1);
    diverged |= !at_barriers_of_one_id(program);
  }
  if (diverged) sim_fail(SIM_DIVERGENCE, "threads of a program wait at different places");
  if (absent) sim_fail(SIM_NOT_RESIDENT, "all wait, and %u programs have not been started", absent);
  sim_fail(SIM_DEADLOCK, "all threads wait");
}

void stuck_report_polls(void) {
  const uint32_t absent = sim_state.total - sim_state.started;
  if (sim_current) places(sim_current->program, 0);
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    const Program* program = &sim_state.programs[i];
    sim_state.report->waiting += waiting(program);
    if ((!sim_current || program != sim_current->program) && program->ended < sim_state.wanted.threads) places(program, 0);
  }
  const unsigned long long polls = (unsigned long long)sim_state.polls;
  if (absent) sim_fail(SIM_NOT_RESIDENT, "%llu polls in vain, and %u programs have not been started", polls, absent);
  sim_fail(SIM_LIVELOCK, "%llu polls in vain", polls);
}

static void party(const Thread* lane) {
  const char* what = lane->waiting == AT_BARRIER ? "barrier" : lane->waiting == ENDED ? "has ended" : lane->meeting.name;
  sim_party(lane, lane->waiting == ENDED ? SIM_NOBODY : lane->site, 0, what);
}

void stuck_report_lanes(const Thread* one, const Thread* other) {
  party(one);
  party(other);
  sim_fail(SIM_DIVERGENCE, "lanes of a warp meet in different operations");
}

void stuck_report_sizes(const Thread* me, uint32_t id, uint32_t threads, uint32_t site) {
  sim_party(me, site, 0, "barrier");
  places(me->program, 0);
  sim_fail(SIM_DIVERGENCE, "barrier %u is of %u threads and of %u", id, me->program->barriers[id].expected, threads);
}
