// What the emitted bodies are written in: blocks of a row that fill a register, and the rest of the row.
#pragma once

#include "functions.h"
#include "plan.h"

namespace symgru {

// Of sigma(a) and sigma(-a) the smaller one, negative if it is sigma(-a): a gate and its complement in one number,
// from which both come back exact to rounding, for 1 - m has no cancellation where m <= 1/2.
template <class T> inline Vec<T> saved_gate(Vec<T> gate, Vec<T> complement) {
  return select<T>(gate <= complement, gate, -complement);
}

template <class T, bool WHOLE> struct Block {
  int row, column, width;

  Vec<T> read(const View<T>& v) const {
    const T* p = v.p + row * v.ld + column;
    if constexpr (WHOLE) return load(p);
    else return load_first(p, width);
  }
  void write(const View<T>& v, Vec<T> value) const {
    T* p = v.p + row * v.ld + column;
    if constexpr (WHOLE) store(p, value);
    else store_first(p, value, width);
  }
  Gate<T> saved_gate(const View<T>& v) const {
    const Vec<T> s = read(v), smaller = magnitude<T>(s), larger = T(1) - smaller;
    const Mask<T> swapped = negative<T>(s);
    return {select<T>(swapped, larger, smaller), select<T>(swapped, smaller, larger)};
  }
  // One byte for each row.
  Mask<T> mask(const View<T>& v) const {
    return Mask<T>{} - Bits<T>(reinterpret_cast<const char*>(v.p)[row] != 0);
  }
};

template <class T, class F> inline __attribute__((always_inline)) void each_block(int rows, int columns, const F& f) {
  constexpr int n = lanes<T>;
  const int whole = columns / n * n;
  for (int i = 0; i < rows; i++)
    for (int j = 0; j < whole; j += n) f(Block<T, true>{i, j, n});
  if (whole < columns)
    for (int i = 0; i < rows; i++) f(Block<T, false>{i, whole, columns - whole});
}

}  // namespace symgru
