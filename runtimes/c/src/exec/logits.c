#include "exec/logits.h"

#include <math.h>

#include "base/error.h"

#define LANES 16

/* What follows goes in lanes, for which the compiler has vectors. NaN and infinity stay in a sum.
 */
static bool have_finite_sum(const float* values, size_t count) {
  float sums[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= count; i += LANES) {
    for (size_t lane = 0; lane < LANES; ++lane) sums[lane] += values[i + lane];
  }
  for (; i < count; ++i) sum += values[i];
  for (size_t lane = 0; lane < LANES; ++lane) sum += sums[lane];
  return isfinite(sum);
}

ossc_status logits_fail(void) {
  return fail(OSSC_ERROR_KERNEL,
              "The model computed logits that are not numbers: its weights are damaged, or its "
              "values are beyond float32; check the bundle with `ossc verify BUNDLE`, and its "
              "numbers with --against MODEL.");
}

ossc_status logits_check(const float* logits, size_t count) {
  if (have_finite_sum(logits, count)) return OSSC_OK;
  for (size_t i = 0; i < count; ++i) {
    if (isnan(logits[i]) || logits[i] == INFINITY) return logits_fail();
  }
  return OSSC_OK; /* a sum beyond float32, or tokens that a model rules out */
}

/* NaN is larger than nothing. */
static float largest_of(const float* values, size_t count) {
  float lanes[LANES], largest = -INFINITY;
  size_t i = 0;
  for (size_t lane = 0; lane < LANES; ++lane) lanes[lane] = -INFINITY;
  for (; i + LANES <= count; i += LANES) {
    for (size_t lane = 0; lane < LANES; ++lane) {
      lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
    }
  }
  for (; i < count; ++i) largest = values[i] > largest ? values[i] : largest;
  for (size_t lane = 0; lane < LANES; ++lane) {
    largest = lanes[lane] > largest ? lanes[lane] : largest;
  }
  return largest;
}

static bool has_value(const float values[LANES], float value) {
  int32_t has = 0;
  for (size_t lane = 0; lane < LANES; ++lane) has |= values[lane] == value;
  return has != 0;
}

int32_t logits_largest(const float* logits, size_t count) {
  float largest = largest_of(logits, count);
  if (largest == -INFINITY) return -1;
  size_t i = 0;
  while (i + LANES <= count && !has_value(logits + i, largest)) i += LANES;
  while (logits[i] != largest) ++i;
  return (int32_t)i;
}
