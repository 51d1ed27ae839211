// Tensor memory (sm_100): 128 lanes of 512 words for a program, which only its own instructions reach.
#ifndef SIM_TENSOR_H
#define SIM_TENSOR_H

#include "programs.h"

void tensor_end(Program* program);

#endif
