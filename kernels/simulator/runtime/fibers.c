#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "fibers.h"

#include <string.h>
#include <sys/mman.h>

static const uint64_t CANARY = 0x9e3779b97f4a7c15u;

#if defined(__x86_64__) && !defined(SIM_PORTABLE_FIBERS)
// The registers that a function keeps (System V ABI) go to the stack; the rest is the caller's affair.
void sim_switch_stacks(void** save, void* load);
__asm__(".text\n.hidden sim_switch_stacks\n.globl sim_switch_stacks\n.type sim_switch_stacks, @function\n"
        "sim_switch_stacks:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp, (%rdi)\nmovq %rsi, %rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n"
        ".size sim_switch_stacks, .-sim_switch_stacks\n");

static void* begin(char* stack, size_t bytes, void (*start)(void)) {
  // Six registers, the address to return to, and one word so that `start` finds the stack as after a call.
  void** top = (void**)(((uintptr_t)stack + bytes) & ~(uintptr_t)15) - 8;
  memset(top, 0, 8 * sizeof *top);
  memcpy(&top[6], &start, sizeof start);
  return top;
}

void fiber_switch(Fiber* from, Fiber* to) { sim_switch_stacks(&from->place, to->place); }
#else
#include <stdlib.h>
#include <ucontext.h>

static void* begin(char* stack, size_t bytes, void (*start)(void)) {
  ucontext_t* context = (ucontext_t*)(((uintptr_t)stack + 64) & ~(uintptr_t)63);  // above the canary
  getcontext(context);
  char* low = (char*)(context + 1);
  context->uc_stack = (stack_t){.ss_sp = low, .ss_size = (size_t)(stack + bytes - low)};
  context->uc_link = NULL;
  makecontext(context, start, 0);
  return context;
}

void fiber_switch(Fiber* from, Fiber* to) {
  static ucontext_t main_context;  // of the fiber that has no stack of its own
  if (!from->place) from->place = &main_context;
  swapcontext(from->place, to->place);
}
#endif

void fiber_prepare(Fiber* fiber, char* stack, size_t bytes, void (*start)(void)) {
  memcpy(stack, &CANARY, sizeof CANARY);
  *fiber = (Fiber){begin(stack, bytes, start), stack, bytes};
}

int fiber_overflowed(const Fiber* fiber) { return memcmp(fiber->stack, &CANARY, sizeof CANARY) != 0; }

size_t fiber_stride(size_t bytes) { return bytes + 65 * 64; }

char* fiber_stacks(size_t count, size_t stride) {
  static char* kept;
  static size_t size;
  // What overflows the first stack goes to a part that nobody uses, and is reported at the next switch.
  const size_t spare = 1 << 20;
  if (count * stride + spare > size) {
    if (kept) munmap(kept, size);
    size = count * stride + spare;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK;
    kept = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (kept == MAP_FAILED) kept = NULL, size = 0;
  }
  return kept ? kept + spare : NULL;
}
