// AMD's instructions on shared memory of more than one lane: copies that bypass registers, transposed reads.
//
// Sources: CDNA4 ISA guide, "LDS" (DS_READ_B64_TR_B16, ..._B8; GLOBAL_LOAD_LDS), and LLVM's "AMDGPU Asynchronous
// Operations": marks are groups of copies.
#include <string.h>

#include "sim.h"
#include "sim_lanes.h"

// The lanes' places follow each other: `base` is one for the wave.
void sim_copy_of_lane(const void* global, void* base, uint32_t bytes, int32_t offset, uint32_t site) {
  char* place = (char*)base + offset + (uint64_t)sim_lane() * bytes;
  sim_copy(place, (const char*)global + offset, bytes, bytes, site);
}

// Sixteen lanes read a tile of 16 columns, a few elements of a row each; then each has a column of it.
enum { COLUMNS = 16, READ = 8 };  // lanes, bytes of a lane

typedef struct {
  uint8_t* result;
  const uint8_t* place;
  uint32_t bytes, site;          // of an element
} Transposed;

static void read_transposed(void** slots, int lanes, void* shared) {
  (void)shared;
  for (int lane = 0; lane < lanes; lane++) {
    const Transposed* own = slots[lane];
    if (own) sim_access_of_lane((uint32_t)lane, own->place, READ, SIM_SHARED, own->site);
  }
  for (int lane = 0; lane < lanes; lane++) {
    const Transposed* own = slots[lane];
    if (!own) continue;
    const int elements = READ / (int)own->bytes, column = lane % COLUMNS;
    for (int row = 0; row < elements; row++) {
      const Transposed* from = slots[lane - column + COLUMNS / elements * row + column / elements];
      if (!from) sim_unknown("ds_read_tr of which some lanes are not active");
      memcpy(own->result + row * (int)own->bytes, from->place + column % elements * (int)own->bytes, own->bytes);
    }
  }
}

void sim_read_transposed(void* result, const void* place, uint32_t bits, uint32_t site) {
  Transposed own = {result, place, bits / 8, site};
  sim_warp(read_transposed, "ds_read_tr", &own, site);
}
