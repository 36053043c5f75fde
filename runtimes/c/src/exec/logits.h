#ifndef OSSC_LOGITS_H_
#define OSSC_LOGITS_H_

#include "ossc.h"

/* Refuses logits [count] of a token of which one is NaN or plus infinity. */
ossc_status logits_check(const float* logits, size_t count);

/* None of the logits can be chosen. */
ossc_status logits_fail(void);

/* The lowest id of the largest logit; -1 when none is a number above minus infinity. */
int32_t logits_largest(const float* logits, size_t count);

#endif /* OSSC_LOGITS_H_ */
