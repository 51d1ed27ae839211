// Asynchronous copies: issued, in a group, landed. One may land at once or not before its wait.
#ifndef SIM_COPIES_H
#define SIM_COPIES_H

#include <stdint.h>

struct Thread;

typedef struct Copy {
  char* shared;
  const char* global;
  uint32_t bytes, valid, group, site;
  uint32_t late;                // its bytes arrive at the wait
} Copy;

typedef struct Copies {
  Copy* list;
  uint32_t count, room, group;  // group: of the next copy
} Copies;

void copies_end(struct Thread* thread);  // what has not been waited for lands

#endif
