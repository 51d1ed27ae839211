// The number formats of GPUs, written once for all of them: a format is its widths, its bias and what stands at its
// end. Values go through double, which holds every value of every format exactly, so each conversion rounds once.
//
// Sources: IEEE 754 (f16), PTX ISA 5.2.3 "Alternate floating-point data formats" (bf16, tf32, e4m3, e5m2), OCP 8-bit
// floating point specification 1.0, CDNA3 ISA guide chapter 7 (the FNUZ formats). Denormals are kept throughout.
#ifndef SIM_NUMERICS_H
#define SIM_NUMERICS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#ifdef __F16C__
#include <immintrin.h>
#endif

#include "sim_lanes.h"

typedef struct {
  int mantissa, bias;                // bits without the hidden one
  uint32_t sign;                     // the bit of the sign
  uint32_t largest, infinity, nan;   // codes without sign; infinity is nan where there is none
  int unsigned_nan;                  // FNUZ: the code of -0 is the only NaN
} Float;

enum Rounding { TO_NEAREST_EVEN, TO_ZERO, TO_NEAREST_AWAY };

// nan: what a conversion to the format gives for a NaN.
static const Float HALF = {10, 15, 0x8000, 0x7bff, 0x7c00, 0x7fff, 0};
static const Float BFLOAT = {7, 127, 0x8000, 0x7f7f, 0x7f80, 0x7fff, 0};
static const Float TF32 = {10, 127, 0x40000, 0x3fbff, 0x3fc00, 0x3ffff, 0};  // the upper 19 bits of a float
static const Float E4M3 = {3, 7, 0x80, 0x7e, 0x7f, 0x7f, 0};
static const Float E5M2 = {2, 15, 0x80, 0x7b, 0x7c, 0x7f, 0};
static const Float E4M3FNUZ = {3, 8, 0x80, 0x7f, 0x80, 0x80, 1};
static const Float E5M2FNUZ = {2, 16, 0x80, 0x7f, 0x80, 0x80, 1};

static inline double power_of_two(int exponent) {  // -1022 .. 1023
  uint64_t bits = (uint64_t)(exponent + 1023) << 52;
  double x;
  memcpy(&x, &bits, 8);
  return x;
}

static inline int exponent_of(double x) {  // floor(log2(x)) of a normal positive x, -1023 of zero
  uint64_t bits;
  memcpy(&bits, &x, 8);
  return (int)(bits >> 52) - 1023;
}

static inline double round_integer(double x, enum Rounding rounding) {  // 0 <= x < 2^52
  if (rounding == TO_ZERO) return floor(x);
  if (rounding == TO_NEAREST_AWAY) return floor(x + 0.5);
  return rint(x);
}

// The code nearest to x. What exceeds the largest number becomes infinity (NaN where there is none), or the largest
// number if `saturate`, or if rounding toward zero.
static inline uint32_t encode(double x, const Float* f, enum Rounding rounding, int saturate) {
  if (x != x) return f->nan;
  uint32_t sign = signbit(x) ? f->sign : 0;
  double magnitude = fabs(x);
  uint32_t code = f->largest + 1;
  if (magnitude < power_of_two(128)) {
    int exponent = exponent_of(magnitude), least = 1 - f->bias;
    if (exponent < least) exponent = least;
    double units = round_integer(magnitude * power_of_two(f->mantissa - exponent), rounding);
    code = ((uint32_t)(exponent - least) << f->mantissa) + (uint32_t)units;  // the hidden bit adds one to the exponent
    if (rounding == TO_ZERO && code > f->largest) code = f->largest;
  }
  if (code > f->largest) code = saturate ? f->largest : f->infinity;
  if (f->unsigned_nan && (code == 0 || code == f->nan)) return code;
  return code | sign;
}

static inline double decode(uint32_t code, const Float* f) {
  if (f->unsigned_nan && code == f->nan) return NAN;
  uint32_t magnitude = code & (f->sign - 1);
  int exponent = (int)(magnitude >> f->mantissa);
  double x;
  if (magnitude > f->largest) {
    x = magnitude == f->infinity && f->infinity != f->nan ? INFINITY : NAN;
  } else if (exponent == 0) {
    x = magnitude * power_of_two(1 - f->bias - f->mantissa);
  } else {
    uint32_t hidden = 1u << f->mantissa;
    x = ((magnitude & (hidden - 1)) + hidden) * power_of_two(exponent - f->bias - f->mantissa);
  }
  return code & f->sign ? -x : x;
}

static inline const Float* fp8_format(uint32_t format) {
  switch (format) {
    case SIM_E4M3: return &E4M3;
    case SIM_E5M2: return &E5M2;
    case SIM_E4M3FNUZ: return &E4M3FNUZ;
    case SIM_E5M2FNUZ: return &E5M2FNUZ;
    default: return 0;
  }
}

static inline float bits_to_float(uint32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

static inline uint32_t float_to_bits(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

static inline uint32_t half_to_float_bits(uint16_t bits) {  // decode(bits, &HALF) as a float, without a branch
  uint32_t magnitude = bits & 0x7fff, sign = (uint32_t)(bits & 0x8000) << 16;
  uint32_t normal = (magnitude << 13) + (112u << 23), small = float_to_bits((float)(int32_t)magnitude * 0x1p-24f);
  uint32_t special = magnitude >= 0x7c00 ? 0x7f800000 : 0;
  return (magnitude < 0x400 ? small : normal) | special | sign;
}

static inline float half_to_float(uint16_t bits) { return bits_to_float(half_to_float_bits(bits)); }

static inline void read_halves(double* restrict x, const uint16_t* restrict halves, int count) {
  int i = 0;
#ifdef __F16C__
  for (; i + 8 <= count; i += 8) {
    float numbers[8];
    _mm256_storeu_ps(numbers, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i*)(halves + i))));
    for (int e = 0; e < 8; e++) x[i + e] = numbers[e];
  }
#endif
  for (; i < count; i++) x[i] = half_to_float(halves[i]);
}

static inline void read_floats(double* restrict x, const float* restrict numbers, int count) {
  for (int i = 0; i < count; i++) x[i] = numbers[i];
}

static inline void write_floats(float* restrict numbers, const double* restrict x, int count) {
  for (int i = 0; i < count; i++) numbers[i] = (float)x[i];
}

// bytes of an element in a register
static inline int element_bytes(uint32_t format) {
  switch (format) {
    case SIM_F16: case SIM_BF16: return 2;
    case SIM_TF32: case SIM_F32: case SIM_S32: case SIM_S32_SATURATED: return 4;
    case SIM_F64: return 8;
    default: return 1;
  }
}

// `count` elements of a fragment, exactly.
static inline void read_elements(double* x, const void* fragment, int count, uint32_t format) {
  const uint8_t* b8 = fragment;
  const uint16_t* b16 = fragment;
  const uint32_t* b32 = fragment;
  switch (format) {
    case SIM_F16: read_halves(x, b16, count); break;
    case SIM_BF16: for (int i = 0; i < count; i++) x[i] = bits_to_float((uint32_t)b16[i] << 16); break;
    case SIM_TF32: for (int i = 0; i < count; i++) x[i] = bits_to_float(b32[i] & 0xffffe000u); break;
    case SIM_F32: read_floats(x, fragment, count); break;
    case SIM_F64: memcpy(x, fragment, (size_t)count * 8); break;
    case SIM_S8: for (int i = 0; i < count; i++) x[i] = (int8_t)b8[i]; break;
    case SIM_U8: for (int i = 0; i < count; i++) x[i] = b8[i]; break;
    case SIM_S32: case SIM_S32_SATURATED: for (int i = 0; i < count; i++) x[i] = (int32_t)b32[i]; break;
    default: for (int i = 0; i < count; i++) x[i] = decode(b8[i], fp8_format(format));
  }
}

static inline uint32_t to_int32(double x, int saturate) {  // an integer below 2^53: clamped, or modulo 2^32
  if (saturate && x > INT32_MAX) return INT32_MAX;
  if (saturate && x < INT32_MIN) return (uint32_t)INT32_MIN;
  return (uint32_t)(int64_t)x;
}

// The converse, for the formats of accumulators: rounded to nearest even.
static inline void write_elements(void* fragment, const double* x, int count, uint32_t format) {
  uint16_t* b16 = fragment;
  uint32_t* b32 = fragment;
  switch (format) {
    case SIM_F16: for (int i = 0; i < count; i++) b16[i] = (uint16_t)encode(x[i], &HALF, TO_NEAREST_EVEN, 0); break;
    case SIM_BF16: for (int i = 0; i < count; i++) b16[i] = (uint16_t)encode(x[i], &BFLOAT, TO_NEAREST_EVEN, 0); break;
    case SIM_F64: memcpy(fragment, x, (size_t)count * 8); break;
    case SIM_S32: for (int i = 0; i < count; i++) b32[i] = to_int32(x[i], 0); break;
    case SIM_S32_SATURATED: for (int i = 0; i < count; i++) b32[i] = to_int32(x[i], 1); break;
    default: write_floats(fragment, x, count);
  }
}

#endif
