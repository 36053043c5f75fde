#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "device/clock.h"

#include <time.h>

#include "base/ticks.h"
#include "device/threads.h"

static int64_t now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

device_clock device_clock_start(void) { return (device_clock){ticks_now(), now_ns()}; }

int64_t device_clock_end(const device_clock* clock, int64_t begin_ticks, double duration_ns) {
  int64_t span_ns = now_ns() - clock->start_ns, span_ticks = ticks_now() - clock->start_ticks;
  if (duration_ns <= 0 || span_ns <= 0) return TICKS_UNTIL_THE_END;
  double ticks_per_ns = (double)span_ticks / (double)span_ns;
  return begin_ticks + (int64_t)(duration_ns * ticks_per_ns);
}
