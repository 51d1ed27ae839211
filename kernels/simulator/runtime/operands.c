// Sources: PTX ISA 9.7.15.5.1 (wgmma: "Shared memory matrix layout", "Strides", descriptor) and 9.7.16.4.1 (tcgen05).
#include "operands.h"

#include "numerics.h"
#include "sim.h"

static Operand operand(uint64_t descriptor, uint32_t type, uint32_t mn_major, const void* shared, int swizzle) {
  Operand o = {.base = (const uint8_t*)((uintptr_t)shared & ~(uintptr_t)0x3ffff)};
  if (descriptor >> 49 & 7) sim_unknown("a matrix descriptor with a base offset");
  o.start = o.base + ((descriptor & 0x3fff) << 4);
  o.leading = (descriptor >> 16 & 0x3fff) << 4;
  o.stride = (descriptor >> 32 & 0x3fff) << 4;
  o.swizzle = swizzle;
  o.size = element_bytes(type);
  o.width = __builtin_ctz((unsigned)(o.swizzle / o.size));
  o.mn_major = (int)mn_major;
  o.type = type;
  return o;
}

Operand operand_of_wgmma(uint64_t descriptor, uint32_t type, uint32_t mn_major, const void* shared) {
  static const int widths[4] = {16, 128, 64, 32};
  return operand(descriptor, type, mn_major, shared, widths[descriptor >> 62]);
}

Operand operand_of_tcgen05(uint64_t descriptor, uint32_t type, uint32_t mn_major, const void* shared) {
  static const int widths[8] = {16, 0, 128, 0, 64, 0, 32, 0};
  const int swizzle = widths[descriptor >> 61];
  if (!swizzle || descriptor >> 52 & 1) sim_unknown("tcgen05.mma with a swizzle or a leading dimension of another kind");
  return operand(descriptor, type, mn_major, shared, swizzle);
}

// Address of 16 bytes: row mn, elements k .. (K-major), or column k, elements mn .. (MN-major).
static const uint8_t* chunk(const Operand* o, int mn, int k) {
  uint64_t row = (uint64_t)mn, column = (uint64_t)k, within = (1u << o->width) - 1, offset;
  if (!o->mn_major) {
    offset = row / 8 * o->stride + row % 8 * (uint64_t)o->swizzle;
    offset += o->swizzle == 16 ? (column >> o->width) * o->leading : column * (uint64_t)o->size;
  } else {
    // without a swizzle the two strides change places
    uint64_t along = o->swizzle == 16 ? o->stride : o->leading, across = o->swizzle == 16 ? o->leading : o->stride;
    offset = (row >> o->width) * along + column / 8 * across + column % 8 * (uint64_t)o->swizzle +
             (row & within) * (uint64_t)o->size;
  }
  // The pattern depends on the address itself: bits 4..6 are exchanged by bits 7..9, as far as the width reaches.
  uintptr_t address = (uintptr_t)(o->start + offset);
  return (const uint8_t*)(address ^ ((address >> 7 & (uintptr_t)(o->swizzle / 16 - 1)) << 4));
}

void operand_read(double* x, const Operand* o, int first, int rows,
                  void (*announce)(int i, const void* p, uint32_t site), uint32_t site) {
  const int per_chunk = 16 / o->size, columns = 2 * per_chunk;
  const int chunks = o->mn_major ? columns * rows / per_chunk : 2 * rows, lines = rows / per_chunk;
  double elements[16];
  for (int i = 0; i < chunks; i++) {
    int row = o->mn_major ? i % lines * per_chunk : i / 2, k = o->mn_major ? i / lines : i % 2 * per_chunk;
    const uint8_t* p = chunk(o, first + row, k);
    announce(i, p, site);
    read_elements(elements, p, per_chunk, o->type);
    for (int e = 0; e < per_chunk; e++)
      if (o->mn_major) x[k * rows + row + e] = elements[e];
      else x[(k + e) * rows + row] = elements[e];
  }
}
