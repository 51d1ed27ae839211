// Packing: a matrix in the order in which a tile reads its panel. Panel j holds columns j * width ... of the product,
// for every k one after the other those of each target: panel[k][target][width]; columns beyond the last are zero.
#pragma once

#include "vector.h"

namespace symgru {

// The even (or odd) half of a perfect shuffle of two registers: a0 b0 a1 b1 ... of their lower (upper) halves.
template <class T, bool UPPER> inline Vec<T> interleaved(Vec<T> a, Vec<T> b) {
  Mask<T> order;
  for (int i = 0; i < lanes<T>; i++) order[i] = (UPPER ? lanes<T> / 2 : 0) + i / 2 + (i % 2) * lanes<T>;
#if defined(__clang__)
  Vec<T> result;
  for (int i = 0; i < lanes<T>; i++) result[i] = order[i] < lanes<T> ? a[order[i]] : b[order[i] - lanes<T>];
  return result;
#else
  return __builtin_shuffle(a, b, order);
#endif
}

// Transposes a square block: log2(lanes) rounds of perfect shuffles of the upper with the lower half of the rows.
template <class T> inline void transpose(Vec<T> (&rows)[lanes<T>]) {
  constexpr int n = lanes<T>;
#pragma GCC unroll 4
  for (int round = 1; round < n; round *= 2) {
    Vec<T> next[n];
#pragma GCC unroll 8
    for (int i = 0; i < n / 2; i++) {
      next[2 * i] = interleaved<T, false>(rows[i], rows[i + n / 2]);
      next[2 * i + 1] = interleaved<T, true>(rows[i], rows[i + n / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < n; i++) rows[i] = next[i];
  }
}

// Columns n0 ... n0 + count of a matrix W^T, that is rows of W [.., K], into panel[k * ldp + 0 ... width).
template <class T>
void pack_rows(const T* W, int64_t K, int64_t n0, int count, int width, T* panel, int64_t ldp) {
  constexpr int n = lanes<T>;
  for (int v = 0; v < width; v += n)
    for (int64_t k = 0; k < K; k += n) {
      const int terms = K - k < n ? int(K - k) : n;
      Vec<T> block[n];
      for (int i = 0; i < n; i++) {
        const T* row = W + (n0 + v + i) * K + k;
        block[i] = v + i >= count ? Vec<T>{} : terms == n ? load(row) : load_first(row, terms);
      }
      transpose<T>(block);
      for (int i = 0; i < terms; i++) store(panel + (k + i) * ldp + v, block[i]);
    }
}

// Columns n0 ... n0 + count of a matrix W [K, N] into panel[k * ldp + 0 ... width).
template <class T>
void pack_columns(const T* W, int64_t K, int64_t N, int64_t n0, int count, int width, T* panel, int64_t ldp) {
  for (int64_t k = 0; k < K; k++)
    for (int v = 0; v < width; v += lanes<T>) {
      const T* p = W + k * N + n0 + v;
      const int left = count - v;
      store(panel + k * ldp + v, left >= lanes<T> ? load(p) : left > 0 ? load_first(p, left) : Vec<T>{});
    }
}

}  // namespace symgru
