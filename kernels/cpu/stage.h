// One stage on some rows and units: tiles of products, and the pointwise body on each of them while it is in the cache.
#pragma once

#include "layout.h"

namespace symgru {

// For so few rows packing costs more than it saves.
constexpr int64_t rows_without_packing = 8;

// Where the values lie that a thread works on.
template <class T> struct Workplace {
  const Plan<T>& plan;
  const Call& call;
  const Record &record, &step_record;
  const Panels<T>& panels;
  const T* packed;         // the panels,
  bool packed_by_call;     // or else the caller has them
  T *chunk, *step, *sums;  // record of the chunk, of the step; the sums of a tile
  std::vector<T*> entering, leaving, parameters;
  std::vector<int64_t> ld_carried;
  int64_t first_row = 0, rows = 0;  // of the chunk

  T* argument(int i) const { return static_cast<T*>(call.arguments[i]); }

  T* base(const Sequence& s) const {
    T* p = argument(s.source.argument);
    return p ? p + s.source.block * call.offsets[call.steps] * call.sizes[s.axis] : nullptr;
  }

  // A value, from row `row` of the chunk on, which is row 0 of a step.
  View<T> view(Value value, int64_t row) const {
    const int i = value.index;
    switch (value.place) {
      case Place::sequence: {
        const int64_t n = call.sizes[plan.sequences[i].axis];
        T* p = base(plan.sequences[i]);
        return {p ? p + (first_row + row) * n : nullptr, n};
      }
      case Place::record: return {chunk + row * record.ld + record.offsets[i], record.ld};
      case Place::step: return {step + step_record.offsets[i], step_record.ld};
      case Place::entering: return {entering[i], ld_carried[i]};
      case Place::leaving: return {leaving[i], ld_carried[i]};
      case Place::parameter: return {parameters[i], 0};
      default: return {nullptr, 0};
    }
  }

  // A transposed matrix has the order of a panel as it is.
  bool read_in_place(const Group& group) const {
    if (!packed_by_call || call.offsets[call.steps] > rows_without_packing || group.targets > 1) return false;
    for (const Run& run : group.runs)
      if (!run.transposed) return false;
    return true;
  }
};

template <class T> class StageRunner {
 public:
  // For rows from row `row` of the chunk on.
  StageRunner(const Stage<T>& stage, const Workplace<T>& at, int64_t row)
      : stage_(stage), at_(at), tiling_(stage), row_(row) {
    for (Value value : stage.reads) values_[count_++] = value;
    for (Value value : stage.writes) values_[count_++] = value;
    for (int i = 0; i < count_; i++) first_[i] = values_[i].place == Place::sum ? sum(values_[i].index) : at.view(values_[i], row);
  }

  void run(int64_t row, int64_t end_row, int64_t column, int64_t end_column) {
    if (row >= end_row || column >= end_column) return;
    if (stage_.groups.size == 0) return body(row, int(end_row - row), column, int(end_column - column));
    const int64_t units = tiling_.units();
    for (int64_t j = column; j < end_column; j += units)
      for (int64_t r = row; r < end_row; r += tiling_.rows) {
        const int rows = int(end_row - r < tiling_.rows ? end_row - r : tiling_.rows);
        T* sums = at_.sums;
        for (const Group& group : stage_.groups) {
          multiply(group, r, rows, j / units, sums);
          sums += group.targets * units * tiling_.rows;
        }
        body(r, rows, j, int(end_column - j < units ? end_column - j : units));
      }
  }

 private:
  // The sums of a tile lie as [group][row][target][unit].
  View<T> sum(int index) const {
    T* sums = at_.sums;
    for (const Group& group : stage_.groups) {
      const int64_t ld = group.targets * tiling_.units();
      if (index < group.targets) return {sums + index * tiling_.units(), ld};
      index -= group.targets, sums += ld * tiling_.rows;
    }
    return {nullptr, 0};
  }

  void multiply(const Group& group, int64_t row, int rows, int64_t tile, T* sums) {
    const auto& place = at_.panels.places[group.number];
    const bool in_place = at_.read_in_place(group) && (tile + 1) * place.units <= place.columns;
    const auto product = tiles<T, false>.of[group.targets * tiling_.vectors][rows];
    const T* panel = at_.panels.panel(at_.packed, place, tile);
    bool add = false;
    for (const Run& run : group.runs) {
      const int64_t terms = run.blocks * at_.call.sizes[run.axis];
      const View<T> operand = at_.view(run.operand, row_);
      const T* columns = in_place ? matrix_of(at_.plan, at_.call, run.matrices[0]) + tile * place.units : panel;
      product(terms, {operand.p + row * operand.ld, operand.ld, 1}, columns, in_place ? place.columns : place.width(),
              sums, place.width(), add);
      panel += terms * place.width();
      add = true;
    }
  }

  void body(int64_t row, int rows, int64_t column, int columns) {
    View<T> views[most_views];
    for (int i = 0; i < count_; i++) {
      views[i] = first_[i];
      if (values_[i].place == Place::mask) views[i].p = mask(values_[i].index, row);
      else if (values_[i].place != Place::sum) views[i].p += row * views[i].ld + column;
    }
    stage_.body(views, rows, columns);
  }

  T* mask(int index, int64_t row) const {
    char* p = static_cast<char*>(at_.call.arguments[at_.plan.masks[index]]);
    return reinterpret_cast<T*>(p + at_.first_row + row_ + row);
  }

  const Stage<T>& stage_;
  const Workplace<T>& at_;
  const Tiling<T> tiling_;
  const int64_t row_;
  int count_ = 0;
  Value values_[most_views];
  View<T> first_[most_views];
};

// W += sum over the rows of the chunk of left right^T, rows i ... of W.
template <class T> class OuterRunner {
 public:
  OuterRunner(const Outer& outer, const Workplace<T>& at, bool first)
      : outer_(outer), at_(at), first_(first), columns_(at.call.sizes[outer.columns]) {}

  static constexpr int vectors = 2, tile_rows = most_rows(vectors);
  static constexpr int64_t units = vectors * lanes<T>;

  // One row of tiles.
  void run(int64_t i) {
    const int64_t rows_left = at_.call.sizes[outer_.rows] - i;
    const int rows = int(rows_left < tile_rows ? rows_left : tile_rows);
    T* W = at_.argument(outer_.target.argument) + (outer_.target.block * at_.call.sizes[outer_.rows] + i) * columns_;
    for (int64_t j = 0; j < columns_; j += units) {
      const int64_t left = columns_ - j;
      if (left >= units) add_terms(i, j, rows, vectors, W + j, columns_, !first_);
      else add_part(i, j, rows, int(left), W + j);
    }
  }

 private:
  void add_terms(int64_t i, int64_t j, int rows, int count, T* to, int64_t ld, bool add) {
    const int64_t ldr = at_.record.ld;
    for (const OuterTerm& term : outer_.terms) {
      const T* left = at_.chunk + at_.record.offsets[term.left] + i;
      const T* right = at_.chunk + at_.record.offsets[term.right] + j;
      tiles<T, true>.of[count][rows](at_.rows, {left, 1, ldr}, right, ldr, to, ld, add);
      add = true;
    }
  }

  // Columns that do not fill the registers: aside first, so that nothing beyond the row is touched.
  void add_part(int64_t i, int64_t j, int rows, int width, T* W) {
    const int count = (width + lanes<T> - 1) / lanes<T>;
    add_terms(i, j, rows, count, at_.sums, units, false);
    for (int r = 0; r < rows; r++)
      for (int c = 0; c < width; c++) {
        T& w = W[r * columns_ + c];
        w = first_ ? at_.sums[r * units + c] : w + at_.sums[r * units + c];
      }
  }

  const Outer& outer_;
  const Workplace<T>& at_;
  const bool first_;
  const int64_t columns_;
};

// b += sum over the rows of the chunk, one register of it at column j.
template <class T> void add_rows(const Sum& sum, const Workplace<T>& at, bool first, int64_t j) {
  const int64_t n = at.call.sizes[sum.axis];
  const int width = int(n - j < lanes<T> ? n - j : lanes<T>);
  Vec<T> total{};
  for (int16_t item : sum.terms) {
    const T* p = at.chunk + at.record.offsets[item] + j;
    for (int64_t r = 0; r < at.rows; r++) total += load(p + r * at.record.ld);
  }
  for (const Source& target : sum.targets)
    if (T* to = at.argument(target.argument)) {
      to += target.block * n + j;
      store_first(to, first ? total : load_first(to, width) + total, width);
    }
}

}  // namespace symgru
