/* A clock for short intervals: the CPU's counter, which takes a third of the time of clock_gettime
 * and runs at one rate on every core. */
#ifndef OSSC_TICKS_H_
#define OSSC_TICKS_H_

#include <stdint.h>

static inline int64_t ticks_now(void) {
#if defined(__x86_64__)
  return (int64_t)__builtin_ia32_rdtsc();
#elif defined(__aarch64__)
  int64_t ticks;
  __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
  return ticks;
#endif
}

#endif /* OSSC_TICKS_H_ */
