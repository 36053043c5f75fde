/* SHA-256, FIPS 180-4. */
#ifndef OSSC_SHA256_H_
#define OSSC_SHA256_H_

#include <stddef.h>
#include <stdint.h>

#include "base/sha256_blocks.h"

#define SHA256_HEX_LENGTH 64

typedef struct sha256 {
  uint32_t state[8];
  uint64_t length_bytes;
  uint8_t block[64]; /* the bytes not yet taken in */
  sha256_blocks blocks;
} sha256;

void sha256_begin(sha256* hash);
void sha256_update(sha256* hash, const void* data, size_t size);

/* Writes 64 lowercase hex digits and a NUL. */
void sha256_finish(sha256* hash, char hex_out[SHA256_HEX_LENGTH + 1]);

#endif /* OSSC_SHA256_H_ */
