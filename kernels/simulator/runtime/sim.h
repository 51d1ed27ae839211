// Between translated kernels and the runtime: everything that the code of a kernel calls, and a launch.
//
// A kernel runs as one fiber per GPU thread. Nothing runs beside the current fiber, and another one gets its turn
// only inside the functions marked "may switch", so what a kernel does between two calls is atomic.
// All pointers are the host's. Shared memory of a program lies below 4 GiB at a multiple of 256 KiB, so 32-bit
// shared addresses and matrix descriptors hold.
#ifndef SIM_H
#define SIM_H

#include <stdint.h>

#include "counters.h"

#define SIM_API __attribute__((visibility("default")))

// ---- who am I
SIM_API uint32_t sim_thread(void);              // number of the thread in its program
SIM_API uint32_t sim_program(uint32_t axis);    // number of the program along axis 0, 1, 2
SIM_API uint32_t sim_programs(uint32_t axis);   // size of the grid along it
SIM_API uint32_t sim_threads(void);             // threads of a program
SIM_API uint32_t sim_lane(void);                // number of the thread in its warp
SIM_API void* sim_shared(void);                 // shared memory of this program

// ---- memory: called before the access. `site` is the index of a source line in a table that only Python has.
enum { SIM_STORE = 1, SIM_SHARED = 2, SIM_VOLATILE = 4 };                             // kind of sim_access
enum { SIM_PENDING = 128 };  // of sim_access_of_lane, with SIM_SHARED: a read that goes on until it is waited for
enum { SIM_ATOMIC_WRITES = 1, SIM_ATOMIC_SHARED = 2, SIM_ATOMIC_READS = 4 };          // kind of sim_atomic
enum { SIM_RELAXED, SIM_ACQUIRE, SIM_RELEASE, SIM_ACQUIRE_RELEASE, SIM_SEQUENTIAL };  // order
enum { SIM_CTA, SIM_CLUSTER, SIM_GPU, SIM_SYSTEM };                                   // scope

// A plain access of 1 to 64 bytes (more than 16 are aligned to 16). Volatile: may switch.
SIM_API void sim_access(const void* p, uint32_t bytes, uint32_t kind, uint32_t site);
// An atomic access. The kernel then does it with plain instructions. May switch.
SIM_API void sim_atomic(const void* p, uint32_t bytes, uint32_t order, uint32_t scope, uint32_t kind,
                        uint32_t site);
SIM_API void sim_fence(uint32_t order, uint32_t scope, uint32_t site);
SIM_API void sim_barrier_fence(uint32_t order, uint32_t site);  // one that matters to barriers alone, not to atomics
SIM_API void sim_yield(uint32_t site);          // a poll: all others get a turn first. May switch.

// ---- asynchronous copies to shared memory (cp.async): `valid` bytes of `global`, the rest is zero
SIM_API void sim_copy(void* shared, const void* global, uint32_t bytes, uint32_t valid, uint32_t site);
SIM_API void sim_copy_commit(void);             // closes a group
SIM_API void sim_copy_wait(uint32_t pending, uint32_t site);  // all groups but the newest `pending`
#define SIM_COPY_ALL 0xffffffffu                // for `pending`: also what no group has

// ---- asynchronous matrix products (wgmma): groups as of copies, and the fences before them
SIM_API void sim_proxy_fence(uint32_t site);    // fence.proxy.async
SIM_API void sim_product_fence(void);           // wgmma.fence
SIM_API void sim_product_commit(void);
SIM_API void sim_product_wait(uint32_t pending, uint32_t site);
// Registers are values in LLVM IR. Beside each that belongs to a product the translation keeps a number that says
// when it was written: by a product, or between which of them.
SIM_API uint32_t sim_product_issued(uint32_t site);  // after a product: the number of what it writes
SIM_API uint32_t sim_product_now(void);              // the number of what another instruction writes here
SIM_API void sim_product_takes(uint32_t when, uint32_t accumulates, uint32_t site);  // before a product: its operands
SIM_API void sim_product_read(uint32_t when, uint32_t site);  // before another instruction that reads them

// ---- barriers in shared memory (mbarrier), and tensor memory (tcgen05)
SIM_API void sim_mbarrier_init(const void* p, uint32_t count, uint32_t site);
SIM_API void sim_mbarrier_inval(const void* p, uint32_t site);
SIM_API void sim_mbarrier_arrive(const void* p, uint32_t count, uint32_t site);
SIM_API uint32_t sim_mbarrier_try_wait(const void* p, uint32_t parity, uint32_t site);  // may switch; 1: it has ended
SIM_API void sim_tensor_allocate(void* place, uint32_t columns, uint32_t site);  // writes the address to `place`
SIM_API void sim_tensor_release(uint32_t address, uint32_t columns, uint32_t site);
// Shape 32x32b if `second` is SIM_ONE_PLACE, else 16x32bx2: the lanes from 16 on have columns that much further.
#define SIM_ONE_PLACE 0xffffffffu
SIM_API void sim_tensor_load(uint32_t* registers, uint32_t address, uint32_t second, uint32_t columns, uint32_t site);
SIM_API void sim_tensor_store(const uint32_t* registers, uint32_t address, uint32_t second, uint32_t columns,
                              uint32_t site);
// `a` is an address in tensor memory or a descriptor; `kind`: 0 f16, 1 tf32, 2 f8f6f4, 3 i8; `adds`: d is not cleared.
SIM_API void sim_tensor_product(uint32_t d, uint64_t a, uint32_t a_in_tensor, uint64_t b, uint32_t descriptor,
                                uint32_t adds, uint32_t kind, uint32_t site);
SIM_API void sim_tensor_commit(const void* mbarrier, uint32_t site);

// ---- rendezvous. All may switch.
SIM_API void sim_barrier(uint32_t id, uint32_t threads, uint32_t site);         // bar.sync; 0 threads: all
SIM_API void sim_barrier_arrive(uint32_t id, uint32_t threads, uint32_t site);  // bar.arrive: does not wait
SIM_API void sim_waitcnt(uint32_t counts, uint32_t site);  // lgkmcnt(0) stands for the fences around the next s_barrier
SIM_API void sim_barrier_between_fences(uint32_t site);  // s_barrier: orders what fences release and acquire
// s_barrier_signal, s_barrier_wait (AMD's gfx12): the halves of the barrier of the program, whose id is -1.
SIM_API void sim_barrier_signal(uint32_t id, uint32_t site);
SIM_API void sim_barrier_wait(uint32_t id, uint32_t site);
// bar.warp.sync: orders the memory of the lanes that `members` has bits of.
SIM_API void sim_warp_sync(uint32_t members, uint32_t site);

// A collective of a warp: lanes meet, the last one runs the operation on the pointers that the lanes gave (lane by
// lane; they point to the lanes' stacks; null for a lane that does not take part) and on the program's shared memory.
// It orders no memory. Who meets: all lanes; those of a member mask (NVIDIA's .sync), which is the same for all of
// them; or the active ones (AMD): the lanes that come to this place in the same turn of its loops, as in a wave whose
// lanes go through a branch while the others wait behind it. warps.h has the rules.
typedef void (*SimWarpOperation)(void** slots, int lanes, void* shared);
SIM_API void sim_warp(SimWarpOperation operation, const char* name, void* mine, uint32_t site);
SIM_API void sim_warp_members(SimWarpOperation operation, const char* name, void* mine, uint32_t members,
                              uint32_t site);
SIM_API void sim_warp_active(SimWarpOperation operation, const char* name, void* mine, uint32_t site);
SIM_API void sim_wave_barrier(uint32_t site);   // AMD's wave.barrier: orders the memory of the active lanes
// A further turn of a loop begins, if it is taken. Loops are counted from 0, outer ones first; the sites from first to
// last are in it.
SIM_API void sim_turn(uint32_t depth, uint32_t first, uint32_t last, uint32_t taken);
// Memory of the warp for the operation of all lanes to come: in it they may put what it takes, and from it take what it
// gives.
#define SIM_ROOM 4096
SIM_API void* sim_room(void);
// Within an operation: the access counts as one of this lane (bounds, races, ...). What is stored is stored before the
// next one is announced.
SIM_API void sim_access_of_lane(uint32_t lane, const void* p, uint32_t bytes, uint32_t kind, uint32_t site);

SIM_API void sim_count(uint32_t counter, uint64_t n);  // SIM_COUNT_...
SIM_API __attribute__((noreturn)) void sim_unknown(const char* what);  // an instruction that nobody knows
SIM_API __attribute__((noreturn)) void sim_trap(const char* what, uint32_t site);  // assert, trap, misuse
// Print to this process's standard output, as CUDA's vprintf does; how many arguments were printed.
SIM_API int32_t sim_print(const char* format, const void* arguments);

// ---- a launch
typedef void (*SimEntry)(void* arguments, void* shared);

enum { SIM_UNINITIALISED = 1 };  // flags of a buffer: nothing has been written to it
typedef struct SimBuffer {
  uint64_t start, bytes;
  uint32_t flags, unused;
} SimBuffer;

enum { SIM_CHECK_BOUNDS = 1, SIM_CHECK_ALIGNMENT = 2, SIM_CHECK_UNINITIALISED = 4, SIM_CHECK_RACES = 8 };
enum { SIM_FIFO, SIM_RANDOM, SIM_PCT, SIM_STEPS };

// SIM_STEPS: a step of a warp is what its lanes do from one operation that other warps may see to the next. When all
// warps are at one, or wait, the caller chooses which of them goes on.
enum { SIM_WRITES_NOT, SIM_WRITES_IF_CHANGED, SIM_WRITES_ALWAYS };
typedef struct SimOperation {    // what a lane does next
  uint64_t address;
  uint64_t place;                // of the instruction in the translated kernel
  uint32_t bytes, warp, site, writes;
} SimOperation;
typedef struct SimChoice {
  const SimOperation* operations;  // of warps that can go on, warp by warp
  const uint32_t* meetings;        // since the last choice: warps that met at a barrier, SIM_NOBODY after each meeting
  uint32_t operation_count, meeting_words;
} SimChoice;
typedef uint32_t (*SimChoose)(const SimChoice* choice);  // gives a warp
#define SIM_STUCK 0xfffffffeu        // in place of a warp: all of them poll for ever; SIM_NOBODY ends the launch

typedef struct SimLaunch {
  SimEntry entry;
  void* arguments;
  const SimBuffer* buffers;      // sorted, disjoint
  SimChoose choose;              // of SIM_STEPS
  uint64_t seed;
  uint64_t steps;                // SIM_PCT: choices of a launch, estimated
  uint64_t patience;             // polls without progress that are a livelock
  uint32_t grid[3];
  uint32_t threads, lanes;       // of a program, of a warp
  uint32_t shared_bytes;
  uint32_t buffer_count;
  uint32_t resident;             // programs at a time; 0: all
  uint32_t schedule, depth;      // SIM_FIFO ...; depth of SIM_PCT
  uint32_t checks;
  uint32_t granule;              // of the race detector: 1, 2 or 4 bytes
  uint32_t stack_bytes;          // of a thread
  uint32_t lockstep;             // do the lanes of a warp do every instruction together? 2: in shared memory too
} SimLaunch;

enum { SIM_OK, SIM_OUT_OF_BOUNDS, SIM_MISALIGNED, SIM_UNINITIALISED_READ, SIM_DATA_RACE, SIM_DEADLOCK, SIM_LIVELOCK,
       SIM_DIVERGENCE, SIM_NOT_RESIDENT, SIM_NO_RESOURCES, SIM_UNKNOWN_INSTRUCTION, SIM_TRAPPED, SIM_NOT_CHOSEN };

#define SIM_NOBODY 0xffffffffu
typedef struct SimParty {        // a thread and what it does
  uint32_t program, thread, site;
  uint32_t kind;                 // SIM_STORE | SIM_SHARED | ...
  char what[48];                 // in words: "store", "barrier 1", "mma.sync", ...
} SimParty;

// What a thread does when nobody gets on.
enum { SIM_RUNS, SIM_POLLS, SIM_AT_BARRIER, SIM_IN_WARP, SIM_ENDED };
typedef struct SimThreadState {
  uint32_t program, thread, state, site;
  uint64_t where;                // address that is polled, or number of the barrier
  uint32_t bytes, shared;        // that are polled; in the shared memory of the program?
  uint64_t value;                // of those bytes, or the number of threads at the barrier
  char what[24];                 // the operation of the warp
} SimThreadState;

#define SIM_PARTIES 16
typedef struct SimReport {
  uint32_t problem;              // SIM_OK ...
  uint32_t parties;              // of them: who caused it, and with whom
  uint32_t buffer;               // its index, or SIM_NOBODY
  uint32_t bytes;
  uint64_t address;
  int64_t offset;                // of the address in the buffer, or in shared memory
  uint64_t waiting, started;     // threads that wait, programs that were started
  char text[256];
  const SimThreadState* states;  // if nobody gets on: of all threads of resident programs; until the next launch
  uint64_t state_count;
  SimParty party[SIM_PARTIES];
  uint64_t counters[SIM_COUNTER_KINDS];
} SimReport;

SIM_API uint32_t sim_launch(const SimLaunch* launch, SimReport* report);  // returns report->problem
SIM_API const char* sim_counter_name(uint32_t counter);                   // null after the last one

#endif
