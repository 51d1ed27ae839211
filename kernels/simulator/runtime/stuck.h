// Reports on threads that do not get on: who waits where. Each ends the launch.
#ifndef SIM_STUCK_H
#define SIM_STUCK_H

#include "programs.h"

int stuck_all_poll(void);        // looked at now and then: has every program polled in vain for long?
void stuck_forget(void);         // frees what the last report has
__attribute__((noreturn)) void stuck_report(void);        // nobody can run
__attribute__((noreturn)) void stuck_report_polls(void);  // all have polled for too long
__attribute__((noreturn)) void stuck_report_lanes(const Thread* one, const Thread* other);
__attribute__((noreturn)) void stuck_report_sizes(const Thread* me, uint32_t id, uint32_t threads, uint32_t site);

#endif
