// The functions of the shared library: plain C, for ctypes. Types are numbered: 0 float, 1 double.
#include "../generated/cpu_plans.h"
#include "engine.h"

#define SYMGRU_EXPORT extern "C" __attribute__((visibility("default")))

namespace symgru {

constexpr int plans = sizeof(all_plans<float>) / sizeof(all_plans<float>[0]);

template <class T> void pack(const Plan<T>& plan, const Call& call, T* memory) {
  const Panels<T> panels(plan, call.sizes);
  for (const auto& place : panels.places)
    for (int64_t tile = 0; tile < place.tiles; tile++) pack_tile(plan, call, place, tile, memory);
}

}  // namespace symgru

using namespace symgru;

SYMGRU_EXPORT int symgru_plans() { return plans; }
SYMGRU_EXPORT const char* symgru_name(int plan) { return all_plans<float>[plan]->name; }
SYMGRU_EXPORT const char* symgru_signature(int plan) { return all_plans<float>[plan]->signature; }

// Runs a pass. 0: done; 1: out of memory.
SYMGRU_EXPORT int symgru_run(int plan, int type, const Call* call) try {
  if (type == 0) execute(*all_plans<float>[plan], *call);
  else execute(*all_plans<double>[plan], *call);
  return 0;
} catch (const std::bad_alloc&) {
  return 1;
}

// The matrices of a plan, packed once for many calls: how many numbers, and the packing. Read are the sizes and the
// matrices among the arguments.
SYMGRU_EXPORT int64_t symgru_packed_size(int plan, int type, const Call* call) {
  return type == 0 ? Panels<float>(*all_plans<float>[plan], call->sizes).elements
                   : Panels<double>(*all_plans<double>[plan], call->sizes).elements;
}
SYMGRU_EXPORT void symgru_pack(int plan, int type, const Call* call, void* memory) {
  if (type == 0) pack(*all_plans<float>[plan], *call, static_cast<float*>(memory));
  else pack(*all_plans<double>[plan], *call, static_cast<double*>(memory));
}
