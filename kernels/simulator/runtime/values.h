// What a store that has been announced has changed, seen at the next call of the runtime.
#ifndef SIM_VALUES_H
#define SIM_VALUES_H

#include "races.h"

typedef struct Watched {
  const void* address;           // null: nothing is watched
  uint32_t bytes;                // 16 at most
  uint32_t races;                // with an earlier store, unless it changes nothing: both wrote the same value
  uint8_t before[16];
  Thread* thread;
  Mark earlier;
  uint32_t kind, site;
} Watched;

extern Watched sim_watched;

static inline int values_watched(void) { return sim_watched.address != 0; }
void values_watch_progress(const void* p, uint32_t bytes);
void values_watch_race(const RaceAccess* access, Mark earlier);
void values_settle(void);

#endif
