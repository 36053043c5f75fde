/* Functions that LLVM calls in kernels for 32-bit Arm, where the CPU has no instruction for them and
 * the C libraries of bundles have no function: musl and glibc before 2.25 lack roundevenf, and zig's
 * compiler-rt has __floatdisf under its EABI name alone. */
#include <stdint.h>

#if defined(__arm__)

/* From here on float32 has whole numbers only. */
#define NO_FRACTIONS 8388608.0f

float roundevenf(float x);
float __floatdisf(int64_t x);

/* The nearest whole number, halves to even: the sum has no room for a fraction, and is rounded. */
float roundevenf(float x) {
  float magnitude = __builtin_fabsf(x);
  if (!(magnitude < NO_FRACTIONS)) return x; /* NaN too */
  return __builtin_copysignf(magnitude + NO_FRACTIONS - NO_FRACTIONS, x);
}

float __floatdisf(int64_t x) { return (float)x; } /* calls __aeabi_l2f */

#endif
