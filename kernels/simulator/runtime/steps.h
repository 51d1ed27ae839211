// Schedules that the caller chooses step by step (SIM_STEPS): what every warp does next, and which goes on.
//
// A lane that comes to an operation that other warps may see is parked there: an atomic or volatile access, and a
// barrier that not all threads wait at. When no lane can run, the caller chooses a warp, and its parked lanes go on.
// All else commutes, if there is no data race: plain accesses, barriers of all threads, what the lanes of a warp do.
#ifndef SIM_STEPS_H
#define SIM_STEPS_H

#include "programs.h"

static inline int sim_stepwise(void) { return sim_state.wanted.schedule == SIM_STEPS; }

int steps_begin(void);                      // 0 if there is no memory
void steps_end(void);
// Waits until the warp is chosen; returns at once in schedules of other kinds.
void steps_park(const void* p, uint32_t bytes, uint32_t writes, uint32_t site, const void* caller);
int steps_parked(void);                     // whether there is something to choose
int steps_choose(void);                     // makes lanes ready; 0 if there is nothing to choose
void steps_met(const Program* program, int barrier);  // those who wait at it, have met; -1: all of a new program

#endif
