// A register of numbers, for whatever instruction set the compiler is told to use: 64 bytes with AVX-512, 32 with
// AVX2, else 16 (SSE2, NEON). Arithmetic and comparisons are those of GCC's vector extensions, elementwise; here is
// what those lack. Every function gives the same bits for every width; fma alone rounds twice where the processor
// has no fused multiply-add.
#pragma once

#include <cstdint>
#include <cstring>
#include <type_traits>
#include <utility>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace symgru {

#if defined(__AVX512F__) && defined(__AVX512VL__) && defined(__AVX512DQ__) && defined(__AVX512BW__)
#define SYMGRU_AVX512 1
constexpr int vector_bytes = 64, vector_registers = 32;
#elif defined(__AVX2__) && defined(__FMA__)
#define SYMGRU_AVX2 1
constexpr int vector_bytes = 32, vector_registers = 16;
#elif defined(__aarch64__)
constexpr int vector_bytes = 16, vector_registers = 32;
#else
constexpr int vector_bytes = 16, vector_registers = 16;
#endif

template <class T> struct Register {
  typedef T type __attribute__((vector_size(vector_bytes)));
  typedef T unaligned __attribute__((vector_size(vector_bytes), aligned(alignof(T)), may_alias));
};
template <class T> using Vec = typename Register<T>::type;               // float or double
template <class T> using Bits = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
template <class T> using Mask = Vec<Bits<T>>;                            // what a comparison gives: 0 or -1
template <class T> constexpr int lanes = vector_bytes / int(sizeof(T));

template <class T> inline Vec<T> load(const T* p) { return *(const typename Register<T>::unaligned*)p; }
template <class T> inline void store(T* p, Vec<T> v) { *(typename Register<T>::unaligned*)p = v; }
template <class T> inline Vec<T> broadcast(T x) { return x - Vec<T>{}; }  // x - 0 keeps the sign of 0

// The first n elements, 0 <= n <= lanes; the others are 0, and their memory is not touched.
template <class T> inline Vec<T> load_first(const T* p, int n) {
#if SYMGRU_AVX512
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_maskz_loadu_ps(__mmask16(0xffffu >> (16 - n)), p);
  else return (Vec<T>)_mm512_maskz_loadu_pd(__mmask8(0xffu >> (8 - n)), p);
#else
  Vec<T> v{};
  for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
#endif
}

template <class T> inline void store_first(T* p, Vec<T> v, int n) {
#if SYMGRU_AVX512
  if constexpr (sizeof(T) == 4) _mm512_mask_storeu_ps(p, __mmask16(0xffffu >> (16 - n)), (__m512)v);
  else _mm512_mask_storeu_pd(p, __mmask8(0xffu >> (8 - n)), (__m512d)v);
#else
  for (int i = 0; i < n; i++) p[i] = v[i];
#endif
}

// a * b + c, rounded once
template <class T> inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
#if SYMGRU_AVX512
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
  else return (Vec<T>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif SYMGRU_AVX2
  if constexpr (sizeof(T) == 4) return (Vec<T>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
  else return (Vec<T>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__aarch64__)
  if constexpr (sizeof(T) == 4) return (Vec<T>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
  else return (Vec<T>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
  return a * b + c;
#endif
}

template <class T> inline Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) { return m ? a : b; }

// The bits of a float as integers and back, for exponents and signs.
template <class T> inline Mask<T> bits(Vec<T> v) { return (Mask<T>)v; }
template <class T> inline Vec<T> from_bits(Mask<T> m) { return (Vec<T>)m; }
template <class T> constexpr Bits<T> sign_bit = Bits<T>(std::make_unsigned_t<Bits<T>>(1) << (8 * sizeof(T) - 1));
template <class T> inline Vec<T> magnitude(Vec<T> v) { return from_bits<T>(bits<T>(v) & ~sign_bit<T>); }
template <class T> inline Mask<T> negative(Vec<T> v) { return bits<T>(v) < 0; }  // -0 is

#define SYMGRU_INLINE inline __attribute__((always_inline))

// f(0), f(1), ..., f(N - 1), with constants for arguments: arrays so indexed are kept in registers.
template <class F, int... I> SYMGRU_INLINE void repeat(std::integer_sequence<int, I...>, F f) {
  (f(std::integral_constant<int, I>()), ...);
}
template <int N, class F> SYMGRU_INLINE void repeat(F f) {
  repeat(std::make_integer_sequence<int, N>(), f);
}

}  // namespace symgru
