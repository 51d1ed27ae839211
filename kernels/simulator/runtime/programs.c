#include "programs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mbarriers.h"
#include "memory.h"
#include "orders.h"
#include "schedules.h"
#include "shared.h"
#include "steps.h"
#include "stuck.h"
#include "tensor.h"
#include "values.h"
#include "warps.h"

Launch sim_state;
Thread* sim_current;
static jmp_buf out;              // of a failure outside of all fibers

// ---- the end of a launch
void sim_party_is(uint32_t program, uint32_t thread, uint32_t site, uint32_t kind, const char* what) {
  SimReport* report = sim_state.report;
  if (report->parties == SIM_PARTIES) return;
  SimParty* party = &report->party[report->parties++];
  *party = (SimParty){program, thread, site, kind, ""};
  snprintf(party->what, sizeof party->what, "%s", what);
}

void sim_party(const Thread* thread, uint32_t site, uint32_t kind, const char* what) {
  sim_party_is(thread->program->number, thread->number, site, kind, what);
}

void sim_fail(uint32_t problem, const char* text, ...) {
  SimReport* report = sim_state.report;
  va_list arguments;
  va_start(arguments, text);
  vsnprintf(report->text, sizeof report->text, text, arguments);
  va_end(arguments);
  report->problem = problem;
  report->started = sim_state.started;
  if (!sim_current) longjmp(out, 1);
  fiber_switch(&sim_current->fiber, &sim_state.main);
  abort();                       // nobody goes on with a launch that failed
}

void sim_unknown(const char* what) {
  sim_party(sim_current, SIM_NOBODY, 0, what);
  sim_fail(SIM_UNKNOWN_INSTRUCTION, "%s", what);
}

void sim_trap(const char* what, uint32_t site) {
  sim_party(sim_current, site, 0, what);
  sim_fail(SIM_TRAPPED, "%s", what);
}

// ---- from thread to thread
__attribute__((noreturn, cold)) static void refuse_stack(const Thread* me) {
  sim_party(me, SIM_NOBODY, 0, "stack");
  sim_fail(SIM_NO_RESOURCES, "a thread needs more than %u bytes of stack", sim_state.wanted.stack_bytes);
}

void sim_leave(Thread* me) {
  values_settle();
  if (fiber_is_beyond(&me->fiber)) refuse_stack(me);
  Thread* next = schedule_next(me->warp);
  if (!next && !steps_parked()) stuck_report();
  if (next == me) return;
  if (!next) {                   // the main context chooses
    fiber_switch(&me->fiber, &sim_state.main);
    return;
  }
  sim_add(SIM_COUNT_switches, 1);
  sim_current = next;
  fiber_switch(&me->fiber, &next->fiber);
}

static uint64_t bit(const Thread* thread) { return 1ull << thread->lane; }

void sim_give_way(void) {
  schedule_ready(sim_current->warp, bit(sim_current));
  sim_leave(sim_current);
}

void sim_progress(void) {
  sim_state.polls = 0;
  sim_state.epoch++;
}

static void enter_epoch(Thread* me) {
  if (me->epoch != sim_state.epoch) me->vain = me->rounds = 0;
  me->epoch = sim_state.epoch;
}

void sim_poll(void) {
  sim_add(SIM_COUNT_polls, 1);
  values_settle();
  Thread* me = sim_current;
  enter_epoch(me);
  me->vain++;
  sim_state.polls++;
  if (sim_state.polls > sim_state.wanted.patience || stuck_all_poll()) stuck_report_polls();
  schedule_poll(me->warp);
}

void sim_yield(uint32_t site) {
  sim_current->polled_site = site;
  sim_poll();
  sim_give_way();
}

// ---- rendezvous
void sim_wait(enum Waiting waiting, uint32_t site) {
  Thread* me = sim_current;
  me->waiting = waiting;
  me->site = site;
  me->warp->waiting |= bit(me);
  warp_waits(me->warp);
  sim_leave(me);
}

static void open_barrier(Program* program, Barrier* barrier, uint32_t id) {
  sim_add(SIM_COUNT_barriers, 1);
  orders_meet(program, barrier);
  if (barrier->expected == sim_state.wanted.threads) steps_met(program, (int)id);
  barrier->arrived = 0;
  barrier->opened++;
  for (uint32_t i = 0; i < sim_state.wanted.threads; i++) {
    Thread* thread = &program->threads[i];
    if (thread->waiting != AT_BARRIER || thread->barrier != id) continue;
    thread->waiting = RUNS;
    thread->warp->waiting &= ~bit(thread);
    schedule_ready(thread->warp, bit(thread));
  }
}

static void arrive(uint32_t id, uint32_t threads, uint32_t site, int waits, int fenced) {
  Thread* me = sim_current;
  Program* program = me->program;
  values_settle();
  if (id >= SIM_BARRIERS) {
    sim_party(me, site, 0, "barrier");
    sim_fail(SIM_TRAPPED, "barrier %u: there are %u", id, SIM_BARRIERS);
  }
  if (!threads) threads = sim_state.wanted.threads;
  // Whoever arrives at a barrier of all threads waits, so who comes first does not matter.
  if (!waits || threads != sim_state.wanted.threads)
    steps_park(&program->barriers[id], sizeof(Barrier), SIM_WRITES_ALWAYS, site, __builtin_return_address(0));
  Barrier* barrier = &program->barriers[id];
  if (barrier->arrived && barrier->expected != threads) stuck_report_sizes(me, id, threads, site);
  barrier->expected = threads;
  enter_epoch(me);
  me->rounds++;
  me->barrier = id;
  me->site = site;
  me->fenced = fenced;
  if (fenced) orders_hand_over(me, barrier);
  else orders_arrive(me, barrier);
  const int last = ++barrier->arrived == threads;
  me->waiting = waits ? AT_BARRIER : RUNS;
  if (!last) {
    if (waits) sim_wait(AT_BARRIER, site);
    return;
  }
  open_barrier(program, barrier, id);
  if (waits) sim_leave(me);      // it is ready, like the others
}

void sim_barrier(uint32_t id, uint32_t threads, uint32_t site) { arrive(id, threads, site, 1, 0); }
void sim_barrier_arrive(uint32_t id, uint32_t threads, uint32_t site) { arrive(id, threads, site, 0, 0); }
void sim_barrier_between_fences(uint32_t site) { arrive(0, 0, site, 1, 1); }

// The barrier of the whole program in two halves.
static Barrier* in_halves(uint32_t id) {
  if (id != SIM_NOBODY) sim_unknown("s_barrier_signal or s_barrier_wait of a named barrier");
  return &sim_current->program->barriers[0];
}

void sim_barrier_signal(uint32_t id, uint32_t site) {
  const Barrier* barrier = in_halves(id);
  if (sim_current->signalled) {
    sim_party(sim_current, site, 0, "s_barrier_signal");
    sim_fail(SIM_TRAPPED, "a barrier is signalled twice, and not waited for between");
  }
  sim_current->signalled = barrier->opened + 1;
  arrive(0, 0, site, 0, 1);
}

void sim_barrier_wait(uint32_t id, uint32_t site) {
  Thread* me = sim_current;
  const Barrier* barrier = in_halves(id);
  values_settle();
  me->barrier = 0;
  me->fenced = 1;
  if (!me->signalled || barrier->opened < me->signalled) sim_wait(AT_BARRIER, site);
  else orders_after(me, barrier);
  me->signalled = 0;
}

// ---- who am I
uint32_t sim_thread(void) { return sim_current->number; }
uint32_t sim_lane(void) { return sim_current->lane; }
uint32_t sim_program(uint32_t axis) { return sim_current->program->coordinate[axis]; }
uint32_t sim_programs(uint32_t axis) { return sim_state.wanted.grid[axis]; }
uint32_t sim_threads(void) { return sim_state.wanted.threads; }
void* sim_shared(void) { return sim_current->program->shared; }
void sim_count(uint32_t counter, uint64_t n) { sim_state.report->counters[counter] += n; }

const char* sim_counter_name(uint32_t counter) {
#define X(name) #name,
  static const char* const names[] = {SIM_COUNTERS(X)};
#undef X
  return counter < SIM_COUNTER_KINDS ? names[counter] : NULL;
}

// ---- threads begin and end
static void run_thread(void) {
  Thread* me = sim_current;
  sim_state.wanted.entry(sim_state.wanted.arguments, me->program->shared);
  values_settle();
  if (fiber_overflowed(&me->fiber)) refuse_stack(me);
  copies_end(me);
  products_end(me);
  me->waiting = ENDED;
  sim_progress();
  // A program's stacks are used anew by the next one, so what begins it runs on none of them.
  if (++me->program->ended == sim_state.wanted.threads) fiber_switch(&me->fiber, &sim_state.main);
  sim_wait(ENDED, SIM_NOBODY);
  abort();                       // a thread that ended is never ready
}

static void set_coordinates(Program* program) {
  const uint32_t* grid = sim_state.wanted.grid;
  program->coordinate[0] = program->number % grid[0];
  program->coordinate[1] = program->number / grid[0] % grid[1];
  program->coordinate[2] = program->number / grid[0] / grid[1];
}

static void begin_thread(Program* program, uint32_t number) {
  const uint32_t lanes = sim_state.wanted.lanes;
  const size_t stack = sim_state.wanted.stack_bytes;
  Thread* thread = &program->threads[number];
  *thread = (Thread){.fiber = thread->fiber, .program = program, .number = number, .lane = number % lanes,
                     .polled_site = SIM_NOBODY,
                     .warp = &program->warps[number / lanes]};
  fiber_prepare(&thread->fiber, thread->fiber.stack, stack, run_thread);
}

static void begin_program(Program* program) {
  const SimLaunch* wanted = &sim_state.wanted;
  program->number = sim_state.order[sim_state.started++];
  program->ended = 0;
  set_coordinates(program);
  memset(program->shared, 0xff, wanted->shared_bytes);  // not a number, in all formats
  memory_new_program(program);
  for (uint32_t i = 0; i < SIM_BARRIERS; i++) program->barriers[i].arrived = program->barriers[i].opened = 0;
  for (uint32_t i = 0; i < SIM_AGENTS; i++) program->agent_clock[i] = 1;
  for (uint32_t i = 0; i < wanted->threads; i++) begin_thread(program, i);
  for (uint32_t i = 0; i < wanted->threads / wanted->lanes; i++) {
    Warp* warp = &program->warps[i];
    *warp = (Warp){.lanes = wanted->lanes, .threads = &program->threads[i * wanted->lanes], .last = 63,
                   .number = (uint32_t)(program - sim_state.programs) * (wanted->threads / wanted->lanes) + i};
    schedule_enrol(warp);
    schedule_ready(warp, wanted->lanes == 64 ? ~0ull : (1ull << wanted->lanes) - 1);
  }
  orders_new_program(program);
  steps_met(program, -1);
}

static void end_programs(void) {
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    Program* program = &sim_state.programs[i];
    if (program->ended != sim_state.wanted.threads) continue;
    sim_state.ended++;
    orders_program_ended(program);
    mbarriers_end(program);
    tensor_end(program);
    program->ended = 0;
    if (sim_state.started < sim_state.total) begin_program(program);
  }
}

static void run_programs(void) {
  for (uint32_t i = 0; i < sim_state.slots; i++) begin_program(&sim_state.programs[i]);
  while (sim_state.ended < sim_state.total) {
    sim_current = NULL;
    Thread* next = schedule_next(NULL);
    if (!next && steps_choose()) next = schedule_next(NULL);
    if (!next) stuck_report();
    sim_current = next;
    fiber_switch(&sim_state.main, &next->fiber);
    sim_current = NULL;
    if (sim_state.report->problem) return;
    end_programs();
  }
}

// ---- a launch
static const char* refusal(const SimLaunch* wanted) {
  const uint32_t granule = wanted->granule;
  if (!wanted->lanes || wanted->lanes > SIM_MOST_LANES) return "a warp has 1 to 64 threads";
  if (!wanted->threads || wanted->threads > SIM_MOST_THREADS) return "a program has 1 to 1024 threads";
  if (wanted->threads % wanted->lanes) return "a program has whole warps";
  if (wanted->shared_bytes > SHARED_STRIDE) return "a program has at most 256 KiB of shared memory";
  if (granule != 1 && granule != 2 && granule != 4) return "a granule has 1, 2 or 4 bytes";
  if (wanted->stack_bytes < 4096 || wanted->stack_bytes % 16) return "a stack has at least 4096 bytes, a multiple of 16";
  if ((uint64_t)wanted->grid[0] * wanted->grid[1] * wanted->grid[2] >> 21) return "a grid has less than 2^21 programs";
  return NULL;
}

static int begin(void) {
  const SimLaunch* wanted = &sim_state.wanted;
  const uint32_t warps = wanted->threads / wanted->lanes;
  const size_t threads = (size_t)sim_state.slots * wanted->threads;
  const size_t stride = fiber_stride(wanted->stack_bytes);
  char* stacks = fiber_stacks(threads, stride);
  char* shared = shared_memory(sim_state.slots);
  Thread* all_threads = calloc(threads, sizeof *all_threads);
  Warp* all_warps = calloc((size_t)sim_state.slots * warps, sizeof *all_warps);
  sim_state.programs = calloc(sim_state.slots, sizeof *sim_state.programs);
  sim_state.order = calloc(sim_state.total, sizeof *sim_state.order);
  if (!sim_state.programs || !all_threads || !all_warps) {
    free(all_threads);
    free(all_warps);
    sim_state.slots = 0;
    return 0;
  }
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    Program* slot = &sim_state.programs[i];
    slot->threads = all_threads + (size_t)i * wanted->threads;
    slot->warps = all_warps + (size_t)i * warps;
    slot->shared = shared + (size_t)i * SHARED_STRIDE;
  }
  for (size_t i = 0; stacks && i < threads; i++) all_threads[i].fiber.stack = stacks + i * stride;
  for (uint32_t i = 0; sim_state.order && i < sim_state.total; i++) sim_state.order[i] = i;
  sim_state.rooms = calloc(sim_state.warps, 2 * SIM_ROOM);
  return stacks && shared && sim_state.order && sim_state.rooms && schedule_begin() && steps_begin() &&
         orders_begin() && memory_begin();
}

static void end(void) {
  for (uint32_t i = 0; i < sim_state.slots; i++)
    for (uint32_t k = 0; k < sim_state.wanted.threads; k++) {
      free(sim_state.programs[i].threads[k].copies.list);
      free(sim_state.programs[i].threads[k].products.list);
    }
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    mbarriers_end(&sim_state.programs[i]);
    tensor_end(&sim_state.programs[i]);
  }
  memory_end();
  orders_end();
  schedule_end();
  steps_end();
  if (sim_state.slots) {
    free(sim_state.programs[0].threads);
    free(sim_state.programs[0].warps);
  }
  free(sim_state.programs);
  free(sim_state.order);
  free(sim_state.rooms);
}

uint32_t sim_launch(const SimLaunch* launch, SimReport* report) {
  memset(report, 0, sizeof *report);
  stuck_forget();
  memset(&sim_state, 0, sizeof sim_state);
  memset(&sim_watched, 0, sizeof sim_watched);
  sim_state.wanted = *launch;
  sim_state.report = report;
  report->buffer = SIM_NOBODY;
  sim_current = NULL;
  const char* refused = refusal(launch);
  if (refused) {
    report->problem = SIM_NO_RESOURCES;
    snprintf(report->text, sizeof report->text, "%s", refused);
    return report->problem;
  }
  sim_state.total = launch->grid[0] * launch->grid[1] * launch->grid[2];
  if (!sim_state.total) return SIM_OK;
  sim_state.slots = launch->resident && launch->resident < sim_state.total ? launch->resident : sim_state.total;
  sim_state.warps = sim_state.slots * (launch->threads / launch->lanes);
  if (!setjmp(out)) {
    if (!begin()) sim_fail(SIM_NO_RESOURCES, "no memory for %u programs at a time", sim_state.slots);
    schedule_shuffle(sim_state.order, sim_state.total);
    run_programs();
  }
  end();
  return report->problem;
}
