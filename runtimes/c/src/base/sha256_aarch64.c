#include "base/sha256_blocks.h"

#if defined(__aarch64__)

#include <arm_neon.h>

#if defined(__clang__)
#define SHA2 __attribute__((target("sha2")))
#else
#define SHA2 __attribute__((target("+crypto")))
#endif

typedef struct state_lanes {
  uint32x4_t abcd, efgh;
} state_lanes;

/* Words 4 i to 4 i + 3 of the schedule, from the 16 before: words[j] has 4 j to 4 j + 3, modulo
 * 4. */
SHA2 static uint32x4_t next_words(const uint32x4_t words[4], int i) {
  uint32x4_t sum = vsha256su0q_u32(words[i & 3], words[(i + 1) & 3]);
  return vsha256su1q_u32(sum, words[(i + 2) & 3], words[(i + 3) & 3]);
}

SHA2 static state_lanes take_block(state_lanes before, const uint8_t* block) {
  state_lanes s = before;
  uint32x4_t words[4];
  for (int i = 0; i < 16; ++i) {
    uint8x16_t raw = vld1q_u8(block + 16 * (i & 3));
    words[i & 3] = i < 4 ? vreinterpretq_u32_u8(vrev32q_u8(raw)) : next_words(words, i);
    uint32x4_t sum = vaddq_u32(words[i & 3], vld1q_u32(sha256_round_constants + 4 * i));
    uint32x4_t abcd = s.abcd;
    s.abcd = vsha256hq_u32(s.abcd, s.efgh, sum);
    s.efgh = vsha256h2q_u32(s.efgh, abcd, sum);
  }
  s.abcd = vaddq_u32(s.abcd, before.abcd);
  s.efgh = vaddq_u32(s.efgh, before.efgh);
  return s;
}

SHA2 void sha256_blocks_sha2(uint32_t state[8], const uint8_t* data, size_t num_blocks) {
  state_lanes lanes = {vld1q_u32(state), vld1q_u32(state + 4)};
  for (size_t i = 0; i < num_blocks; ++i) lanes = take_block(lanes, data + 64 * i);
  vst1q_u32(state, lanes.abcd);
  vst1q_u32(state + 4, lanes.efgh);
}

#else

typedef int sha256_of_another_architecture;

#endif
