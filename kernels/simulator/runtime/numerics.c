// Conversions between the number formats of GPUs, as functions that translated kernels call.
#include "numerics.h"

uint16_t sim_to_half(float x) { return (uint16_t)encode(x, &HALF, TO_NEAREST_EVEN, 0); }
uint16_t sim_to_half_zero(float x) { return (uint16_t)encode(x, &HALF, TO_ZERO, 0); }

uint16_t sim_to_bfloat(float x) { return (uint16_t)encode(x, &BFLOAT, TO_NEAREST_EVEN, 0); }
uint16_t sim_to_bfloat_zero(float x) { return (uint16_t)encode(x, &BFLOAT, TO_ZERO, 0); }

// PTX gives 0x7fffffff for a NaN, and leaves the low 13 bits of other results unsaid; here they are zero.
static float to_tf32(float x, enum Rounding rounding) {
  if (x != x) return bits_to_float(0x7fffffff);
  return bits_to_float(encode(x, &TF32, rounding, 0) << 13);
}

float sim_to_tf32(float x) { return to_tf32(x, TO_NEAREST_EVEN); }
float sim_to_tf32_away(float x) { return to_tf32(x, TO_NEAREST_AWAY); }

uint32_t sim_to_fp8(float x, uint32_t format, uint32_t saturate) {
  return encode(x, fp8_format(format), TO_NEAREST_EVEN, (int)saturate);
}

float sim_from_fp8(uint32_t bits, uint32_t format) { return (float)decode(bits & 0xff, fp8_format(format)); }
