// Operands of matrix products in shared memory, as descriptors say (wgmma, tcgen05.mma).
#ifndef SIM_OPERANDS_H
#define SIM_OPERANDS_H

#include <stdint.h>

typedef struct {
  const uint8_t *base, *start;      // of the 256 KiB window, of the matrix
  uint64_t leading, stride;         // byte offsets
  int swizzle;                      // bytes of a row of the swizzle pattern: 128, 64, 32, or 16 without
  int width;                        // the logarithm of its elements
  int size, mn_major;               // bytes of an element; its rows run along M or N, not along K
  uint32_t type;                    // SimFormat
} Operand;

Operand operand_of_wgmma(uint64_t descriptor, uint32_t type, uint32_t mn_major, const void* shared);
Operand operand_of_tcgen05(uint64_t descriptor, uint32_t type, uint32_t mn_major, const void* shared);

// Rows first .. first + rows of an operand, 32 bytes of each, as x[k][row]; `announce` hears of every 16 bytes.
void operand_read(double* x, const Operand* o, int first, int rows,
                  void (*announce)(int i, const void* p, uint32_t site), uint32_t site);

#endif
