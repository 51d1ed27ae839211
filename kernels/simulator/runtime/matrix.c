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
    sim_access_of_lane((uint32_t)lane, from->row, 16, SIM_SHARED | (first->store ? SIM_STORE : 0), first->site);
    for (int column = 0; column < 8; column++) {
      int row = lane % 8, along = first->trans ? row : column, across = first->trans ? column : row;
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

// ---- fragments
static void read_a(double* a, const void* fragment, int lane, int m, int k, uint32_t type) {
  double x[32], *at = x;
  int second = m / 16, p = type == SIM_F64 ? 1 : 4 / element_bytes(type), count = m * k / 32;
  read_elements(x, fragment, count, type);
  double* corner = a + lane / 4 * k + p * (lane % 4);
  for (int r = 0; at < x + count; r++)  // with 16 rows every second register has the lower ones
    for (int e = 0; e < p; e++) corner[8 * (r & second) * k + 4 * p * (r >> second) + e] = *at++;
}

static void read_b(double* b, const void* fragment, int lane, int k, uint32_t type) {
  double x[32], *at = x;
  int p = type == SIM_F64 ? 1 : 4 / element_bytes(type), count = k / 4;
  read_elements(x, fragment, count, type);
  double* corner = b + p * (lane % 4) * 8 + lane / 4;
  for (int r = 0; at < x + count; r++)
    for (int e = 0; e < p; e++) corner[(4 * p * r + e) * 8] = *at++;
}

static int d_index(int lane, int i, int n) {
  return (lane / 4 + 8 * (i >> 1 & 1)) * n + 8 * (i >> 2) + 2 * (lane % 4) + (i & 1);
}

static void read_d(double* d, const void* fragment, int lane, int m, int n, uint32_t type) {
  double x[128];
  int count = m * n / 32;
  read_elements(x, fragment, count, type);
  for (int i = 0; i < count; i++) d[d_index(lane, i, n)] = x[i];
}

static void write_d(void* fragment, const double* d, int lane, int m, int n, uint32_t type) {
  double x[128];
  int count = m * n / 32;
  for (int i = 0; i < count; i++) x[i] = d[d_index(lane, i, n)];
  write_elements(fragment, x, count, type);
}

// ---- mma.sync
typedef struct {
  void* d;
  const void *a, *b, *c;
  uint32_t m, k, type_a, type_b, type_d;
} Mma;

static void mma(void** slots, int lanes, void* shared) {
  (void)shared;
  sim_count(SIM_COUNT_mma, 1);
  const Mma* first = slots[0];
  int m = (int)first->m, k = (int)first->k;
  double a[16 * 64], b[64 * 8], d[16 * 8];
  for (int lane = 0; lane < lanes; lane++) {
    const Mma* own = slots[lane];
    read_a(a, own->a, lane, m, k, first->type_a);
    read_b(b, own->b, lane, k, first->type_b);
    read_d(d, own->c, lane, m, 8, first->type_d);
  }
  sim_add_product(d, a, b, m, 8, k);
  for (int lane = 0; lane < lanes; lane++) write_d(((Mma*)slots[lane])->d, d, lane, m, 8, first->type_d);
}

void sim_mma(void* d, const void* a, const void* b, const void* c, uint32_t m, uint32_t k, uint32_t type_a,
             uint32_t type_b, uint32_t type_d, uint32_t site) {
  Mma record = {d, a, b, c, m, k, type_a, type_b, type_d};
  if ((m != 16 && m != 8) || k > 64) sim_unknown("mma.sync of an unknown shape");
  sim_warp(mma, "mma.sync", &record, site);
}

// ---- wgmma
typedef struct {
  void* d;
  const uint32_t* a;
  uint64_t descriptor_a, descriptor_b;
  uint32_t n, type_a, type_b, type_d, scale_d, negate, trans_a, trans_b, warp, site;
} Wgmma;

static void announce(int i, const void* p, uint32_t site) {  // the lanes share them out
  sim_access_of_lane((uint32_t)i % 32, p, 16, SIM_SHARED | SIM_PENDING, site);
}

static void read_wgmma_a(double* a, void** slots, int lanes, int k, void* shared) {
  const Wgmma* first = slots[0];
  if (first->a) {
    for (int lane = 0; lane < lanes; lane++) read_a(a, ((Wgmma*)slots[lane])->a, lane, 16, k, first->type_a);
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
  if (first->scale_d)
    for (int lane = 0; lane < lanes; lane++) read_d(d, ((Wgmma*)slots[lane])->d, lane, 16, n, first->type_d);
  sim_add_product(d, a, b, 16, n, k);
  for (int lane = 0; lane < lanes; lane++) write_d(((Wgmma*)slots[lane])->d, d, lane, 16, n, first->type_d);
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
