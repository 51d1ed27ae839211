#include "clocks.h"

#include <stdlib.h>
#include <string.h>

#include "programs.h"

static uint32_t threads, programs;

void clocks_begin(uint32_t threads_and_agents, uint32_t all_programs) {
  threads = threads_and_agents;
  programs = all_programs;
}

static void* room(size_t bytes) {
  void* made = malloc(bytes);
  if (!made) sim_fail(SIM_NO_RESOURCES, "no memory for the race detector");
  return made;
}

// ---- one program
static Frontier* frontier_new(const uint32_t* clocks) {
  Frontier* made = room(sizeof *made + threads * sizeof *made->clock);
  made->owners = 1;
  if (clocks) memcpy(made->clock, clocks, threads * sizeof *clocks);
  else memset(made->clock, 0, threads * sizeof *made->clock);
  return made;
}

static Frontier* frontier_keep(Frontier* frontier) {
  if (frontier) frontier->owners++;
  return frontier;
}

static void frontier_drop(Frontier* frontier) {
  if (frontier && !--frontier->owners) free(frontier);
}

static int covers(const Frontier* one, const uint32_t* clocks) {
  int less = 0;
  for (uint32_t i = 0; i < threads; i++) less |= one->clock[i] < clocks[i];
  return !less;
}

static Frontier* frontier_max(Frontier* one, const uint32_t* clocks) {
  if (covers(one, clocks)) return frontier_keep(one);
  Frontier* made = frontier_new(one->clock);
  for (uint32_t i = 0; i < threads; i++)
    if (made->clock[i] < clocks[i]) made->clock[i] = clocks[i];
  return made;
}

static Frontier* frontier_join(Frontier* one, Frontier* other) {
  if (!other || one == other) return frontier_keep(one);
  if (!one || (covers(other, one->clock) && !covers(one, other->clock))) return frontier_keep(other);
  return frontier_max(one, other->clock);
}

// ---- other programs
static Foreign* foreign_copy(const Foreign* foreign) {
  Foreign* made = room(sizeof *made + programs * sizeof *made->of);
  made->owners = 1;
  for (uint32_t i = 0; i < programs; i++) made->of[i] = foreign ? frontier_keep(foreign->of[i]) : NULL;
  return made;
}

static void foreign_drop(Foreign* foreign) {
  if (!foreign || --foreign->owners) return;
  for (uint32_t i = 0; i < programs; i++) frontier_drop(foreign->of[i]);
  free(foreign);
}

// Learns of one program; `*changed` is the copy that is made at the first change.
static void learn(const Foreign* foreign, Foreign** changed, uint32_t program, Frontier* news) {
  Frontier* old = *changed ? (*changed)->of[program] : foreign ? foreign->of[program] : NULL;
  Frontier* joined = frontier_join(old, news);
  if (joined == old) {
    frontier_drop(joined);
    return;
  }
  if (!*changed) *changed = foreign_copy(foreign);
  frontier_drop((*changed)->of[program]);
  (*changed)->of[program] = joined;
}

static Foreign* foreign_keep(Foreign* foreign) {
  if (foreign) foreign->owners++;
  return foreign;
}

static Foreign* foreign_join(const Knowledge* one, const Knowledge* other) {
  Foreign* changed = NULL;
  if (other->foreign && other->foreign != one->foreign)
    for (uint32_t i = 0; i < programs; i++)
      if (i != one->program && other->foreign->of[i]) learn(one->foreign, &changed, i, other->foreign->of[i]);
  if (other->program != one->program) learn(one->foreign, &changed, other->program, other->own);
  return changed ? changed : foreign_keep(one->foreign);
}

// ---- all
static Knowledge* knowledge_new(uint32_t program, Frontier* own, Foreign* foreign, Frontier* proxied) {
  Knowledge* made = room(sizeof *made);
  *made = (Knowledge){1, program, own, foreign, proxied};
  return made;
}

static Knowledge* with_own(const Knowledge* knowledge, Frontier* own) {
  return knowledge_new(knowledge->program, own, foreign_keep(knowledge->foreign), frontier_keep(knowledge->proxied));
}

Knowledge* knowledge_nothing(uint32_t program) { return knowledge_new(program, frontier_new(NULL), NULL, NULL); }

Knowledge* knowledge_keep(Knowledge* knowledge) {
  if (knowledge) knowledge->owners++;
  return knowledge;
}

void knowledge_drop(Knowledge* knowledge) {
  if (!knowledge || --knowledge->owners) return;
  frontier_drop(knowledge->own);
  foreign_drop(knowledge->foreign);
  frontier_drop(knowledge->proxied);
  free(knowledge);
}

Knowledge* knowledge_with(const Knowledge* knowledge, uint32_t thread, uint32_t clock) {
  Frontier* own = frontier_new(knowledge->own->clock);
  own->clock[thread] = clock;
  return with_own(knowledge, own);
}

Knowledge* knowledge_with_all(const Knowledge* knowledge, const uint32_t* clocks) {
  return with_own(knowledge, frontier_max(knowledge->own, clocks));
}

Knowledge* knowledge_proxied(const Knowledge* knowledge, uint32_t thread, uint32_t clock) {
  Frontier* proxied = frontier_new(knowledge->own->clock);
  proxied->clock[thread] = clock;
  return knowledge_new(knowledge->program, frontier_keep(knowledge->own), foreign_keep(knowledge->foreign), proxied);
}

static Knowledge* replace(Knowledge* one, const Knowledge* other, Foreign* foreign) {
  Frontier* own = frontier_join(one->own, (Frontier*)knowledge_of(other, one->program));
  Frontier* proxied = frontier_join(one->proxied, other->program == one->program ? other->proxied : NULL);
  if (own == one->own && foreign == one->foreign && proxied == one->proxied) {
    frontier_drop(own);
    foreign_drop(foreign);
    frontier_drop(proxied);
    return one;
  }
  Knowledge* made = knowledge_new(one->program, own, foreign, proxied);
  knowledge_drop(one);
  return made;
}

Knowledge* knowledge_join(Knowledge* one, const Knowledge* other) {
  return one == other ? one : replace(one, other, foreign_join(one, other));
}

Knowledge* knowledge_join_own(Knowledge* one, const Knowledge* other) {
  return replace(one, other, foreign_keep(one->foreign));
}
