/* How probes take times: as many iterations as fill a round, and the best of some rounds. */
#ifndef OSSC_PROBE_ROUNDS_H_
#define OSSC_PROBE_ROUNDS_H_

#include "device/prober.h"

/* Runs so many iterations.  seconds_out: what they took. */
typedef ossc_status (*probe_round)(void* context, int64_t iterations, double* seconds_out);

typedef struct probe_rounds {
  int64_t iterations; /* of each round */
  double best_s, median_s;
} probe_rounds;

/* Takes 0.1 to 0.3 s, or three rounds where an iteration alone takes longer. */
ossc_status probe_rounds_time(probe_round run, void* context, probe_rounds* rounds_out);

/* The rate of something of which an iteration does `amount`, in 1e9 a second. */
probe_result probe_rounds_rate(const probe_rounds* rounds, double amount);

/* The time of an iteration, in ns. */
probe_result probe_rounds_ns(const probe_rounds* rounds);

/* The host's clock. */
double probe_now_s(void);

#endif /* OSSC_PROBE_ROUNDS_H_ */
