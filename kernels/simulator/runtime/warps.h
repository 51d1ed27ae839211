// Where lanes of a warp meet.
//
// All lanes, or those of a member mask: an operation is run when all of them have come to it, each with the same mask.
// What all lanes do must be one instruction (.aligned). Lanes that wait for each other in different operations never
// meet, which ends the launch.
//
// The active ones: which they are is known when no lane of the warp can run any more: each waits here or at a barrier,
// or has ended. Then the first place where lanes wait is done, by the lanes that are there; the others wait on. First
// is what the kernel's text has first, and within a loop what belongs to an earlier turn: so a branch, or a further
// turn, is done before what is behind it, and lanes meet again as soon as their ways do. AMD's compiler runs every
// block of a wave once for all lanes that come to it, which is the same.
#ifndef SIM_WARPS_H
#define SIM_WARPS_H

#include "programs.h"

static inline uint64_t warp_lanes(const Warp* warp) { return warp->lanes == 64 ? ~0ull : (1ull << warp->lanes) - 1; }
void warp_go_on(Warp* warp);     // no lane can run, and some wait for others

// One more of its lanes waits or has ended.
static inline void warp_waits(Warp* warp) {
  if (warp->here && warp->waiting == warp_lanes(warp)) warp_go_on(warp);
}

#endif
