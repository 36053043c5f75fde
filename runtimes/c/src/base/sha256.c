#include "base/sha256.h"

#include <string.h>

void sha256_begin(sha256* hash) {
  static const uint32_t initial[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  memcpy(hash->state, initial, sizeof(initial));
  hash->length_bytes = 0;
  hash->blocks = sha256_choose_blocks();
}

void sha256_update(sha256* hash, const void* data, size_t size) {
  const uint8_t* bytes = data;
  size_t filled = hash->length_bytes % 64;
  hash->length_bytes += size;
  if (filled > 0) {
    size_t taken = size < 64 - filled ? size : 64 - filled;
    memcpy(hash->block + filled, bytes, taken);
    bytes += taken, size -= taken, filled += taken;
    if (filled < 64) return;
    hash->blocks(hash->state, hash->block, 1);
  }
  hash->blocks(hash->state, bytes, size / 64);
  memcpy(hash->block, bytes + size / 64 * 64, size % 64);
}

void sha256_finish(sha256* hash, char hex_out[SHA256_HEX_LENGTH + 1]) {
  uint64_t length_bits = hash->length_bytes * 8;
  uint8_t padding[72] = {0x80};
  size_t zeros = (119 - hash->length_bytes % 64) % 64; /* up to 8 bytes before a block's end */
  for (size_t i = 0; i < 8; ++i) padding[1 + zeros + i] = (uint8_t)(length_bits >> (56 - 8 * i));
  sha256_update(hash, padding, 1 + zeros + 8);
  for (int i = 0; i < 32; ++i) {
    uint8_t byte = (uint8_t)(hash->state[i / 4] >> (24 - 8 * (i % 4)));
    hex_out[2 * i] = "0123456789abcdef"[byte >> 4];
    hex_out[2 * i + 1] = "0123456789abcdef"[byte & 15];
  }
  hex_out[SHA256_HEX_LENGTH] = '\0';
}
