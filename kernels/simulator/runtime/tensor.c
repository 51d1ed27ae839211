// tcgen05: allocation, loads and stores of tensor memory, and products that are summed there.
//
// Source: PTX ISA 9.7.16 (tcgen05: "Tensor Memory", "Data movement shape" .32x32b, "Matrix descriptor", "Instruction
// descriptor", data path layout D). A program has all of tensor memory: what another one on the same processor holds is
// not simulated. A product is computed when it is issued; that it runs until a commit's mbarrier tells of its end is
// seen by the race detector, to which all products of a program are one agent.
#include "tensor.h"

#include <stdlib.h>
#include <string.h>

#include "mbarriers.h"
#include "memory.h"
#include "numerics.h"
#include "operands.h"
#include "product.h"
#include "races.h"

enum { LANES = 128, COLUMNS = 512, UNIT = 32, ROWS = 128, WIDEST = 256, DEEPEST = 32 };

typedef struct Tensor {
  uint32_t words[LANES * COLUMNS];
  uint8_t written[LANES * COLUMNS];
  Cell cells[LANES * COLUMNS];
  uint32_t units;                // a bit for each 32 columns that are allocated
} Tensor;

void tensor_end(Program* program) {
  free(program->tensor);
  program->tensor = NULL;
}

__attribute__((noreturn)) static void refuse(uint32_t problem, const char* text, uint32_t site) {
  sim_party(sim_current, site, 0, "tensor memory");
  sim_fail(problem, "%s", text);
}

// ---- allocation
typedef struct {
  uint32_t* place;               // in shared memory, or null: `address` is given back
  uint32_t address, columns, site;
} Allocation;

static uint32_t mask_of(uint32_t columns, uint32_t site) {
  if (columns < UNIT || columns > COLUMNS || columns & (columns - 1))
    refuse(SIM_TRAPPED, "tensor memory is allocated in 32, 64, 128, 256 or 512 columns", site);
  return columns == COLUMNS ? 0xffff : (1u << columns / UNIT) - 1;
}

static void allocate(void** slots, int lanes, void* shared) {
  (void)lanes;
  (void)shared;
  const Allocation* wanted = slots[0];
  Program* program = sim_current->program;
  if (!program->tensor) program->tensor = calloc(1, sizeof *program->tensor);
  if (!program->tensor) sim_fail(SIM_NO_RESOURCES, "no memory for tensor memory");
  const uint32_t mask = mask_of(wanted->columns, wanted->site), step = wanted->columns / UNIT;
  uint32_t at = 0;
  while (at < 16 && program->tensor->units & mask << at) at += step;
  if (at >= 16) refuse(SIM_NO_RESOURCES, "a program needs more than 512 columns of tensor memory", wanted->site);
  program->tensor->units |= mask << at;
  sim_access_of_lane(0, wanted->place, 4, SIM_SHARED | SIM_STORE, wanted->site);
  *wanted->place = at * UNIT;
}

static void release(void** slots, int lanes, void* shared) {
  (void)lanes;
  (void)shared;
  const Allocation* given = slots[0];
  Tensor* tensor = sim_current->program->tensor;
  const uint32_t mask = mask_of(given->columns, given->site), at = (given->address & 0xffff) / UNIT;
  if (!tensor || at >= COLUMNS / UNIT || (tensor->units >> at & mask) != mask)
    refuse(SIM_TRAPPED, "tensor memory is given back that was not allocated", given->site);
  tensor->units &= ~(mask << at);
}

void sim_tensor_allocate(void* place, uint32_t columns, uint32_t site) {
  Allocation wanted = {place, 0, columns, site};
  sim_warp(allocate, "tcgen05.alloc", &wanted, site);
}

void sim_tensor_release(uint32_t address, uint32_t columns, uint32_t site) {
  Allocation given = {NULL, address, columns, site};
  sim_warp(release, "tcgen05.dealloc", &given, site);
}

// ---- accesses: `columns` words of a lane
static uint32_t* reach(Thread* thread, uint32_t agent, uint32_t lane, uint32_t column, uint32_t columns, uint32_t kind,
                       uint32_t site) {
  Tensor* tensor = thread->program->tensor;
  if (!tensor || lane >= LANES || column + columns > COLUMNS)
    refuse(SIM_OUT_OF_BOUNDS, "an access outside of tensor memory", site);
  for (uint32_t i = column / UNIT; i <= (column + columns - 1) / UNIT; i++)
    if (!(tensor->units >> i & 1)) refuse(SIM_OUT_OF_BOUNDS, "an access to tensor memory that is not allocated", site);
  const uint32_t at = lane * COLUMNS + column, granule = sim_state.wanted.granule;
  if (sim_checks(SIM_CHECK_RACES))
    races_access(&(RaceAccess){thread, tensor->cells, NULL, (uint64_t)at * granule, columns * granule,
                               kind | SIM_SHARED | SIM_TENSOR, site, agent});
  if ((!(kind & SIM_STORE) || kind & SIM_READS_TOO) && sim_checks(SIM_CHECK_UNINITIALISED))
    for (uint32_t i = 0; i < columns; i++)
      if (!tensor->written[at + i])
        refuse(SIM_UNINITIALISED_READ, "tensor memory is read that nothing has written", site);
  if (kind & SIM_STORE) memset(tensor->written + at, 1, columns);
  return tensor->words + at;
}

// A warp reaches its quarter of the lanes: thread i of it lane i, or i and i - 16 in two places.
static uint32_t* of_thread(uint32_t address, uint32_t second, uint32_t columns, uint32_t kind, uint32_t site) {
  uint32_t lane = sim_lane(), column = address & 0xffff;
  if (address >> 16 != sim_thread() / 32 % 4 * 32)
    refuse(SIM_OUT_OF_BOUNDS, "a warp reaches its own quarter of the lanes only", site);
  if (second != SIM_ONE_PLACE && lane >= 16) {
    lane -= 16;
    column += second;
  }
  return reach(sim_current, 0, (address >> 16) + lane, column, columns, kind, site);
}

void sim_tensor_load(uint32_t* registers, uint32_t address, uint32_t second, uint32_t columns, uint32_t site) {
  memcpy(registers, of_thread(address, second, columns, 0, site), 4 * (size_t)columns);
}

void sim_tensor_store(const uint32_t* registers, uint32_t address, uint32_t second, uint32_t columns, uint32_t site) {
  memcpy(of_thread(address, second, columns, SIM_STORE, site), registers, 4 * (size_t)columns);
}

// ---- products
enum Kind { KIND_F16, KIND_TF32, KIND_F8, KIND_I8 };

static uint32_t format_of(uint32_t kind, uint32_t code) {
  static const uint32_t f16[] = {SIM_F16, SIM_BF16}, f8[] = {SIM_E4M3, SIM_E5M2}, i8[] = {SIM_U8, SIM_S8};
  if (kind == KIND_TF32 && code == 2) return SIM_TF32;
  if (kind == KIND_TF32 || code > 1) sim_unknown("tcgen05.mma of elements of another format");
  return kind == KIND_F16 ? f16[code] : kind == KIND_F8 ? f8[code] : i8[code];
}

static void announce(int i, const void* p, uint32_t site) {
  (void)i;
  memory_check_agent(sim_current, SIM_PRODUCTS_AGENT, p, 16, SIM_SHARED, site);
}

typedef struct {
  uint32_t m, n, type_a, type_b, type_d, negate, trans_a, trans_b;
} Shape;

static Shape shape_of(uint32_t kind, uint32_t descriptor) {
  const uint32_t code_d = descriptor >> 4 & 3, type_d = (uint32_t[]){SIM_F16, SIM_F32, SIM_S32, SIM_F16}[code_d];
  if (descriptor & 0xf || descriptor >> 30 || type_d == SIM_F16)
    sim_unknown("tcgen05.mma that is sparse, saturates, or has a sum of 16 bits");
  const uint32_t m = (descriptor >> 24 & 31) << 4;
  if (m != ROWS && m != ROWS / 2) sim_unknown("tcgen05.mma of an unknown number of rows");
  return (Shape){m, (descriptor >> 17 & 63) << 3, format_of(kind, descriptor >> 7 & 7), format_of(kind, descriptor >> 10 & 7),
                 type_d, (descriptor >> 13 ^ descriptor >> 14) & 1, descriptor >> 15 & 1, descriptor >> 16 & 1};
}

// The lane of a row: of 64 rows, each quarter of the lanes has 16.
static uint32_t lane_of(const Shape* shape, uint32_t row) {
  return shape->m == ROWS ? row : row / 16 * 32 + row % 16;
}

// A from tensor memory: the 32 bytes of a row are 8 words of its lane.
static void read_rows(double* a, const Shape* shape, uint32_t address, int k, uint32_t site) {
  for (uint32_t row = 0; row < shape->m; row++) {
    const uint32_t* words =
        reach(sim_current, SIM_PRODUCTS_AGENT + 1, lane_of(shape, row), address & 0xffff, 8, 0, site);
    read_elements(a + row * (uint32_t)k, words, k, shape->type_a);
  }
}

static void read_a(double* a, const Shape* shape, uint64_t from, int k, uint32_t site) {
  static double columns[DEEPEST * ROWS];
  Operand o = operand_of_tcgen05(from, shape->type_a, shape->trans_a, sim_shared());
  const int m = (int)shape->m;
  operand_read(columns, &o, 0, m, announce, site);
  for (int i = 0; i < m; i++)
    for (int j = 0; j < k; j++) a[i * k + j] = columns[j * m + i];
}

void sim_tensor_product(uint32_t d, uint64_t a, uint32_t a_in_tensor, uint64_t b, uint32_t descriptor, uint32_t adds,
                        uint32_t kind, uint32_t site) {
  static double left[ROWS * DEEPEST], right[DEEPEST * WIDEST], sum[ROWS * WIDEST];
  const Shape shape = shape_of(kind, descriptor);
  const int k = 32 / element_bytes(shape.type_a), m = (int)shape.m, n = (int)shape.n;
  if (n < 8 || n > WIDEST) sim_unknown("tcgen05.mma of an unknown shape");
  sim_add(SIM_COUNT_tcgen05, 1);
  if (a_in_tensor) read_rows(left, &shape, (uint32_t)a, k, site);
  else read_a(left, &shape, a, k, site);
  Operand o = operand_of_tcgen05(b, shape.type_b, shape.trans_b, sim_shared());
  operand_read(right, &o, 0, n, announce, site);
  for (int i = 0; shape.negate && i < m * k; i++) left[i] = -left[i];
  if (d >> 16) sim_unknown("tcgen05.mma that begins in another lane than 0");
  uint32_t* rows[ROWS];
  for (uint32_t row = 0; row < shape.m; row++) {
    rows[row] = reach(sim_current, SIM_PRODUCTS_AGENT + 1, lane_of(&shape, row), d, shape.n, SIM_STORE | (adds ? SIM_READS_TOO : 0), site);
    if (adds) read_elements(sum + row * shape.n, rows[row], n, shape.type_d);
    else memset(sum + row * shape.n, 0, shape.n * sizeof *sum);
  }
  sim_add_product(sum, left, right, m, n, k);
  for (uint32_t row = 0; row < shape.m; row++) write_elements(rows[row], sum + row * shape.n, n, shape.type_d);
}

void sim_tensor_commit(const void* mbarrier, uint32_t site) {
  mbarriers_arrive_agent(sim_current, SIM_PRODUCTS_AGENT, mbarrier, site);
}
