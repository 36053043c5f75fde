#include "measure/probe_loops.h"

#if !defined(__x86_64__) && !defined(__aarch64__)

#include <string.h>

/* 16 bytes: a register of NEON; without vectors, of which these CPUs need have none, a few of the
 * others. */
typedef uint8_t u8x16 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));
typedef int32_t i32x4 __attribute__((vector_size(16)));

/* Independent sums, enough to hide the latency of an instruction. */
enum { SUMS = 6 };

/* Makes the compiler take a variable in memory as changed, so that nothing moves out of a loop. */
#define TOUCH(v) __asm__ volatile("" : "+m"(v))

static uint64_t read_portable(const char* data, size_t size_bytes, int64_t iterations) {
  u8x16 sums[8] = {{0}};
  uint64_t halves[2];
  for (int64_t i = 0; i < iterations; ++i) {
    for (const char* p = data; p < data + size_bytes; p += 8 * 16) {
      for (int k = 0; k < 8; ++k) sums[k] ^= *(const u8x16*)(const void*)(p + 16 * k);
    }
    TOUCH(sums[0]);
  }
  for (int k = 1; k < 8; ++k) sums[0] ^= sums[k];
  memcpy(halves, &sums[0], sizeof(halves));
  return halves[0] ^ halves[1];
}

static f32x4 multiply_add(f32x4 a, f32x4 b, f32x4 sum) {
#if defined(__arm__)
  __asm__(".fpu neon-vfpv4\n\tvfma.f32 %q0, %q1, %q2" : "+w"(sum) : "w"(a), "w"(b));
#else
  for (int lane = 0; lane < 4; ++lane) sum[lane] = __builtin_fmaf(a[lane], b[lane], sum[lane]);
#endif
  return sum;
}

static uint64_t f32_portable(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  f32x4 a = {0.001f, 0.001f, 0.001f, 0.001f}, b = {0.5f, 0.5f, 0.5f, 0.5f}, sums[SUMS] = {{0}};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = multiply_add(a, b, sums[k]);
    TOUCH(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] += sums[k];
  return (uint64_t)(sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3]);
}

/* Products of bytes, widened to int32 before. */
static uint64_t int8_portable(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  int8_t a[4] = {3, 3, 3, 3}, b[4] = {-2, -2, -2, -2};
  i32x4 sums[SUMS] = {{0}};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) {
      TOUCH(a);
      i32x4 wide_a = {a[0], a[1], a[2], a[3]}, wide_b = {b[0], b[1], b[2], b[3]};
      sums[k] += wide_a * wide_b;
    }
  }
  for (int k = 1; k < SUMS; ++k) sums[0] += sums[k];
  return (uint64_t)(sums[0][0] + sums[0][1] + sums[0][2] + sums[0][3]);
}

const probe_loop probe_loops[] = {
    {"read", NULL, 0, read_portable},
    {"f32", NULL, SUMS * 4 * 2, f32_portable},
    {"int8", NULL, SUMS * 4 * 2, int8_portable},
};
const size_t probe_loop_count = sizeof(probe_loops) / sizeof(probe_loops[0]);

#endif
