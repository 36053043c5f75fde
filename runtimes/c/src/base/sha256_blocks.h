/* The inner function of SHA-256: in plain C, and with the instructions that some CPUs have. */
#ifndef OSSC_SHA256_BLOCKS_H_
#define OSSC_SHA256_BLOCKS_H_

#include <stddef.h>
#include <stdint.h>

/* Takes blocks of 64 bytes into the state. */
typedef void (*sha256_blocks)(uint32_t state[8], const uint8_t* data, size_t num_blocks);

/* The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
extern const uint32_t sha256_round_constants[64];

/* The fastest that this CPU has. */
sha256_blocks sha256_choose_blocks(void);

void sha256_blocks_portable(uint32_t state[8], const uint8_t* data, size_t num_blocks);

#if defined(__x86_64__)
void sha256_blocks_sha_ni(uint32_t state[8], const uint8_t* data, size_t num_blocks);
#elif defined(__aarch64__)
void sha256_blocks_sha2(uint32_t state[8], const uint8_t* data, size_t num_blocks);
#endif

#endif /* OSSC_SHA256_BLOCKS_H_ */
