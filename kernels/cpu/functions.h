// The elementwise functions of cells, on vectors of float or double. They consist of + - * / sqrt, fma,
// comparisons and shifts of bits alone, so that every width gives the same bits wherever fma rounds once. NaN
// gives NaN; results below the smallest normal number are rounded to subnormal ones. The errors stand in
// tests/kernels/test_cpu_functions.py.
#pragma once

#include "../generated/cpu_coefficients.h"
#include "vector.h"

#define SYMGRU_FUNCTION template <class T> inline __attribute__((always_inline))

namespace symgru {

// The larger of two; b where either is NaN or both are 0. Compilers do not always make the comparison this.
SYMGRU_FUNCTION Vec<T> maximum(Vec<T> a, Vec<T> b) {
#if SYMGRU_AVX512
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_max_ps(__mmask16(-1), (__m512)a, (__m512)b);
  else return (Vec<T>)_mm512_maskz_max_pd(__mmask8(-1), (__m512d)a, (__m512d)b);
#elif SYMGRU_AVX2
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_max_ps((__m256)a, (__m256)b);
  else return (Vec<T>)_mm256_max_pd((__m256d)a, (__m256d)b);
#else
  return a > b ? a : b;
#endif
}

SYMGRU_FUNCTION Vec<T> sqrt(Vec<T> v) {
#pragma GCC unroll 16
  for (int i = 0; i < lanes<T>; i++) v[i] = T(__builtin_sqrt(v[i]));  // one instruction
  return v;
}

SYMGRU_FUNCTION Vec<T> minus_magnitude(Vec<T> v) { return from_bits<T>(bits<T>(v) | sign_bit<T>); }

// c[0] + c[1] x + ... + c[N-1] x^(N-1), by Horner's scheme: it has the fewest operations, and in a loop over
// independent vectors these count, not the length of the chain.
template <class T, int N> inline __attribute__((always_inline)) Vec<T> polynomial(Vec<T> x, const T (&c)[N]) {
  Vec<T> p = broadcast<T>(c[N - 1]);
#pragma GCC unroll 16
  for (int i = N - 2; i >= 0; i--) p = fma<T>(p, x, broadcast<T>(c[i]));
  return p;
}

// n = round(x) and 2^n at once: in the low bits of `shifted` stands n + bias, the exponent of 2^n.
template <class T> struct Power {
  Vec<T> exponent, power;
};
SYMGRU_FUNCTION Power<T> round_and_power(Vec<T> v, T factor, Vec<T> rounder) {
  const Vec<T> shifted = fma<T>(v, broadcast<T>(factor), rounder);
  return {shifted - rounder, from_bits<T>(bits<T>(shifted) << Coefficients<T>::digits)};
}

// exp(v) * 2^(k - Coefficients::rounder) for exp_low <= v <= exp_high:
// exp(v) = 2^n (1 + r P(r)) with v = n ln 2 + r
SYMGRU_FUNCTION Vec<T> scaled_exp(Vec<T> v, Vec<T> k) {
  using C = Coefficients<T>;
  const Power<T> n = round_and_power<T>(v, C::log2_e, k);
  Vec<T> r = fma<T>(n.exponent, broadcast<T>(-C::ln2_high), v);
  r = fma<T>(n.exponent, broadcast<T>(-C::ln2_low), r);
  return fma<T>(r, polynomial<T>(r, C::exp_terms), broadcast<T>(1)) * n.power;
}

SYMGRU_FUNCTION Vec<T> exp(Vec<T> v) {
  using C = Coefficients<T>;
  const Vec<T> above = maximum<T>(broadcast<T>(C::exp_low), v);
  const Vec<T> within = -maximum<T>(broadcast<T>(-C::exp_high), -above);
  const Mask<T> below = negative<T>(v);
  const Vec<T> up = broadcast<T>(C::rounder + C::scale_exponent);
  const Vec<T> down = broadcast<T>(C::rounder - C::scale_exponent);
  return scaled_exp<T>(within, select<T>(below, up, down)) *
         select<T>(below, broadcast<T>(1 / C::scale), broadcast<T>(C::scale));
}

// exp(-|v|) * Coefficients::scale
SYMGRU_FUNCTION Vec<T> scaled_decay(Vec<T> v) {
  using C = Coefficients<T>;
  const Vec<T> within = maximum<T>(broadcast<T>(C::exp_low), minus_magnitude<T>(v));
  return scaled_exp<T>(within, broadcast<T>(C::rounder + C::scale_exponent));
}

// sigmoid(v) and sigmoid(-v), without cancellation: 1 / (1 + e) and e / (1 + e) with e = exp(-|v|).
// Negating v exchanges them, to the bit.
template <class T> struct Gate {
  Vec<T> gate, complement;
};
SYMGRU_FUNCTION Gate<T> gate(Vec<T> v) {
  const Vec<T> one = broadcast<T>(1), unscale = broadcast<T>(1 / Coefficients<T>::scale);
  const Vec<T> scaled = scaled_decay<T>(v), e = scaled * unscale;
  const Vec<T> large = one / fma<T>(scaled, unscale, one);  // 1 + e, without waiting for e
  const Vec<T> small = fma<T>(-e, e * large, e);  // e (1 - e / (1 + e)): most of the product's error is gone
  const Mask<T> below = negative<T>(v);
  return {select<T>(below, small, large), select<T>(below, large, small)};
}

SYMGRU_FUNCTION Vec<T> sigmoid(Vec<T> v) { return gate<T>(v).gate; }

// With -|v| = (n ln 2) / 2 + r, p = 2^n and w = tanh(r), the addition theorem without a cancellation:
// tanh(|v|) = ((1 - p) - (1 + p) w) / ((1 + p) - (1 - p) w)
SYMGRU_FUNCTION Vec<T> tanh(Vec<T> v) {
  using C = Coefficients<T>;
  const Vec<T> within = maximum<T>(broadcast<T>(-C::tanh_high), minus_magnitude<T>(v));
  const Power<T> n = round_and_power<T>(within, 2 * C::log2_e, broadcast<T>(C::rounder));
  const Vec<T> r = fma<T>(n.exponent, broadcast<T>(-C::half_ln2), within);
  const Vec<T> square = r * r, w = fma<T>(r, square * polynomial<T>(square, C::tanh_terms), r);
  const Vec<T> one = broadcast<T>(1), difference = one - n.power, sum = one + n.power;
  const Vec<T> size = fma<T>(-sum, w, difference) / fma<T>(-difference, w, sum);
  return from_bits<T>(bits<T>(size) | (bits<T>(v) & sign_bit<T>));
}

// log(1 + exp(v)) = max(v, 0) + log(1 + e) with e = exp(-|v|)
SYMGRU_FUNCTION Vec<T> softplus(Vec<T> v) {
  using C = Coefficients<T>;
  const Vec<T> e = scaled_decay<T>(v) * broadcast<T>(1 / C::scale);
  const Vec<T> t = (e + e) / (broadcast<T>(2) + e);
  return fma<T>(t, polynomial<T>(t * t, C::log1p_terms), maximum<T>(Vec<T>{}, v));
}

// As 1 / sqrt(v) in torch: -inf at -0, NaN below
SYMGRU_FUNCTION Vec<T> rsqrt(Vec<T> v) { return broadcast<T>(1) / sqrt<T>(v); }

// -0 stays -0, as in torch
SYMGRU_FUNCTION Vec<T> relu(Vec<T> v) { return maximum<T>(Vec<T>{}, v); }

// 1 above 0, else 0, at NaN too
SYMGRU_FUNCTION Vec<T> step(Vec<T> v) { return v > 0 ? broadcast<T>(1) : Vec<T>{}; }

}  // namespace symgru

#undef SYMGRU_FUNCTION
