// The matrix instructions of NVIDIA's GPUs: ldmatrix, stmatrix, mma.sync, wgmma.
//
// Lane layouts: PTX ISA 9.7.14.5 "Matrix fragments for mma" and 9.7.15.5 "wgmma fragments".
// With g = lane / 4 and t = lane % 4, and p elements in a
// register, register r and element e of it:
//     A[g + 8 (r mod M/8)][p t + e + 4 p (r div M/8)]      B[p t + e + 4 p r][g]      (M = 16 or 8)
//     C and D, by element i:  [g + 8 (i / 2 mod 2)][8 (i / 4) + 2 t + i mod 2]
//
// Arithmetic: the products are exact and summed in double, and the sum is rounded once to the accumulator's format.
// The tensor cores align the products to the largest of a group of 4 to 16 and cut bits off below about 24 to 26 bits
// (Fasi et al., "Numerical behavior of NVIDIA tensor cores", 2021): a last-bit difference that the ISA leaves open.
// Double precision rounds after each product, in ascending order of k.
#include "numerics.h"
#include "operands.h"
#include "product.h"
#include "sim.h"

// ---- ldmatrix, stmatrix: lane 8 i + row holds the address of a row of matrix i
typedef struct {
  uint32_t* r;
  uint8_t* row;
  uint32_t count, trans, store, site;
} Rows;

static void move_rows(void** slots, int lanes, void* shared) {
  (void)shared;
  (void)lanes;
  const Rows* first = slots[0];
  sim_count(first->store ? SIM_COUNT_stmatrix : SIM_COUNT_ldmatrix, 1);
  for (int lane = 0; lane < 8 * (int)first->count; lane++) {
    const Rows* from = slots[lane];
    int row = lane % 8;
    // It counts as an access of a lane that holds a part of the row, not of the one that has its address.
    int part = first->trans ? 4 * (lane / 8) + row / 2 : 4 * row + lane / 8;
    sim_access_of_lane((uint32_t)part, from->row, 16, SIM_SHARED | (first->store ? SIM_STORE : 0), first->site);
    for (int column = 0; column < 8; column++) {
      int along = first->trans ? row : column, across = first->trans ? column : row;
      const Rows* holder = slots[4 * across + along / 2];
      uint8_t *element = (uint8_t*)(holder->r + lane / 8) + 2 * (along % 2), *p = from->row + 2 * column;
      if (first->store) memcpy(p, element, 2);
      else memcpy(element, p, 2);
    }
  }
}

void sim_ldmatrix(uint32_t* r, const void* row, uint32_t count, uint32_t trans, uint32_t site) {
  Rows rows = {r, (uint8_t*)row, count, trans, 0, site};
  sim_warp(move_rows, "ldmatrix", &rows, site);
}

void sim_stmatrix(const uint32_t* r, void* row, uint32_t count, uint32_t trans, uint32_t site) {
  Rows rows = {(uint32_t*)r, row, count, trans, 1, site};
  sim_warp(move_rows, "stmatrix", &rows, site);
}

// ---- fragments: registers are put in their places as they are, then the numbers of a matrix are converted at once
static inline void put(void* raw, int at, const void* registers, int i, int wide) {
  if (wide) ((uint64_t*)raw)[at] = ((const uint64_t*)registers)[i];
  else ((uint32_t*)raw)[at] = ((const uint32_t*)registers)[i];
}

static int elements_in_register(uint32_t type) { return type == SIM_F64 ? 1 : 4 / element_bytes(type); }

// Row-major; `units` registers are a row.
static void put_a(void* raw, const void* registers, int lane, int m, int units, int wide) {
  const int second = m / 16, corner = lane / 4 * units + lane % 4;
  for (int r = 0; r < m * units / 32; r++)  // with 16 rows every second register has the lower ones
    put(raw, corner + 8 * (r & second) * units + 4 * (r >> second), registers, r, wide);
}

// B transposed: a column, that is a row here, has `units` registers.
static void put_b(void* raw, const void* registers, int lane, int units, int wide) {
  for (int r = 0; r < units / 4; r++) put(raw, lane / 4 * units + lane % 4 + 4 * r, registers, r, wide);
}

static void transpose(double* b, const double* columns, int k) {
  for (int l = 0; l < k; l++)
    for (int j = 0; j < 8; j++) b[l * 8 + j] = columns[j * k + l];
}

// C and D: two elements of a row lie side by side in the registers too.
static int pair_of(int lane, int j, int n) { return (lane / 4 + 8 * (j & 1)) * n / 2 + 4 * (j >> 1) + lane % 4; }

static void copy_pairs(void* to, const void* from, int at, int i, int bytes) {
  switch (bytes) {
    case 4: ((uint32_t*)to)[at] = ((const uint32_t*)from)[i]; break;
    case 8: ((uint64_t*)to)[at] = ((const uint64_t*)from)[i]; break;
    default: memcpy((char*)to + 16 * at, (const char*)from + 16 * i, 16);
  }
}

static void put_d(void* raw, const void* registers, int lane, int m, int n, int bytes) {
  for (int j = 0; j < m * n / 64; j++) copy_pairs(raw, registers, pair_of(lane, j, n), j, 2 * bytes);
}

static void take_d(void* registers, const void* raw, int lane, int m, int n, int bytes) {
  for (int j = 0; j < m * n / 64; j++) copy_pairs(registers, raw, j, pair_of(lane, j, n), 2 * bytes);
}

// ---- mma.sync: each lane puts its registers into the warp's room when it comes, and takes the result when it goes on
typedef struct {
  uint64_t a[256], b[128], d[128];  // raw: 16 x 16 doubles are the most of A
} Room;
_Static_assert(sizeof(Room) <= SIM_ROOM, "the matrices of a product");

typedef struct {
  Room* room;
  int m, k;
  uint32_t type_a, type_b, type_d;
} Mma;

static void mma(void** slots, int lanes, void* shared) {
  (void)shared;
  (void)lanes;
  sim_count(SIM_COUNT_mma, 1);
  const Mma* all = slots[0];
  const int m = all->m, k = all->k;
  double a[16 * 64], columns[8 * 64], b[64 * 8], d[16 * 8];
  read_elements(a, all->room->a, m * k, all->type_a);
  read_elements(columns, all->room->b, 8 * k, all->type_b);
  read_elements(d, all->room->d, m * 8, all->type_d);
  transpose(b, columns, k);
  sim_add_product(d, a, b, m, 8, k);
  write_elements(all->room->d, d, m * 8, all->type_d);
}

void sim_mma(void* d, const void* a, const void* b, const void* c, uint32_t m, uint32_t k, uint32_t type_a,
             uint32_t type_b, uint32_t type_d, uint32_t site) {
  if ((m != 16 && m != 8) || k > 64 || k * (uint32_t)element_bytes(type_a) > 128)
    sim_unknown("mma.sync of an unknown shape");
  Mma record = {sim_room(), (int)m, (int)k, type_a, type_b, type_d};
  const int lane = (int)sim_lane(), units = (int)k / elements_in_register(type_a), wide = type_a == SIM_F64;
  put_a(record.room->a, a, lane, (int)m, units, wide);
  put_b(record.room->b, b, lane, units, wide);
  put_d(record.room->d, c, lane, (int)m, 8, element_bytes(type_d));
  sim_warp(mma, "mma.sync", &record, site);
  take_d(d, record.room->d, lane, (int)m, 8, element_bytes(type_d));
}

// ---- wgmma
typedef struct {
  void* d;
  const uint32_t* a;
  uint64_t descriptor_a, descriptor_b;
  uint32_t n, type_a, type_b, type_d, scale_d, negate, trans_a, trans_b, warp, site;
} Wgmma;

static uint64_t raw_matrix[16 * 256 / 2];  // the largest sum; one operation runs at a time

static void announce(int i, const void* p, uint32_t site) {  // the lanes share them out
  sim_access_of_lane((uint32_t)i % 32, p, 16, SIM_SHARED | SIM_PENDING, site);
}

static void read_wgmma_a(double* a, void** slots, int lanes, int k, void* shared) {
  const Wgmma* first = slots[0];
  if (first->a) {
    const int units = k / elements_in_register(first->type_a);
    for (int lane = 0; lane < lanes; lane++) put_a(raw_matrix, ((Wgmma*)slots[lane])->a, lane, 16, units, 0);
    read_elements(a, raw_matrix, 16 * k, first->type_a);
    return;
  }
  double columns[32 * 16];
  Operand o = operand_of_wgmma(first->descriptor_a, first->type_a, first->trans_a, shared);
  operand_read(columns, &o, (int)first->warp * 16, 16, announce, first->site);
  for (int i = 0; i < 16; i++)
    for (int j = 0; j < k; j++) a[i * k + j] = columns[j * 16 + i];
}

static void wgmma(void** slots, int lanes, void* shared) {
  sim_count(SIM_COUNT_wgmma, 1);
  const Wgmma* first = slots[0];
  int n = (int)first->n, k = 32 / element_bytes(first->type_a);
  double a[16 * 32], b[32 * 256], d[16 * 256] = {0};
  read_wgmma_a(a, slots, lanes, k, shared);
  Operand o = operand_of_wgmma(first->descriptor_b, first->type_b, first->trans_b, shared);
  operand_read(b, &o, 0, n, announce, first->site);
  if (first->negate)
    for (int i = 0; i < 16 * k; i++) a[i] = -a[i];
  uint64_t* raw = raw_matrix;
  const int bytes = element_bytes(first->type_d);
  if (first->scale_d) {
    for (int lane = 0; lane < lanes; lane++) put_d(raw, ((Wgmma*)slots[lane])->d, lane, 16, n, bytes);
    read_elements(d, raw, 16 * n, first->type_d);
  }
  sim_add_product(d, a, b, 16, n, k);
  write_elements(raw, d, 16 * n, first->type_d);
  for (int lane = 0; lane < lanes; lane++) take_d(((Wgmma*)slots[lane])->d, raw, lane, 16, n, bytes);
}

// It is executed when it is issued, each warp for its 16 rows. That it may run until its wait_group is seen by the
// race detector: products.c.
void sim_wgmma(void* d, const uint32_t* a, uint64_t descriptor_a, uint64_t descriptor_b, uint32_t n, uint32_t type_a,
               uint32_t type_b, uint32_t type_d, uint32_t scale_d, uint32_t negate_a, uint32_t negate_b,
               uint32_t trans_a, uint32_t trans_b, uint32_t site) {
  if (n == 0 || n % 8 || n > 256) sim_unknown("wgmma of an unknown shape");
  if ((trans_a || trans_b) && element_bytes(type_a) != 2) sim_unknown("wgmma with a transposed operand not of 16 bits");
  Wgmma record = {d, a, descriptor_a, descriptor_b, n, type_a, type_b, type_d, scale_d, negate_a ^ negate_b,
                  trans_a, trans_b, sim_thread() / 32 % 4, site};
  sim_warp(wgmma, "wgmma.mma_async", &record, site);
}
