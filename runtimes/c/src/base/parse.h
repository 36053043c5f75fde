/* Numbers in options and commands. */
#ifndef OSSC_PARSE_H_
#define OSSC_PARSE_H_

#include "ossc.h"

/* name: what the message calls the text.  Only digits are a number, and a sign before those of one
 * that is out of range. */
ossc_status parse_integer(const char* name, const char* text, int64_t least, int64_t most,
                          int64_t* value_out);

/* Any 64 bits, without a sign. */
ossc_status parse_unsigned(const char* name, const char* text, uint64_t* value_out);

/* A number that float32 holds, such as 0.5 or 1e-3; not infinity. */
ossc_status parse_real(const char* name, const char* text, float* value_out);

#endif /* OSSC_PARSE_H_ */
