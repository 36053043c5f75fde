/* Functions that the runtime brings where a C library has none, against others of that library. */
#include <math.h>
#include <stdint.h>

#include "check.h"

float roundevenf(float x);

static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

static void check_rounding(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  float expected = nearbyintf(x), actual = roundevenf(x);
  CHECK(isnan(x) ? isnan(actual) : bits_of(actual) == bits_of(expected));
}

/* Floats of all sizes, and halves up to where there are none. */
static void roundevenf_rounds_as_nearbyintf_does_by_default(void) {
  for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 9973) check_rounding((uint32_t)bits);
  for (float half = 0.5f; half < 16777216.0f; half = half * 1.01f + 1) {
    check_rounding(bits_of(floorf(half) + 0.5f));
    check_rounding(bits_of(-floorf(half) - 0.5f));
  }
}

int main(void) {
  roundevenf_rounds_as_nearbyintf_does_by_default();
  return 0;
}
