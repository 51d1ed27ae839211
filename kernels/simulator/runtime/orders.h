// What orders the accesses of threads: barriers, warps that meet, atomics and fences.
//
// A relaxed atomic access orders nothing. Release makes known what the thread knows, through the address; acquire
// learns it, if both are wide enough for where the two threads are: the scope of a cluster is taken as that of a
// program. Fences make the relaxed accesses before them acquire, those after them release.
#ifndef SIM_ORDERS_H
#define SIM_ORDERS_H

#include "programs.h"

int orders_begin(void);          // 0 if there is no memory
void orders_end(void);
void orders_new_program(Program* program);
void orders_program_ended(Program* program);

void orders_arrive(Thread* thread, Barrier* barrier);  // makes known what the thread did
void orders_meet(Program* program, Barrier* barrier);  // all have arrived: those who wait learn it
// sim_atomic, called from `caller` in the kernel.
void orders_atomic(const void* p, uint32_t bytes, uint32_t order, uint32_t scope, uint32_t kind, uint32_t site,
                   const void* caller);
void orders_after(Thread* thread, const Barrier* barrier);  // the thread learns it after it has opened
void orders_warp(Warp* warp, uint64_t lanes);          // some lanes meet

#endif
