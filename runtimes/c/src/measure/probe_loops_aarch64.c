#include "measure/probe_loops.h"

#if defined(__aarch64__)

#include <arm_neon.h>

/* Independent sums, enough to hide the latency of an instruction. */
enum { SUMS = 16 };

/* Makes the compiler take the register as changed, so that nothing moves out of a loop. */
#define TOUCH(r) __asm__ volatile("" : "+w"(r))

static uint64_t read_neon(const char* data, size_t size_bytes, int64_t iterations) {
  uint8x16_t sums[8] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (const char* p = data; p < data + size_bytes; p += 8 * 16) {
      for (int k = 0; k < 8; ++k) {
        sums[k] = veorq_u8(sums[k], vld1q_u8((const uint8_t*)p + 16 * k));
      }
    }
    TOUCH(sums[0]);
  }
  for (int k = 1; k < 8; ++k) sums[0] = veorq_u8(sums[0], sums[k]);
  return vaddvq_u8(sums[0]);
}

static uint64_t f32_neon(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  float32x4_t a = vdupq_n_f32(0.001f), b = vdupq_n_f32(0.5f), sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = vfmaq_f32(sums[k], a, b);
    TOUCH(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = vaddq_f32(sums[0], sums[k]);
  return (uint64_t)vaddvq_f32(sums[0]);
}

static uint64_t int8_dotprod(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  int32x4_t sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) {
      __asm__(".arch_extension dotprod\n\tsdot %0.4s, %1.16b, %2.16b"
              : "+w"(sums[k])
              : "w"(a), "w"(b));
    }
    TOUCH(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = vaddq_s32(sums[0], sums[k]);
  return (uint64_t)vaddvq_s32(sums[0]);
}

/* Without the dot product: products in two halves, and sums of their pairs. */
static uint64_t int8_neon(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  int8x16_t a = vdupq_n_s8(3), b = vdupq_n_s8(-2);
  int32x4_t sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) {
      TOUCH(a);
      int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
      sums[k] = vpadalq_s16(sums[k], vmlal_high_s8(products, a, b));
    }
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = vaddq_s32(sums[0], sums[k]);
  return (uint64_t)vaddvq_s32(sums[0]);
}

const probe_loop probe_loops[] = {
    {"read", NULL, 0, read_neon},
    {"f32", NULL, SUMS * 4 * 2, f32_neon},
    {"int8", "asimddp", SUMS * 16 * 2, int8_dotprod},
    {"int8", NULL, SUMS * 16 * 2, int8_neon},
};
const size_t probe_loop_count = sizeof(probe_loops) / sizeof(probe_loops[0]);

#endif
