// One stage on some rows and units: tiles of products, and the pointwise body on each of them while it is in the cache.
#pragma once

#include <algorithm>

#include "layout.h"
#include "team.h"

namespace symgru {

// For so few rows packing costs more than it saves.
constexpr int64_t rows_without_packing = 8;

// Where the values lie that a thread works on.
// Tensors are of type S, all else of type T.
template <class T, class S = T> struct Workplace {
  const Plan<T>& plan;
  const Call& call;
  const Record &record, &step_record;
  const Panels<T, S>& panels;
  const T* packed;         // the panels,
  bool packed_by_call;     // or else the caller has them
  T *chunk, *step, *sums;  // record of the chunk, of the step; the sums of a tile
  std::vector<T*> entering, leaving, parameters;
  const std::vector<Record>& carried;
  int64_t first_row = 0, rows = 0;  // of the chunk

  S* argument(int i) const { return static_cast<S*>(call.arguments[i]); }

  S* base(const Sequence& s) const {
    S* p = argument(s.source.argument);
    return p ? p + s.source.block * call.offsets[call.steps] * call.sizes[s.axis] : nullptr;
  }

  // A value, from row `row` of the chunk on, which is row 0 of a step.
  View<T> view(Value value, int64_t row) const {
    const int i = value.index;
    switch (value.place) {
      case Place::sequence:
        if constexpr (std::is_same_v<S, T>) return sequence(i, row);
        else return {nullptr, 0};
      case Place::record: return {chunk + row * record.ld + record.offsets[i], record.ld};
      case Place::step: return {step + step_record.offsets[i], step_record.ld};
      case Place::entering: return {entering[i], carried[i].ld};
      case Place::leaving: return {leaving[i], carried[i].ld};
      case Place::parameter: return {parameters[i], 0};
      default: return {nullptr, 0};
    }
  }

  View<S> sequence(int i, int64_t row) const {
    const int64_t n = call.sizes[plan.sequences[i].axis];
    S* p = base(plan.sequences[i]);
    return {p ? p + (first_row + row) * n : nullptr, n};
  }

  // The same in the type of the tensors, as products read it; null if no product does.
  View<S> stored(Value value, int64_t row) const {
    if constexpr (std::is_same_v<S, T>) return view(value, row);
    else switch (value.place) {
        case Place::sequence: return sequence(value.index, row);
        case Place::record: return copy(view(value, row), record, value.index);
        case Place::step: return copy(view(value, row), step_record, value.index);
        case Place::entering:
        case Place::leaving: return copy(view(value, row), carried[value.index], 0);
        default: return {nullptr, 0};
      }
  }

  // The copy of an item in its row.
  static View<S> copy(View<T> item, const Record& record, int i) {
    if (record.copies[i] < 0) return {nullptr, 0};
    S* row = reinterpret_cast<S*>(item.p - record.offsets[i]);
    return {row + record.copies[i], item.ld * int64_t(sizeof(T) / sizeof(S))};
  }

  // Whether matrices are read as they lie, for `whole` or partial tiles. Transposed, they have the order of a panel;
  // else they are transposed on the way, which pays if they are used once.
  bool read_in_place(const Group& group, bool whole) const {
    if (!std::is_same_v<S, T> || !packed_by_call || call.offsets[call.steps] > rows_without_packing) return false;
    for (const Run& run : group.runs)
      if (run.transposed ? group.targets > 1 || !whole : run.blocks > 1 || call.steps > 1) return false;
    return true;
  }
};

template <class T, class S = T> class StageRunner {
 public:
  StageRunner(const Stage<T>& stage, const Workplace<T, S>& at) : stage_(stage), at_(at), tiling_(stage) {
    for (Value value : stage.reads) values_[count_++] = value;
    for (Value value : stage.writes) values_[count_++] = value;
    for (const Group& group : stage.groups) panels_ = std::min(panels_, most_panels(group.targets * tiling_.vectors));
  }

  // From now on rows count from row `row` of the chunk on.
  void start(int64_t row) {
    row_ = row;
    for (int i = 0; i < count_; i++) first_[i] = values_[i].place == Place::sum ? sum(values_[i].index) : at_.view(values_[i], row);
    if constexpr (!std::is_same_v<S, T>) find_stored();
  }

  void run(Share rows, Share columns) {
    if (rows.first >= rows.last || columns.first >= columns.last) return;
    if (stage_.groups.size == 0 && std::is_same_v<S, T>)
      return bodies(rows.first, int(rows.last - rows.first), columns);
    const int64_t units = tiling_.units(), n = rows.last - rows.first, of_rows = (n + tiling_.rows - 1) / tiling_.rows;
    // There is room for the sums of several tiles of few rows. Then their bodies, which are short, overlap.
    const int at_once = n < tiling_.rows ? int(tiling_.rows / n) : 1;
    const int64_t width = at_once * units, of_columns = (columns.last - columns.first + width - 1) / width;
    for (int64_t c = 0; c < of_columns; c++) {
      const int64_t j = columns.first + (descending_ ? of_columns - 1 - c : c) * width;
      for (int64_t i = 0; i < of_rows; i++) {
        const Share part = share(n, int(i), int(of_rows));  // tiles of equal size: small ones are slow
        const int64_t end = columns.last - j < width ? columns.last : j + width;
        some_tiles(rows.first + part.first, int(part.last - part.first), {j, end});
      }
    }
    descending_ = of_rows == 1 && !descending_;
  }

 private:
  void some_tiles(int64_t row, int rows, Share columns) {
    const int64_t units = tiling_.units();
    for (Share left = columns; left.first < left.last;) {
      const int64_t width = left.last - left.first, of_tiles = (width + units - 1) / units;
      const int together = taken_together(rows, width, of_tiles);
      const int64_t j = descending_ ? left.first + (of_tiles - together) * units : left.first;
      for (int i = 0; i < together; i++) fetch(row, rows, j + i * units);
      T* sums = at_.sums;
      for (const Group& group : stage_.groups) {
        multiply(group, row, rows, j, together, sums + (j - columns.first) * rows * group.targets);
        sums += group.targets * units * tiling_.rows;
      }
      if (descending_) left.last = j;
      else left.first = j + together * units;
    }
    bodies(row, rows, columns);
  }

  // Of one row the products of several whole tiles run at once: how many of `tiles` that are left, and `columns` wide.
  int taken_together(int rows, int64_t columns, int64_t tiles) const {
    if (!std::is_same_v<S, T> || rows > 1) return 1;
    const bool part = columns % tiling_.units() > 0;
    int together = part && descending_ ? 1 : panels_;
    while (together > 1 && together > tiles - part) together /= 2;
    return together;
  }

  // A body does several rows at once: of a single row, tiles beside each other are handed over as if they were rows.
  void bodies(int64_t row, int rows, Share columns) {
    const int64_t units = tiling_.units(), width = columns.last - columns.first;
    const int whole = rows == 1 && std::is_same_v<S, T> ? int(width / units) : 0;
    if (whole > 0) body(row, whole, columns.first, int(units), 0, true);
    const int64_t step = stage_.groups.size > 0 ? units : width;
    int first = whole;
    for (int64_t j = columns.first + whole * units; j < columns.last; j += step, first += rows)
      body(row, rows, j, int(columns.last - j < step ? columns.last - j : step), first, false);
  }

  // What the body reads and writes of sequences may be in no cache: it can come while the products run. (Inline, for
  // GCC 12 drops calls of functions that do nothing but prefetch.)
  SYMGRU_INLINE void fetch(int64_t row, int rows, int64_t column) const {
    for (int i = 0; i < count_; i++)
      if (values_[i].place == Place::sequence) {
        if (is_edge(values_[i])) fetch(stored_[i], row, rows, column);
        else fetch(first_[i], row, rows, column);
      }
  }

  template <class V> static SYMGRU_INLINE void fetch(const View<V>& view, int64_t row, int rows, int64_t column) {
    for (int r = 0; view.p && r < rows; r++) __builtin_prefetch(view.p + (row + r) * view.ld + column, 1);
  }

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

  void multiply(const Group& group, int64_t row, int rows, int64_t column, int together, T* sums) {
    const auto& place = at_.panels.places[group.number];
    const bool in_place = at_.read_in_place(group, column + together * place.units <= place.columns);
    const int64_t width = place.width(), next = place.terms * width;
    const T* panel = at_.panels.panel(at_.packed, place, column / place.units);
    bool add = false;
    for (const Run& run : group.runs) {
      const int64_t terms = run.blocks * at_.call.sizes[run.axis];
      const View<S> operand = at_.stored(run.operand, row_);
      const Rows<S> left = {operand.p + row * operand.ld, operand.ld, 1};
      if (by_dots(run, place.columns, terms)) multiply_by_dots(group, run, rows, terms, left, sums, add);
      else if (in_place) multiply_in_place(group, run, rows, terms, left, column, together, sums, add);
      else multiply_tiles(group, rows, terms, left, panel, width, next, together, sums, add);
      panel += panel_rows<S>(terms) * width;
      add = true;
    }
  }

  void multiply_tiles(const Group& group, int rows, int64_t terms, Rows<S> left, const T* panel, int64_t ldp,
                      int64_t next, int together, T* sums, bool add) {
    const int vectors = group.targets * tiling_.vectors;
    if constexpr (std::is_same_v<S, T>)
      if (rows == 1) return row_products<T>[vectors][together](terms, left.p, panel, ldp, next, sums, add);
    tiles<S, false>.of[vectors][rows](terms, left, panel, ldp, sums, vectors * lanes<T>, add);
  }

  // Whether the columns are so few, and the terms so many, that the terms go into the lanes. No matter how many rows
  // there are and who packed what: the order of summation is another one.
  static bool by_dots(const Run& run, int64_t columns, int64_t terms) {
    const bool in_rows = !run.transposed && run.blocks == 1;
    return std::is_same_v<S, T> && in_rows && columns <= most_columns_of_dots && terms >= least_terms_of_dots;
  }

  void multiply_by_dots(const Group& group, const Run& run, int rows, int64_t terms, Rows<S> left, T* sums, bool add) {
    if constexpr (std::is_same_v<S, T>) {
      const int columns = int(at_.call.sizes[stage_.axis]);
      const int64_t units = tiling_.units();
      for (int g = 0; g < group.targets; g++)
        dots(rows, columns, terms, left, matrix_of<S>(at_.plan, at_.call, run.matrices[g]), sums + g * units,
             group.targets * units, add);
    }
  }

  void multiply_in_place(const Group& group, const Run& run, int rows, int64_t terms, Rows<S> left, int64_t column,
                         int together, T* sums, bool add) {
    if constexpr (std::is_same_v<S, T>) {
      const int64_t columns = at_.call.sizes[stage_.axis], units = tiling_.units(), ld = group.targets * units;
      const auto matrix = [&](int g) { return matrix_of<S>(at_.plan, at_.call, run.matrices[g]); };
      if (run.transposed)
        return multiply_tiles(group, rows, terms, left, matrix(0) + column, columns, units, together, sums, add);
      for (int64_t n = column; n < column + together * units; n += units, sums += ld)
        for (int g = 0; g < group.targets; g++)
          for (int64_t v = 0; v < units; v += lanes<T>) {
            const int there = int(std::clamp<int64_t>(columns - n - v, 0, lanes<T>));
            product_in_place(rows, terms, left, matrix(g) + (n + v) * terms, there, sums + g * units + v, ld, add);
          }
    }
  }

  // On sums from row `first` of them on. If `across`, what the body takes for rows are tiles of one row.
  void body(int64_t row, int rows, int64_t column, int columns, int first, bool across) {
    View<T> views[most_views];
    for (int i = 0; i < count_; i++) {
      views[i] = first_[i];
      if (values_[i].place == Place::mask) {
        views[i] = {mask(values_[i].index, row), across ? 0 : 1};
      } else if (values_[i].place == Place::sum) {
        views[i].p += first * views[i].ld;
      } else if (!is_edge(values_[i])) {
        views[i].p += row * views[i].ld + column;
        if (across) views[i].ld = columns;
      }
    }
    if constexpr (std::is_same_v<S, T>) return stage_.body(views, rows, columns);
    const auto each_stored = [&](int first, int last, const auto& f) {
      for (int i = first; i < last; i++)
        if (S* p = stored_[i].p)
          for (int r = 0; r < rows; r++) f(p + (row + r) * stored_[i].ld + column, views[i].p + r * views[i].ld);
    };
    each_stored(0, stage_.reads.size, [&](const S* p, T* value) { convert(value, p, columns); });
    stage_.body(views, rows, columns);
    each_stored(stage_.reads.size, count_, [&](S* p, const T* value) { convert(p, value, columns); });
  }

  // A sequence of another type is read into, and written from, a place of its own beside the sums.
  static bool is_edge(Value value) { return !std::is_same_v<S, T> && value.place == Place::sequence; }

  void find_stored() {
    std::fill_n(stored_, count_, View<S>{nullptr, 0});
    T* edge = at_.sums + tiling_.sums;
    for (int i = 0; i < count_; i++) {
      if (is_edge(values_[i])) first_[i] = {edge, tiling_.units()}, edge += tiling_.units() * tiling_.rows;
      if (is_edge(values_[i]) || i >= stage_.reads.size) stored_[i] = at_.stored(values_[i], row_);
    }
  }

  T* mask(int index, int64_t row) const {
    char* p = static_cast<char*>(at_.call.arguments[at_.plan.masks[index]]);
    return reinterpret_cast<T*>(p + at_.first_row + row_ + row);
  }

  const Stage<T>& stage_;
  const Workplace<T, S>& at_;
  const Tiling<T> tiling_;
  int64_t row_ = 0;
  bool descending_ = false;  // Few rows take the tiles up and down in turn: the last panels may still be in the cache.
  int count_ = 0, panels_ = most_panels(1);
  Value values_[most_views];
  View<T> first_[most_views];
  View<S> stored_[most_views];
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
    if (at_.rows > 0 && at_.rows <= most_terms_along) return add_along(i, rows, W);
    for (int64_t j = 0; j < columns_; j += units) {
      const int64_t left = columns_ - j;
      for (int r = 0; r < rows && left > units; r++)  // of the next tile
        for (int v = 0; v < vectors; v++) __builtin_prefetch(W + r * columns_ + j + units + v * lanes<T>, 1);
      if (left >= units) add_terms(i, j, rows, vectors, W + j, columns_, !first_);
      else add_part(i, j, rows, int(left), W + j);
    }
  }

 private:
  void add_along(int64_t i, int rows, T* W) const {
    bool add = !first_;
    for (const OuterTerm& term : outer_.terms) {
      const T* left = at_.chunk + at_.record.offsets[term.left] + i;
      const T* right = at_.chunk + at_.record.offsets[term.right];
      outer_products<T>.of[at_.rows](rows, columns_, left, right, at_.record.ld, W, add);
      add = true;
    }
  }

  void add_terms(int64_t i, int64_t j, int rows, int count, T* to, int64_t ld, bool add) {
    const int64_t ldr = at_.record.ld;
    for (const OuterTerm& term : outer_.terms) {
      const T* left = at_.chunk + at_.record.offsets[term.left] + i;
      const T* right = at_.chunk + at_.record.offsets[term.right] + j;
      tiles<T, true>.of[count][rows](at_.rows, {left, 1, ldr}, right, ldr, to, ld, add);
      add = true;
    }
  }

  // Columns that do not fill the registers: aside, so that nothing beyond the row is touched.
  void add_part(int64_t i, int64_t j, int rows, int width, T* W) {
    const int count = (width + lanes<T> - 1) / lanes<T>;
    const size_t bytes = size_t(width) * sizeof(T);
    for (int r = 0; r < rows && !first_; r++) std::memcpy(at_.sums + r * units, W + r * columns_, bytes);
    add_terms(i, j, rows, count, at_.sums, units, !first_);
    for (int r = 0; r < rows; r++) std::memcpy(W + r * columns_, at_.sums + r * units, bytes);
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
