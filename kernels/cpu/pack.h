// Packing: a matrix in the order in which a tile reads its panel. Panel j holds columns j * width ... of the product,
// for every k one after the other those of each target: panel[k][target][width]; columns beyond the last are zero.
#pragma once

#include "product.h"

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

// Sums over k < K of a[i, k] W[v, k] for a register of rows v of W [.., K] as it lies, of which `count` are there: each
// square block is transposed on its way to the sums. For few rows i this costs less than packing; the order of summation
// is that of the tiles.
constexpr int most_rows_in_place = 8;
template <class T>
void product_in_place(int rows, int64_t K, Rows<T> a, const T* W, int count, T* out, int64_t ldo, bool add) {
  constexpr int n = lanes<T>;
  Vec<T> sum[most_rows_in_place];
  int64_t k = 0;
  do {
    for (int i = 0; i < rows; i++) sum[i] = Vec<T>{};
    const int64_t end = K - k < summed_at_once ? K : k + summed_at_once;
    for (; k < end; k += n) {
      const int terms = end - k < n ? int(end - k) : n;
      Vec<T> block[n];
      for (int v = 0; v < n; v++) {
        const T* row = W + v * K + k;
        block[v] = v >= count ? Vec<T>{} : terms == n ? load(row) : load_first(row, terms);
      }
      transpose<T>(block);
      for (int i = 0; i < rows; i++) {
        const T* x = a.p + i * a.row + k;
        if (terms == n) repeat<n>([&](auto t) { sum[i] = fma<T>(broadcast(x[t]), block[t], sum[i]); });
        else repeat<n>([&](auto t) { if (t < terms) sum[i] = fma<T>(broadcast(x[t]), block[t], sum[i]); });
      }
    }
    for (int i = 0; i < rows; i++) store(out + i * ldo, add ? load(out + i * ldo) + sum[i] : sum[i]);
    add = true;
  } while (k < K);
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
