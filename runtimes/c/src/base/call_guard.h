/* One call at a time on a handle, and only in the process that made it. */
#ifndef OSSC_CALL_GUARD_H_
#define OSSC_CALL_GUARD_H_

#include <stdatomic.h>
#include <sys/types.h>

#include "ossc.h"

typedef struct call_guard {
  _Atomic bool busy;
  pid_t process;
} call_guard;

void call_guard_init(call_guard* guard);

/* Begins a call on a handle; what: such as "session". Each one that succeeds is ended. */
ossc_status call_guard_begin(call_guard* guard, const char* what);

/* Ends a call and returns its status, so that a guarded call reads `return call_guard_end(…)`. */
ossc_status call_guard_end(call_guard* guard, ossc_status status);

#endif /* OSSC_CALL_GUARD_H_ */
