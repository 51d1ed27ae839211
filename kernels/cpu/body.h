// What the emitted bodies are written in: blocks of rows and units, one register of units at a time.
//
// A function is a long chain of operations, each waiting for the one before. But rows are independent: so a body with
// functions does each operation for several rows before the next, and the processor always finds one that need not
// wait. One without has short chains and many values, of which those of a single row fill the registers.
#pragma once

#include <algorithm>
#include <functional>

#include "functions.h"
#include "plan.h"

namespace symgru {

// A vector of each of N rows.
template <class V, int N> struct Several {
  V of[N];
};
template <class A> constexpr int number_of_rows = 0;
template <class V, int N> constexpr int number_of_rows<Several<V, N>> = N;
template <class... A> using IfSeveral = std::enable_if_t<(std::max({number_of_rows<A>...}) > 0)>;

// Of an operand that is not Several, all rows have the same.
template <class A> SYMGRU_INLINE const A& of_row(const A& a, int) { return a; }
template <class V, int N> SYMGRU_INLINE const V& of_row(const Several<V, N>& a, int i) { return a.of[i]; }

// f, row by row.
template <class F, class... A> SYMGRU_INLINE auto each_row(F f, const A&... a) {
  constexpr int N = std::max({number_of_rows<A>...});
  Several<decltype(f(of_row(a, 0)...)), N> result;
  repeat<N>([&](auto i) { result.of[i] = f(of_row(a, i)...); });
  return result;
}

template <class A, class B, class = IfSeveral<A, B>> SYMGRU_INLINE auto operator+(const A& a, const B& b) {
  return each_row(std::plus<>(), a, b);
}
template <class A, class B, class = IfSeveral<A, B>> SYMGRU_INLINE auto operator-(const A& a, const B& b) {
  return each_row(std::minus<>(), a, b);
}
template <class A, class B, class = IfSeveral<A, B>> SYMGRU_INLINE auto operator*(const A& a, const B& b) {
  return each_row(std::multiplies<>(), a, b);
}
template <class A, class = IfSeveral<A>> SYMGRU_INLINE auto operator-(const A& a) { return each_row(std::negate<>(), a); }

// The functions of cells, row by row.
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto sigmoid(const A& a) {
  return each_row([](Vec<T> x) { return sigmoid<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto tanh(const A& a) {
  return each_row([](Vec<T> x) { return tanh<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto exp(const A& a) {
  return each_row([](Vec<T> x) { return exp<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto softplus(const A& a) {
  return each_row([](Vec<T> x) { return softplus<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto rsqrt(const A& a) {
  return each_row([](Vec<T> x) { return rsqrt<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto relu(const A& a) {
  return each_row([](Vec<T> x) { return relu<T>(x); }, a);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto step(const A& a) {
  return each_row([](Vec<T> x) { return step<T>(x); }, a);
}
template <class T, class M, class A, class B, class = IfSeveral<M, A, B>>
SYMGRU_INLINE auto select(const M& m, const A& a, const B& b) {
  return each_row([](Mask<T> k, Vec<T> x, Vec<T> y) { return select<T>(k, x, y); }, m, a, b);
}

// Gates and their complements.
template <class T, int N> struct Gates {
  Several<Vec<T>, N> gate, complement;
};
template <class T, int N, class F> SYMGRU_INLINE Gates<T, N> each_gate(F f, const Several<Vec<T>, N>& a) {
  Gates<T, N> result;
  repeat<N>([&](auto i) {
    const Gate<T> both = f(a.of[i]);
    result.gate.of[i] = both.gate, result.complement.of[i] = both.complement;
  });
  return result;
}
template <class T, int N> SYMGRU_INLINE Gates<T, N> gate(const Several<Vec<T>, N>& a) {
  return each_gate<T>([](Vec<T> x) { return gate<T>(x); }, a);
}

// Of sigma(a) and sigma(-a) the smaller one, negative if it is sigma(-a): a gate and its complement in one number,
// from which both come back exact to rounding, for 1 - m has no cancellation where m <= 1/2.
template <class T> SYMGRU_INLINE Vec<T> saved_gate(Vec<T> gate, Vec<T> complement) {
  return select<T>(gate <= complement, gate, -complement);
}
template <class T, class A, class = IfSeveral<A>> SYMGRU_INLINE auto saved_gate(const A& gate, const A& complement) {
  return each_row([](Vec<T> g, Vec<T> c) { return saved_gate<T>(g, c); }, gate, complement);
}
template <class T> SYMGRU_INLINE Gate<T> gate_of_saved(Vec<T> saved) {
  const Vec<T> smaller = magnitude<T>(saved), larger = T(1) - smaller;
  const Mask<T> swapped = negative<T>(saved);
  return {select<T>(swapped, larger, smaller), select<T>(swapped, smaller, larger)};
}
template <class T, int N> SYMGRU_INLINE Gates<T, N> gate_of_saved(const Several<Vec<T>, N>& saved) {
  return each_gate<T>([](Vec<T> x) { return gate_of_saved<T>(x); }, saved);
}

// ROWS rows of a register of units; if not WHOLE, only the first `width` of these are there.
template <class T, int ROWS, bool WHOLE> struct Block {
  int64_t row, column;
  int width;

  auto read(const View<T>& v) const {
    return rows([&](int i) { return vector(v.p + (row + i) * v.ld + column); });
  }
  // One byte for each row
  auto mask(const View<T>& v) const {
    return rows([&](int i) { return Mask<T>{} - Bits<T>(reinterpret_cast<const char*>(v.p)[(row + i) * v.ld] != 0); });
  }
  auto saved_gate(const View<T>& v) const { return gate_of_saved<T>(read(v)); }

  template <class A> void write(const View<T>& v, const A& value) const {
    repeat<ROWS>([&](auto i) {
      T* p = v.p + (row + i) * v.ld + column;
      if constexpr (WHOLE) store(p, of_row(value, i));
      else store_first(p, of_row(value, i), width);
    });
  }

 private:
  Vec<T> vector(const T* p) const {
    if constexpr (WHOLE) return load(p);
    else return load_first(p, width);
  }
  template <class F> auto rows(F f) const {
    if constexpr (ROWS == 1) {
      return f(0);
    } else {
      Several<decltype(f(0)), ROWS> result;
      repeat<ROWS>([&](auto i) { result.of[i] = f(i); });
      return result;
    }
  }
};

// The compiler must not prepare the addresses of all views for the next block: mostly there is none.
SYMGRU_INLINE int64_t opaque(int64_t i) {
  asm("" : "+r"(i));
  return i;
}

// f on all blocks, AT_ONCE rows at once where there are as many.
template <class T, int AT_ONCE, class F> SYMGRU_INLINE void each_block(int rows, int columns, const F& f) {
  constexpr int n = lanes<T>;
  const int whole = columns / n * n;
  int i = 0;
  for (; AT_ONCE > 1 && i + AT_ONCE <= rows; i += AT_ONCE)
    for (int j = 0; j < whole; j += n) f(Block<T, AT_ONCE, true>{opaque(i), opaque(j), n});
  for (; i < rows; i++)
    for (int j = 0; j < whole; j += n) f(Block<T, 1, true>{opaque(i), opaque(j), n});
  if (whole < columns)
    for (i = 0; i < rows; i++) f(Block<T, 1, false>{opaque(i), opaque(whole), columns - whole});
}

}  // namespace symgru
