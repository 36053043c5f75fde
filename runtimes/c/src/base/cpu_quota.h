/* What control groups let a process use. */
#ifndef OSSC_CPU_QUOTA_H_
#define OSSC_CPU_QUOTA_H_

#include <stdint.h>

/* CPUs that the quotas of this process's control groups pay for, rounded up: the least of the group
 * and those around it, of version 1 (controller cpu) or 2; INT32_MAX without a quota.
 *   root  what stands before the paths of /proc and of the mounts: "" but in tests */
int32_t cpu_quota(const char* root);

#endif /* OSSC_CPU_QUOTA_H_ */
