#include "measure/probe_loops.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f")))
#define AVX512_VNNI __attribute__((target("avx512f,avx512vnni")))
#define AVX_VNNI __attribute__((target("avx2,avxvnni")))

/* Independent sums, enough to hide the latency of an instruction. */
enum { SUMS = 12 };

/* Makes the compiler take the register as changed, so that nothing moves out of a loop. */
#define TOUCH_YMM(r) __asm__ volatile("" : "+x"(r))
#define TOUCH_ZMM(r) __asm__ volatile("" : "+v"(r))

static uint64_t read_sse2(const char* data, size_t size_bytes, int64_t iterations) {
  __m128i sums[8] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (const char* p = data; p < data + size_bytes; p += 8 * 16) {
      for (int k = 0; k < 8; ++k) {
        sums[k] = _mm_xor_si128(sums[k], _mm_load_si128((const __m128i*)(p + 16 * k)));
      }
    }
    TOUCH_YMM(sums[0]);
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm_xor_si128(sums[0], sums[k]);
  return (uint64_t)_mm_cvtsi128_si64(sums[0]);
}

AVX2 static uint64_t read_avx2(const char* data, size_t size_bytes, int64_t iterations) {
  __m256i sums[8] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (const char* p = data; p < data + size_bytes; p += 8 * 32) {
      for (int k = 0; k < 8; ++k) {
        sums[k] = _mm256_xor_si256(sums[k], _mm256_load_si256((const __m256i*)(p + 32 * k)));
      }
    }
    TOUCH_YMM(sums[0]);
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm256_xor_si256(sums[0], sums[k]);
  return (uint64_t)_mm256_extract_epi64(sums[0], 0);
}

AVX512 static uint64_t read_avx512(const char* data, size_t size_bytes, int64_t iterations) {
  __m512i sums[8] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (const char* p = data; p < data + size_bytes; p += 8 * 64) {
      for (int k = 0; k < 8; ++k) {
        sums[k] = _mm512_xor_si512(sums[k], _mm512_load_si512((const void*)(p + 64 * k)));
      }
    }
    TOUCH_ZMM(sums[0]);
  }
  for (int k = 1; k < 8; ++k) sums[0] = _mm512_xor_si512(sums[0], sums[k]);
  return (uint64_t)_mm512_reduce_add_epi64(sums[0]);
}

AVX2 static uint64_t f32_avx2(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  __m256 a = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(0.001f), sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = _mm256_fmadd_ps(a, sums[k], b);
    TOUCH_YMM(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = _mm256_add_ps(sums[0], sums[k]);
  return (uint64_t)_mm256_cvtss_f32(sums[0]);
}

AVX512 static uint64_t f32_avx512(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  __m512 a = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(0.001f), sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = _mm512_fmadd_ps(a, sums[k], b);
    TOUCH_ZMM(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = _mm512_add_ps(sums[0], sums[k]);
  return (uint64_t)_mm512_cvtss_f32(sums[0]);
}

/* Products of bytes in pairs, pairs of pairs, and their sum: the three instructions of AVX2. */
AVX2 static uint64_t int8_avx2(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2), ones = _mm256_set1_epi16(1);
  __m256i sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) {
      TOUCH_YMM(a);
      __m256i pairs = _mm256_maddubs_epi16(a, b);
      sums[k] = _mm256_add_epi32(sums[k], _mm256_madd_epi16(pairs, ones));
    }
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = _mm256_add_epi32(sums[0], sums[k]);
  return (uint64_t)_mm256_extract_epi64(sums[0], 0);
}

AVX512_VNNI static uint64_t int8_avx512_vnni(const char* data, size_t size_bytes,
                                             int64_t iterations) {
  (void)data, (void)size_bytes;
  __m512i a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(-2), sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = _mm512_dpbusd_epi32(sums[k], a, b);
    TOUCH_ZMM(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = _mm512_add_epi32(sums[0], sums[k]);
  return (uint64_t)_mm512_reduce_add_epi32(sums[0]);
}

AVX_VNNI static uint64_t int8_avx_vnni(const char* data, size_t size_bytes, int64_t iterations) {
  (void)data, (void)size_bytes;
  __m256i a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(-2), sums[SUMS] = {0};
  for (int64_t i = 0; i < iterations; ++i) {
    for (int k = 0; k < SUMS; ++k) sums[k] = _mm256_dpbusd_avx_epi32(sums[k], a, b);
    TOUCH_YMM(a);
  }
  for (int k = 1; k < SUMS; ++k) sums[0] = _mm256_add_epi32(sums[0], sums[k]);
  return (uint64_t)_mm256_extract_epi64(sums[0], 0);
}

const probe_loop probe_loops[] = {
    {"read", "avx512f", 0, read_avx512},
    {"read", "avx2", 0, read_avx2},
    {"read", NULL, 0, read_sse2},
    {"f32_avx512", "avx512f", SUMS * 16 * 2, f32_avx512},
    {"f32", "fma", SUMS * 8 * 2, f32_avx2},
    {"int8_vnni", "avx512_vnni", SUMS * 64 * 2, int8_avx512_vnni},
    {"int8_vnni", "avx_vnni", SUMS * 32 * 2, int8_avx_vnni},
    {"int8", "avx2", SUMS * 32 * 2, int8_avx2},
};
const size_t probe_loop_count = sizeof(probe_loops) / sizeof(probe_loops[0]);

#endif
