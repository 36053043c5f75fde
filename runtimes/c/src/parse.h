/* Numbers in options and commands. */
#ifndef OSSC_PARSE_H_
#define OSSC_PARSE_H_

#include "ossc.h"

/* name: what the message calls the text. */
ossc_status parse_integer(const char* name, const char* text, int64_t least, int64_t most,
                          int64_t* value_out);

#endif /* OSSC_PARSE_H_ */
