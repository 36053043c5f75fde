/* The reason of the last failure, one for each thread. */
#ifndef OSSC_ERROR_H_
#define OSSC_ERROR_H_

#include "ossc.h"

/* Records why a call fails and returns the status, so that failing reads `return fail(…);`. */
ossc_status fail(ossc_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* The status of a system call that failed, with the meaning of errno in the message. */
ossc_status fail_errno(ossc_status status, const char* what, const char* path);

ossc_status fail_out_of_memory(const char* what);

#endif /* OSSC_ERROR_H_ */
