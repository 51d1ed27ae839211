// Asynchronous matrix products (wgmma): what they read of shared memory, and their registers, until they are waited for.
#ifndef SIM_PRODUCTS_H
#define SIM_PRODUCTS_H

#include <stdint.h>

struct Thread;

typedef struct Read {
  const void* shared;            // null: the end of a product
  uint32_t bytes, group, event;
} Read;

typedef struct Products {
  Read* list;
  uint32_t count, room, group;   // group: of the next product
  // Products and their fences are events, numbered from 1: the last one, the last fence, the last product that is
  // over.
  uint32_t events, fence, over;
} Products;

void products_read(struct Thread* thread, const void* shared, uint32_t bytes, uint32_t site);  // of the next product
void products_end(struct Thread* thread);

#endif
