#include "stuck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "steps.h"

enum { POLLS_IN_VAIN = 500, POLLS_TO_LOOK = 2048 };

static SimThreadState* states;   // of the last launch that was stuck

void stuck_forget(void) {
  free(states);
  states = NULL;
}

static uint32_t waiting(const Program* program) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++)
    count += program->threads[i].waiting == AT_BARRIER || program->threads[i].waiting == IN_WARP;
  return count;
}

// What a loop that waits does not do.
static uint64_t work(void) {
  const uint64_t* counters = sim_state.report->counters;
  return counters[SIM_COUNT_global_loads] + counters[SIM_COUNT_global_stores] + counters[SIM_COUNT_copies] +
         counters[SIM_COUNT_mma] + counters[SIM_COUNT_wgmma] + counters[SIM_COUNT_tcgen05] +
         counters[SIM_COUNT_mfma] + counters[SIM_COUNT_wmma] + counters[SIM_COUNT_mufu];
}

static int polls_in_vain(const Thread* thread) {
  return thread->epoch == sim_state.epoch && thread->vain >= POLLS_IN_VAIN;
}

static int waits(const Warp* warp) {
  for (uint32_t i = 0; i < warp->lanes; i++)
    if (warp->threads[i].waiting == RUNS) return 0;
  return 1;
}

static int goes_round(const Warp* warp) {
  for (uint32_t i = 0; i < warp->lanes; i++) {
    const Thread* thread = &warp->threads[i];
    if (thread->epoch == sim_state.epoch && thread->vain + thread->rounds >= POLLS_IN_VAIN) return 1;
  }
  return waits(warp);
}

// One thread looks, and tells the others at barriers: all warps go through the loop together, or wait.
static int program_polls(const Program* program) {
  int looks = waiting(program) + program->ended == sim_state.wanted.threads;
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++) looks |= polls_in_vain(&program->threads[i]);
  for (uint32_t i = 0; looks && i < sim_state.wanted.threads / sim_state.wanted.lanes; i++)
    looks = goes_round(&program->warps[i]);
  return looks;
}

int stuck_all_poll(void) {
  if (sim_state.polls % POLLS_TO_LOOK) return 0;
  const int works = work() != sim_state.work;
  sim_state.work = work();
  if (works) sim_state.epoch++;
  for (uint32_t i = 0; i < sim_state.slots; i++)
    if (works || !program_polls(&sim_state.programs[i])) return 0;
  return 1;
}

static void polls(const Thread* thread, SimThreadState* state) {
  state->state = SIM_POLLS;
  state->site = thread->polled_site;
  if (!thread->polled) return;
  state->where = (uint64_t)thread->polled;
  state->bytes = thread->polled_bytes;
  state->shared = (uint32_t)memory_is_shared(thread, thread->polled, thread->polled_bytes);
  if (state->shared) state->where -= (uint64_t)thread->program->shared;
  memcpy(&state->value, thread->polled, state->bytes < 8 ? state->bytes : 8);
}

static SimThreadState state_of(const Thread* thread) {
  SimThreadState state = {thread->program->number, thread->number, SIM_RUNS, thread->site, 0, 0, 0, 0, ""};
  switch (thread->waiting) {
    case AT_BARRIER:
      state.state = SIM_AT_BARRIER;
      state.where = thread->barrier;
      state.value = thread->program->barriers[thread->barrier].arrived;
      state.bytes = thread->program->barriers[thread->barrier].expected;
      if (!state.bytes) state.bytes = sim_state.wanted.threads;  // nobody has arrived, so nobody has said how many
      break;
    case IN_WARP:
      state.state = SIM_IN_WARP;
      snprintf(state.what, sizeof state.what, "%s", thread->meeting.name);
      break;
    case ENDED:
      state.state = SIM_ENDED;
      state.site = SIM_NOBODY;
      break;
    default:
      state.site = SIM_NOBODY;
      if (thread->polled_site != SIM_NOBODY && (sim_stepwise() || (thread->vain && thread->epoch == sim_state.epoch)))
        polls(thread, &state);
  }
  return state;
}

static void note_states(void) {
  const uint32_t threads = sim_state.wanted.threads;
  states = calloc((size_t)sim_state.slots * threads, sizeof *states);
  if (!states) return;
  sim_state.report->states = states;
  for (uint32_t i = 0; i < sim_state.slots; i++)
    for (uint32_t k = 0; k < threads; k++)
      states[sim_state.report->state_count++] = state_of(&sim_state.programs[i].threads[k]);
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
    diverged |= !at_barriers_of_one_id(program);
  }
  note_states();
  if (diverged) sim_fail(SIM_DIVERGENCE, "threads of a program wait at different places");
  if (absent) sim_fail(SIM_NOT_RESIDENT, "all wait, and %u programs have not been started", absent);
  sim_fail(SIM_DEADLOCK, "all threads wait");
}

void stuck_report_polls(void) {
  const uint32_t absent = sim_state.total - sim_state.started;
  for (uint32_t i = 0; i < sim_state.slots; i++) sim_state.report->waiting += waiting(&sim_state.programs[i]);
  note_states();
  const unsigned long long count = (unsigned long long)sim_state.polls;
  if (absent) sim_fail(SIM_NOT_RESIDENT, "%llu polls in vain, and %u programs have not been started", count, absent);
  sim_fail(SIM_LIVELOCK, "%llu polls in vain", count);
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
  note_states();
  sim_fail(SIM_DIVERGENCE, "barrier %u is of %u threads and of %u", id, me->program->barriers[id].expected, threads);
}
