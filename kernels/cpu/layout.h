// Sizes and places: what becomes of the tables of a plan for the sizes of a call.
#pragma once

#include <vector>

#include "bfloat.h"

namespace symgru {

inline int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Whether a product reads a value.
template <class T> bool multiplied(const Plan<T>& plan, Value value) {
  for (const auto* stages : {&plan.before, &plan.inside, &plan.after})
    for (const Stage<T>& stage : *stages)
      for (const Group& group : stage.groups)
        for (const Run& run : group.runs)
          if (run.operand.place == value.place && run.operand.index == value.index) return true;
  return false;
}

// The rows of a table of items: where each item lies, and how far apart rows are. Of an item that products read, a
// copy in the type S of the tensors lies in the same row, if S is not the type T of the items.
struct Record {
  std::vector<int64_t> offsets, copies;  // in elements of T, of S; -1: there is none
  int64_t ld = 0;                        // in elements of T

  template <class T, class S>
  static Record of(const Plan<T>& plan, Place place, const List<int8_t>& axes, const int64_t* sizes) {
    Record record;
    for (int8_t axis : axes) record.offsets.push_back(record.ld), record.ld += sizes[axis];
    record.ld = round_up(record.ld, 16) + 16;  // room to read a register beyond the last item; no multiple of a page
    if constexpr (!std::is_same_v<S, T>)
      for (int i = 0; i < axes.size; i++) {
        const bool copied = multiplied(plan, {place, int16_t(i)});
        record.copies.push_back(copied ? record.ld * int64_t(sizeof(T) / sizeof(S)) : -1);
        if (copied) record.ld += round_up(sizes[axes[i]], 16);
      }
    return record;
  }
};

// How the products of a stage are cut into tiles.
template <class T> struct Tiling {
  int vectors = 1;  // registers for each target
  int rows = 16;
  int64_t sums = 0;  // elements of all sums of a tile
  explicit Tiling(const Stage<T>& stage) {
    int targets = 0, all = 0;
    for (const Group& group : stage.groups) targets = group.targets > targets ? group.targets : targets, all += group.targets;
    if (targets == 0) return;
    if (targets == 1) vectors = 2;
    rows = most_rows(targets * vectors);
    sums = int64_t(all) * vectors * lanes<T> * rows;
  }
  int64_t units() const { return vectors * lanes<T>; }

  // For the sums of a tile, and for its sequences if those have another type.
  template <class S> int64_t elements(const Stage<T>& stage) const {
    int64_t sequences = 0;
    for (const List<Value>* values : {&stage.reads, &stage.writes})
      for (Value value : *values) sequences += !std::is_same_v<S, T> && value.place == Place::sequence;
    return sums + sequences * units() * rows;
  }
};

// Rows of the panels of a group.
template <class S> int64_t terms_of(const Group& group, const int64_t* sizes) {
  int64_t terms = 0;
  for (const Run& run : group.runs) terms += panel_rows<S>(run.blocks * sizes[run.axis]);
  return terms;
}

// Where the panels of every group lie. Groups are numbered over all stages: before, inside, after.
template <class T, class S = T> struct Panels {
  struct Place {
    const Group* group;
    int64_t offset, tiles, terms, units, columns;
    int64_t width() const { return group->targets * units; }
  };
  std::vector<Place> places;
  int64_t elements = 0;

  Panels(const Plan<T>& plan, const int64_t* sizes) {
    for (const auto* stages : {&plan.before, &plan.inside, &plan.after})
      for (const Stage<T>& stage : *stages)
        for (const Group& group : stage.groups) {
          const int64_t units = Tiling<T>(stage).units(), columns = sizes[stage.axis];
          Place place{&group, elements, round_up(columns, units) / units, terms_of<S>(group, sizes), units, columns};
          elements += place.tiles * place.terms * place.width();
          places.push_back(place);
        }
  }

  const T* panel(const T* panels, const Place& place, int64_t tile) const {
    return panels + place.offset + tile * place.terms * place.width();
  }
};

template <class S, class T> const S* matrix_of(const Plan<T>& plan, const Call& call, int16_t index) {
  const Matrix& matrix = plan.matrices[index];
  const S* p = static_cast<const S*>(call.arguments[matrix.source.argument]);
  return p + matrix.source.block * call.sizes[matrix.rows] * call.sizes[matrix.columns];
}

// Packs one tile of a group.
template <class T, class S>
void pack_tile(const Plan<T>& plan, const Call& call, const typename Panels<T, S>::Place& place, int64_t tile,
               T* memory) {
  T* panel = memory + place.offset + tile * place.terms * place.width();
  const int64_t n0 = tile * place.units, left = place.columns - n0;
  const int count = int(left < place.units ? left : place.units);
  for (const Run& run : place.group->runs)
    for (int b = 0; b < run.blocks; b++) {
      const int64_t terms = call.sizes[run.axis];
      for (int g = 0; g < place.group->targets; g++) {
        const S* W = matrix_of<S>(plan, call, run.matrices[b * place.group->targets + g]);
        T* to = panel + g * place.units;
        if constexpr (std::is_same_v<S, T>)
          if (run.transposed) {
            pack_columns(W, terms, place.columns, n0, count, int(place.units), to, place.width());
            continue;
          }
        pack_rows(W, terms, n0, count, int(place.units), to, place.width());
      }
      panel += panel_rows<S>(terms) * place.width();
    }
}

}  // namespace symgru
