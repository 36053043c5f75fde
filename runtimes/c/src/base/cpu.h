/* What this machine is. */
#ifndef OSSC_CPU_H_
#define OSSC_CPU_H_

#include "base/json.h"

/* CPUs that this process may use: those of its affinity mask, and no more than the quotas of its
 * control groups pay for. At least 1. */
int32_t cpu_count(void);

/* Whether the CPU has a feature, in the names of /proc/cpuinfo; false for one that is not known
 * here. */
bool cpu_has(const char* name);

/* Refuses a machine of another architecture, or without one of the features.
 * features: an array of texts, in the names of /proc/cpuinfo. */
ossc_status cpu_check(const char* arch, const json_value* features);

#endif /* OSSC_CPU_H_ */
