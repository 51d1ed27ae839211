// Kernels of test_runtime.py, as translation writes them: every access is announced. Sites are numbers of our own.
#include <math.h>
#include <stddef.h>

#include "sim.h"

#define KERNEL __attribute__((visibility("default"))) void

typedef struct Arguments {
  float *x, *y, *out;
  uint32_t n, mode;
  uint32_t *flag, *count;
} Arguments;

static float load(const float* p, uint32_t site) { return sim_access(p, 4, 0, site), *p; }
static void store(float* p, float v, uint32_t site) { sim_access(p, 4, SIM_STORE, site), *p = v; }
static float shared_load(const float* p, uint32_t site) { return sim_access(p, 4, SIM_SHARED, site), *p; }
static void shared_store(float* p, float v, uint32_t site) { sim_access(p, 4, SIM_SHARED | SIM_STORE, site), *p = v; }

static uint32_t add(uint32_t* p, uint32_t v, uint32_t order, uint32_t scope, uint32_t site) {
  sim_atomic(p, 4, order, scope, SIM_ATOMIC_READS | SIM_ATOMIC_WRITES, site);
  const uint32_t old = *p;
  *p = old + v;
  return old;
}

static uint32_t look(const uint32_t* p, uint32_t order, uint32_t scope, uint32_t site) {
  sim_atomic(p, 4, order, scope, SIM_ATOMIC_READS, site);
  return *p;
}

KERNEL vector_add(Arguments* a, void* shared) {
  (void)shared;
  const uint32_t i = sim_program(0) * sim_threads() + sim_thread();
  if (i < a->n + a->mode) store(a->out + i, load(a->x + i, 1) + load(a->y + i, 2), 3);
}

KERNEL misaligned(Arguments* a, void* shared) {
  (void)shared;
  sim_access(a->x + 1, 16, 0, 1);
}

// Thread i reads what thread threads - 1 - i wrote. Mode 0: a barrier between; 1: none; 2: one warp alone has one.
KERNEL exchange(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t i = sim_thread(), n = sim_threads();
  shared_store(s + i, (float)i, 1);
  if (a->mode == 0 || (a->mode == 2 && i < 32)) sim_barrier(0, 0, 2);
  store(a->out + sim_program(0) * n + i, shared_load(s + n - 1 - i, 3), 4);
}

// The same value, or (mode 1) different ones, to one place by all threads.
KERNEL same_place(Arguments* a, void* shared) {
  shared_store(shared, a->mode ? (float)sim_thread() : 1.0f, 1);
  sim_barrier(0, 0, 2);
  store(a->out + sim_thread(), shared_load(shared, 3), 4);
}

// Two steps with a barrier of all programs between. Mode 0: release and acquire; 1: relaxed; 2: scope of a
// program; 3: relaxed with fences; 4: no barrier after the poll; 5: none before the arrival.
KERNEL grid_barrier(Arguments* a, void* shared) {
  (void)shared;
  const uint32_t program = sim_program(0), programs = sim_programs(0), n = sim_threads(), i = sim_thread();
  const uint32_t up = a->mode == 1 || a->mode == 3 ? SIM_RELAXED : SIM_RELEASE;
  const uint32_t down = a->mode == 1 || a->mode == 3 ? SIM_RELAXED : SIM_ACQUIRE;
  const uint32_t scope = a->mode == 2 ? SIM_CTA : SIM_GPU;
  store(a->x + program * n + i, (float)(program * n + i), 1);
  if (a->mode != 5) sim_barrier(0, 0, 2);
  if (i == 0) {
    if (a->mode == 3) sim_fence(SIM_RELEASE, SIM_GPU, 3);
    add(a->count, 1, up, scope, 4);
    while (look(a->count, down, scope, 5) < programs) sim_yield(5);
    if (a->mode == 3) sim_fence(SIM_ACQUIRE, SIM_GPU, 6);
  }
  if (a->mode != 4) sim_barrier(0, 0, 7);
  store(a->out + program * n + i, load(a->x + (program + 1) % programs * n + i, 8), 9);
}

// Every thread copies four numbers and reads its neighbour's. Mode 0: right; 1: the wait is missing; 2: it lets
// one group pend; 3: the barrier after it is missing.
KERNEL asynchronous(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t i = sim_thread(), n = sim_threads();
  sim_copy(s + 4 * i, a->x + 4 * i, 16, 8, 1);
  sim_copy_commit();
  if (a->mode != 1) sim_copy_wait(a->mode == 2 ? 1 : 0, 2);
  if (a->mode != 3) sim_barrier(0, 0, 3);
  for (uint32_t k = 0; k < 4; k++) store(a->out + 4 * i + k, shared_load(s + 4 * ((i + 32) % n) + k, 4), 5);
}

KERNEL uninitialised(Arguments* a, void* shared) {
  if (a->mode) store(a->out, load(a->y, 1), 2);
  else store(a->out, shared_load(shared, 1), 2);
}

// Mode 0: two named barriers that wait for each other; 1: threads end before the others' barrier; 2: it never fills.
KERNEL barriers(Arguments* a, void* shared) {
  (void)shared;
  const uint32_t warp = sim_thread() / 32;
  if (a->mode == 0) sim_barrier(1 + warp, 64, 1);
  if (a->mode == 1 && warp == 0) sim_barrier(0, 0, 2);
  if (a->mode == 2) sim_barrier(1, 256, 3);
  if (a->mode == 3) sim_barrier(1, warp ? 64 : 32 * 3, 4);
}

// Warp 0 makes, warp 1 takes, through named barriers: full (1) and empty (2).
KERNEL producer(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t lane = sim_lane();
  for (uint32_t k = 0; k < a->n; k++) {
    if (sim_thread() < 32) {
      if (k && a->mode == 0) sim_barrier(2, 64, 1);
      shared_store(s + lane, (float)(k * 32 + lane), 2);
      sim_barrier_arrive(1, 64, 3);
    } else {
      sim_barrier(1, 64, 4);
      store(a->out + k * 32 + lane, shared_load(s + 31 - lane, 5), 6);
      if (k + 1 < a->n) sim_barrier_arrive(2, 64, 7);
    }
  }
}

static void sum(void** slots, int lanes, void* shared) {
  (void)shared;
  uint32_t total = 0;
  for (int i = 0; i < lanes; i++) total += *(uint32_t*)slots[i];
  for (int i = 0; i < lanes; i++) *(uint32_t*)slots[i] = total;
}

// Mode 0: all lanes meet; 1: some in another operation; 2: some have ended.
KERNEL collective(Arguments* a, void* shared) {
  (void)shared;
  uint32_t mine = sim_thread();
  if (a->mode == 2 && sim_lane() == 5) return;
  sim_warp(sum, a->mode == 1 && sim_lane() == 5 ? "other" : "sum", &mine, 1);
  store(a->out + sim_thread(), (float)mine, 2);
}

// Lanes exchange within a warp; mode 1: without meeting.
KERNEL warp_exchange(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t lane = sim_lane();
  shared_store(s + lane, (float)lane, 1);
  if (a->mode == 0) sim_warp_sync(0xffffffff, 2);
  sim_access(s + 31 - lane, 4, SIM_SHARED, 3);
  if (a->mode == 0) store(a->out + lane, s[31 - lane], 4);
}

// In turn k of a loop, lane k stores to one place.
KERNEL turns(Arguments* a, void* shared) {
  (void)shared;
  for (uint32_t k = 0; k < 4; k++) {
    sim_turn(0, 1, 5, 1);
    if (sim_lane() == k) store(a->out, (float)(k + 2 * sim_lane()), 2);
  }
}

// 32 bytes that differ in the last one only: all lanes, or (mode 1) one lane of each of two warps, store them.
KERNEL wide_store(Arguments* a, void* shared) {
  if (a->mode && sim_lane()) return;
  char* s = shared;
  sim_access(s, 32, SIM_SHARED | SIM_STORE, 1);
  for (uint32_t i = 0; i < 32; i++) s[i] = i == 31 ? (char)sim_thread() : 1;
}

static void store_rows(void** slots, int lanes, void* shared) {
  for (int i = 0; i < lanes; i++) {
    char* row = (char*)shared + 16 * (i / 2);
    sim_access_of_lane((uint32_t)i, row, 16, SIM_SHARED | SIM_STORE, 1);
    row[15] = *(char*)slots[i];
  }
}

// Two lanes each store one row together. Mode 1: the last two different ones.
KERNEL rows(Arguments* a, void* shared) {
  (void)shared;
  char mine = a->mode ? (char)(sim_lane() == 31) : 1;
  sim_warp(store_rows, "rows", &mine, 1);
}

// The last program sets the flag that all others wait for (mode 1: nobody does; 2: volatile accesses).
KERNEL wait_for_last(Arguments* a, void* shared) {
  (void)shared;
  if (sim_thread()) return;
  if (sim_program(0) + 1 == sim_programs(0)) {
    if (a->mode == 0) add(a->flag, 1, SIM_RELEASE, SIM_GPU, 1);
    if (a->mode == 2) sim_access(a->flag, 4, SIM_STORE | SIM_VOLATILE, 1), *a->flag = 1;
    return;
  }
  for (;;) {
    if (a->mode == 2) sim_access(a->flag, 4, SIM_VOLATILE, 2);
    else sim_atomic(a->flag, 4, SIM_ACQUIRE, SIM_GPU, SIM_ATOMIC_READS, 2);
    if (*(volatile uint32_t*)a->flag) break;
  }
}

// The last program, or (mode 1) the last warp of it, works for n collectives, then sets the flag that all wait for.
KERNEL wait_for_work(Arguments* a, void* shared) {
  (void)shared;
  const int last = sim_program(0) + 1 == sim_programs(0);
  if (last && (a->mode == 0 || sim_thread() >= 32)) {
    uint32_t mine = 1;
    for (uint32_t k = 0; k < a->n; k++) sim_warp(sum, "sum", &mine, 1);
    if (sim_thread() == 32) add(a->flag, 1, SIM_RELEASE, SIM_GPU, 2);
  } else if (sim_lane() == 0) {
    while (!look(a->flag, SIM_ACQUIRE, SIM_GPU, 3)) continue;
  }
}

// A counter that is read, then written: updates get lost if another program comes between the two.
KERNEL lost_update(Arguments* a, void* shared) {
  (void)shared;
  if (sim_thread()) return;
  for (int k = 0; k < 4; k++) {
    const uint32_t seen = look(a->count, SIM_RELAXED, SIM_GPU, 1);
    sim_atomic(a->count, 4, SIM_RELAXED, SIM_GPU, SIM_ATOMIC_WRITES, 2);
    *a->count = seen + 1;
  }
}

static void put(uint32_t* p, uint32_t v, uint32_t site) {
  sim_atomic(p, 4, SIM_RELAXED, SIM_GPU, SIM_ATOMIC_WRITES, site);
  *p = v;
}

// Two programs of one thread; the flag is set by an order with as many constraints as `mode` says: 1: program 1
// adds before 0 looks; 2: one looks, the other one does all, the first one writes; 3: 0 writes, 1 looks, 0 writes,
// 1 looks.
KERNEL ordering(Arguments* a, void* shared) {
  (void)shared;
  const uint32_t me = sim_program(0);
  if (a->mode == 1 && me) add(a->count, 1, SIM_RELAXED, SIM_GPU, 1);
  if (a->mode == 1 && !me) *a->flag |= look(a->count, SIM_RELAXED, SIM_GPU, 2) == 1;
  if (a->mode == 2) {
    const uint32_t seen = look(a->count, SIM_RELAXED, SIM_GPU, 3);
    put(a->count, seen + 1, 4);
    *a->flag = *a->count == 1 && a->n++;
  }
  if (a->mode == 3 && !me)
    for (uint32_t value = 1; value < 3; value++) put(a->count, value, 5);
  if (a->mode == 3 && me) {
    const uint32_t first = look(a->count, SIM_RELAXED, SIM_GPU, 6);
    *a->flag = first == 1 && look(a->count, SIM_RELAXED, SIM_GPU, 7) == 2;
  }
}

KERNEL traps(Arguments* a, void* shared) {
  (void)shared;
  if (a->mode) sim_unknown("tcgen05.mma");
  sim_trap("assertion failed", 1);
}

static float deep(volatile float* p, uint32_t n) {
  volatile float room[64];
  room[0] = p[0];
  if (n) return deep(room, n - 1) + room[0];
  sim_barrier(0, 0, 1);
  return room[0];
}

KERNEL deep_stack(Arguments* a, void* shared) {
  (void)shared;
  float one = 1;
  store(a->out + sim_thread(), deep(&one, a->n), 2);
}

// For figures: loads, stores, collectives and barriers in the proportions of a matrix product.
KERNEL busy(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t i = sim_thread();
  float total = 0;
  for (uint32_t k = 0; k < a->n; k++) {
    for (uint32_t j = 0; j < 8; j++) {
      sim_access(s + 4 * i, 16, SIM_SHARED | SIM_STORE, 1);
      s[4 * i] = total;
    }
    sim_barrier(0, 0, 2);
    for (uint32_t j = 0; j < 8; j++) {
      sim_access(s + 4 * ((i + j) % sim_threads()), 16, SIM_SHARED, 3);
      total += s[4 * ((i + j) % sim_threads())];
    }
    uint32_t mine = i;
    sim_warp(sum, "sum", &mine, 4);
    sim_barrier(0, 0, 5);
  }
  store(a->out + sim_program(0) * sim_threads() + i, total, 6);
}

static void read_row(void** slots, int lanes, void* shared) {
  (void)slots;
  for (int i = 0; i < lanes; i++) sim_access_of_lane((uint32_t)i, (float*)shared + i, 4, SIM_SHARED | SIM_PENDING, 3);
}

// An asynchronous product reads what the next store overwrites. Mode 0: after its wait; 1: before; 2: another warp
// does, after its own barrier but before the wait; 3: no fence between the proxies; 4: the writers have it.
KERNEL product(Arguments* a, void* shared) {
  float* s = shared;
  const uint32_t i = sim_thread();
  const uint32_t writer = a->mode == 4 ? i - 32 : i;  // another warp than the one that reads
  if (writer < 32) shared_store(s + writer, 1, 1);
  if (writer < 32 && a->mode == 4) sim_proxy_fence(2);
  sim_barrier(0, 0, 2);
  if (i < 32) {
    if (a->mode < 3) sim_proxy_fence(2);
    sim_warp(read_row, "product", NULL, 3);
    sim_product_commit();
    if (a->mode == 0 || a->mode > 2) sim_product_wait(0, 4);
  }
  sim_barrier(0, 0, 5);
  if ((a->mode == 2) == (i >= 32)) shared_store(s + i % 32, 2, 6);
  if (i < 32 && a->mode == 2) sim_product_wait(0, 7);
}
