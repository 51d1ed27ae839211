// The matrix instructions of AMD's GPUs: MFMA (CDNA, wave of 64) and WMMA (RDNA, wave of 32).
//
// Lane layouts: "AMD Instinct MI300 (CDNA3) ISA" chapter 7 and AMD's Matrix Instruction Calculator for MFMA; "RDNA3
// ISA" 7.9 and "RDNA4 ISA" 7.9 for WMMA. Which k an element of A belongs to matters only in that it is the same as
// in B.
//
// Arithmetic: products exact, summed in double, rounded once. CDNA3 sums groups of 4 (or 2) products with flushed
// denormals on gfx90a's bf16 (non-1k) instructions; RDNA rounds after each pair: last-bit differences that the guides
// do not specify. Double precision and int8 agree with the hardware up to the order of summing.
#include "numerics.h"
#include "product.h"
#include "sim.h"

typedef struct {
  void* d;
  const void *a, *b, *c;
  uint32_t m, k, blocks, type_a, type_b, type_d, generation, high;
} Matrices;

// ---- MFMA: D and B have as many columns as A has rows
enum { WAVE = 64, LARGEST = 32, DEEPEST = 128, MOST_ELEMENTS = 64 };  // the last: of A or B in a lane

static uint32_t mfma_accumulator(uint32_t type) {
  if (type == SIM_F64) return SIM_F64;
  return type == SIM_S8 || type == SIM_U8 ? SIM_S32 : SIM_F32;
}

// Elements of one block: lane i + m (block + blocks q) has A[i][q n ...] of n successive k, and B likewise.
static void read_mfma_operands(double* a, double* b, void** slots, int block) {
  const Matrices* first = slots[0];
  int m = (int)first->m, k = (int)first->k, blocks = (int)first->blocks, count = m * k * blocks / WAVE;
  double x[MOST_ELEMENTS], y[MOST_ELEMENTS];
  for (int lane = 0; lane < WAVE; lane++) {
    int i = lane % m, q = lane / m / blocks;
    if (lane / m % blocks != block) continue;
    const Matrices* own = slots[lane];
    read_elements(x, own->a, count, first->type_a);
    read_elements(y, own->b, count, first->type_b);
    for (int e = 0; e < count; e++) {
      a[i * k + q * count + e] = x[e];
      b[(q * count + e) * m + i] = y[e];
    }
  }
}

// Where register r of a lane lies in D: rows come in groups of four (in double precision of one).
static int mfma_place(int lane, int r, const Matrices* first, int* block) {
  int m = (int)first->m, group = first->type_d == SIM_F64 ? 1 : 4;
  int rows = (lane / m + WAVE / m * (r / group)) * group + r % group;
  *block = rows / m;
  return rows % m * m + lane % m;
}

static void mfma(void** slots, int lanes, void* shared) {
  (void)lanes, (void)shared;
  sim_count(SIM_COUNT_mfma, 1);
  const Matrices* first = slots[0];
  int m = (int)first->m, blocks = (int)first->blocks, count = m * m * blocks / WAVE, at;
  double a[LARGEST * DEEPEST], b[LARGEST * DEEPEST], d[16 * 4 * 4 + 4 * LARGEST * LARGEST], x[WAVE][32];
  for (int lane = 0; lane < WAVE; lane++) {
    read_elements(x[lane], ((Matrices*)slots[lane])->c, count, first->type_d);
    for (int r = 0; r < count; r++) {
      int place = mfma_place(lane, r, first, &at);
      d[at * m * m + place] = x[lane][r];
    }
  }
  for (int block = 0; block < blocks; block++) {
    read_mfma_operands(a, b, slots, block);
    sim_add_product(d + block * m * m, a, b, m, m, (int)first->k);
  }
  for (int lane = 0; lane < WAVE; lane++) {
    for (int r = 0; r < count; r++) {
      int place = mfma_place(lane, r, first, &at);
      x[lane][r] = d[at * m * m + place];
    }
    write_elements(((Matrices*)slots[lane])->d, x[lane], count, first->type_d);
  }
}

void sim_mfma(void* d, const void* a, const void* b, const void* c, uint32_t m, uint32_t k, uint32_t blocks,
              uint32_t type_a, uint32_t type_b, uint32_t modifiers, uint32_t site) {
  if (modifiers) sim_unknown("mfma with cbsz, abid or blgp");
  Matrices record = {d, a, b, c, m, k, blocks, type_a, type_b, mfma_accumulator(type_a), 0, 0};
  const uint32_t elements = m * m * blocks, operand = m * k * blocks;
  if (m > LARGEST || k > DEEPEST || elements % WAVE || elements / WAVE > 32 || operand % WAVE ||
      operand / WAVE > MOST_ELEMENTS || (type_a == SIM_F64 && blocks > 1))
    sim_unknown("mfma of an unknown shape");
  sim_warp(mfma, "mfma", &record, site);
}

// ---- WMMA
enum { SIDE = 16, WMMA_DEEPEST = 32, WMMA_WAVE = 32 };

// RDNA3: lane i and lane i + 16 both hold row i of A (column i of B). RDNA4: they share it, each half of the k.
static void read_wmma_operands(double* a, double* b, void** slots) {
  const Matrices* first = slots[0];
  int k = (int)first->k, divided = first->generation >= 12, count = divided ? k / 2 : k;
  double x[WMMA_DEEPEST], y[WMMA_DEEPEST];
  for (int lane = 0; lane < (divided ? WMMA_WAVE : SIDE); lane++) {
    const Matrices* own = slots[lane];
    read_elements(x, own->a, count, first->type_a);
    read_elements(y, own->b, count, first->type_b);
    for (int e = 0; e < count; e++) {
      int at = lane / SIDE * count + e;
      a[lane % SIDE * k + at] = x[e];
      b[at * SIDE + lane % SIDE] = y[e];
    }
  }
}

static int wmma_row(int lane, int r, uint32_t generation) {
  return generation >= 12 ? lane / SIDE * 8 + r : 2 * r + lane / SIDE;
}

// RDNA3's 16-bit accumulators fill one half (`high`) of eight registers, and keep the other.
static int is_spread(const Matrices* m) { return m->generation < 12 && element_bytes(m->type_d) == 2; }

static void read_accumulator(double x[8], const Matrices* own) {
  double spread[16];
  if (!is_spread(own)) {
    read_elements(x, own->c, 8, own->type_d);
    return;
  }
  read_elements(spread, own->c, 16, own->type_d);
  for (int r = 0; r < 8; r++) x[r] = spread[2 * r + (int)own->high];
}

static void write_accumulator(const Matrices* own, const double x[8]) {
  if (!is_spread(own)) {
    write_elements(own->d, x, 8, own->type_d);
    return;
  }
  uint16_t packed[8], kept[16];
  write_elements(packed, x, 8, own->type_d);
  memcpy(kept, own->c, sizeof kept);
  for (int r = 0; r < 8; r++) kept[2 * r + (int)own->high] = packed[r];
  memcpy(own->d, kept, sizeof kept);
}

static void wmma(void** slots, int lanes, void* shared) {
  (void)lanes, (void)shared;
  sim_count(SIM_COUNT_wmma, 1);
  const Matrices* first = slots[0];
  double a[SIDE * WMMA_DEEPEST], b[SIDE * WMMA_DEEPEST], d[SIDE * SIDE], x[8];
  for (int lane = 0; lane < WMMA_WAVE; lane++) {
    read_accumulator(x, slots[lane]);
    for (int r = 0; r < 8; r++) d[wmma_row(lane, r, first->generation) * SIDE + lane % SIDE] = x[r];
  }
  read_wmma_operands(a, b, slots);
  sim_add_product(d, a, b, SIDE, SIDE, (int)first->k);
  for (int lane = 0; lane < WMMA_WAVE; lane++) {
    for (int r = 0; r < 8; r++) x[r] = d[wmma_row(lane, r, first->generation) * SIDE + lane % SIDE];
    write_accumulator(slots[lane], x);
  }
}

void sim_wmma(void* d, const void* a, const void* b, const void* c, uint32_t generation, uint32_t k, uint32_t type_a,
              uint32_t type_b, uint32_t type_d, uint32_t high, uint32_t site) {
  Matrices record = {d, a, b, c, SIDE, k, 1, type_a, type_b, type_d, generation, high};
  if (k > WMMA_DEEPEST) sim_unknown("wmma of an unknown shape");
  sim_warp(wmma, "wmma", &record, site);
}
