#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "base/ticks.h"

#if !defined(__x86_64__) && !defined(__aarch64__)

#include <time.h>

int64_t ticks_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

#endif
