// Source: PTX ISA 9.7.13.15 "mbarrier". The simulator keeps their state beside shared memory, where kernels do not look.
#include "mbarriers.h"

#include <stdlib.h>

#include "clocks.h"
#include "memory.h"

enum { MOST = 64 };

typedef struct Mbarrier {
  const void* place;             // null: free
  uint32_t count, pending, phase;
  Knowledge *arrived, *done;     // of those that have arrived in this phase; of the phases that have ended
} Mbarrier;

typedef struct Mbarriers {
  Mbarrier list[MOST];
} Mbarriers;

static void forget(Mbarrier* barrier) {
  knowledge_drop(barrier->arrived);
  knowledge_drop(barrier->done);
  *barrier = (Mbarrier){0};
}

void mbarriers_end(Program* program) {
  for (uint32_t i = 0; program->mbarriers && i < MOST; i++) forget(&program->mbarriers->list[i]);
  free(program->mbarriers);
  program->mbarriers = NULL;
}

static Mbarrier* find(const Program* program, const void* place) {
  for (uint32_t i = 0; program->mbarriers && i < MOST; i++)
    if (program->mbarriers->list[i].place == place) return &program->mbarriers->list[i];
  return NULL;
}

__attribute__((noreturn)) static void refuse(const char* text, uint32_t site) {
  sim_party(sim_current, site, SIM_SHARED, "mbarrier");
  sim_fail(SIM_TRAPPED, "%s", text);
}

static Mbarrier* known(Thread* thread, const void* place, uint32_t kind, uint32_t site) {
  memory_check(thread, place, 8, kind | SIM_SHARED | SIM_NARROW, site, "mbarrier");
  Mbarrier* barrier = find(thread->program, place);
  if (!barrier) refuse("there is no mbarrier at this address: it was not initialised, or is no longer valid", site);
  return barrier;
}

void sim_mbarrier_init(const void* p, uint32_t count, uint32_t site) {
  Program* program = sim_current->program;
  memory_check(sim_current, p, 8, SIM_STORE | SIM_SHARED, site, "mbarrier.init");
  if (!program->mbarriers) program->mbarriers = calloc(1, sizeof *program->mbarriers);
  if (!program->mbarriers) sim_fail(SIM_NO_RESOURCES, "no memory for mbarriers");
  Mbarrier* barrier = find(program, p);
  if (!barrier) barrier = find(program, NULL);
  if (!barrier) sim_fail(SIM_NO_RESOURCES, "the simulator has %d mbarriers for a program", MOST);
  forget(barrier);
  barrier->place = p;
  barrier->count = barrier->pending = count;
}

void sim_mbarrier_inval(const void* p, uint32_t site) {
  forget(known(sim_current, p, SIM_STORE, site));
}

static void arrive(Mbarrier* barrier, Knowledge* news, uint32_t count, uint32_t site) {
  if (barrier->pending < count) refuse("more arrive at an mbarrier than it was initialised for", site);
  if (news) barrier->arrived = barrier->arrived ? knowledge_join(barrier->arrived, news) : knowledge_keep(news);
  knowledge_drop(news);
  barrier->pending -= count;
  if (barrier->pending) return;
  barrier->pending = barrier->count;
  barrier->phase++;
  knowledge_drop(barrier->done);
  barrier->done = barrier->arrived;
  barrier->arrived = NULL;
  sim_progress();
}

static Knowledge* told(Thread* thread) {
  return thread->known ? knowledge_with(thread->known, thread->number, thread->clock++) : NULL;
}

void sim_mbarrier_arrive(const void* p, uint32_t count, uint32_t site) {
  Mbarrier* barrier = known(sim_current, p, SIM_STORE | SIM_READS_TOO, site);
  arrive(barrier, told(sim_current), count, site);
}

void mbarriers_arrive_agent(Thread* thread, uint32_t agent, const void* p, uint32_t site) {
  Mbarrier* barrier = known(thread, p, SIM_STORE | SIM_READS_TOO, site);
  Knowledge* news = told(thread);
  if (news) {
    Knowledge* all = knowledge_with(news, sim_state.wanted.threads + agent, thread->program->agent_clock[agent]++);
    knowledge_drop(news);
    news = all;
  }
  arrive(barrier, news, 1, site);
}

uint32_t sim_mbarrier_try_wait(const void* p, uint32_t parity, uint32_t site) {
  Thread* thread = sim_current;
  Mbarrier* barrier = known(thread, p, 0, site);
  if ((barrier->phase & 1) != (parity & 1)) {
    if (thread->known && barrier->done) thread->known = knowledge_join(thread->known, barrier->done);
    return 1;
  }
  sim_yield(site);
  return 0;
}
