#include "base/sha256_blocks.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

/* Bytes of each 32-bit word in the other order. */
#define BIG_ENDIAN_WORDS _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203)

/* The state as the instructions want it: lanes f e b a, and h g d c. */
typedef struct state_lanes {
  __m128i abef, cdgh;
} state_lanes;

SHA_NI static state_lanes load_state(const uint32_t state[8]) {
  __m128i badc = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i*)state), 0xb1);
  __m128i hgfe = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i*)(state + 4)), 0x1b);
  return (state_lanes){_mm_alignr_epi8(badc, hgfe, 8), _mm_blend_epi16(hgfe, badc, 0xf0)};
}

SHA_NI static void store_state(state_lanes lanes, uint32_t state[8]) {
  __m128i abef = _mm_shuffle_epi32(lanes.abef, 0x1b), ghcd = _mm_shuffle_epi32(lanes.cdgh, 0xb1);
  _mm_storeu_si128((__m128i*)state, _mm_blend_epi16(abef, ghcd, 0xf0));
  _mm_storeu_si128((__m128i*)(state + 4), _mm_alignr_epi8(ghcd, abef, 8));
}

/* Words 4 i to 4 i + 3 of the schedule, from the 16 before: words[j] has 4 j to 4 j + 3, modulo
 * 4. */
SHA_NI static __m128i next_words(const __m128i words[4], int i) {
  __m128i last = words[(i + 3) & 3];
  __m128i sum = _mm_sha256msg1_epu32(words[i & 3], words[(i + 1) & 3]);
  sum = _mm_add_epi32(sum, _mm_alignr_epi8(last, words[(i + 2) & 3], 4));
  return _mm_sha256msg2_epu32(sum, last);
}

SHA_NI static state_lanes take_block(state_lanes before, const uint8_t* block) {
  state_lanes s = before;
  __m128i words[4];
  for (int i = 0; i < 16; ++i) {
    __m128i raw = _mm_loadu_si128((const __m128i*)(block + 16 * (i & 3)));
    words[i & 3] = i < 4 ? _mm_shuffle_epi8(raw, BIG_ENDIAN_WORDS) : next_words(words, i);
    const __m128i* constants = (const __m128i*)(sha256_round_constants + 4 * i);
    __m128i sum = _mm_add_epi32(words[i & 3], _mm_loadu_si128(constants));
    s.cdgh = _mm_sha256rnds2_epu32(s.cdgh, s.abef, sum);
    s.abef = _mm_sha256rnds2_epu32(s.abef, s.cdgh, _mm_shuffle_epi32(sum, 0x0e));
  }
  s.abef = _mm_add_epi32(s.abef, before.abef);
  s.cdgh = _mm_add_epi32(s.cdgh, before.cdgh);
  return s;
}

SHA_NI void sha256_blocks_sha_ni(uint32_t state[8], const uint8_t* data, size_t num_blocks) {
  state_lanes lanes = load_state(state);
  for (size_t i = 0; i < num_blocks; ++i) lanes = take_block(lanes, data + 64 * i);
  store_state(lanes, state);
}

#else

typedef int sha256_of_another_architecture;

#endif
