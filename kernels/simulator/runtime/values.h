// What a store that has been announced has changed, seen at the next call of the runtime.
#ifndef SIM_VALUES_H
#define SIM_VALUES_H

#include "races.h"

enum { SIM_MOST_BYTES = 64 };    // of an access

typedef struct Watched {
  const void* address;           // null: nothing is watched
  uint32_t bytes;
  uint32_t races;                // with an earlier store, unless it changes nothing: both wrote the same value
  uint8_t before[SIM_MOST_BYTES];
  Thread* thread;
  Mark earlier;
  uint32_t kind, site;
} Watched;

extern Watched sim_watched;

static inline int values_watched(void) { return sim_watched.address != 0; }
void values_watch_progress(const void* p, uint32_t bytes);
void values_watch_race(const RaceAccess* access, Mark earlier);
void values_settle_watched(void);
static inline void values_settle(void) {
  if (values_watched()) values_settle_watched();
}

#endif
