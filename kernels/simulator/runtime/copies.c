#include "copies.h"

#include <stdlib.h>
#include <string.h>

#include "memory.h"
#include "races.h"
#include "schedules.h"

static void arrive(const Copy* copy) {
  memcpy(copy->shared, copy->global, copy->valid);
  memset(copy->shared + copy->valid, 0, copy->bytes - copy->valid);
}

static void land(Thread* thread, const Copy* copy) {
  if (copy->late) arrive(copy);
  memory_written(thread, copy->shared, copy->bytes);
  if (sim_checks(SIM_CHECK_RACES)) races_landed(thread, copy->shared, copy->bytes);
}

static Copy* one_more(Copies* copies) {
  if (copies->count == copies->room) {
    const uint32_t room = copies->room ? 2 * copies->room : 16;
    Copy* list = realloc(copies->list, room * sizeof *list);
    if (!list) sim_fail(SIM_NO_RESOURCES, "no memory for %u asynchronous copies", room);
    copies->list = list;
    copies->room = room;
  }
  return &copies->list[copies->count++];
}

static void wait(Copies* copies, uint32_t pending) {
  uint32_t kept = 0;
  for (uint32_t i = 0; i < copies->count; i++) {
    const Copy copy = copies->list[i];
    if (pending == SIM_COPY_ALL || (uint64_t)copy.group + pending < copies->group) land(sim_current, &copy);
    else copies->list[kept++] = copy;
  }
  copies->count = kept;
}

void sim_copy(void* shared, const void* global, uint32_t bytes, uint32_t valid, uint32_t site) {
  Thread* thread = sim_current;
  if (valid > bytes) valid = bytes;
  sim_add(SIM_COUNT_copies, 1);
  sim_add(SIM_COUNT_copy_bytes, bytes);
  if (valid) memory_check(thread, global, valid, 0, site, "asynchronous copy from");
  memory_check(thread, shared, bytes, SIM_STORE | SIM_SHARED | SIM_ASYNCHRONOUS, site, "asynchronous copy to");
  memory_forgotten(thread, shared, bytes);
  if (sim_checks(SIM_CHECK_RACES)) races_issued(thread, shared, bytes, SIM_STORE, site);
  Copy* copy = one_more(&thread->copies);
  *copy = (Copy){shared, global, bytes, valid, thread->copies.group, site, 0};
  copy->late = (uint32_t)schedule_copy_lands_late();
  if (!copy->late) arrive(copy);
}

void sim_copy_commit(void) { sim_current->copies.group++; }

void sim_copy_wait(uint32_t pending, uint32_t site) {
  (void)site;
  sim_add(SIM_COUNT_copy_waits, 1);
  wait(&sim_current->copies, pending);
}

void copies_end(Thread* thread) {
  for (uint32_t i = 0; i < thread->copies.count; i++)
    if (thread->copies.list[i].late) arrive(&thread->copies.list[i]);
  free(thread->copies.list);
  thread->copies = (Copies){0};
}
