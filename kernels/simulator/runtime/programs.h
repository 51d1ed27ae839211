// The state of a launch: threads, warps, programs.
#ifndef SIM_PROGRAMS_H
#define SIM_PROGRAMS_H

#include "copies.h"
#include "fibers.h"
#include "products.h"
#include "sim.h"

// Agents are what runs beside the threads of a program, and has clocks as they have: tcgen05's products are one.
enum { SIM_BARRIERS = 16, SIM_MOST_LANES = 64, SIM_MOST_THREADS = 1024, SIM_LOOPS = 16, SIM_AGENTS = 1 };

typedef uint32_t Clocks[SIM_MOST_THREADS + SIM_AGENTS];  // of the threads of a program, then of its agents: clocks.h

struct Knowledge;
struct Mbarriers;
struct Tensor;
struct Program;

enum Waiting { RUNS, AT_BARRIER, IN_WARP, ENDED };

typedef struct Loop {            // of which a thread has begun a further turn
  uint32_t first, last;         // its sites
  uint32_t turn;                // how many
} Loop;

typedef struct Meeting {         // of lanes, in which a thread waits
  SimWarpOperation operation;   // null: only memory is ordered
  const char* name;
  uint64_t members;             // who must come; 0: those that are active
  uint32_t site;                // to which they must come; SIM_NOBODY: to any
} Meeting;

typedef struct Thread {
  Fiber fiber;
  struct Warp* warp;
  struct Program* program;
  uint32_t number, lane;        // in its program, in its warp
  enum Waiting waiting;
  uint32_t barrier, site;       // what it waits at
  int fenced;                   // is the barrier AMD's: does it order what is handed over at fences?
  int waited;                   // has it waited for shared memory, in place of the fences around the next barrier?
  uint32_t signalled;           // the opening of the barrier that it has signalled and not waited for; 0: none
  Meeting meeting;
  uint32_t turns;               // of all loops
  // What happened before what this thread does next: see orders.h.
  uint32_t clock;
  struct Knowledge *known, *acquirable, *released, *handed, *met;
  uint32_t released_clock, released_scope, handed_clock;  // of the fence
  SimOperation next;            // that other warps may see: steps.h
  const void* polled;           // address of the last atomic, and what was there before it
  uint32_t polled_site, polled_bytes;
  uint8_t polled_value[16];
  uint64_t epoch, vain, rounds; // polls, and barriers, since the epoch began
  Copies copies;
  Products products;
  Loop loops[SIM_LOOPS];        // by depth
} Thread;

typedef struct Warp {
  uint64_t ready, waiting;      // lanes that can run; that wait or have ended
  uint64_t here;                // those of them that wait for other lanes
  uint64_t parked;              // lanes that can run when the warp is chosen: steps.h
  int64_t priority;
  uint32_t place;               // among the warps that can run
  uint32_t number;              // in the launch's slots
  uint32_t lanes, last;         // last: the lane that ran
  uint32_t operations;          // that all lanes have done together
  int mixed;                    // those that are `here` are not all in one meeting
  void* slots[SIM_MOST_LANES];  // what they gave
  Thread* threads;
} Warp;

typedef struct Barrier {
  uint32_t arrived, expected, opened;  // opened: how often
  struct Knowledge* joined;     // of those that have arrived; and their clocks
  uint32_t* clocks;
  struct Knowledge* met;        // what all knew when it opened last
} Barrier;

typedef struct Program {
  uint32_t number, coordinate[3];
  uint32_t ended;               // threads
  Thread* threads;
  Warp* warps;
  char* shared;
  uint8_t* written;             // shared memory: has this byte been written?
  struct Cell* cells;                     // shared memory: who touched this granule last?
  Barrier barriers[SIM_BARRIERS];
  struct Mbarriers* mbarriers;  // null: none yet
  struct Tensor* tensor;        // tensor memory; null: none yet
  uint32_t agent_clock[SIM_AGENTS];
} Program;

typedef struct Launch {
  SimLaunch wanted;
  SimReport* report;
  Program* programs;            // slots for the resident ones
  uint32_t slots, warps, total, started, ended;
  uint32_t* order;              // in which programs start
  char* rooms;                  // of every warp, for two operations
  Fiber main;
  uint64_t polls;               // since the last progress
  uint64_t epoch;               // begins with a progress
  uint64_t work;                // done when polls were looked at: stuck.c
} Launch;

extern Launch sim_state;
extern Thread* sim_current;

static inline void sim_add(enum SimCounter counter, uint64_t n) { sim_state.report->counters[counter] += n; }
static inline int sim_checks(uint32_t check) { return (sim_state.wanted.checks & check) != 0; }

// Ends the launch.
__attribute__((noreturn, format(printf, 2, 3))) void sim_fail(uint32_t problem, const char* text, ...);
void sim_party(const Thread* thread, uint32_t site, uint32_t kind, const char* what);  // adds one to the report
void sim_party_is(uint32_t program, uint32_t thread, uint32_t site, uint32_t kind, const char* what);

// This thread waits, and others run until somebody has made it ready.
void sim_wait(enum Waiting waiting, uint32_t site);
void sim_give_way(void);        // lets other threads run; this one can go on
void sim_leave(Thread* me);     // the same; this one is ready if the caller has said so
void sim_progress(void);        // something changed that others may wait for
void sim_poll(void);            // a poll: is it a livelock?

#endif
