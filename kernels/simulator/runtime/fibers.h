// A fiber: a stack and the place where it goes on.
#ifndef SIM_FIBERS_H
#define SIM_FIBERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Fiber {
  void* place;    // stack pointer, or a context where there is no switch in assembly
  char* stack;    // lowest address
  size_t bytes;
} Fiber;

// `stack` belongs to the caller and begins a call of `start`, which never returns.
void fiber_prepare(Fiber* fiber, char* stack, size_t bytes, void (*start)(void));
// Goes on with `to`; returns when somebody switches to `from`.
void fiber_switch(Fiber* from, Fiber* to);
// Stacks have no guard pages, for a process may not have so many mappings. A frame that is beyond the stack is seen
// at once, a word at the end tells of those that have returned; either may be missed.
static inline int fiber_is_beyond(const Fiber* fiber) { return (char*)__builtin_frame_address(0) < fiber->stack + 64; }
int fiber_overflowed(const Fiber* fiber);

// Memory for `count` stacks, kept for later launches; null if there is none. Its pages cost nothing till used.
// From stack to stack it is a little more than their size, so that not all begin in the same set of a cache.
char* fiber_stacks(size_t count, size_t stride);
size_t fiber_stride(size_t bytes);

#endif
