#include "values.h"

#include <string.h>

Watched sim_watched;

static void watch(const void* p, uint32_t bytes) {
  if (bytes > SIM_MOST_BYTES) sim_fail(SIM_NO_RESOURCES, "an access of more than %u bytes", SIM_MOST_BYTES);
  sim_watched.address = p;
  sim_watched.bytes = bytes;
  sim_watched.races = 0;
  memcpy(sim_watched.before, p, sim_watched.bytes);
}

void values_watch_progress(const void* p, uint32_t bytes) {
  if (!values_watched()) watch(p, bytes);
}

void values_watch_race(const RaceAccess* access, Mark earlier) {
  if (values_watched() && sim_watched.races) return;  // the same store, another granule
  watch(access->address, access->bytes);
  sim_watched.races = 1;
  sim_watched.thread = access->thread;
  sim_watched.earlier = earlier;
  sim_watched.kind = access->kind;
  sim_watched.site = access->site;
}

void values_settle_watched(void) {
  const int changed = memcmp(sim_watched.address, sim_watched.before, sim_watched.bytes) != 0;
  const void* address = sim_watched.address;
  sim_watched.address = NULL;
  if (changed) sim_progress();
  if (!sim_watched.races) return;
  if (!changed) {
    sim_add(SIM_COUNT_duplicate_writes, 1);
    return;
  }
  const RaceAccess access = {sim_watched.thread, NULL, address, 0, sim_watched.bytes, sim_watched.kind,
                             sim_watched.site, 0};
  races_report(&access, &sim_watched.earlier, 1);
}
