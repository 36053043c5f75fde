/* What the CPUs of this machine can do at most, measured: the limits that times of kernels are
 * compared with. */
#ifndef OSSC_PROBES_H_
#define OSSC_PROBES_H_

#include "device/prober.h"

#define PROBE_MAX_BYTES ((int64_t)8 << 30)

/* Takes 0.1 to 0.3 s, longer where a buffer has to be filled first.
 *   name        "read", "read_huge", "launch", or a loop of arithmetic
 *   threads     that work together
 *   size_bytes  of the buffer that is read, in total; 0: none was given */
ossc_status probe_run(const char* name, int32_t threads, int64_t size_bytes,
                      probe_result* result_out);

#endif /* OSSC_PROBES_H_ */
