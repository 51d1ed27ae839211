// bfloat16: the upper half of a float, kept and multiplied as it is, summed in float.
//
// A product takes two terms at once, k and k + 1: the processor's dot product of pairs (AVX512_BF16) adds
//
//     sum = fma(a[k], b[k], fma(a[k + 1], b[k + 1], sum))
//
// and so do two fused multiply-adds of floats elsewhere. A product of two bfloat16 has 16 bits and is exact in a
// float, so all instruction sets give the same bits, but for numbers below 2^-126: AVX512_BF16 takes them for zero.
#pragma once

#include "pack.h"
#include "plan.h"
#include "product.h"

namespace symgru {

struct bfloat {
  uint16_t bits;
  operator float() const {
    const uint32_t wide = uint32_t(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
  }
};

#if SYMGRU_AVX512 && defined(__AVX512BF16__)
#define SYMGRU_DOT_PRODUCTS 1
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
inline Vec<float> load_wide(const bfloat* p, int n) {
  Halves v{};
  if (n == lanes<float>) std::memcpy(&v, p, sizeof v);
  else std::memcpy(&v, p, size_t(n) * sizeof(bfloat));
  return widen(v);
}
inline void store_narrow(bfloat* p, Vec<float> value, int n) {
  const Halves v = narrow(value);
  if (n == lanes<float>) std::memcpy(p, &v, sizeof v);
  else std::memcpy(p, &v, size_t(n) * sizeof(bfloat));
}

// n elements of one type in another.
template <class T> inline void convert(T* to, const T* from, int64_t n) {
  std::memcpy(to, from, size_t(n) * sizeof(T));
}
inline void convert(float* to, const bfloat* from, int64_t n) {
  int64_t j = 0;
  for (; j + lanes<float> <= n; j += lanes<float>) store(to + j, load_wide(from + j, lanes<float>));
  if (j < n) store_first(to + j, load_wide(from + j, int(n - j)), int(n - j));
}
inline void convert(bfloat* to, const float* from, int64_t n) {
  int64_t j = 0;
  for (; j + lanes<float> <= n; j += lanes<float>) store_narrow(to + j, load(from + j), lanes<float>);
  if (j < n) store_narrow(to + j, load_first(from + j, int(n - j)), int(n - j));
}

// Both numbers of a pair, as floats.
inline Vec<float> first_of(Words pairs) { return (Vec<float>)(pairs << 16); }
inline Vec<float> second_of(Words pairs) { return (Vec<float>)(pairs & 0xffff0000); }

// Two neighbours of a row in the bits of one number, or the last one alone.
template <bool BOTH> inline Words pair_at(const bfloat* x) {
  uint32_t pair = x->bits;
  if constexpr (BOTH) std::memcpy(&pair, x, sizeof pair);
  return Words{} + pair;
}

#if SYMGRU_DOT_PRODUCTS
// Adds one pair of terms to the sums of a tile: that of every row times a row of the panel.
template <bool BOTH, int ROWS, int VECTORS>
SYMGRU_INLINE void add_pair(Vec<float> (&sum)[ROWS][VECTORS], Rows<bfloat> a, int64_t k, const float* panel, int64_t) {
  Vec<float> column[VECTORS];
  repeat<VECTORS>([&](auto v) { column[v] = load(panel + v * lanes<float>); });
  repeat<ROWS>([&](auto i) {
    const __m512bh factor = (__m512bh)pair_at<BOTH>(a.p + i * a.row + k);
    repeat<VECTORS>([&](auto v) {
      sum[i][v] = (Vec<float>)_mm512_dpbf16_ps((__m512)sum[i][v], factor, (__m512bh)column[v]);
    });
  });
}
#else
template <bool BOTH, bool SECOND, int ROWS, int VECTORS>
SYMGRU_INLINE void add_term(Vec<float> (&sum)[ROWS][VECTORS], Rows<bfloat> a, int64_t k, const float* panel) {
  Vec<float> column[VECTORS];
  repeat<VECTORS>([&](auto v) { column[v] = load(panel + v * lanes<float>); });
  repeat<ROWS>([&](auto i) {
    const Words pair = pair_at<BOTH>(a.p + i * a.row + k);
    const Vec<float> factor = SECOND ? second_of(pair) : first_of(pair);
    repeat<VECTORS>([&](auto v) { sum[i][v] = fma<float>(factor, column[v], sum[i][v]); });
  });
}

template <bool BOTH, int ROWS, int VECTORS>
SYMGRU_INLINE void add_pair(Vec<float> (&sum)[ROWS][VECTORS], Rows<bfloat> a, int64_t k, const float* panel,
                            int64_t ldp) {
  if constexpr (BOTH) add_term<BOTH, true>(sum, a, k, panel + ldp);
  asm("" : "+r"(k));  // so that the pairs are read again: there are no registers to keep them in
  add_term<BOTH, false>(sum, a, k, panel);
}
#endif

// product.h's tile for rows of bfloat16.
template <int ROWS, int VECTORS, bool ADD>
inline void pair_block(int64_t terms, Rows<bfloat> a, const float* __restrict panel, int64_t ldp,
                       float* __restrict out, int64_t ldo) {
  Vec<float> sum[ROWS][VECTORS] = {};
  int64_t k = 0;
  for (; k + 2 <= terms; k += 2, panel += panel_rows<bfloat>(2) * ldp) add_pair<true>(sum, a, k, panel, ldp);
  if (k < terms) add_pair<false>(sum, a, k, panel, ldp);
  repeat<ROWS>([&](auto i) {
    repeat<VECTORS>([&](auto v) {
      float* o = out + i * ldo + v * lanes<float>;
      store(o, ADD ? load(o) + sum[i][v] : sum[i][v]);
    });
  });
}

template <int ROWS, int VECTORS>
void pair_tile(int64_t K, Rows<bfloat> a, const float* panel, int64_t ldp, float* out, int64_t ldo, bool add) {
  for (bool more = true; more; more = K > 0) {  // once at least: no terms give 0
    const int64_t terms = K < summed_at_once ? K : summed_at_once;
    if (add) pair_block<ROWS, VECTORS, true>(terms, a, panel, ldp, out, ldo);
    else pair_block<ROWS, VECTORS, false>(terms, a, panel, ldp, out, ldo);
    add = true, a.p += terms, panel += panel_rows<bfloat>(terms) * ldp, K -= terms;
  }
}

template <> struct Tiles<bfloat, false> {
  void (*of[most_vectors + 1][9])(int64_t, Rows<bfloat>, const float*, int64_t, float*, int64_t, bool) = {};
  constexpr Tiles() { add_vectors<1>(), add_vectors<2>(), add_vectors<3>(), add_vectors<4>(); }

 private:
  template <int VECTORS, int ROWS = most_rows(VECTORS)> constexpr void add_vectors() {
    of[VECTORS][ROWS] = pair_tile<ROWS, VECTORS>;
    if constexpr (ROWS > 1) add_vectors<VECTORS, ROWS - 1>();
  }
};

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
        else store(to, first_of((Words)block[i])), store(to + ldp, second_of((Words)block[i]));
      }
    }
}

// Whether tensors of type S can be computed with by a kind of plan,
template <class S, class PLAN> constexpr bool computed_in = std::is_same_v<PLAN, Plan<S>>;
template <> constexpr bool computed_in<bfloat, Plan<float>> = true;

// and by this plan: those of bfloat16 by one that goes forward, with no sums over rows.
template <class S, class T> bool takes(const Plan<T>& plan) {
  if (std::is_same_v<S, T>) return true;
  if (plan.outers.size > 0 || plan.sums.size > 0) return false;
  for (const auto* stages : {&plan.before, &plan.inside, &plan.after})
    for (const Stage<T>& stage : *stages)
      for (const Group& group : stage.groups)
        for (const Run& run : group.runs)
          if (run.transposed || run.blocks > 1) return false;
  return true;
}

}  // namespace symgru
