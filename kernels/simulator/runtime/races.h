// Data races by happens-before, on whatever schedule.
//
// Every thread has a clock that goes on when it makes what it did known to others (clocks.h: what a thread knows).
// An access happened before what thread t does next if it is t's own, or if t knows the clock that its thread had.
// Memory remembers for every granule who wrote it last, and two of those who have read it since (from two
// programs, else from two warps, if there are such). So a write that races with reads alone is missed if it is
// ordered after both that are remembered, and not after a third.
//
// An asynchronous copy is a write that nobody knows, its own thread included, until it is waited for.
// The asynchronous proxy (wgmma's reads) sees what threads stored only if a fence.proxy.async lies between the store
// and the access, in either thread.
// Two plain stores of the same value are counted and no race: Triton lets several threads store one element.
//
// Lanes of a warp are threads like others, which bar.warp.sync orders (PTX, since Volta). Where they do every
// instruction together (AMD), what they do in different ones to global memory is ordered: then only the stores of one
// instruction can conflict, of which nobody knows which comes last. One instruction is one site in one turn of its
// loops. As lanes run one after another here, one that is overwritten in a later turn by its own lane is not compared.
// To shared memory the fences of a wave order what its lanes do, for the compiler may move the rest.
#ifndef SIM_RACES_H
#define SIM_RACES_H

#include "memory.h"

typedef struct Mark {
  uint32_t who, clock;           // program and thread; clock 0: nobody
  uint32_t site : 20, turn : 7, narrow : 1, wide : 1, asynchronous : 1, store : 1, proxy : 1;
} Mark;

typedef struct Cell {
  Mark write, read[2];
} Cell;

typedef struct RaceAccess {
  Thread* thread;
  Cell* cells;                   // of the buffer
  const void* address;
  uint64_t offset;               // of the address in it
  uint32_t bytes, kind, site;
  uint32_t agent;                // 1 more than the number of who does it; 0: the thread itself
} RaceAccess;

void races_access(const RaceAccess* access);
// An asynchronous copy or read: begins, is over.
void races_issued(Thread* thread, const void* shared, uint32_t bytes, uint32_t kind, uint32_t site);
void races_landed(Thread* thread, const void* shared, uint32_t bytes);
// Ends the launch.
__attribute__((noreturn)) void races_report(const RaceAccess* access, const Mark* earlier, int later_is_store);

#endif
