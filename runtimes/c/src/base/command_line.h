/* Lines of commands, whatever comes. */
#ifndef OSSC_COMMAND_LINE_H_
#define OSSC_COMMAND_LINE_H_

#include <stdio.h>

#include "ossc.h"

/* Longer than any line that makes sense: a million token ids. */
#define COMMAND_LINE_MAX_BYTES ((size_t)8 << 20)

typedef struct command_line {
  char* text; /* [capacity], ends with a NUL */
  size_t capacity;
} command_line;

/* Reads the next line, without its end; a NUL in it becomes a question mark.
 * end_out: there is none.  A line that is too long is read to its end, and an error. */
ossc_status command_line_read(FILE* input, command_line* line, bool* end_out);

/* Cuts the next word off; an empty one when there is none. */
char* command_line_word(char** text);

void command_line_free(command_line* line);

#endif /* OSSC_COMMAND_LINE_H_ */
