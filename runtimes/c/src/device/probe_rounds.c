#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "device/probe_rounds.h"

#include <stdlib.h>
#include <time.h>

#define ROUNDS 9
#define MIN_ROUNDS 3
#define ROUND_S 0.015
#define ALL_ROUNDS_S 0.4
#define SLOW_ROUND_S 0.03 /* by the host, where a device works for a small part of it */
#define MAX_ITERATIONS ((int64_t)1 << 30)

double probe_now_s(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare(const void* a, const void* b) {
  double x = *(const double*)a, y = *(const double*)b;
  return (x > y) - (x < y);
}

/* How many iterations fill a round, by the probe's clock or by the host's. */
static ossc_status find_iterations(probe_round run, void* context, int64_t* iterations_out) {
  double seconds = 0;
  ossc_status status = OSSC_OK;
  for (int64_t i = 1; status == OSSC_OK; i *= 2) {
    double start = probe_now_s();
    status = run(context, i, &seconds);
    *iterations_out = i;
    bool slow = probe_now_s() - start >= SLOW_ROUND_S;
    if (seconds >= ROUND_S / 2 || slow || i >= MAX_ITERATIONS) break;
  }
  return status;
}

ossc_status probe_rounds_time(probe_round run, void* context, probe_rounds* rounds_out) {
  double seconds[ROUNDS];
  int count = 0;
  ossc_status status = find_iterations(run, context, &rounds_out->iterations);
  double end = probe_now_s() + ALL_ROUNDS_S;
  while (status == OSSC_OK && count < ROUNDS && (count < MIN_ROUNDS || probe_now_s() < end)) {
    status = run(context, rounds_out->iterations, &seconds[count++]);
  }
  if (status != OSSC_OK) return status;
  qsort(seconds, (size_t)count, sizeof(double), compare);
  rounds_out->best_s = seconds[0];
  rounds_out->median_s = seconds[count / 2];
  return OSSC_OK;
}

static double spread(const probe_rounds* rounds) { return rounds->median_s / rounds->best_s - 1; }

probe_result probe_rounds_rate(const probe_rounds* rounds, double amount) {
  double all = amount * (double)rounds->iterations;
  return (probe_result){1e-9 * all / rounds->best_s, spread(rounds)};
}

probe_result probe_rounds_ns(const probe_rounds* rounds) {
  return (probe_result){1e9 * rounds->best_s / (double)rounds->iterations, spread(rounds)};
}
