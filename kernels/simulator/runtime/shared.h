// Shared memory of the resident programs, where 32 bits address it.
#ifndef SIM_SHARED_H
#define SIM_SHARED_H

#include <stdint.h>

enum { SHARED_STRIDE = 1 << 18 };  // from program to program: what a matrix descriptor can address

char* shared_memory(uint32_t programs);  // kept for later launches; null if there is none

#endif
