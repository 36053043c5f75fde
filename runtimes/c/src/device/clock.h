/* Times of a device in the ticks of the host. */
#ifndef OSSC_DEVICE_CLOCK_H_
#define OSSC_DEVICE_CLOCK_H_

#include <stdint.h>

/* Both clocks of the host at one time. */
typedef struct device_clock {
  int64_t start_ticks, start_ns;
} device_clock;

device_clock device_clock_start(void);

/* When a step ended that began at begin_ticks and took so many ns; TICKS_UNTIL_THE_END where that
 * cannot be said. */
int64_t device_clock_end(const device_clock* clock, int64_t begin_ticks, double duration_ns);

#endif /* OSSC_DEVICE_CLOCK_H_ */
