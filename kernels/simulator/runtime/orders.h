// What orders the accesses of threads: barriers, warps that meet, atomics and fences.
//
// A relaxed atomic access orders nothing. Release makes known what the thread knows, through the address; acquire
// learns it, if both are wide enough for where the two threads are: the scope of a cluster is taken as that of a
// program. Fences make the relaxed accesses before them acquire, those after them release. So they do with AMD's
// barriers, which order no memory themselves: what was known at a fence that releases is handed over there, and
// learned at the next one that acquires. NVIDIA's barriers order all memory.
#ifndef SIM_ORDERS_H
#define SIM_ORDERS_H

#include "programs.h"

int orders_begin(void);          // 0 if there is no memory
void orders_end(void);
void orders_new_program(Program* program);
void orders_program_ended(Program* program);

void orders_arrive(Thread* thread, Barrier* barrier);  // makes known what the thread did
void orders_hand_over(Thread* thread, Barrier* barrier);  // what it did before its last fence that releases
void orders_meet(Program* program, Barrier* barrier);  // all have arrived: those who wait learn it
// sim_atomic, called from `caller` in the kernel.
void orders_atomic(const void* p, uint32_t bytes, uint32_t order, uint32_t scope, uint32_t kind, uint32_t site,
                   const void* caller);
void orders_after(Thread* thread, const Barrier* barrier);  // the thread learns it after it has opened
void orders_warp(Warp* warp, uint64_t lanes);          // some lanes meet
void orders_wave(Warp* warp, uint64_t lanes);          // the same, of what they hand over

#endif
