// bfloat16: the upper half of a float, kept and multiplied as it is, summed in float.
//
// A product takes two terms at once, k and k + 1: the processor's dot product of pairs (AVX512_BF16) adds
//
//     sum = fma(a[k], b[k], fma(a[k + 1], b[k + 1], sum))
//
// and so do two fused multiply-adds of floats elsewhere. A product of two bfloat16 has 16 bits and is exact in a
// float, so all instruction sets give the same bits, but for numbers below 2^-126: AVX512_BF16 takes them for zero.
#pragma once

#include "product.h"
#include "pack.h"

namespace symgru {

struct bfloat {
  uint16_t bits;
};

// The type that is computed in and carried, for a type that is stored.
template <class S> struct Computed { typedef S type; };
template <> struct Computed<bfloat> { typedef float type; };

#if SYMGRU_AVX512 && defined(__AVX512BF16__)
constexpr bool dot_products = true;  // a panel holds pairs, in the bits of a float
#else
constexpr bool dot_products = false;  // a panel holds floats
#endif

// Rows of a panel for K terms: of pairs, or of both numbers of each pair. The second of the last may be absent: 0.
template <class S> constexpr int64_t panel_rows(int64_t K) { return K; }
template <> constexpr int64_t panel_rows<bfloat>(int64_t K) { return dot_products ? (K + 1) / 2 : K + K % 2; }

typedef uint16_t Halves __attribute__((vector_size(vector_bytes / 2)));
typedef uint32_t Words __attribute__((vector_size(vector_bytes)));

inline Vec<float> widen(Halves v) { return (Vec<float>)(__builtin_convertvector(v, Words) << 16); }

// To the nearest, ties to even. A NaN stays one, whose lower half could have been all there was of it.
inline Halves narrow(Vec<float> v) {
  const Words bits = (Words)v, rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return __builtin_convertvector((v != v ? bits | 0x400000 : rounded) >> 16, Halves);
}

// The first n elements, n <= lanes; the others are 0, and their memory is not touched.
inline Vec<float> load_first(const bfloat* p, int n) {
  Halves v{};
  if (n == lanes<float>) std::memcpy(&v, p, sizeof v);
  else std::memcpy(&v, p, size_t(n) * sizeof(bfloat));
  return widen(v);
}
inline void store_first(bfloat* p, Vec<float> value, int n) {
  const Halves v = narrow(value);
  if (n == lanes<float>) std::memcpy(p, &v, sizeof v);
  else std::memcpy(p, &v, size_t(n) * sizeof(bfloat));
}

// n elements, or zeros if there are none to read.
template <class TO, class FROM> void convert(TO* to, const FROM* from, int64_t n) {
  constexpr int step = lanes<float>;
  for (int64_t j = 0; j < n; j += step) {
    const int width = n - j < step ? int(n - j) : step;
    store_first(to + j, from ? load_first(from + j, width) : Vec<float>{}, width);
  }
}

// Both numbers of a pair, as floats.
inline Vec<float> first_of(Vec<float> pairs) { return (Vec<float>)((Words)pairs << 16); }
inline Vec<float> second_of(Vec<float> pairs) { return (Vec<float>)((Words)pairs & 0xffff0000); }

template <int ROWS, int VECTORS> struct PairSums {
  Vec<float> sum[ROWS][VECTORS] = {};

  // Adds one pair of terms of every row.
  inline __attribute__((always_inline)) void add(const uint32_t (&pairs)[ROWS], const float* panel, int64_t ldp) {
#if SYMGRU_AVX512 && defined(__AVX512BF16__)
    (void)ldp;
    Vec<float> column[VECTORS];
    repeat<VECTORS>([&](auto v) { column[v] = load(panel + v * lanes<float>); });
    repeat<ROWS>([&](auto i) {
      const __m512bh factor = (__m512bh)_mm512_set1_epi32(int(pairs[i]));
      repeat<VECTORS>([&](auto v) {
        sum[i][v] = (Vec<float>)_mm512_dpbf16_ps((__m512)sum[i][v], factor, (__m512bh)column[v]);
      });
    });
#else
    repeat<2>([&](auto half) {  // the second number of the pair first
      Vec<float> column[VECTORS];
      repeat<VECTORS>([&](auto v) { column[v] = load(panel + (1 - half) * ldp + v * lanes<float>); });
      repeat<ROWS>([&](auto i) {
        const Vec<float> pair = (Vec<float>)(Words{} + pairs[i]), factor = half ? first_of(pair) : second_of(pair);
        repeat<VECTORS>([&](auto v) { sum[i][v] = fma<float>(factor, column[v], sum[i][v]); });
      });
    });
#endif
  }
};

// product.h's tile for rows of bfloat16.
template <int ROWS, int VECTORS, bool ADD>
inline void pair_block(int64_t terms, Rows<bfloat> a, const float* __restrict panel, int64_t ldp,
                       float* __restrict out, int64_t ldo) {
  constexpr int64_t rows = panel_rows<bfloat>(2);
  PairSums<ROWS, VECTORS> sums;
  uint32_t pairs[ROWS];
  for (int64_t k = 0; k + 2 <= terms; k += 2, panel += rows * ldp) {
    repeat<ROWS>([&](auto i) { std::memcpy(&pairs[i], a.p + i * a.row + k, 4); });
    sums.add(pairs, panel, ldp);
  }
  if (terms % 2 == 1) {
    repeat<ROWS>([&](auto i) { pairs[i] = a.p[i * a.row + terms - 1].bits; });
    sums.add(pairs, panel, ldp);
  }
  repeat<ROWS>([&](auto i) {
    repeat<VECTORS>([&](auto v) {
      float* o = out + i * ldo + v * lanes<float>;
      store(o, ADD ? load(o) + sums.sum[i][v] : sums.sum[i][v]);
    });
  });
}

template <int ROWS, int VECTORS>
void pair_tile(int64_t K, Rows<bfloat> a, const float* panel, int64_t ldp, float* out, int64_t ldo, bool add) {
  for (; K > 0; K -= summed_at_once) {
    const int64_t terms = K < summed_at_once ? K : summed_at_once;
    if (add) pair_block<ROWS, VECTORS, true>(terms, a, panel, ldp, out, ldo);
    else pair_block<ROWS, VECTORS, false>(terms, a, panel, ldp, out, ldo);
    add = true, a.p += terms, panel += panel_rows<bfloat>(terms) * ldp;
  }
}

// pack.h's packing for rows of bfloat16: a square of pairs is transposed like one of floats.
inline void pack_rows(const bfloat* W, int64_t K, int64_t n0, int count, int width, float* panel, int64_t ldp) {
  constexpr int n = lanes<float>;
  for (int v = 0; v < width; v += n)
    for (int64_t k = 0; k < K; k += 2 * n) {
      const int terms = K - k < 2 * n ? int(K - k) : 2 * n;
      Vec<float> block[n] = {};
      for (int i = 0; i < n && v + i < count; i++)
        std::memcpy(&block[i], W + (n0 + v + i) * K + k, size_t(terms) * sizeof(bfloat));
      transpose<float>(block);
      for (int i = 0; 2 * i < terms; i++) {
        float* to = panel + panel_rows<bfloat>(k + 2 * i) * ldp + v;
        if constexpr (dot_products) store(to, block[i]);
        else store(to, first_of(block[i])), store(to + ldp, second_of(block[i]));
      }
    }
}

}  // namespace symgru
