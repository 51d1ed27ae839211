#include "memory.h"

#include <stdlib.h>
#include <string.h>

#include "orders.h"
#include "products.h"
#include "values.h"

enum { HINTS = 1024 };           // sites whose last buffer is remembered

static struct {
  uint8_t** written;             // of every buffer: null (all of it is), or a byte for each of its bytes
  Cell** cells;                  // of every buffer
  uint16_t hint[HINTS];
} memory;

static size_t granules(uint64_t bytes) { return (size_t)(bytes / sim_state.wanted.granule + 2); }

int memory_begin(void) {
  const SimLaunch* wanted = &sim_state.wanted;
  memset(memory.hint, 0, sizeof memory.hint);
  memory.written = calloc(wanted->buffer_count + 1, sizeof *memory.written);
  memory.cells = calloc(wanted->buffer_count + 1, sizeof *memory.cells);
  if (!memory.written || !memory.cells) return 0;
  for (uint32_t i = 0; i < wanted->buffer_count; i++) {
    const SimBuffer* buffer = &wanted->buffers[i];
    if (sim_checks(SIM_CHECK_UNINITIALISED) && buffer->flags & SIM_UNINITIALISED &&
        !(memory.written[i] = calloc(buffer->bytes + 1, 1)))
      return 0;
    if (sim_checks(SIM_CHECK_RACES) && !(memory.cells[i] = calloc(granules(buffer->bytes), sizeof(Cell)))) return 0;
  }
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    Program* slot = &sim_state.programs[i];
    if (sim_checks(SIM_CHECK_UNINITIALISED) && !(slot->written = malloc(wanted->shared_bytes + 1))) return 0;
    if (sim_checks(SIM_CHECK_RACES) && !(slot->cells = calloc(granules(wanted->shared_bytes), sizeof(Cell)))) return 0;
  }
  return 1;
}

static void free_all(void** list, uint32_t count) {
  for (uint32_t i = 0; list && i < count; i++) free(list[i]);
  free(list);
}

void memory_end(void) {
  free_all((void**)memory.written, sim_state.wanted.buffer_count);
  free_all((void**)memory.cells, sim_state.wanted.buffer_count);
  memory.written = NULL;
  memory.cells = NULL;
  for (uint32_t i = 0; i < sim_state.slots; i++) {
    free(sim_state.programs[i].written);
    free(sim_state.programs[i].cells);
  }
}

void memory_new_program(Program* program) {
  if (program->written) memset(program->written, 0, sim_state.wanted.shared_bytes);
}

// ---- bounds
static int64_t distance(const SimBuffer* buffer, uint64_t p, uint32_t bytes) {
  if (p < buffer->start) return (int64_t)(buffer->start - p);
  return (int64_t)(p + bytes - (buffer->start + buffer->bytes));
}

static uint32_t nearest(uint64_t p, uint32_t bytes) {
  const SimLaunch* wanted = &sim_state.wanted;
  uint32_t best = SIM_NOBODY;
  for (uint32_t i = 0; i < wanted->buffer_count; i++)
    if (best == SIM_NOBODY || distance(&wanted->buffers[i], p, bytes) < distance(&wanted->buffers[best], p, bytes))
      best = i;
  return best;
}

void memory_describe(const Thread* thread, const void* p, uint32_t bytes, uint32_t kind) {
  SimReport* report = sim_state.report;
  const uint64_t address = (uint64_t)p;
  report->address = address;
  report->bytes = bytes;
  report->buffer = kind & SIM_SHARED ? SIM_NOBODY : nearest(address, bytes);
  if (kind & SIM_SHARED) report->offset = (int64_t)(address - (uint64_t)thread->program->shared);
  else if (report->buffer != SIM_NOBODY)
    report->offset = (int64_t)(address - sim_state.wanted.buffers[report->buffer].start);
}

__attribute__((noreturn, cold, noinline)) static void refuse(uint32_t problem, Thread* thread, const void* p, uint32_t bytes,
                                                       uint32_t kind, uint32_t site, const char* what) {
  memory_describe(thread, p, bytes, kind);
  sim_party(thread, site, kind, what);
  sim_fail(problem, "%s", "");
}

// The buffer of an access, or SIM_NOBODY. A site touches one buffer again and again.
static inline int holds(uint32_t i, uint64_t p, uint32_t bytes) {
  const SimBuffer* buffer = &sim_state.wanted.buffers[i];
  return p >= buffer->start && p + bytes <= buffer->start + buffer->bytes;
}

__attribute__((noinline)) static uint32_t search(uint64_t p, uint32_t bytes) {
  uint32_t low = 0, high = sim_state.wanted.buffer_count;
  while (high - low > 1) {
    const uint32_t middle = (low + high) / 2;
    if (sim_state.wanted.buffers[middle].start <= p) low = middle;
    else high = middle;
  }
  return high && holds(low, p, bytes) ? low : SIM_NOBODY;
}

static inline uint32_t buffer_of(uint64_t p, uint32_t bytes, uint32_t site) {
  uint16_t* hint = &memory.hint[site % HINTS];
  if (*hint < sim_state.wanted.buffer_count && holds(*hint, p, bytes)) return *hint;
  const uint32_t found = search(p, bytes);
  if (found <= UINT16_MAX) *hint = (uint16_t)found;
  return found;
}

// ---- what has been written
static inline int all_written(const uint8_t* written, uint32_t bytes) {
  uint64_t word = 0;
  for (; bytes >= 8; bytes -= 8, written += 8) {
    memcpy(&word, written, 8);
    if (word != 0x0101010101010101u) return 0;
  }
  for (; bytes; bytes--, written++)
    if (!*written) return 0;
  return 1;
}

int memory_is_shared(const Thread* thread, const void* p, uint32_t bytes) {
  const uint64_t offset = (uint64_t)p - (uint64_t)thread->program->shared;
  return offset <= sim_state.wanted.shared_bytes && offset + bytes <= sim_state.wanted.shared_bytes;
}

int memory_is_known(const Thread* thread, const void* p, uint32_t bytes, int shared) {
  return shared ? memory_is_shared(thread, p, bytes) : search((uint64_t)p, bytes) != SIM_NOBODY;
}

void memory_written(Thread* thread, const void* shared, uint32_t bytes) {
  Program* program = thread->program;
  if (program->written && memory_is_shared(thread, shared, bytes))
    memset(program->written + ((const char*)shared - program->shared), 1, bytes);
}

void memory_forgotten(Thread* thread, const void* shared, uint32_t bytes) {
  Program* program = thread->program;
  if (program->written && memory_is_shared(thread, shared, bytes))
    memset(program->written + ((const char*)shared - program->shared), 0, bytes);
}

static inline void check_written(Thread* thread, uint8_t* written, const void* p, uint32_t bytes, uint32_t kind,
                                 uint32_t site, const char* what) {
  if (!(kind & SIM_STORE) || kind & SIM_READS_TOO)
    if (!all_written(written, bytes)) refuse(SIM_UNINITIALISED_READ, thread, p, bytes, kind, site, what);
  if (kind & SIM_STORE) memset(written, 1, bytes);
}

// ---- an access
static inline int misaligned(const void* p, uint32_t bytes) {
  const uint32_t natural = bytes >= 16 ? 16 : bytes & -bytes;
  return ((uintptr_t)p & (natural - 1)) != 0;
}

static inline void check(Thread* thread, const void* p, uint32_t bytes, uint32_t kind, uint32_t site,
                         const char* what, uint32_t agent) {
  const uint32_t checks = sim_state.wanted.checks;
  uint8_t* written;
  Cell* cells;
  uint64_t offset;
  if (kind & SIM_SHARED) {
    Program* program = thread->program;
    offset = (uint64_t)p - (uint64_t)program->shared;
    // Outside its shared memory nothing else can be looked up, whatever is to be checked.
    if (offset + bytes > sim_state.wanted.shared_bytes || offset > sim_state.wanted.shared_bytes) {
      if (checks & SIM_CHECK_BOUNDS) refuse(SIM_OUT_OF_BOUNDS, thread, p, bytes, kind, site, what);
      return;
    }
    written = program->written;
    cells = program->cells;
  } else {
    const uint32_t buffer = buffer_of((uint64_t)p, bytes, site);
    if (buffer == SIM_NOBODY) {
      if (checks & SIM_CHECK_BOUNDS) refuse(SIM_OUT_OF_BOUNDS, thread, p, bytes, kind, site, what);
      return;
    }
    offset = (uint64_t)p - sim_state.wanted.buffers[buffer].start;
    written = memory.written[buffer];
    cells = memory.cells[buffer];
  }
  if (checks & SIM_CHECK_ALIGNMENT && misaligned(p, bytes)) refuse(SIM_MISALIGNED, thread, p, bytes, kind, site, what);
  if (written) check_written(thread, written + offset, p, bytes, kind, site, what);
  if (cells && !(kind & SIM_ASYNCHRONOUS))
    races_access(&(RaceAccess){thread, cells, p, offset, bytes, kind, site, agent});
}

static inline void count(uint32_t bytes, uint32_t kind) {
  static const uint8_t number[4] = {SIM_COUNT_global_loads, SIM_COUNT_global_stores, SIM_COUNT_shared_loads,
                                    SIM_COUNT_shared_stores};
  uint64_t* counter = &sim_state.report->counters[number[kind & 3]];
  counter[0]++;
  counter[1] += bytes;           // counters.h: a number is followed by its bytes
}

static const char* const WORDS[4] = {"load", "store", "load from shared memory", "store to shared memory"};

void memory_check(Thread* thread, const void* p, uint32_t bytes, uint32_t kind, uint32_t site, const char* what) {
  check(thread, p, bytes, kind, site, what, 0);
}

void memory_check_agent(Thread* thread, uint32_t agent, const void* p, uint32_t bytes, uint32_t kind, uint32_t site) {
  count(bytes, kind);
  check(thread, p, bytes, kind | SIM_PROXY, site, WORDS[kind & 3], agent + 1);
}

void sim_access_of_lane(uint32_t lane, const void* p, uint32_t bytes, uint32_t kind, uint32_t site) {
  values_settle();
  count(bytes, kind);
  Thread* thread = &sim_current->warp->threads[lane];
  const int pending = kind & SIM_PENDING && sim_checks(SIM_CHECK_RACES);
  check(thread, p, bytes, kind | (pending ? SIM_ASYNCHRONOUS : 0), site, WORDS[kind & 3], 0);
  if (pending) products_read(thread, p, bytes, site);
}

void sim_access(const void* p, uint32_t bytes, uint32_t kind, uint32_t site) {
  if (values_watched()) values_settle();
  count(bytes, kind);
  if (kind & SIM_VOLATILE) {     // a relaxed atomic access of the whole device
    const uint32_t shared = kind & SIM_SHARED ? SIM_ATOMIC_SHARED : 0;
    const uint32_t what = kind & SIM_STORE ? SIM_ATOMIC_WRITES : SIM_ATOMIC_READS;
    orders_atomic(p, bytes, SIM_RELAXED, SIM_SYSTEM, shared | what, site, __builtin_return_address(0));
    return;
  }
  check(sim_current, p, bytes, kind, site, WORDS[kind & 3], 0);
  if ((kind & (SIM_STORE | SIM_SHARED)) == SIM_STORE && sim_state.polls) values_watch_progress(p, bytes);
}
