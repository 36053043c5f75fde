/* The reason of the last failure, one for each thread. */
#ifndef OSSC_ERROR_H_
#define OSSC_ERROR_H_

#include "ossc.h"

/* Forgets the last reason, so that one found later is that of a call since. */
void error_clear(void);

/* Records why a call fails and returns the status, so that failing reads `return fail(…);`. */
ossc_status fail(ossc_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

/* A system call on a file of the bundle failed; errno says why. */
ossc_status fail_file(const char* what, const char* path);

ossc_status fail_out_of_memory(const char* what);

#endif /* OSSC_ERROR_H_ */
