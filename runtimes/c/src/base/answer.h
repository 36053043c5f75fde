/* Pieces of the JSON that ossc-run --measure answers with. */
#ifndef OSSC_ANSWER_H_
#define OSSC_ANSWER_H_

#include <stdio.h>

#include "ossc.h"

/* A text in quotes; what is not printable ASCII becomes a question mark. */
void answer_text(FILE* answer, const char* text);

/* A list such as [1,2,3]. */
void answer_integers(FILE* answer, const int32_t* values, size_t count);

#endif /* OSSC_ANSWER_H_ */
