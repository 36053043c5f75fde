/* What drivers made of programs, kept between processes in files of the user's own. A cache that
 * cannot be read or written is no error: the program is built again. */
#ifndef OSSC_PROGRAM_CACHE_H_
#define OSSC_PROGRAM_CACHE_H_

#include <stdbool.h>

#include "base/sha256.h"
#include "ossc.h"

/* Names the folder, which is $XDG_CACHE_HOME/ossc or ~/.cache/ossc otherwise; `none`: no cache. */
#define PROGRAM_CACHE_VARIABLE "OSSC_CACHE_DIR"

/* Of all that the bytes depend on. */
typedef char program_key[SHA256_HEX_LENGTH + 1];

/* Whether there is a folder for it. */
bool program_cache_is_on(void);

/* The bytes that were stored; the caller frees them. NULL: there are none, or they are damaged. */
uint8_t* program_cache_load(const program_key key, size_t* size_out);

/* Replaces what is stored, at once and whole. */
void program_cache_store(const program_key key, const uint8_t* data, size_t size);

#endif /* OSSC_PROGRAM_CACHE_H_ */
