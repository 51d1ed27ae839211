// What a pass over time does, as tables. The emitter writes them down (kernels/generated/cpu_*.h), engine.h follows
// them. All sizes are unknown until a call: tables speak of axes, values and arguments by number.
//
// A pass runs, for each chunk of steps, `before` and `after` on all rows of the chunk, and between them `inside` step
// by step. A row is one example at one step. What a chunk hands on lies in its record, one row of items for each row.
#pragma once

#include "vector.h"

namespace symgru {

// Where a vector of a row lies.
enum class Place : int8_t {
  sequence,   // an argument [rows, n]                          index into Plan::sequences
  record,     // the record of the chunk                        index of the item
  step,       // scratch of the step                            index of the item
  entering,   // a carried vector as it enters the step         index into Plan::carried
  leaving,    // the same as it leaves the step
  parameter,  // a bias: the same in every row                  index into Plan::parameters
  sum,        // what the products of the stage gave            index of the target, over all groups of the stage
  mask,       // one truth value for a row                      index into Plan::masks
};

struct Value {
  Place place;
  int16_t index;
};

// A list in a table.
template <class T> struct List {
  const T* items = nullptr;
  int size = 0;
  constexpr List() = default;
  template <int N> constexpr List(const T (&array)[N]) : items(array), size(N) {}
  constexpr const T* begin() const { return items; }
  constexpr const T* end() const { return items + size; }
  constexpr const T& operator[](int i) const { return items[i]; }
};

// Block number `block` of the tensors stacked in an argument.
struct Source {
  int16_t argument, block;
};

struct Sequence {
  Source source;
  int8_t axis;
};

struct Carried {
  int16_t initial, last;  // arguments [B, n]; -1: none. An absent initial value is zero.
  int8_t axis;
};

struct Parameter {  // the sum of its sources
  List<Source> sources;
  int8_t axis;
};

struct Matrix {  // [rows, columns]
  Source source;
  int8_t rows, columns;
};

// A sequence copied into the record: as it is, or (initial >= 0) the one before in time, the first being `initial`.
struct Copy {
  int16_t sequence, initial, item;
};

// Neighbouring vectors of a row times matrices below each other: sum_b W_b v_b for every target.
struct Run {
  Value operand;                // the first vector; the others follow it
  int8_t blocks, axis;          // how many, and their common axis
  bool transposed;              // W^T in place of W
  List<int16_t> matrices;       // [block][target]
};

// Products of the same vectors for several targets: one tile computes them together.
struct Group {
  int16_t number;  // over all stages: before, inside, after
  int8_t targets;  // at most most_vectors
  List<Run> runs;
};

// A vector of every row, from some row and column on.
template <class T> struct View {
  T* p;
  int64_t ld;  // to the next row
};
constexpr int most_views = 64;

// What is pointwise in a stage: for `rows` rows and `columns` columns.
template <class T> using Body = void (*)(const View<T>* views, int rows, int columns);

template <class T> struct Stage {
  int8_t axis;
  bool publishes;  // writes what products read, so all units must be there before they run
  List<Group> groups;
  List<Value> reads, writes;  // the views of the body, in this order
  Body<T> body;
};

// W += sum over rows of left right^T
struct OuterTerm {
  int16_t left, right;  // items of the record
};
struct Outer {
  Source target;
  int8_t rows, columns;
  List<OuterTerm> terms;
};

// b += sum over rows
struct Sum {
  List<Source> targets;
  int8_t axis;
  List<int16_t> terms;  // items of the record
};

template <class T> struct Plan {
  const char* name;
  const char* signature;  // the arguments, as JSON
  bool reverse;
  List<Sequence> sequences;
  List<int16_t> masks;  // arguments [rows] of bytes
  List<int8_t> record, step;  // axes of the items
  List<Carried> carried;
  List<Parameter> parameters;
  List<Matrix> matrices;
  List<Copy> copies;
  List<Stage<T>> before, inside, after;
  List<Outer> outers;
  List<Sum> sums;
};

// What calls of one shape have in common, if they have no resets.
struct Setting {
  int64_t steps;
  const int64_t* offsets;    // [steps + 1]: the rows of step t are offsets[t] ... offsets[t + 1]
  int64_t batch;             // rows of the longest step
  const int64_t* sizes;      // of the axes
  int64_t reverse;           // the layer runs against time
  int64_t threads;
  const uint8_t* resets;     // of each row, whether a sequence begins at its step; null: of none
};

struct Call : Setting {
  void* const* arguments;    // null: absent, zero
  const void* panels;        // packed matrices, see packed_size; null: packed by the call
};

}  // namespace symgru
