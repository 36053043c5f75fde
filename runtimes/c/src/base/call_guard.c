#include "base/call_guard.h"

#include <unistd.h>

#include "base/error.h"

void call_guard_init(call_guard* guard) {
  atomic_init(&guard->busy, false);
  guard->process = getpid();
}

ossc_status call_guard_begin(call_guard* guard, const char* what) {
  if (guard->process != getpid()) {
    return fail(OSSC_ERROR_ARGUMENT,
                "The %s was made before this process was forked, and its threads stayed behind; "
                "open another one here.",
                what);
  }
  if (atomic_exchange_explicit(&guard->busy, true, memory_order_acquire)) {
    return fail(OSSC_ERROR_BUSY,
                "Another call runs on this %s; wait for it, or give each thread a %s of its own.",
                what, what);
  }
  return OSSC_OK;
}

ossc_status call_guard_end(call_guard* guard, ossc_status status) {
  atomic_store_explicit(&guard->busy, false, memory_order_release);
  return status;
}
