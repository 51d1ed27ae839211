// The functions of the shared library: plain C, for ctypes. Types are numbered: 0 float, 1 double,
// 2 bfloat16 (computed in float; plans that go forward).
#include "../generated/cpu_plans.h"
#include "engine.h"

#define SYMGRU_EXPORT extern "C" __attribute__((visibility("default")))

namespace symgru {

constexpr int plans = sizeof(all_plans<float>) / sizeof(all_plans<float>[0]);

// f of a plan and a number of the type of its tensors; the other value if the plan does not take this type.
template <class R, class F> R with_plan(int number, int type, R otherwise, const F& f) {
  const auto run = [&](const auto& plan, auto x) {
    using S = decltype(x);
    if constexpr (computed_in<S, std::decay_t<decltype(plan)>>) return takes<S>(plan) ? f(plan, x) : otherwise;
    else return otherwise;
  };
  return type == 0   ? run(*all_plans<float>[number], float())
         : type == 1 ? run(*all_plans<double>[number], double())
                     : run(*all_plans<float>[number], bfloat());
}

template <class S, class T> int64_t packed_size(const Plan<T>& plan, const Setting& setting) {
  return Panels<T, S>(plan, setting.sizes).elements * int64_t(sizeof(T) / sizeof(S));
}

template <class S, class T> void pack(const Plan<T>& plan, const Call& call, void* memory) {
  const Panels<T, S> panels(plan, call.sizes);
  for (const auto& place : panels.places)
    for (int64_t tile = 0; tile < place.tiles; tile++)
      pack_tile<T, S>(plan, call, place, tile, static_cast<T*>(memory));
}

// Of the matrices of a call: type, place, sizes, and one element of every row, in another column each time. FNV-1a, a
// number at a time; never 0.
template <class S, class T> uint64_t fingerprint(const Plan<T>& plan, const Call& call) {
  uint64_t hash = 1469598103934665603u;
  const auto add = [&hash](uint64_t number) { hash = (hash ^ number) * 1099511628211u; };
  for (const Matrix& matrix : plan.matrices) {
    const int64_t rows = call.sizes[matrix.rows], columns = call.sizes[matrix.columns];
    const S* from = static_cast<const S*>(call.arguments[matrix.source.argument]) + matrix.source.block * rows * columns;
    for (uint64_t number : {uint64_t(sizeof(S)), reinterpret_cast<uint64_t>(from), uint64_t(rows), uint64_t(columns)})
      add(number);
    for (int64_t i = 0, j = 0; i < rows; i++, j = j + 1 < columns ? j + 1 : 0) {
      uint64_t number = 0;
      std::memcpy(&number, from + i * columns + j, sizeof(S));
      add(number);
    }
  }
  return hash ? hash : 1;
}

}  // namespace symgru

using namespace symgru;

SYMGRU_EXPORT int symgru_plans() { return plans; }
SYMGRU_EXPORT const char* symgru_name(int plan) { return all_plans<float>[plan]->name; }
SYMGRU_EXPORT const char* symgru_signature(int plan) { return all_plans<float>[plan]->signature; }

// Runs a pass. 0: done; 1: out of memory; 2: this plan does not take tensors of bfloat16; 3: the matrices do not have
// the fingerprint, which is not looked at if it is 0.
SYMGRU_EXPORT int symgru_run(int plan, int type, const Setting* setting, void* const* arguments, const void* panels,
                             uint64_t expected) try {
  const Call call{*setting, arguments, panels};
  return with_plan(plan, type, 2, [&](const auto& p, auto x) {
    if (expected && fingerprint<decltype(x)>(p, call) != expected) return 3;
    execute<decltype(x)>(p, call);
    return 0;
  });
} catch (const std::bad_alloc&) {
  return 1;
}

// The matrices of a plan, packed once for many calls: how many numbers of the type, the packing, and what tells whether
// they have changed since. Read are the sizes and the matrices among the arguments. -1: this plan does not take tensors
// of bfloat16.
SYMGRU_EXPORT int64_t symgru_packed_size(int plan, int type, const Setting* setting) {
  return with_plan(plan, type, int64_t(-1),
                   [&](const auto& p, auto x) { return packed_size<decltype(x)>(p, *setting); });
}
SYMGRU_EXPORT void symgru_pack(int plan, int type, const Setting* setting, void* const* arguments, void* memory) {
  with_plan(plan, type, 0, [&](const auto& p, auto x) {
    pack<decltype(x)>(p, {*setting, arguments, nullptr}, memory);
    return 0;
  });
}
SYMGRU_EXPORT uint64_t symgru_fingerprint(int plan, int type, const Setting* setting, void* const* arguments) {
  return with_plan(plan, type, uint64_t(0), [&](const auto& p, auto x) {
    return fingerprint<decltype(x)>(p, {*setting, arguments, nullptr});
  });
}

// Frees memory that no call uses.
SYMGRU_EXPORT void symgru_release() { free_kept_memory(); }
