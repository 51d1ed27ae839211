#include "products.h"

#include <stdlib.h>

#include "memory.h"
#include "races.h"

// A number of sim.h: the last event before a register was written, and whether that event wrote it.
static uint32_t number(uint32_t event, uint32_t by_product) { return event << 1 | by_product; }

static void add(Products* products, Read read) {
  if (products->count == products->room) {
    const uint32_t room = products->room ? 2 * products->room : 64;
    Read* list = realloc(products->list, room * sizeof *list);
    if (!list) sim_fail(SIM_NO_RESOURCES, "no memory for %u reads of matrix products", room);
    products->list = list;
    products->room = room;
  }
  products->list[products->count++] = read;
}

void products_read(Thread* thread, const void* shared, uint32_t bytes, uint32_t site) {
  races_issued(thread, shared, bytes, SIM_PROXY, site);
  add(&thread->products, (Read){shared, bytes, thread->products.group, 0});
}

void products_end(Thread* thread) {
  free(thread->products.list);
  thread->products = (Products){0};
}

void sim_product_commit(void) { sim_current->products.group++; }

void sim_product_wait(uint32_t pending, uint32_t site) {
  (void)site;
  Products* products = &sim_current->products;
  uint32_t kept = 0;
  for (uint32_t i = 0; i < products->count; i++) {
    const Read read = products->list[i];
    if ((uint64_t)read.group + pending >= products->group) products->list[kept++] = read;
    else if (read.shared) races_landed(sim_current, read.shared, read.bytes);
    else products->over = read.event;
  }
  products->count = kept;
}

void sim_product_fence(void) { sim_current->products.fence = ++sim_current->products.events; }

uint32_t sim_product_issued(uint32_t site) {
  (void)site;
  Products* products = &sim_current->products;
  const uint32_t event = ++products->events;
  if (sim_checks(SIM_CHECK_RACES)) add(products, (Read){NULL, 0, products->group, event});
  else products->over = event;
  return number(event, 1);
}

uint32_t sim_product_now(void) { return number(sim_current->products.events, 0); }

__attribute__((noreturn, cold)) static void refuse(const char* what, const char* text, uint32_t site) {
  sim_party(sim_current, site, 0, what);
  sim_fail(SIM_DATA_RACE, "%s", text);
}

void sim_product_takes(uint32_t when, uint32_t accumulates, uint32_t site) {
  const Products* products = &sim_current->products;
  if (!sim_checks(SIM_CHECK_RACES)) return;
  if (when & 1 && accumulates) return;  // products that add to the same registers are in order
  if (when & 1 && when >> 1 > products->over)
    refuse("matrix product", "registers are taken that are still being written: no wgmma.wait_group between", site);
  if (products->fence <= when >> 1)
    refuse("matrix product", "registers of a matrix product were written after the last wgmma.fence", site);
}

void sim_product_read(uint32_t when, uint32_t site) {
  if (!(when & 1) || when >> 1 <= sim_current->products.over) return;
  refuse("read", "a register is read that is still being written: no wgmma.wait_group between", site);
}
