// Runs a pass: a plan, for the tensors of a call.
//
// Time is cut into chunks of some hundred rows, and a step of more rows into several of them, so that all a chunk hands
// from one phase to the next stays in the cache. For each chunk: copy sequences into the record; `before` on all its rows; `inside`, step by step; `after` on
// all its rows, and the sums over rows, which are weight and bias gradients.
//
// Threads share the rows of a step (each then runs through the chunk alone) or, where rows are few or matrices large,
// its units (then all meet at every step). Who computes an element makes no difference to its value.
#pragma once

#include <algorithm>

#include "scratch.h"
#include "stage.h"

namespace symgru {

constexpr int64_t rows_of_chunk = 128;
constexpr double operations_worth_a_team = 2e6;

// What all threads of a call share.
template <class T, class S> struct Execution {
  const Plan<T>& plan;
  const Call& call;
  const int64_t rows, chunk_rows;
  const Record record, step_record;
  const Panels<T, S> panels;
  const int members;
  Barrier barrier;
  std::vector<Record> carried_records;
  int64_t elements = 0, chunk, step, carried, parameters, packed, sums, sums_of_one;
  T* memory = nullptr;

  Execution(const Plan<T>& plan_, const Call& call_)
      : plan(plan_),
        call(call_),
        rows(call.offsets[call.steps]),
        chunk_rows(rows < rows_of_chunk ? rows : rows_of_chunk),
        record(Record::of<T, S>(plan, Place::record, plan.record, call.sizes)),
        step_record(Record::of<T, S>(plan, Place::step, plan.step, call.sizes)),
        panels(plan, call.sizes),
        members(operations() < operations_worth_a_team || call.threads < 1 ? 1 : int(call.threads)) {
    int64_t of_carried = 0, of_parameters = 0, of_sums = OuterSums;
    for (const Carried& c : plan.carried) {
      const int8_t axis[] = {c.axis};
      carried_records.push_back(Record::of<T, S>(plan, Place::entering, axis, call.sizes));
      of_carried += 2 * call.batch * carried_records.back().ld;
    }
    for (const Parameter& p : plan.parameters) of_parameters += round_up(call.sizes[p.axis], 16);
    for (const auto* stages : {&plan.before, &plan.inside, &plan.after})
      for (const Stage<T>& stage : *stages)
        of_sums = std::max(of_sums, Tiling<T>(stage).template elements<S>(stage));
    chunk = take(chunk_rows * record.ld), step = take(call.batch * step_record.ld);
    carried = take(of_carried), parameters = take(of_parameters + 16);
    packed = take(call.panels ? 0 : panels.elements);
    sums_of_one = round_up(of_sums, 16) + 16, sums = take(sums_of_one * members);
  }

 private:
  static constexpr int64_t OuterSums = OuterRunner<T>::tile_rows * OuterRunner<T>::units;

  int64_t take(int64_t n) {
    const int64_t at = elements;
    elements += round_up(n, 16);
    return at;
  }

  double operations() const {
    double terms = 0;
    for (const auto& place : panels.places) terms += double(place.terms) * double(place.columns * place.group->targets);
    for (const Outer& o : plan.outers) terms += double(call.sizes[o.rows]) * double(call.sizes[o.columns]) * o.terms.size;
    return 2 * terms * double(rows);
  }
};

// One thread of a call.
template <class T, class S> class Member {
 public:
  Member(Execution<T, S>& all, int id, int members)
      : all_(all), plan_(all.plan), call_(all.call), id_(id), members_(members), down_(plan_.reverse != (call_.reverse != 0)),
        at_{all.plan, all.call, all.record, all.step_record, all.panels, nullptr, call_.panels == nullptr,
            all.memory + all.chunk, all.memory + all.step, all.memory + all.sums + all.sums_of_one * id, {}, {}, {},
            all.carried_records} {
    T* p = all.memory + all.carried;
    for (const Record& row : all.carried_records) {
      at_.entering.push_back(p), at_.leaving.push_back(p + call_.batch * row.ld);
      p += 2 * call_.batch * row.ld;
    }
    p = all.memory + all.parameters;
    for (const Parameter& parameter : plan_.parameters) at_.parameters.push_back(p), p += round_up(size(parameter.axis), 16);
    at_.packed = call_.panels ? static_cast<const T*>(call_.panels) : all.memory + all.packed;
    inside_.reserve(plan_.inside.size);
    for (const Stage<T>& stage : plan_.inside) inside_.emplace_back(stage, at_);
    choose_split();
  }
  Member(const Member&) = delete;

  void run() {
    prepare();  // read after the first barrier
    bool first = true;
    for (int64_t done = 0; done < call_.steps;) {  // in the order of the pass
      int64_t end = done + 1;
      while (end < call_.steps && rows_of_steps(done, end + 1) <= all_.chunk_rows) end++;
      const int64_t t0 = down_ ? call_.steps - end : done, rows = rows_of_steps(done, end);
      const int64_t blocks = rows <= all_.chunk_rows ? 1 : (rows + all_.chunk_rows - 1) / all_.chunk_rows;
      for (int64_t k = 0; k < blocks; k++) {
        block_ = blocks == 1 ? Share{0, call_.batch} : in_stripes(rows, 16, k, blocks);
        at_.first_row = call_.offsets[t0] + block_.first, at_.rows = blocks == 1 ? rows : block_.last - block_.first;
        for (const Copy& c : plan_.copies) copy(c, t0, t0 + end - done);
        wait();
        for (const Stage<T>& stage : plan_.before) on_chunk(stage);
        if (plan_.before.size > 0) wait();
        for (int64_t i = done; i < end; i++) {
          step(down_ ? call_.steps - 1 - i : i);
          if (blocks == 1) finish(down_ ? call_.steps - 1 - i : i);
        }
        wait();
        for (const Stage<T>& stage : plan_.after) on_chunk(stage);
        if constexpr (std::is_same_v<S, T>) {
          for (const Outer& outer : plan_.outers) add(outer, first);
          for (const Sum& sum : plan_.sums) add(sum, first);
        }
        wait();
        first = false;
      }
      if (blocks > 1) finish(t0);
      done = end;
    }
  }

 private:
  int64_t size(int axis) const { return call_.sizes[axis]; }
  int64_t rows_at(int64_t t) const { return t < 0 || t >= call_.steps ? 0 : call_.offsets[t + 1] - call_.offsets[t]; }

  // Steps number done ... end - 1 in the order of the pass.
  int64_t rows_of_steps(int64_t done, int64_t end) const {
    const int64_t n = call_.steps;
    return down_ ? call_.offsets[n - done] - call_.offsets[n - end] : call_.offsets[end] - call_.offsets[done];
  }

  // --- beforehand: biases, first values, panels

  void prepare() {
    if (id_ == 0)
      for (int i = 0; i < plan_.parameters.size; i++) add_sources(plan_.parameters[i], at_.parameters[i]);
    for (int c = 0; c < plan_.carried.size; c++) {
      const int64_t n = size(plan_.carried[c].axis);
      const S* initial = at_.argument(plan_.carried[c].initial);
      const Share rows = share(call_.batch, id_, members_);
      for (Place place : {Place::entering, Place::leaving})
        for (int64_t b = rows.first; b < rows.last; b++)
          fill({place, int16_t(c)}, b, initial ? initial + b * n : nullptr, {0, n});
    }
    if (!at_.packed_by_call) return;
    int64_t number = 0;
    for (const auto& place : all_.panels.places)
      for (int64_t tile = 0; tile < place.tiles; tile++) {
        if (at_.read_in_place(*place.group, (tile + 1) * place.units <= place.columns)) continue;
        if (number++ % members_ == id_) pack_tile<T, S>(plan_, call_, place, tile, all_.memory + all_.packed);
      }
  }

  // Some columns of row `row` of a value from a row of a tensor, or zero.
  void fill(Value value, int64_t row, const S* from, Share columns) const {
    const int64_t j = columns.first, n = columns.last - j;
    const View<T> to = at_.view(value, 0);
    if (from) convert(to.p + row * to.ld + j, from + j, n);
    else std::memset(to.p + row * to.ld + j, 0, size_t(n) * sizeof(T));
    if constexpr (!std::is_same_v<S, T>) {
      const View<S> copy = at_.stored(value, 0);
      if (copy.p && from) convert(copy.p + row * copy.ld + j, from + j, n);
      else if (copy.p) std::memset(copy.p + row * copy.ld + j, 0, size_t(n) * sizeof(S));
    }
  }

  void add_sources(const Parameter& parameter, T* to) const {
    const int64_t n = size(parameter.axis);
    std::memset(to, 0, size_t(round_up(n, 16)) * sizeof(T));
    for (const Source& source : parameter.sources)
      if (const S* from = at_.argument(source.argument))
        for (int64_t j = 0; j < n; j++) to[j] += from[source.block * n + j];
  }

  // --- a chunk

  void copy(const Copy& c, int64_t t0, int64_t t1) const {
    const Sequence& sequence = plan_.sequences[c.sequence];
    const int64_t n = size(sequence.axis);
    const S* from = at_.base(sequence);
    const S* initial = c.initial < 0 ? nullptr : at_.argument(c.initial);
    for (int64_t t = t0; t < t1; t++) {
      const int64_t source = c.initial < 0 ? t : call_.reverse ? t + 1 : t - 1;
      const int64_t there = rows_at(source);
      const Share all = in_block(t), part = share(all.last - all.first, id_, members_);
      const Share rows = {all.first + part.first, all.first + part.last};
      for (int64_t b = rows.first; b < rows.last; b++) {
        const S* row = b < there ? from + (call_.offsets[source] + b) * n : initial ? initial + b * n : nullptr;
        if (c.initial >= 0 && begins(call_.reverse ? t + 1 : t, b)) row = nullptr;
        fill({Place::record, c.item}, call_.offsets[t] - at_.first_row + b, row, {0, n});
      }
    }
  }

  void on_chunk(const Stage<T>& stage) {
    if (!wanted(stage)) return;
    StageRunner<T, S> runner(stage, at_);
    runner.start(0);
    if (at_.rows >= members_ * 16) {
      runner.run(share(at_.rows, id_, members_), {0, size(stage.axis)});
    } else {
      runner.run({0, at_.rows}, own_units(size(stage.axis)));
      wait();
    }
  }

  // Whether the caller takes anything of what it writes.
  bool wanted(const Stage<T>& stage) const {
    for (Value value : stage.writes)
      if (value.place != Place::sequence || at_.base(plan_.sequences[value.index])) return true;
    return false;
  }

  // Whether a sequence of example b begins at step t, so that the boundary before the step is cut: nothing is carried
  // over it, in neither direction. At step 0 of a layer against time there is no boundary: there it ends.
  bool begins(int64_t t, int64_t b) const {
    return call_.resets && b < rows_at(t) && (t > 0 || !call_.reverse) && call_.resets[call_.offsets[t] + b];
  }

  // What is carried over the boundary before step t is zero where a sequence begins.
  void cut(int64_t t, Share among) const {
    bool any = false;
    for (int64_t b = among.first; call_.resets && b < among.last && !any; b++) any = begins(t, b);
    if (!any) return;
    for (int c = 0; c < plan_.carried.size; c++) {
      const int64_t n = size(plan_.carried[c].axis);
      if (by_units_) cut(c, t, among, own_units(n));
      else own_rows(among, [&](Share rows) { cut(c, t, rows, {0, n}); });
    }
    if (by_units_) wait();
  }

  void cut(int c, int64_t t, Share rows, Share columns) const {
    for (int64_t b = rows.first; columns.first < columns.last && b < rows.last; b++)
      if (begins(t, b)) fill({Place::entering, int16_t(c)}, b, nullptr, columns);
  }

  // Of step t the rows of the block.
  Share in_block(int64_t t) const { return {block_.first, block_.last < rows_at(t) ? block_.last : rows_at(t)}; }

  void step(int64_t t) {
    const int64_t row = call_.offsets[t] - at_.first_row;
    const Share block = in_block(t);
    if (!down_) cut(t, block);
    for (int i = 0; i < plan_.inside.size; i++) {
      const Stage<T>& stage = plan_.inside[i];
      inside_[i].start(row);
      if (by_units_) {
        inside_[i].run(block, own_units(size(stage.axis)));
        if (stage.publishes) wait();
      } else {
        own_rows(block, [&](Share rows) { inside_[i].run(rows, {0, size(stage.axis)}); });
      }
    }
  }

  // After all rows of step t: what left enters the next one, or is the last.
  void finish(int64_t t) {
    const int64_t count = rows_at(t), staying = rows_at(down_ ? t - 1 : t + 1);
    std::swap(at_.entering, at_.leaving);
    if (down_) cut(t, {0, count});
    for (int c = 0; c < plan_.carried.size && staying < count; c++) {
      const int64_t n = size(plan_.carried[c].axis);
      if (by_units_) keep_last(c, {staying, count}, own_units(n));
      else own_rows({0, count}, [&](Share rows) {
          keep_last(c, {rows.first < staying ? staying : rows.first, rows.last}, {0, n});
        });
    }
  }

  void keep_last(int c, Share rows, Share columns) const {
    S* last = at_.argument(plan_.carried[c].last);
    const int64_t n = size(plan_.carried[c].axis), width = columns.last - columns.first;
    for (int64_t b = rows.first; last && width > 0 && b < rows.last; b++)
      convert(last + b * n + columns.first, at_.entering[c] + b * at_.carried[c].ld + columns.first, width);
  }

  void add(const Outer& outer, bool first) const {
    if (!call_.arguments[outer.target.argument]) return;
    constexpr int rows = OuterRunner<T>::tile_rows;
    const Share own = share(round_up(size(outer.rows), rows) / rows, id_, members_);
    OuterRunner<T> runner(outer, at_, first);
    for (int64_t i = own.first; i < own.last; i++) runner.run(i * rows);
  }

  void add(const Sum& sum, bool first) const {
    const Share own = share(round_up(size(sum.axis), lanes<T>) / lanes<T>, id_, members_);
    for (int64_t i = own.first; i < own.last; i++) add_rows(sum, at_, first, i * lanes<T>);
  }

  // --- who does what

  // By units if rows are few, or if the matrices fill the caches and there are too few rows to pay for reading them.
  void choose_split() {
    int64_t elements = 0;
    for (const Stage<T>& stage : plan_.inside) {
      if (stage.groups.size > 0 && Tiling<T>(stage).rows > stripe_) stripe_ = Tiling<T>(stage).rows;
      for (const Group& group : stage.groups) elements += terms_of<S>(group, call_.sizes) * group.targets * size(stage.axis);
    }
    by_units_ = members_ > 1 && (call_.batch < 4 * members_ ||
                                 (elements * int64_t(sizeof(T)) > 900000 && call_.batch < 16 * members_));
    for (int64_t t = 0; t < call_.steps; t++) even_ = even_ && rows_at(t) == call_.batch;
  }

  Share own_units(int64_t columns) const {
    return in_stripes(columns, 2 * lanes<T>, id_, members_);  // a multiple of every tile
  }

  // Rows of a block belong to a member for the whole pass, in stripes: neighbouring ones or, if sequences end at
  // different steps, taken in turn, so that all have work to the end.
  template <class F> void own_rows(Share block, const F& f) const {
    if (members_ == 1) return f(block);
    const int64_t first = block.first, count = block.last - first;
    if (even_) {
      const Share s = in_stripes(count, stripe_, id_, members_);
      return f(Share{first + s.first, first + s.last});
    }
    for (int64_t b = id_ * stripe_; b < count; b += members_ * stripe_)
      f(Share{first + b, first + (b + stripe_ < count ? b + stripe_ : count)});
  }

  void wait() const { all_.barrier.wait(members_); }

  Execution<T, S>& all_;
  const Plan<T>& plan_;
  const Call& call_;
  const int id_, members_;
  const bool down_;
  Workplace<T, S> at_;
  std::vector<StageRunner<T, S>> inside_;
  bool by_units_ = false, even_ = true;
  int64_t stripe_ = 1;
  Share block_ = {0, 0};  // rows of a step; more than there are where a chunk has whole steps
};

template <class S, class T> void execute(const Plan<T>& plan, const Call& call) {
  Execution<T, S> all(plan, call);
  const Memory<T> memory(all.elements);
  all.memory = memory.get();
  run_team(all.members, [&all](int id, int members) { Member<T, S>(all, id, members).run(); });
}

}  // namespace symgru
