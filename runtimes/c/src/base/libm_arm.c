/* What LLVM calls in kernels for 32-bit Arm, whose CPUs round with no instruction before version 8:
 * musl and glibc before 2.25 have no roundevenf. */
#if defined(__arm__)

/* From here on float32 has whole numbers only. */
#define NO_FRACTIONS 8388608.0f

float roundevenf(float x);

/* The nearest whole number, halves to even: the sum has no room for a fraction, and is rounded. */
float roundevenf(float x) {
  float magnitude = __builtin_fabsf(x);
  if (!(magnitude < NO_FRACTIONS)) return x; /* NaN too */
  return __builtin_copysignf(magnitude + NO_FRACTIONS - NO_FRACTIONS, x);
}

#endif
