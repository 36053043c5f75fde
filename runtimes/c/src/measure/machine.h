#ifndef OSSC_MACHINE_H_
#define OSSC_MACHINE_H_

#include <stdio.h>

/* Writes what the operating system says of this machine as a JSON object; empty texts and zeros
 * where it says nothing. */
void machine_describe(FILE* answer);

#endif /* OSSC_MACHINE_H_ */
