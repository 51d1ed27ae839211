#include "schedules.h"

#include <stdlib.h>

enum { MOST_CHANGES = 64, PREFETCHED = 8 };  // PREFETCHED: lines of a stack

static struct {
  Warp** warps;                  // those that can run
  uint32_t count;
  int changed;                   // another warp than the running one may have the highest priority
  int64_t ticket, lowest;
  uint64_t turns, choices, copies, order;   // turns taken; states of three generators, so that one choice
  uint64_t changes[MOST_CHANGES];           // more of one kind leaves the others as they were
  uint32_t change_count;
} queue;

static uint64_t draw(uint64_t* state) {  // SplitMix64
  uint64_t z = *state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

static uint32_t below(uint64_t* state, uint32_t n) { return (uint32_t)((draw(state) >> 32) * n >> 32); }

static int in_order(void) {
  return sim_state.wanted.schedule == SIM_FIFO || sim_state.wanted.schedule == SIM_STEPS;
}

int schedule_begin(void) {
  const SimLaunch* wanted = &sim_state.wanted;
  queue.warps = calloc(sim_state.warps, sizeof *queue.warps);
  queue.count = 0;
  queue.turns = 0;
  queue.ticket = queue.lowest = 0;
  queue.choices = wanted->seed * 3;
  queue.copies = wanted->seed * 3 + 1;
  queue.order = wanted->seed * 3 + 2;
  queue.change_count = wanted->schedule == SIM_PCT && wanted->depth > 1 ? wanted->depth - 1 : 0;
  if (queue.change_count > MOST_CHANGES) queue.change_count = MOST_CHANGES;
  for (uint32_t i = 0; i < queue.change_count; i++)
    queue.changes[i] = 1 + draw(&queue.choices) % (wanted->steps ? wanted->steps : 1);
  return queue.warps != NULL;
}

void schedule_end(void) {
  free(queue.warps);
  queue.warps = NULL;
}

void schedule_enrol(Warp* warp) {
  // The priorities of change points, 0 .. MOST_CHANGES, are below these; those of polls are negative.
  if (sim_state.wanted.schedule == SIM_PCT) warp->priority = MOST_CHANGES + 1 + (int64_t)(draw(&queue.choices) >> 2);
}

void schedule_ready(Warp* warp, uint64_t lanes) {
  if (!warp->ready && lanes) {
    warp->place = queue.count;
    queue.warps[queue.count++] = warp;
    queue.changed = 1;
    if (in_order()) warp->priority = --queue.ticket;
  }
  warp->ready |= lanes;
}

void schedule_poll(Warp* warp) {
  if (in_order()) warp->priority = --queue.ticket;
  if (sim_state.wanted.schedule == SIM_PCT) warp->priority = --queue.lowest;
  queue.changed = 1;
}

int schedule_copy_lands_late(void) {
  return in_order() || draw(&queue.copies) >> 63;
}

void schedule_shuffle(uint32_t* order, uint32_t n) {
  if (in_order()) return;
  for (uint32_t i = n; i > 1; i--) {
    const uint32_t other = below(&queue.order, i), kept = order[i - 1];
    order[i - 1] = order[other];
    order[other] = kept;
  }
}

static Warp* highest(void) {
  Warp* best = queue.warps[0];
  for (uint32_t i = 1; i < queue.count; i++)
    if (queue.warps[i]->priority > best->priority) best = queue.warps[i];
  return best;
}

// The warp whose turn it would be gets the priority of the change, be it the running one or another.
static Warp* after_changes(Warp* next) {
  int changes = 0;
  for (uint32_t i = 0; i < queue.change_count; i++)
    if (queue.changes[i] == queue.turns) {
      next->priority = i;
      changes = 1;
    }
  return changes ? highest() : next;
}

static Warp* stay_or_highest(Warp* running) {
  if (running && running->ready && !queue.changed) return running;
  queue.changed = 0;
  return highest();
}

// Lanes take turns, so that one that polls does not keep another one of its warp from running.
static Thread* lane_of(Warp* warp) {
  const uint64_t later = warp->last >= 63 ? 0 : warp->ready >> (warp->last + 1) << (warp->last + 1);
  return &warp->threads[__builtin_ctzll(later ? later : warp->ready)];
}

static Thread* chosen(Warp* running) {
  switch (sim_state.wanted.schedule) {
    case SIM_RANDOM:
      return lane_of(queue.warps[below(&queue.choices, queue.count)]);
    case SIM_PCT:
      return lane_of(after_changes(stay_or_highest(running)));
    default:
      return lane_of(stay_or_highest(running));
  }
}

// A switch waits for the stack to come from memory; lanes mostly run one after another.
static inline void prefetch(const Warp* warp, uint32_t lane) {
  if (lane >= warp->lanes) return;
  const char* place = warp->threads[lane].fiber.place;
  for (int line = 0; line < PREFETCHED; line++) __builtin_prefetch(place + 64 * line);
}

static inline void take(Thread* thread) {
  Warp* warp = thread->warp;
  warp->last = thread->lane;
  prefetch(warp, thread->lane + 2);
  warp->ready &= ~(1ull << thread->lane);
  if (warp->ready) return;
  Warp* last = queue.warps[--queue.count];
  queue.warps[warp->place] = last;
  last->place = warp->place;
}

Thread* schedule_next(Warp* running) {
  if (!queue.count) return NULL;
  queue.turns++;
  Thread* next = chosen(running);
  sim_add(SIM_COUNT_turns, 1);
  take(next);
  return next;
}
