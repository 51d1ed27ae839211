// What a thread knows of the others: immutable, shared, counted.
#ifndef SIM_CLOCKS_H
#define SIM_CLOCKS_H

#include <stddef.h>
#include <stdint.h>

typedef struct Frontier {        // of one program: the clock of each of its threads, and then agents, known so far
  uint32_t owners;
  uint32_t clock[];
} Frontier;

typedef struct Foreign {         // of all other programs
  uint32_t owners;
  Frontier* of[];                // by number of the program; null: nothing is known
} Foreign;

typedef struct Knowledge {
  uint32_t owners, program;
  Frontier* own;                 // of `program`
  Foreign* foreign;              // null: nothing is known of any other
  Frontier* proxied;             // of `program`: what was known at a fence between the proxies; null: nothing
} Knowledge;

void clocks_begin(uint32_t threads_and_agents, uint32_t programs);

// Each of these gives a reference to the caller.
Knowledge* knowledge_nothing(uint32_t program);
Knowledge* knowledge_keep(Knowledge* knowledge);
Knowledge* knowledge_with(const Knowledge* knowledge, uint32_t thread, uint32_t clock);
Knowledge* knowledge_with_all(const Knowledge* knowledge, const uint32_t* clocks);
// After fence.proxy.async by this thread: all that is known so far is known to the asynchronous proxy as well.
Knowledge* knowledge_proxied(const Knowledge* knowledge, uint32_t thread, uint32_t clock);
// What either knows, of the view of the first one's program. Takes the caller's reference to the first.
Knowledge* knowledge_join(Knowledge* one, const Knowledge* other);
Knowledge* knowledge_join_own(Knowledge* one, const Knowledge* other);  // of that program alone
void knowledge_drop(Knowledge* knowledge);    // null does nothing

static inline const Frontier* knowledge_of(const Knowledge* knowledge, uint32_t program) {
  if (program == knowledge->program) return knowledge->own;
  return knowledge->foreign ? knowledge->foreign->of[program] : NULL;
}

static inline uint32_t knowledge_proxied_clock(const Knowledge* knowledge, uint32_t thread) {
  return knowledge->proxied ? knowledge->proxied->clock[thread] : 0;
}

static inline uint32_t knowledge_clock(const Knowledge* knowledge, uint32_t program, uint32_t thread) {
  const Frontier* frontier = knowledge_of(knowledge, program);
  return frontier ? frontier->clock[thread] : 0;
}

#endif
