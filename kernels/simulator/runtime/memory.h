// Where memory is: bounds, alignment, and what has been written.
#ifndef SIM_MEMORY_H
#define SIM_MEMORY_H

#include "programs.h"

int memory_begin(void);          // 0 if there is none
void memory_end(void);
void memory_new_program(Program* program);

// Bits of a kind of access beside those of sim_access.
enum {
  SIM_READS_TOO = 8,             // read, then written
  SIM_NARROW = 16,               // atomic for the threads of the program alone
  SIM_WIDE = 32,                 // atomic for all
  SIM_ASYNCHRONOUS = 64,         // not over before it is waited for: races.c hears of it from copies.c
  SIM_TENSOR = 512,              // of tensor memory, with SIM_SHARED: tensor.c
  SIM_PROXY = 256                // by the asynchronous proxy: sees plain stores after a fence.proxy.async alone
};

// All checks of an access; `what` names it in words.
void memory_check(Thread* thread, const void* p, uint32_t bytes, uint32_t kind, uint32_t site, const char* what);
// Of an asynchronous agent (its number), in the name of a thread.
void memory_check_agent(Thread* thread, uint32_t agent, const void* p, uint32_t bytes, uint32_t kind, uint32_t site);
void memory_describe(const Thread* thread, const void* p, uint32_t bytes, uint32_t kind);  // for the report
// Whether it lies within the shared memory of the program: not checked before where bounds are not.
int memory_is_shared(const Thread* thread, const void* p, uint32_t bytes);
// Whether it lies within a buffer, or the shared memory of the program.
int memory_is_known(const Thread* thread, const void* p, uint32_t bytes, int shared);
// Shared memory that asynchronous copies have written, or are going to write.
void memory_written(Thread* thread, const void* shared, uint32_t bytes);
void memory_forgotten(Thread* thread, const void* shared, uint32_t bytes);

#endif
