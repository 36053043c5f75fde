/* A clock for short intervals: the CPU's counter, which takes a third of the time of clock_gettime
 * and runs at one rate on every core; that, where a program may not read the counter. */
#ifndef OSSC_TICKS_H_
#define OSSC_TICKS_H_

#include <stdint.h>

#if defined(__x86_64__)

static inline int64_t ticks_now(void) { return (int64_t)__builtin_ia32_rdtsc(); }

#elif defined(__aarch64__)

static inline int64_t ticks_now(void) {
  int64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
}

#else

int64_t ticks_now(void);

#endif

#endif /* OSSC_TICKS_H_ */
