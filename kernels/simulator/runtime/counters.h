// What a launch counts. One list, from which C takes an enumeration and Python the names (`sim_counter_name`).
#ifndef SIM_COUNTERS_H
#define SIM_COUNTERS_H

#define SIM_COUNTERS(X)                                                                                    \
  X(global_loads) X(global_load_bytes) X(global_stores) X(global_store_bytes)                              \
  X(shared_loads) X(shared_load_bytes) X(shared_stores) X(shared_store_bytes)                              \
  X(atomics) X(fences) X(polls)                                                                            \
  X(copies) X(copy_bytes) X(copy_waits)                                                                    \
  X(barriers) X(warp_syncs) X(warp_operations)                                                             \
  X(shuffles) X(votes) X(ldmatrix) X(stmatrix) X(mma) X(wgmma) X(tcgen05) X(mfma) X(wmma) X(mufu)          \
  X(turns) X(switches) X(warp_conflicts) X(duplicate_writes)

enum SimCounter {
#define X(name) SIM_COUNT_##name,
  SIM_COUNTERS(X)
#undef X
  SIM_COUNTER_KINDS
};

#endif
