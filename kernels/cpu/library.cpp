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

template <class S, class T> int64_t packed_size(const Plan<T>& plan, const Call& call) {
  return Panels<T, S>(plan, call.sizes).elements * int64_t(sizeof(T) / sizeof(S));
}

template <class S, class T> void pack(const Plan<T>& plan, const Call& call, void* memory) {
  const Panels<T, S> panels(plan, call.sizes);
  for (const auto& place : panels.places)
    for (int64_t tile = 0; tile < place.tiles; tile++)
      pack_tile<T, S>(plan, call, place, tile, static_cast<T*>(memory));
}

}  // namespace symgru

using namespace symgru;

SYMGRU_EXPORT int symgru_plans() { return plans; }
SYMGRU_EXPORT const char* symgru_name(int plan) { return all_plans<float>[plan]->name; }
SYMGRU_EXPORT const char* symgru_signature(int plan) { return all_plans<float>[plan]->signature; }

// Runs a pass. 0: done; 1: out of memory; 2: this plan does not take tensors of bfloat16.
SYMGRU_EXPORT int symgru_run(int plan, int type, const Call* call) try {
  return with_plan(plan, type, 2, [&](const auto& p, auto x) {
    execute<decltype(x)>(p, *call);
    return 0;
  });
} catch (const std::bad_alloc&) {
  return 1;
}

// The matrices of a plan, packed once for many calls: how many numbers of the type, and the packing. Read are the
// sizes and the matrices among the arguments. -1: this plan does not take tensors of bfloat16.
SYMGRU_EXPORT int64_t symgru_packed_size(int plan, int type, const Call* call) {
  return with_plan(plan, type, int64_t(-1), [&](const auto& p, auto x) { return packed_size<decltype(x)>(p, *call); });
}
SYMGRU_EXPORT void symgru_pack(int plan, int type, const Call* call, void* memory) {
  with_plan(plan, type, 0, [&](const auto& p, auto x) {
    pack<decltype(x)>(p, *call, memory);
    return 0;
  });
}

// Of two matrices: where they lie, and one element of every row, in another column each time. FNV-1a, a number at a
// time.
SYMGRU_EXPORT uint64_t symgru_fingerprint(const char* left, int64_t left_rows, int64_t left_columns, const char* right,
                                          int64_t right_rows, int64_t right_columns, int type) {
  uint64_t hash = 1469598103934665603u;
  const auto add = [&hash](uint64_t number) { hash = (hash ^ number) * 1099511628211u; };
  const int64_t size = type == 0 ? 4 : type == 1 ? 8 : 2;
  const auto sample = [&](const char* matrix, int64_t rows, int64_t columns) {
    add(reinterpret_cast<uint64_t>(matrix));
    for (int64_t i = 0, j = 0; i < rows; i++, j = j + 1 < columns ? j + 1 : 0) {
      uint64_t number = 0;
      std::memcpy(&number, matrix + (i * columns + j) * size, size_t(size));
      add(number);
    }
  };
  sample(left, left_rows, left_columns);
  sample(right, right_rows, right_columns);
  return hash;
}
