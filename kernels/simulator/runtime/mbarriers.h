// Barriers in shared memory (mbarrier): phases that end when all who are expected have arrived.
#ifndef SIM_MBARRIERS_H
#define SIM_MBARRIERS_H

#include "programs.h"

enum { SIM_PRODUCTS_AGENT = 0 };  // number of the agent that does tcgen05's products, one after another

void mbarriers_end(Program* program);
// The agent has done all that it was given, and arrives in the name of the thread.
void mbarriers_arrive_agent(Thread* thread, uint32_t agent, const void* p, uint32_t site);

#endif
