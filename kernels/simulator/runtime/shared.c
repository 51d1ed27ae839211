#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "shared.h"

#include <stddef.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static const uint64_t FIRST = 1u << 28, STEP = 1u << 26, LIMIT = 1ull << 32;

// Any place below 4 GiB will do. A kernel that does not know the flag takes the address as a wish.
static char* map_low(uint64_t bytes) {
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  for (uint64_t at = FIRST; at + bytes <= LIMIT; at += STEP) {
    void* got = mmap((void*)at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (got == (void*)at) return got;
    if (got != MAP_FAILED) munmap(got, bytes);
  }
  return NULL;
}

char* shared_memory(uint32_t programs) {
  static char* kept;
  static uint64_t size;
  const uint64_t wanted = (uint64_t)programs * SHARED_STRIDE;
  if (wanted > size) {
    if (kept) munmap(kept, size);
    kept = map_low(wanted);
    size = kept ? wanted : 0;
  }
  return kept;
}
