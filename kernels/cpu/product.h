// Matrix products: a tile of rows times a panel of columns.
//
//     out[i, v] = sum_k  a[i, k] * panel[k, v]          i < ROWS,  v < VECTORS registers
//
// A tile keeps ROWS * VECTORS sums in registers and needs VECTORS loads and ROWS broadcasts for ROWS * VECTORS fused
// multiply-adds: the more sums, the less it waits for memory, up to the number of registers.
//
// The order of summation is the same for every tile size and instruction set: k ascending inside blocks of
// `summed_at_once`, blocks ascending. (Blocks because the rounding error of a long sum grows with the number of terms
// added one after the other.) So a result does not depend on who computes it, in what tile.
#pragma once

#include <algorithm>

#include "vector.h"

namespace symgru {

constexpr int64_t summed_at_once = 256;
constexpr int most_vectors = 4;

// The largest tile for a number of vectors: the sums, the columns and one broadcast have to fit into the registers.
constexpr int most_rows(int vectors) {
  const int rows = (vector_registers - 1 - vectors) / vectors;
  return rows > 8 ? 8 : rows;
}

// A matrix whose element (i, k) is at p[i * row + k * term].
template <class T> struct Rows {
  const T* p;
  int64_t row, term;
};

// At most `summed_at_once` terms, in place of what is in out or added to it.
template <class T, int ROWS, int VECTORS, bool TRANSPOSED, bool ADD>
inline void product_block(int64_t terms, Rows<T> a, const T* __restrict panel, int64_t ldp, T* __restrict out,
                          int64_t ldo) {
  const int64_t row = TRANSPOSED ? 1 : a.row, term = TRANSPOSED ? a.term : 1;
  const T* __restrict x = a.p;
  Vec<T> sum[ROWS][VECTORS] = {};
  for (int64_t k = 0; k < terms; k++) {
    Vec<T> column[VECTORS];
    repeat<VECTORS>([&](auto v) { column[v] = load(panel + k * ldp + v * lanes<T>); });
    repeat<ROWS>([&](auto i) {
      const Vec<T> factor = broadcast(x[i * row + k * term]);
      repeat<VECTORS>([&](auto v) { sum[i][v] = fma<T>(factor, column[v], sum[i][v]); });
    });
  }
  repeat<ROWS>([&](auto i) {
    repeat<VECTORS>([&](auto v) {
      T* o = out + i * ldo + v * lanes<T>;
      store(o, ADD ? load(o) + sum[i][v] : sum[i][v]);
    });
  });
}

// Sums over k < K; panel rows are `ldp` apart, those of out `ldo`; `add` to what is in out.
template <class T, int ROWS, int VECTORS, bool TRANSPOSED>
void product_tile(int64_t K, Rows<T> a, const T* panel, int64_t ldp, T* out, int64_t ldo, bool add) {
  for (bool more = true; more; more = K > 0) {  // once at least: no terms give 0
    const int64_t terms = K < summed_at_once ? K : summed_at_once;
    if (add) product_block<T, ROWS, VECTORS, TRANSPOSED, true>(terms, a, panel, ldp, out, ldo);
    else product_block<T, ROWS, VECTORS, TRANSPOSED, false>(terms, a, panel, ldp, out, ldo);
    add = true, a.p += terms * (TRANSPOSED ? a.term : 1), panel += terms * ldp, K -= terms;
  }
}

// The same in plain loops: what the tile computes, to read and to compare with.
template <class T>
void product_plain(int rows, int vectors, int64_t K, Rows<T> a, const T* panel, int64_t ldp, T* out, int64_t ldo,
                   bool add) {
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < vectors * lanes<T>; v++) {
      T total = add ? out[i * ldo + v] : T(0);
      for (int64_t k0 = 0; k0 < K; k0 += summed_at_once) {
        T sum = 0;
        for (int64_t k = k0; k < K && k < k0 + summed_at_once; k++)
          sum = fma<T>(broadcast(a.p[i * a.row + k * a.term]), broadcast(panel[k * ldp + v]), broadcast(sum))[0];
        total = k0 == 0 && !add ? sum : total + sum;
      }
      out[i * ldo + v] = total;
    }
}

// The tile for a number of rows and vectors that is known only when the program runs.
template <class T> using Product = void (*)(int64_t, Rows<T>, const T*, int64_t, T*, int64_t, bool);

template <class T, bool TRANSPOSED> struct Tiles {
  Product<T> of[most_vectors + 1][9] = {};
  constexpr Tiles() {
    add_vectors<1>(), add_vectors<2>();
    if constexpr (!TRANSPOSED) add_vectors<3>(), add_vectors<4>();  // those of several targets
  }

 private:
  template <int VECTORS, int ROWS = most_rows(VECTORS)> constexpr void add_vectors() {
    of[VECTORS][ROWS] = product_tile<T, ROWS, VECTORS, TRANSPOSED>;
    if constexpr (ROWS > 1) add_vectors<VECTORS, ROWS - 1>();
  }
};
template <class T, bool TRANSPOSED> constexpr Tiles<T, TRANSPOSED> tiles;

// One row times PANELS panels that are `next` apart; the sums lie one panel after the other. Each multiplication waits
// for the one before it in its sum: a single row takes the sums of several panels to keep the processor busy.
template <class T, int PANELS, int VECTORS>
void product_of_row(int64_t K, const T* x, const T* panel, int64_t ldp, int64_t next, T* __restrict out, bool add) {
  for (bool more = true; more; more = K > 0) {  // once at least: no terms give 0
    const int64_t terms = K < summed_at_once ? K : summed_at_once;
    Vec<T> sum[PANELS][VECTORS] = {};
    for (int64_t k = 0; k < terms; k++, panel += ldp) {
      const Vec<T> factor = broadcast(x[k]);
      repeat<PANELS>([&](auto p) {
        repeat<VECTORS>([&](auto v) {
          sum[p][v] = fma<T>(factor, load(panel + p * next + v * lanes<T>), sum[p][v]);
        });
      });
    }
    repeat<PANELS>([&](auto p) {
      repeat<VECTORS>([&](auto v) {
        T* o = out + (p * VECTORS + v) * lanes<T>;
        store(o, add ? load(o) + sum[p][v] : sum[p][v]);
      });
    });
    add = true, x += terms, K -= terms;
  }
}

// At most so many panels, or half as many, and so on.
constexpr int most_panels(int vectors) { return vectors <= 2 ? 4 : 2; }

template <class T> using RowProduct = void (*)(int64_t, const T*, const T*, int64_t, int64_t, T*, bool);
template <class T> constexpr RowProduct<T> row_products[most_vectors + 1][5] = {
    {},
    {nullptr, product_of_row<T, 1, 1>, product_of_row<T, 2, 1>, nullptr, product_of_row<T, 4, 1>},
    {nullptr, product_of_row<T, 1, 2>, product_of_row<T, 2, 2>, nullptr, product_of_row<T, 4, 2>},
    {nullptr, product_of_row<T, 1, 3>, product_of_row<T, 2, 3>},
    {nullptr, product_of_row<T, 1, 4>, product_of_row<T, 2, 4>}};

// A product of few terms, without tiles:
//
//     out[i, j] = sum_k  a[k, i] * b[k, j]          k < TERMS, j < columns, in place of what is in out or added to it
//
// Its sums are soon there: what takes time is to write them, and that goes fastest along the rows of out.
template <class T, int TERMS>
void outer_product(int rows, int64_t columns, const T* __restrict a, const T* __restrict b, int64_t ld,
                   T* __restrict out, bool add) {
  for (int i = 0; i < rows; i++, out += columns) {
    Vec<T> factors[TERMS];
    repeat<TERMS>([&](auto k) { factors[k] = broadcast(a[i + k * ld]); });
    const auto sum = [&](int64_t j) {
      Vec<T> total{};
      repeat<TERMS>([&](auto k) { total = fma<T>(factors[k], load(b + k * ld + j), total); });
      return total;
    };
    int64_t j = 0;
    for (; j + lanes<T> <= columns; j += lanes<T>) store(out + j, add ? load(out + j) + sum(j) : sum(j));
    const int left = int(columns - j);
    if (left > 0) store_first(out + j, add ? load_first(out + j, left) + sum(j) : sum(j), left);
  }
}

constexpr int most_terms_along = 8;
template <class T> using OuterProduct = void (*)(int, int64_t, const T*, const T*, int64_t, T*, bool);

template <class T> struct OuterProducts {
  OuterProduct<T> of[most_terms_along + 1] = {};
  constexpr OuterProducts() { add(std::make_integer_sequence<int, most_terms_along>()); }

 private:
  template <int... I> constexpr void add(std::integer_sequence<int, I...>) {
    ((of[I + 1] = outer_product<T, I + 1>), ...);
  }
};
template <class T> constexpr OuterProducts<T> outer_products;

// Sums over k < K of a[i, k] W[v, k] for a few rows v of W as it lies, where a register of them would be mostly empty:
// the terms fill it in their place. They go to `partial_sums` in turn, which are then added up by halves, whatever the
// registers are. Used for so few columns and so many terms of a product, however many rows there are.
constexpr int64_t most_columns_of_dots = 4, least_terms_of_dots = 32;
constexpr int partial_sums = 16;
template <class T> T dot(int64_t K, const T* a, const T* b) {
  constexpr int n = lanes<T>, vectors = partial_sums / n;
  Vec<T> sum[vectors] = {};
  int64_t k = 0;
  for (; k + partial_sums <= K; k += partial_sums)
    repeat<vectors>([&](auto v) { sum[v] = fma<T>(load(a + k + v * n), load(b + k + v * n), sum[v]); });
  for (int v = 0; v < vectors && k < K; v++) {  // also where no terms are left: zeros may change the sign of a zero
    const int left = int(std::clamp<int64_t>(K - k - v * n, 0, n));
    sum[v] = fma<T>(load_first(a + k + v * n, left), load_first(b + k + v * n, left), sum[v]);
  }
  T partial[partial_sums];
  repeat<vectors>([&](auto v) { store(partial + v * n, sum[v]); });
  for (int half = partial_sums / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) partial[i] += partial[i + half];
  return partial[0];
}
template <class T>
void dots(int rows, int columns, int64_t K, Rows<T> a, const T* W, T* out, int64_t ldo, bool add) {
  for (int i = 0; i < rows; i++)
    for (int v = 0; v < columns; v++) {
      const T sum = dot(K, a.p + i * a.row, W + v * K);
      out[i * ldo + v] = add ? out[i * ldo + v] + sum : sum;
    }
}

}  // namespace symgru
