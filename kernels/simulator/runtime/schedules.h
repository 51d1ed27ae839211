// Which thread runs next.
//
// FIFO: the warp that has been ready for the longest time, till all its lanes wait.
// Random: any warp that is ready, at every turn.
// PCT (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", 2010): the warp of
//   the highest priority; priorities are random, and at depth - 1 random turns the warp that would run gets a lower
//   one. A bug that needs `depth` ordering constraints is found with a probability of at least
//   1 / (warps * steps^(depth - 1)) a launch, if `steps` is not less than the turns of a launch and nobody polls.
//   A warp that polls goes below all others, else it would run forever.
// Steps: in step with the others of its warp; between steps, whom the caller chooses (steps.h).
#ifndef SIM_SCHEDULES_H
#define SIM_SCHEDULES_H

#include "programs.h"

int schedule_begin(void);                   // 0 if there is no memory
void schedule_end(void);
void schedule_enrol(Warp* warp);            // a new warp: its priority
void schedule_ready(Warp* warp, uint64_t lanes);  // a bit for each
void schedule_poll(Warp* warp);             // lets others pass
Thread* schedule_next(Warp* running);       // takes it out of the ready ones; null if there is none
int schedule_copy_lands_late(void);
void schedule_shuffle(uint32_t* order, uint32_t n);  // order in which programs start

#endif
