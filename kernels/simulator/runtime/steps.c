#include "steps.h"

#include <stdlib.h>

#include "schedules.h"
#include "stuck.h"

static struct {
  SimOperation* operations;      // room for all threads
  uint32_t* meetings;
  uint32_t words, room, parked;
} steps;

int steps_begin(void) {
  steps.words = steps.room = steps.parked = 0;
  if (!sim_stepwise()) return 1;
  steps.operations = calloc((size_t)sim_state.slots * sim_state.wanted.threads, sizeof *steps.operations);
  return steps.operations != NULL;
}

void steps_end(void) {
  free(steps.operations);
  free(steps.meetings);
  steps.operations = NULL;
  steps.meetings = NULL;
}

int steps_parked(void) { return steps.parked != 0; }

void steps_park(const void* p, uint32_t bytes, uint32_t writes, uint32_t site, const void* caller) {
  if (!sim_stepwise()) return;
  Thread* me = sim_current;
  me->next = (SimOperation){(uint64_t)p, (uint64_t)caller, bytes, me->warp->number, site, writes};
  me->warp->parked |= 1ull << me->lane;
  steps.parked++;
  sim_leave(me);
}

static Warp* warp_of(uint32_t number) {  // the warps of all slots lie one after another
  return number < sim_state.warps ? &sim_state.programs[0].warps[number] : NULL;
}

static SimChoice all_parked(void) {
  SimChoice choice = {steps.operations, steps.meetings, 0, steps.words};
  for (uint32_t i = 0; i < sim_state.warps; i++) {
    const Warp* warp = warp_of(i);
    for (uint64_t lanes = warp->parked; lanes; lanes &= lanes - 1)
      steps.operations[choice.operation_count++] = warp->threads[__builtin_ctzll(lanes)].next;
  }
  return choice;
}

int steps_choose(void) {
  if (!steps.parked) return 0;
  const SimChoice choice = all_parked();
  const uint32_t chosen = sim_state.wanted.choose(&choice);
  if (chosen == SIM_STUCK) stuck_report_polls();
  Warp* warp = warp_of(chosen);
  if (!warp || !warp->parked) sim_fail(SIM_NOT_CHOSEN, "no warp was chosen that can go on");
  steps.words = 0;
  steps.parked -= (uint32_t)__builtin_popcountll(warp->parked);
  schedule_ready(warp, warp->parked);
  warp->parked = 0;
  return 1;
}

static void add_word(uint32_t word) {
  if (steps.words == steps.room) {
    const uint32_t room = steps.room ? 2 * steps.room : 64;
    uint32_t* more = realloc(steps.meetings, room * sizeof *more);
    if (!more) sim_fail(SIM_NO_RESOURCES, "no memory for %u meetings of warps", room);
    steps.meetings = more;
    steps.room = room;
  }
  steps.meetings[steps.words++] = word;
}

static int waits_at(const Warp* warp, int barrier) {
  for (uint32_t i = 0; i < warp->lanes; i++)
    if (warp->threads[i].waiting == AT_BARRIER && warp->threads[i].barrier == (uint32_t)barrier) return 1;
  return 0;
}

void steps_met(const Program* program, int barrier) {
  if (!sim_stepwise()) return;
  const uint32_t warps = sim_state.wanted.threads / sim_state.wanted.lanes;
  for (uint32_t i = 0; i < warps; i++)
    if (barrier < 0 || waits_at(&program->warps[i], barrier)) add_word(program->warps[i].number);
  add_word(SIM_NOBODY);
}
